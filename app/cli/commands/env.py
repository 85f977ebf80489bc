"""`env`: print the lines that point a client at the running sidecar."""

from __future__ import annotations

import os
import shlex
import socket
import time
from argparse import Namespace
from collections.abc import Mapping

from ...config import secret_refs
from ...config.loader import Loaded, load
from ...config.settings import PathToken
from ...core.addresses import authority, listen_address
from ...core.client_chain import HIGHER_PRIORITY_VARIABLES, OTHER_SOURCES_DISABLED
from ...core.errors import ConfigError
from ...system import runtime_dir
from ..profile_option import check_profile


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the lines for one profile in the syntax of `--shell`."""
    # `look=False`: a client's shell has neither the secrets nor the files of the sidecar's container.
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    check_profile(loaded, arguments.profile)
    if arguments.shell == "k8s":
        print(kubernetes_env(loaded, arguments.profile))
        return 0
    token = _path_token(loaded, environ)
    for line in shell_lines(client_variables(_base_url(loaded), arguments.profile, token), arguments.shell):
        print(line)
    return 0


def client_variables(base_url: str, profile: str, path_token: str | None) -> dict[str, str]:
    """Return the variables of a client of the credentials listener at `base_url`."""
    prefix = f"{base_url}/{path_token}" if path_token else base_url
    uri = f"{prefix}/credentials" if profile == "default" else f"{prefix}/credentials/{profile}"
    return {"ALIBABA_CLOUD_CREDENTIALS_URI": uri, **OTHER_SOURCES_DISABLED}


def kubernetes_env(loaded: Loaded, profile: str) -> str:
    """
    Return the `env` block, in YAML, of a container in the sidecar's pod.

    Raises ConfigError if the block would have to contain the path token itself.
    """
    token = loaded.settings.access.path_token
    if token is None:
        return _yaml(_container_variables(loaded, profile, None))
    if not isinstance(token, PathToken) or token.env_var_name is None:
        raise ConfigError(
            "access.pathToken: a manifest cannot contain the token",
            cure="set envVarName and fill that variable from the pod's UID (deploy/kubernetes/sidecar.yaml)",
            error_code="IDS-106",
        )
    # Kubernetes expands $(NAME) if NAME is defined earlier in the block. The sidecar's container has the same variable.
    name = token.env_var_name
    uid = f"- name: {name}\n  valueFrom: {{ fieldRef: {{ fieldPath: metadata.uid }} }}\n"
    return uid + _yaml(_container_variables(loaded, profile, f"$({name})"))


def _container_variables(loaded: Loaded, profile: str, path_token: str | None) -> dict[str, str]:
    """Return the variables that a container needs. An image has no developer's profile files to disable."""
    variables = client_variables(_base_url(loaded), profile, path_token)
    return {name: variables[name] for name in ("ALIBABA_CLOUD_CREDENTIALS_URI", "ALIBABA_CLOUD_ECS_METADATA_DISABLED")}


def _yaml(values: Mapping[str, str]) -> str:
    return "\n".join(f'- name: {name}\n  value: "{value}"' for name, value in values.items())


def _base_url(loaded: Loaded) -> str:
    """Return the URL at which a client reaches the credentials listener. Raises ConfigError for port 0."""
    host, port = listen_address(loaded.settings.server.bind, "server.bind")
    if port == 0:
        raise ConfigError(
            "server.bind: port 0 is only known to the running sidecar", cure="configure a port", error_code="IDS-121"
        )
    # A client cannot connect to a wildcard address; `::` includes IPv4.
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://{authority(host, port)}"


def _path_token(loaded: Loaded, environ: Mapping[str, str]) -> str | None:
    """Return the configured path token, or the generated one that the running sidecar stored; None without one."""
    settings = loaded.settings
    if settings.access.path_token is None:
        return None
    if isinstance(settings.access.path_token, PathToken):
        return secret_refs.path_token(settings.access.path_token, environ)()
    _, port = listen_address(settings.server.bind, "server.bind")
    return runtime_dir.read_path_token(runtime_dir.path_token_file(environ, os.geteuid(), port))


def shell_lines(values: Mapping[str, str], shell: str) -> list[str]:
    """Return lines in the shell's syntax that set `values` and unset HIGHER_PRIORITY_VARIABLES."""
    match shell:
        case "fish":
            return [f"set -gx {name} {_fish(value)}" for name, value in values.items()] + [
                f"set -e {name}" for name in HIGHER_PRIORITY_VARIABLES
            ]
        case "powershell":
            return [f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items()] + [
                f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in HIGHER_PRIORITY_VARIABLES
            ]
        case _:
            return [f"export {name}={shlex.quote(value)}" for name, value in values.items()] + [
                f"unset {' '.join(HIGHER_PRIORITY_VARIABLES)}"
            ]


def _fish(value: str) -> str:
    """Return the value as a single-quoted string of fish."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
