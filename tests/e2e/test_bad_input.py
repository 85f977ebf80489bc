"""Everything that can be wrong at start: one line each, the right exit code, no traceback, no secret.

Real processes, the emulated cloud as another one. What a complaint says exactly is for tests/config/test_validation.py.
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

from .processes import EmulatedCloud, Ended, Process, emulator, environment, run
from .test_commands import TOKEN_PATH, configuration, written

CANARY = "Tr0ub4dor"
SECRET = {"IDAAS_SECRET": CLIENT_SECRET}
NOWHERE = "http://127.0.0.1:9"
"""The discard port, on which nothing listens."""

Changes = dict[str, Any]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def with_profile(cloud: EmulatedCloud, leg: str, **changes: Any) -> Changes:
    """A configuration whose `leg` of the profile is changed."""
    config = configuration(cloud)
    config["profiles"]["default"][leg] |= changes
    return config


def authn(**keys: Any) -> Changes:
    return {"authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", **keys}}


def fault(cloud: EmulatedCloud, **members: Any) -> None:
    """Asks the emulator to answer wrongly once."""
    request = urllib.request.Request(f"{cloud.url}/_emulator/faults", json.dumps(members).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).close()


WRONG: dict[str, tuple[str | None, Changes, str]] = {
    "unknown key": (None, {"servers": {}}, "servers: unknown key; did you mean server?"),
    "secret in the file": (
        "identity",
        authn(clientSecret=CANARY),
        "clientSecret: unknown key; secrets are never in this file: use clientSecretEnvVarName or clientSecretFile",
    ),
    "missing variable": (
        "identity",
        authn(clientSecretEnvVarName="NOT_SET"),
        "clientSecretEnvVarName: the environment variable NOT_SET is not set or empty; set it, or name another",
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
        "roleArn: 'acs:ram::1:user/x' is not the ARN of a role; it reads acs:ram::<account id>:role/<name>",
    ),
    "bad URL": (
        "identity",
        {"tokenEndpoint": "http://login.example.com/token"},
        "tokenEndpoint: 'http://login.example.com/token' would send secrets in clear; use https://",
    ),
    "missing CA file": (None, {"tls": {"caFile": "/nowhere.pem"}}, "tls.caFile: /nowhere.pem: no such file"),
    "two listeners, one address": (
        None,
        {"server": {"bind": "127.0.0.1:7117", "ops": "127.0.0.1:7117"}},
        "server.ops: 127.0.0.1:7117 is taken by server.bind; choose another port",
    ),
    "bound to everybody": (
        None,
        {"server": {"bind": "0.0.0.0:0"}},
        "server.bind: 0.0.0.0:0 is reachable from other machines; use 127.0.0.1, or set access.unsafeBind",
    ),
    "login in the proxy": (
        None,
        {"proxy": f"socks5://user:{CANARY}@proxy.example.com"},
        "proxy: not a proxy of the form http://host:port or https://host:port",
    ),
}


def blamed(ended: Ended, command: str, words: str) -> bool:
    """Whether the one line names the command and says `words`, without a secret."""
    line = ended.complaint
    assert CANARY not in line
    assert CLIENT_SECRET not in line
    return line.startswith(f"idaas-sidecar {command}: ") and words in line


@pytest.mark.parametrize("name", WRONG)
def test_a_configuration_that_cannot_work(name: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Exit 2 and the same line from every command that loads it."""
    leg, changes, words = WRONG[name]
    path = written(tmp_path, with_profile(cloud, leg, **changes) if leg else configuration(cloud, **changes))
    env = environment(tmp_path, **SECRET)

    for command in ("serve", "get", "config"):
        ended = run(command, "--config", path, env=env)
        assert ended.code == 2
        assert blamed(ended, command, words)
        assert ended.out == ""


