"""Errors at start: one line on stderr, the right exit code, no traceback and no secret.

The sidecar and the emulated cloud are real processes. The exact messages are tested in tests/config.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from app.emulator import Client, Secret, World
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, role_arn

from ..ports import unused_port
from .gates import failed_start
from .processes import DEADLINE, CommandResult, EmulatedCloud, Process, emulator, environment, run
from .test_commands import TOKEN_PATH, configuration, write_config

CANARY = "Tr0ub4dor"
SECRET = {"IDAAS_SECRET": CLIENT_SECRET}
NOWHERE = "http://127.0.0.1:9"
"""The discard port, on which nothing listens."""

Changes = dict[str, Any]


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that another socket listens on."""
    port = unused_port(4)  # `demo` uses the three next ones, too
    with socket.create_server(("127.0.0.1", port)):
        yield port


def with_profile(cloud: EmulatedCloud, section: str, **changes: Any) -> Changes:
    """Return a configuration in which keys of the profile's `section` (identity or exchange) are changed."""
    config = configuration(cloud)
    config["profiles"]["default"][section] |= changes
    return config


def authn(**keys: Any) -> Changes:
    """Return an authnConfiguration with these keys."""
    return {"authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", **keys}}


def add_fault(cloud: EmulatedCloud, **members: Any) -> None:
    """Make the emulator respond once with a fault."""
    request = urllib.request.Request(f"{cloud.url}/_emulator/faults", json.dumps(members).encode(), method="POST")
    urllib.request.urlopen(request, timeout=DEADLINE).close()


WAITED_FOR = ("missing secret file", "missing CA file")
INVALID: dict[str, tuple[str | None, Changes, str]] = {
    "unknown key": (None, {"servers": {}}, "servers: unknown key; did you mean server?"),
    "secret in the file": (
        "identity",
        authn(clientSecret=CANARY),
        "clientSecret: unknown key; secrets are never in this file; use clientSecretEnvVarName or clientSecretFile",
    ),
    "missing variable": (
        "identity",
        authn(clientSecretEnvVarName="NOT_SET"),
        "clientSecretEnvVarName: the environment variable NOT_SET is not set or empty; set the variable to the secret, "
        "or name another",
    ),
    "missing secret file": ("identity", authn(clientSecretFile="/nowhere"), "clientSecretFile: /nowhere: no such file"),
    "unreadable secret file": (
        "identity",
        authn(clientSecretFile="/"),
        "clientSecretFile: /: not a regular file",
    ),
    "malformed ARN": (
        "exchange",
        {"roleArn": "acs:ram::1:user/x"},
        "roleArn: 'acs:ram::1:user/x' is not the ARN of a role, which has the form acs:ram::<account id>:role/<name>",
    ),
    "bad URL": (
        "identity",
        {"tokenEndpoint": "http://login.example.com/token"},
        "tokenEndpoint: 'http://login.example.com/token' would send secrets in clear; use https://",
    ),
    "missing CA file": (None, {"tls": {"caFile": "/nowhere.pem"}}, "tls.caFile: /nowhere.pem: no such file"),
    "two listeners with one address": (
        None,
        {"server": {"bind": "127.0.0.1:7117", "ops": "127.0.0.1:7117"}},
        "server.ops: 127.0.0.1:7117 is taken by server.bind; choose another port",
    ),
    "bound to all addresses": (
        None,
        {"server": {"bind": "0.0.0.0:0"}},
        "server.bind: 0.0.0.0:0 is reachable from other machines; use 127.0.0.1, or set access.unsafeBind",
    ),
    "password in the proxy URL": (
        None,
        {"proxy": f"socks5://user:{CANARY}@proxy.example.com"},
        "proxy: a SOCKS proxy, which is not supported; name an HTTP proxy",
    ),
}


def has_error_line(result: CommandResult, command: str, words: str) -> bool:
    """Return whether the only line on stderr names the command and contains `words`. Fails if it has a secret."""
    line = result.error_line
    assert CANARY not in line
    assert CLIENT_SECRET not in line
    return line.startswith(f"idaas-sidecar {command}: ") and words in line


