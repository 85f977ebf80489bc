"""A whole run at debug level with everything going wrong: no secret in what it says, shows or leaves behind."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fault_proxy import FaultProxy, fault_proxy
from .processes import PROGRAM, EmulatedCloud, Process, RunningSidecar, emulator, environment, run, serve
from .cloud import SECRET, config, add_fault
from .users import IMAGE_UID, needs_root, program_as
from .wire import Connection, fetch

ROLES = "/latest/meta-data/ram/security-credentials"
TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 60"
CANARIES = {
    "path token": "canary-path-token-0123",
    "private key password": "canary-key-password",
    "command argument": "canary-command-argument",
    "command output": "canary-command-output",
    "command stderr": "canary-command-stderr",
    "proxy password": "canary-proxy-password",
    "upstream text": "canary-upstream-text",
    "request header": "canary-request-header",
    "request query": "canary-request-query",
}
ENV = {
    "DEMO_SECRET": SECRET,
    "PATH_TOKEN": CANARIES["path token"],
    "KEY_PASSWORD": CANARIES["private key password"],
}


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def between(cloud: EmulatedCloud) -> Iterator[FaultProxy]:
    with fault_proxy(cloud.url) as server:
        yield server


def everything(cloud: EmulatedCloud, between: FaultProxy, home: Path) -> dict[str, Any]:
    """Profiles that work, that are refused, lied to, and that hold secrets in every place where there can be one."""
    settings = config(cloud, logging={"level": "debug"}, access={"pathToken": {"envVarName": "PATH_TOKEN"}})
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    settings["startup"] = {"gate": "listening"}
    good = settings["profiles"]["default"]
    key = home / "key.pem"
    key.write_bytes(encrypted_key(CANARIES["private key password"]))
    proof = {"privateKeyFile": str(key), "privateKeyPasswordEnvVarName": "KEY_PASSWORD"}
    said = f"import sys; sys.stderr.write('{CANARIES['command stderr']}'); print('{CANARIES['command output']}')"
    script = home / "token.py"
    script.write_text(said)
    settings["profiles"] |= {
        "lied-to": copied(good, identity={"tokenEndpoint": f"{between.url}/api/v2/iauths_system/oauth2/token"}),
        "lied-to-by-sts": copied(good, exchange={"endpoints": [between.url]}),
        "key": copied(good, identity={"authnConfiguration": {"authnMethod": "PRIVATE_KEY_JWT", **proof}}),
        "command": copied(good)
        | {
            "identity": {
                "type": "command",
                "command": [sys.executable, str(script), CANARIES["command argument"]],
            }
        },
        "proxied": copied(
            good,
            identity={
                "tokenEndpoint": "https://login.example.com/token",  # loopback is never asked through a proxy
                "connection": {"proxy": f"http://user:{CANARIES['proxy password']}@127.0.0.1:9"},
            },
        ),
    }
    return settings


def encrypted_key(password: str) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )


def copied(profile: dict[str, Any], **changes: dict[str, Any]) -> dict[str, Any]:
    """A profile with some members of its legs changed."""
    copy = json.loads(json.dumps(profile))
    for leg, members in changes.items():
        copy[leg] |= members
    return dict(copy)


def lies() -> list[list[bytes]]:
    """Answers with a text in them that is nobody's business."""
    text = CANARIES["upstream text"].encode()
    body = json.dumps({"error": "invalid_client", "error_description": CANARIES["upstream text"]}).encode()
    refusal = b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return [
        [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text), text],
        [refusal, body],
        [b"nonsense " + text + b"\r\n\r\n"],
        [b"HTTP/1.1 302 Found\r\nLocation: http://" + text + b"\r\n\r\n"],
    ]


def refused_requests(sidecar: RunningSidecar, session: str) -> list[bytes]:
    """Bodies of all kinds of refusals; each request holds something that must not be repeated."""
    base, ops = sidecar.urls["credentials"], sidecar.urls["ops"]
    token, header = CANARIES["path token"], f"X-A: {CANARIES['request header']}"
    query = f"?x={CANARIES['request query']}"
    asked = [
        fetch(base, f"/{token}/credentials{query}", header, host="evil.example"),
        fetch(base, f"/{token}/credentials{query}", header, "Via: 1"),
        fetch(base, f"/{token}/credentials{query}", header, "Origin: null"),
        fetch(base, f"/{token}/nowhere{query}", header),
        fetch(base, f"/{token}/credentials", header, method="POST"),
        fetch(base, f"/x{token}/credentials", header),
        fetch(base, f"{ROLES}/default", header, f"X-aliyun-ecs-metadata-token: {session}x"),
        fetch(base, f"/{token}/{'a' * 9_000}", header),
        fetch(base, f"/{token}/credentials", *(f"X-{n}: {header}" for n in range(200))),
        fetch(ops, f"/{token}/credentials{query}", header),
        fetch(ops, f"/status{query}", header, method="POST"),
    ]
    with Connection(base) as connection:
        connection.send(f"GET /{token}/credentials HTTP/9 {header}\r\n\r\n".encode())
        asked.append(connection.read_response())
    assert all(answer.status >= 400 for answer in asked)
    return [answer.body for answer in asked]