@pytest.mark.parametrize("command", ["serve", "get", "config", "env"])
def test_nothing_is_configured(command: str, tmp_path: Path) -> None:
    """Without any configuration the line says where one was looked for, and what to try."""
    ended = run(command, env=environment(tmp_path))

    assert ended.code == 2
    assert blamed(ended, command, "no configuration: no --config, no $IDAAS_SIDECAR_CONFIG")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A named file must be there: its neighbours in the search order are not tried."""
    named = run("serve", "--config", "/nowhere.json", env=environment(tmp_path))
    by_variable = run("serve", env=environment(tmp_path, IDAAS_SIDECAR_CONFIG="/nowhere.json"))
    directory = run("serve", "--config", str(tmp_path), env=environment(tmp_path))

    assert (named.code, by_variable.code, directory.code) == (2, 2, 2)
    assert named.complaint == by_variable.complaint == "idaas-sidecar serve: /nowhere.json: no such file"
    assert directory.complaint == f"idaas-sidecar serve: {tmp_path}: not a regular file"


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    """The line and column of a syntax error."""
    path = tmp_path / "config.json"
    path.write_text('{"configVersion": "1.0",\n profiles: {}}')

    ended = run("serve", "--config", str(path), env=environment(tmp_path))

    assert ended.code == 2
    assert blamed(ended, "serve", f"{path}:2:2: not JSON: ")


def test_a_trust_store_that_is_not_there(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """$SSL_CERT_FILE is looked at when the sidecar starts, not when the first call fails."""
    path = written(tmp_path, configuration(cloud))

    ended = run("serve", "--config", path, env=environment(tmp_path, **SECRET, SSL_CERT_FILE="/nowhere.pem"))

    assert ended.code == 2
    assert ended.complaint == "idaas-sidecar serve: SSL_CERT_FILE: /nowhere.pem: no such file"


# --- ports ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["bind", "ops", "metadata"])
def test_a_port_in_use(listener: str, cloud: EmulatedCloud, taken: int, tmp_path: Path) -> None:
    """Exit 2, with the key, the address and what to do."""
    server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", listener: f"127.0.0.1:{taken}"}
    path = written(tmp_path, configuration(cloud, server=server))

    ended = run("serve", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 2
    assert blamed(ended, "serve", f"server.{listener}: cannot listen on 127.0.0.1:{taken}: the port is in use; stop")


def test_an_address_that_is_not_ours(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """An address of no interface here is a configuration error too."""
    elsewhere = configuration(cloud, server={"bind": "203.0.113.1:0"}, access={"unsafeBind": True})
    path = written(tmp_path, elsewhere)

    ended = run("serve", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 2
    assert blamed(ended, "serve", "server.bind: cannot listen on 203.0.113.1:0: this machine has no such address")


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_a_port_in_use_by_others(command: str, taken: int, tmp_path: Path) -> None:
    """`demo` and `emulator` say it as `serve` does."""
    ended = run(command, "--port", str(taken), env=environment(tmp_path))

    assert ended.code == 2
    assert blamed(ended, command, "cannot listen on ")


def test_a_world_that_cannot_be(tmp_path: Path) -> None:
    """The emulator's own file is told like ours."""
    path = tmp_path / "world.json"
    path.write_text('{"clients": {}, "typo": 1}')

    ended = run("emulator", "--port", "0", "--world", str(path), env=environment(tmp_path))

    assert ended.code == 2
    assert blamed(ended, "emulator", f"--world: world file {path}: ")


# --- the cloud says no ------------------------------------------------------------------------------------------------