@pytest.mark.parametrize("name", INVALID)
def test_invalid_configuration(name: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each command exits with 2 and prints the same line; `serve` waits for a file that may still be written."""
    section, changes, words = INVALID[name]
    path = write_config(
        tmp_path, with_profile(cloud, section, **changes) if section else configuration(cloud, **changes)
    )
    env = environment(tmp_path, **SECRET)

    for command in ("get", "config") if name in WAITED_FOR else ("serve", "get", "config"):
        result = run(command, "--config", path, env=env)
        assert result.code == 2
        assert has_error_line(result, command, words)
        assert result.out == ""


@pytest.mark.parametrize("command", ["serve", "get", "config", "env"])
def test_no_configuration(command: str, tmp_path: Path) -> None:
    """Without a configuration, the line says where the command has looked and what to try."""
    result = run(command, env=environment(tmp_path))

    assert result.code == 2
    assert has_error_line(result, command, "no configuration: no --config, no $IDAAS_SIDECAR_CONFIG")


def test_missing_file(tmp_path: Path) -> None:
    """A named file must exist: the other places of the search order are not tried."""
    named = run("serve", "--config", "/nowhere.json", env=environment(tmp_path))
    by_variable = run("serve", env=environment(tmp_path, IDAAS_SIDECAR_CONFIG="/nowhere.json"))
    directory = run("serve", "--config", str(tmp_path), env=environment(tmp_path))

    assert (named.code, by_variable.code, directory.code) == (2, 2, 2)
    assert named.error_line == by_variable.error_line == "idaas-sidecar serve: /nowhere.json: no such file (IDS-102)"
    assert directory.error_line == f"idaas-sidecar serve: {tmp_path}: not a regular file (IDS-102)"


def test_file_that_is_not_json(tmp_path: Path) -> None:
    """The message for a syntax error has the line and the column."""
    path = tmp_path / "config.json"
    path.write_text('{"configVersion": "1.0",\n profiles: {}}')

    result = run("serve", "--config", str(path), env=environment(tmp_path))

    assert result.code == 2
    assert has_error_line(result, "serve", f"{path}:2:2: not JSON: ")


def test_missing_trust_store(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A missing file in $SSL_CERT_FILE is an error of a command, not of its first call."""
    path = write_config(tmp_path, configuration(cloud))

    result = run("get", "--config", path, env=environment(tmp_path, **SECRET, SSL_CERT_FILE="/nowhere.pem"))

    assert result.code == 2
    assert result.error_line == "idaas-sidecar get: SSL_CERT_FILE: /nowhere.pem: no such file (IDS-124)"


# --- ports ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["bind", "ops", "metadata"])
def test_port_in_use(listener: str, cloud: EmulatedCloud, used_port: int, tmp_path: Path) -> None:
    """For a port in use the exit code is 2; the message has the key, the address and the cure."""
    server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", listener: f"127.0.0.1:{used_port}"}
    path = write_config(tmp_path, configuration(cloud, server=server))

    result = run("serve", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 2
    assert has_error_line(
        result, "serve", f"server.{listener}: cannot listen on 127.0.0.1:{used_port}: the port is in use; stop"
    )


def test_all_ports_in_use(cloud: EmulatedCloud, used_port: int, tmp_path: Path) -> None:
    """`serve` reports every listener that cannot listen, a line each with the cure, and exits once with 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"bind": used_port, "ops": other.getsockname()[1]}
        server = {key: f"127.0.0.1:{port}" for key, port in ports.items()}
        path = write_config(tmp_path, configuration(cloud, server=server))

        result = run("serve", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 2
    assert result.err.splitlines() == [
        f"idaas-sidecar serve: server.{key}: cannot listen on 127.0.0.1:{port}: the port is in use; "
        "stop the other program, or choose another port; a sidecar that was stopped ends after shutdown.drainSeconds, "
        "or at once at a second SIGTERM (IDS-502)"
        for key, port in ports.items()
    ]


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_port_in_use_for_other_commands(command: str, used_port: int, tmp_path: Path) -> None:
    """`demo` and `emulator` report a port in use as `serve` does."""
    result = run(command, "--port", str(used_port), env=environment(tmp_path))

    assert result.code == 2
    assert f"cannot listen on 127.0.0.1:{used_port}" in result.err
    assert "the port is in use; stop the other program" in result.err or command == "emulator"
    assert "--port 0 for free ports" in result.err
    for line in result.err.splitlines():
        assert line.startswith(f"idaas-sidecar {command}: ")
        assert line.endswith("(IDS-502)")


def test_invalid_world_file(tmp_path: Path) -> None:
    """An invalid world file of the emulator gives exit code 2 and one line."""
    path = tmp_path / "world.json"
    path.write_text('{"clients": {}, "typo": 1}')

    result = run("emulator", "--port", "0", "--world", str(path), env=environment(tmp_path))

    assert result.code == 2
    assert has_error_line(result, "emulator", f"--world: world file {path}: ")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_wrong_secret(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A wrong secret gives exit code 3; the line has the endpoint, the code, the request id and a hint."""
    path = write_config(tmp_path, configuration(cloud))

    result = run("get", "--config", path, env=environment(tmp_path, IDAAS_SECRET=CANARY))

    assert result.code == 3
    assert has_error_line(result, "get", f"{cloud.url}{TOKEN_PATH}: HTTP 401 invalid_client (request ")
    assert "copy clientId and a current secret" in result.error_line


def test_expired_secret(tmp_path: Path) -> None:
    """A client secret that has expired in IDaaS gives exit code 3 and the same hint as a wrong one."""
    world = World.default()
    expired = Client(grants=world.clients[CLIENT_ID].grants, secrets=(Secret(CLIENT_SECRET, time.time() - 60),))
    (tmp_path / "world.json").write_text(World(**_members(world) | {"clients": {CLIENT_ID: expired}}).to_json())
    with emulator("--world", str(tmp_path / "world.json"), home=tmp_path) as cloud:
        path = write_config(tmp_path, configuration(cloud))
        result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 3
    assert has_error_line(result, "get", "invalid_client")
    assert "a current secret" in result.error_line


def _members(world: World) -> Changes:
    return {name: getattr(world, name) for name in ("clients", "resource_servers", "oidc_providers", "roles", "issuer")}


REFUSALS = [
    ("exchange", {"roleArn": role_arn("nobody")}, "EntityNotExist.Role", "correct roleArn"),
    (
        "exchange",
        {"oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/other"},
        "AuthenticationFail.NoPermission",
        "correct oidcProviderArn",
    ),
    (
        "identity",
        {"scope": "api.demo.example|admin"},
        "scope_not_found",
        "copy the scope from the permissions of the resource server",
    ),
    ("identity", {"clientId": "app_other"}, "invalid_client", "a current secret"),
]


@pytest.mark.parametrize(("section", "changes", "code", "hint"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_refusal_of_the_cloud(
    section: str, changes: Changes, code: str, hint: str, cloud: EmulatedCloud, tmp_path: Path
) -> None:
    """A refusal gives exit code 3; the line has the code of the cloud and a hint."""
    path = write_config(tmp_path, with_profile(cloud, section, **changes))

    result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 3
    assert has_error_line(result, "get", code)
    assert hint in result.error_line


# --- outages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["token", "sts"])
def test_unreachable_endpoint(endpoint: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """An endpoint that does not accept connections gives exit code 4; the line names the endpoint."""
    token, sts = with_profile(cloud, "identity", tokenEndpoint=f"{NOWHERE}/token"), {"endpoints": [NOWHERE]}
    path = write_config(tmp_path, token if endpoint == "token" else with_profile(cloud, "exchange", **sts))

    result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 4
    assert has_error_line(result, "get", f"{NOWHERE}/{'token' if endpoint == 'token' else ''}: could not connect")


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "sts"])
def test_response_that_has_expired(kind: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A token or session that has expired on arrival gives a message that points to the clock."""
    path = write_config(tmp_path, configuration(cloud))
    add_fault(cloud, kind=kind, expirationOffset=-600)

    result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 4
    assert has_error_line(result, "get", "already expired by this machine's clock; set the clock")


def test_clock_that_is_wrong(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A Date header that differs by two hours gives a warning about the clock, and the command succeeds."""
    path = write_config(tmp_path, configuration(cloud))
    add_fault(cloud, kind="token", headers={"Date": formatdate(time.time() - 7200, usegmt=True)})

    result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert result.code == 0
    assert result.error_line == (
        "idaas-sidecar get: warning: this machine's clock differs from the cloud's by a minute or more; set the clock "
        "(IDS-214)"
    )


# --- the gate ---------------------------------------------------------------------------------------------------------

GATES = [
    ("unreachable", 4, "could not connect"),
    ("refused", 3, "invalid_client"),
]


@pytest.mark.parametrize(("name", "code", "words"), GATES, ids=[name for name, _, _ in GATES])
def test_gate_times_out(name: str, code: int, words: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Without credentials in time, `serve` exits with the code of the last error and logs that error."""
    changes = {"tokenEndpoint": f"{NOWHERE}/token"} if name == "unreachable" else {}
    settings = with_profile(cloud, "identity", **changes) | {"startup": {"gate": "credentials"}}

    start = failed_start(settings, home=tmp_path, env={"IDAAS_SECRET": CANARY})
    log = "\n".join(start.process.stderr.lines())

    assert start.code == code
    assert start.failed["profile"] == "default"
    assert words in start.failed["error"]
    assert CANARY not in log
    assert "Traceback" not in log


def test_gate_listening_does_not_wait(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With the gate `listening`, an unreachable cloud does not end the process; SIGTERM does, with 0."""
    config = with_profile(cloud, "identity", tokenEndpoint=f"{NOWHERE}/token") | {"startup": {"gate": "listening"}}
    path = write_config(tmp_path, config)

    with Process("serve", "--config", path, env=environment(tmp_path, **SECRET)) as process:
        process.event("refresh_failed")
        code = process.stop()

    assert code == 0


def test_token_file_may_appear_later(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A missing token file is a warning, since kubelet may write it later; `config` exits with 0."""
    config = configuration(cloud, startup={"gate": "listening"})
    config["profiles"]["default"]["identity"] = {"type": "tokenFile", "tokenFile": f"{tmp_path}/token"}
    path = write_config(tmp_path, config)
    env = environment(tmp_path)

    checked = run("config", "--config", path, env=env)
    with Process("serve", "--config", path, env=env) as process:
        warned = process.event("configuration")
        process.event("refresh_failed")
        code = process.stop()

    warning = (
        f"profiles.default.identity.tokenFile: {tmp_path}/token: no such file; waiting for the program that writes it"
    )
    assert checked.code == 0
    assert checked.error_line == f"idaas-sidecar config: warning: {warning} (IDS-124)"
    assert warned["message"] == warning
    assert code == 0