def test_a_whole_run(cloud: EmulatedCloud, between: FaultProxy, tmp_path: Path) -> None:
    """
    At debug level, with refused requests, an upstream that lies and fails, orders and a reload's worth of refreshes:
    none of the canaries in the log, the metrics, the status, an error's body, or what `config --show` prints.
    """
    settings = everything(cloud, between, tmp_path)
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        base, ops, token = sidecar.urls["credentials"], sidecar.urls["ops"], CANARIES["path token"]
        own = f"X-Aliyun-Parameters-Secrets-Token: {token}"
        sidecar.process.event("credentials_issued", profile="default")
        for name in ("key", "command", "proxied"):
            sidecar.process.event("refresh_failed", profile=name)
        session = fetch(base, "/latest/api/token", own, TTL, method="PUT").body.decode()
        role = fetch(base, f"{ROLES}/default", own, f"X-aliyun-ecs-metadata-token: {session}")
        held = [json.loads(role.body)]
        shown = refused_requests(sidecar, session)
        for lie in lies():
            between.lie = lie
            shown += [ordered(sidecar, name) for name in ("lied-to", "lied-to-by-sts")]
        between.lie = None
        add_fault(cloud, kind="sts", times=1, body=CANARIES["upstream text"])
        shown += [ordered(sidecar, name) for name in (*settings["profiles"], "default")]
        held.append(json.loads(fetch(base, "/credentials", own).body))
        shown += [fetch(ops, path).body for path in ("/metrics", "/status.json", "/status", "/readyz", "/startupz")]
        shown.append(printed(sidecar, "config", "--show"))
        shown.append(printed(sidecar, "config", "--show", "--json"))
        sidecar.process.stop()
        log = "\n".join((*sidecar.process.stderr.lines(), *sidecar.process.stdout.lines()))

    secrets = {**CANARIES, "client secret": SECRET, "session token": session, "any JWT": "eyJ"}
    for number, body in enumerate(held):
        secrets |= {f"{name} {number}": body[name] for name in ("AccessKeySecret", "SecurityToken")}
    said = log + b"\n".join(shown).decode()
    assert role.status == 200
    assert held[0]["AccessKeyId"] != held[1]["AccessKeyId"], "the refresh did not happen"
    assert '"event":"credentials_issued"' in log
    assert '"event":"denied"' in log
    assert [name for name, secret in secrets.items() if secret in said] == []


def ordered(sidecar: RunningSidecar, profile: str) -> bytes:
    """What the command says of a refresh, whether or not it worked."""
    return printed(sidecar, "refresh", "--profile", profile, "--json")


def printed(sidecar: RunningSidecar, *arguments: str) -> bytes:
    env = environment(sidecar.config_path.parent, **ENV)
    done = run(*arguments, "--config", str(sidecar.config_path), env=env, seconds=60)
    assert "Traceback" not in done.err
    return (done.out + done.err).encode()


# --- crashes ----------------------------------------------------------------------------------------------------------

CORES = Path("/proc/sys/kernel/core_pattern").read_text().strip()


def with_cores(program: tuple[str, ...]) -> tuple[str, ...]:
    """`program`, which may leave core files of any size."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return ("sh", "-c", f'ulimit -c {limit}; exec "$@"', "sh", *program)


@pytest.mark.skipif(CORES.startswith("|") or "/" in CORES, reason="skipped: needs a core_pattern that is a file name")
def test_no_core_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Killed where any other program leaves its memory in a file, the sidecar leaves none; the control does."""
    control, ours = tmp_path / "control", tmp_path / "ours"
    for directory in (control, ours):
        directory.mkdir()
    subprocess.run(with_cores((sys.executable, "-c", "import os; os.abort()")), cwd=control, check=False)
    path = ours / "config.json"
    path.write_text(json.dumps(config(cloud)))
    arguments = ("serve", "--config", str(path))
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with Process(*arguments, env=environment(ours, **ENV, **root), cwd=ours, program=with_cores(PROGRAM)) as process:
        process.event("credentials_issued")
        process.send(signal.SIGABRT)
        code = process.wait()
        said = process.stderr.lines()

    assert list(control.glob("core*")), "no core files here at all, so this shows nothing"
    assert code == -signal.SIGABRT
    assert list(ours.glob("core*")) == []
    assert not [line for line in said if re.search(r"eyJ|STS\..*SecurityToken|demo-client-secret", line)]


@needs_root
def test_nobody_looks_into_it(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Not even a process of the same user reads its environment or memory, or attaches to it as a debugger."""
    (tmp_path / "home").mkdir()
    home = tmp_path / "home"
    with serve(config(cloud), home=home, env=ENV, program=program_as(IMAGE_UID, home=home)) as sidecar:
        sidecar.process.event("credentials_issued")
        pid = sidecar.process.pid
        owners = {os.stat(f"/proc/{pid}/{name}").st_uid for name in ("environ", "mem", "maps", "fd")}
        attach = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.ptrace(16, {}, 0, 0))"
        tried = subprocess.run(
            ["/usr/bin/python3", "-c", attach.format(pid)], user=IMAGE_UID, cwd="/", capture_output=True, check=False
        )

    assert owners == {0}
    assert tried.stdout.strip() == b"-1"