def test_a_wrong_secret(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Exit 3: the endpoint, the code, the request id, and what to look at."""
    path = written(tmp_path, configuration(cloud))

    ended = run("get", "--config", path, env=environment(tmp_path, IDAAS_SECRET=CANARY))

    assert ended.code == 3
    assert blamed(ended, "get", f"{cloud.url}{TOKEN_PATH}: HTTP 401 invalid_client (request ")
    assert "secret, key or assertion was not accepted: is it current, is the clock right?" in ended.complaint


def test_an_expired_secret(tmp_path: Path) -> None:
    """A secret that IDaaS let expire is refused with the same hint."""
    world = World.default()
    expired = Client(grants=world.clients[CLIENT_ID].grants, secrets=(Secret(CLIENT_SECRET, time.time() - 60),))
    (tmp_path / "world.json").write_text(World(**_members(world) | {"clients": {CLIENT_ID: expired}}).to_json())
    with emulator("--world", str(tmp_path / "world.json"), home=tmp_path) as cloud:
        path = written(tmp_path, configuration(cloud))
        ended = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 3
    assert blamed(ended, "get", "invalid_client")
    assert "is it current" in ended.complaint


def _members(world: World) -> Changes:
    return {name: getattr(world, name) for name in ("clients", "resource_servers", "oidc_providers", "roles", "issuer")}


REFUSALS = [
    ("exchange", {"roleArn": role_arn("nobody")}, "EntityNotExist.Role", "there is no such role: check roleArn"),
    (
        "exchange",
        {"oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/other"},
        "AuthenticationFail.NoPermission",
        "the OIDC provider's ARN is wrong",
    ),
    (
        "identity",
        {"scope": "api.demo.example|admin"},
        "scope_not_found",
        "permission that the resource server does not",
    ),
    ("identity", {"clientId": "app_other"}, "invalid_client", "is it current"),
]


@pytest.mark.parametrize(("leg", "changes", "code", "hint"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_the_cloud_refuses(
    leg: str, changes: Changes, code: str, hint: str, cloud: EmulatedCloud, tmp_path: Path
) -> None:
    """Exit 3 with the code of the cloud and the cure."""
    path = written(tmp_path, with_profile(cloud, leg, **changes))

    ended = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 3
    assert blamed(ended, "get", code)
    assert hint in ended.complaint


# --- the cloud is not there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", ["token", "sts"])
def test_nobody_is_there(leg: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Exit 4, naming whom nobody answers for."""
    token, sts = with_profile(cloud, "identity", tokenEndpoint=f"{NOWHERE}/token"), {"endpoints": [NOWHERE]}
    path = written(tmp_path, token if leg == "token" else with_profile(cloud, "exchange", **sts))

    ended = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 4
    assert blamed(ended, "get", f"{NOWHERE}/{'token' if leg == 'token' else ''}: could not connect")


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["token", "sts"])
def test_expired_at_birth(kind: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """What has already expired by our clock points at the clock."""
    path = written(tmp_path, configuration(cloud))
    fault(cloud, kind=kind, expirationOffset=-600)

    ended = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 4
    assert blamed(ended, "get", "already expired by this machine's clock; check the clock")


def test_a_clock_that_is_far_off(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The cloud's own Date tells of a wrong clock before the refusal that it causes."""
    path = written(tmp_path, configuration(cloud))
    fault(cloud, kind="token", headers={"Date": formatdate(time.time() - 7200, usegmt=True)})

    ended = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    assert ended.code == 0
    assert ended.complaint == (
        "idaas-sidecar get: warning: this machine's clock differs from the cloud's by a minute or more; set the clock"
    )


# --- the gate ---------------------------------------------------------------------------------------------------------

GATES = [
    ("unreachable", 4, "could not connect"),
    ("refused", 3, "invalid_client"),
]


@pytest.mark.parametrize(("name", "code", "words"), GATES, ids=[name for name, _, _ in GATES])
def test_the_gate_times_out(name: str, code: int, words: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A sidecar that gets no credentials in time leaves with the code of the reason, and a line that says it."""
    changes = {"tokenEndpoint": f"{NOWHERE}/token"} if name == "unreachable" else {}
    config = with_profile(cloud, "identity", **changes) | {"startup": {"gate": "credentials", "timeoutSeconds": 1}}
    path = written(tmp_path, config)

    with Process("serve", "--config", path, env=environment(tmp_path, IDAAS_SECRET=CANARY)) as process:
        ended = process.code()
        failed = process.event("start_up_failed")
        said = "\n".join(process.stderr.so_far())

    assert ended == code
    assert failed["profile"] == "default"
    assert words in failed["error"]
    assert CANARY not in said
    assert "Traceback" not in said


def test_the_gate_that_does_not_wait(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With the gate `listening` an unreachable cloud ends nothing; SIGTERM does, with 0."""
    config = with_profile(cloud, "identity", tokenEndpoint=f"{NOWHERE}/token") | {"startup": {"gate": "listening"}}
    path = written(tmp_path, config)

    with Process("serve", "--config", path, env=environment(tmp_path, **SECRET)) as process:
        process.event("refresh_failed")
        code = process.stop()

    assert code == 0


def test_a_token_file_may_come_later(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """kubelet may write it after we start: a warning, no exit; `config` warns too and says good."""
    config = configuration(cloud, startup={"gate": "listening"})
    config["profiles"]["default"]["identity"] = {"type": "tokenFile", "tokenFile": f"{tmp_path}/token"}
    path = written(tmp_path, config)
    env = environment(tmp_path)

    checked = run("config", "--config", path, env=env)
    with Process("serve", "--config", path, env=env) as process:
        warned = process.event("configuration")
        process.event("refresh_failed")
        code = process.stop()

    place = (
        f"profiles.default.identity.tokenFile: {tmp_path}/token: no such file; waiting for the program that writes it"
    )
    assert checked.code == 0
    assert checked.complaint == f"idaas-sidecar config: warning: {place}"
    assert warned["message"] == place
    assert code == 0
