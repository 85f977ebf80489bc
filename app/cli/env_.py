"""`env`: the lines that point a client at the running sidecar."""

from __future__ import annotations

import os
import shlex
import socket
import time
from argparse import Namespace
from collections.abc import Mapping

from ..config import secret_refs
from ..config.loader import Loaded, load
from ..config.settings import PathToken
from ..core.addresses import authority, listen_address
from ..core.errors import ConfigError
from ..system import runtime_dir
from .get_ import check_profile

IN_THE_WAY = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
)
"""What every SDK asks before the URI: static keys and RRSA's token file."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    # A client's shell has neither the secrets nor the files of the sidecar's container.
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    check_profile(loaded, arguments.profile)
    if arguments.shell == "k8s":
        print(manifest(loaded, arguments.profile))
        return 0
    for line in lines(client_variables(loaded, arguments.profile, environ), arguments.shell):
        print(line)
    return 0


def manifest(loaded: Loaded, profile: str) -> str:
    """The `env` of a container beside the sidecar, YAML. Raises ConfigError where it would have to hold a secret."""
    token = loaded.settings.access.path_token
    if token is None:
        return _yaml(variables(_base(loaded), profile, None))
    if not isinstance(token, PathToken) or token.env_var_name is None:
        raise ConfigError(
            "access.pathToken: a manifest cannot hold it; set envVarName, and fill that variable from the pod's UID "
            "(deploy/kubernetes/sidecar.yaml)"
        )
    # Kubernetes puts $(NAME) in where NAME stands before it; the sidecar's container has the same variable.
    name = token.env_var_name
    uid = f"- name: {name}\n  valueFrom: {{ fieldRef: {{ fieldPath: metadata.uid }} }}\n"
    return uid + _yaml(variables(_base(loaded), profile, f"$({name})"))


def _yaml(values: Mapping[str, str]) -> str:
    return "\n".join(f'- name: {name}\n  value: "{value}"' for name, value in values.items())


def client_variables(loaded: Loaded, profile: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a client container needs."""
    return variables(_base(loaded), profile, token_of(loaded, environ))


def _base(loaded: Loaded) -> str:
    host, port = listen_address(loaded.settings.server.bind, "server.bind")
    if port == 0:
        raise ConfigError("server.bind: port 0 is only known to the running sidecar; configure a port")
    # A wildcard is where one listens, not whom one asks.
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{authority(asked, port)}"


def token_of(loaded: Loaded, environ: Mapping[str, str]) -> str | None:
    """The path token, where one is configured; a generated one as the running sidecar has left it."""
    settings = loaded.settings
    if settings.access.path_token is None:
        return None
    if isinstance(settings.access.path_token, PathToken):
        return secret_refs.path_token(settings.access.path_token, environ)()
    _, port = listen_address(settings.server.bind, "server.bind")
    return runtime_dir.read_path_token(runtime_dir.path_token_file(environ, os.geteuid(), port))


def variables(base: str, profile: str, path_token: str | None) -> dict[str, str]:
    """The client's variables for a sidecar whose credentials listener is at `base`."""
    prefix = f"{base}/{path_token}" if path_token else base
    uri = f"{prefix}/credentials" if profile == "default" else f"{prefix}/credentials/{profile}"
    # The ECS role comes before the URI in every default chain, so it must be switched off beside it.
    return {"ALIBABA_CLOUD_CREDENTIALS_URI": uri, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}


def lines(values: Mapping[str, str], shell: str) -> list[str]:
    """Lines in the shell's syntax that set `values` and take away what every SDK would ask first."""
    match shell:
        case "fish":
            return [f"set -gx {name} {_fish(value)}" for name, value in values.items()] + [
                f"set -e {name}" for name in IN_THE_WAY
            ]
        case "powershell":
            return [f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items()] + [
                f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in IN_THE_WAY
            ]
        case _:
            return [f"export {name}={shlex.quote(value)}" for name, value in values.items()] + [
                f"unset {' '.join(IN_THE_WAY)}"
            ]


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
