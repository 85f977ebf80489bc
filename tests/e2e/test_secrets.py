"""A whole run at debug level with many faults: no secret in the log, in the pages or in a file."""

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

from .cloud import SECRET, add_fault, config
from .fault_proxy import FaultProxy, fault_proxy
from .processes import PROGRAM, EmulatedCloud, Process, RunningSidecar, emulator, environment, run, serve
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
    """The emulated cloud."""
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def proxy(cloud: EmulatedCloud) -> Iterator[FaultProxy]:
    """A proxy in front of the emulated cloud."""
    with fault_proxy(cloud.url) as server:
        yield server


def all_profiles(cloud: EmulatedCloud, proxy: FaultProxy, home: Path) -> dict[str, Any]:
    """Return profiles that work, fail or get faulty replies, with a secret in every possible place."""
    settings = config(cloud, logging={"level": "debug"}, access={"pathToken": {"envVarName": "PATH_TOKEN"}})
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    settings["startup"] = {"gate": "listening"}
    good = settings["profiles"]["default"]
    key = home / "key.pem"
    key.write_bytes(encrypted_key(CANARIES["private key password"]))
    key_settings = {"privateKeyFile": str(key), "privateKeyPasswordEnvVarName": "KEY_PASSWORD"}
    script = home / "token.py"
    script.write_text(
        "import sys\n"  # the log has the last line of stderr, without what looks like a secret
        f"print('{CANARIES['command stderr']}\\nclient_secret={CANARIES['command stderr']}', file=sys.stderr)\n"
        f"print('{CANARIES['command output']}')\n"
    )
    settings["profiles"] |= {
        "faulty-token": changed_copy(
            good, identity={"tokenEndpoint": f"{proxy.url}/api/v2/iauths_system/oauth2/token"}
        ),
        "faulty-sts": changed_copy(good, exchange={"endpoints": [proxy.url]}),
        "key": changed_copy(good, identity={"authnConfiguration": {"authnMethod": "PRIVATE_KEY_JWT", **key_settings}}),
        "command": changed_copy(good)
        | {
            "identity": {
                "type": "command",
                "command": [sys.executable, str(script), CANARIES["command argument"]],
            }
        },
        "proxied": changed_copy(
            good,
            identity={
                "tokenEndpoint": "https://login.example.com/token",  # requests to loopback do not use a proxy
                "connection": {"proxy": f"http://user:{CANARIES['proxy password']}@127.0.0.1:9"},
            },
        ),
    }
    return settings


def encrypted_key(password: str) -> bytes:
    """Return an encrypted private key as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )


def changed_copy(profile: dict[str, Any], **changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a profile with some members of its sections changed."""
    copy = json.loads(json.dumps(profile))
    for section, members in changes.items():
        copy[section] |= members
    return dict(copy)


def faulty_replies() -> list[list[bytes]]:
    """Return replies that contain a text which must not be repeated."""
    canary = CANARIES["upstream text"].encode()
    body = json.dumps({"error": "invalid_client", "error_description": "no"}).encode()
    refusal = b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return [
        [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(canary), canary],
        [refusal, body],
        [b"nonsense " + canary + b"\r\n\r\n"],
        # Host and path of a redirect are named; login, query and fragment are not, nor a path that is no plain name.
        [b"HTTP/1.1 302 Found\r\nLocation: http://%s:%s@idp.test/p?q=%s#%s\r\n\r\n" % ((canary,) * 4)],
        [b"HTTP/1.1 302 Found\r\nLocation: http://idp.test/eyJ" + canary + b"\r\n\r\n"],
        [b"HTTP/1.1 302 Found\r\nLocation: http://idp.test/;" + canary + b"\r\n\r\n"],
    ]


def error_bodies(sidecar: RunningSidecar, session: str) -> list[bytes]:
    """Send requests with a text that must not be repeated, and return the bodies of all kinds of errors."""
    base, ops = sidecar.urls["credentials"], sidecar.urls["ops"]
    token, header = CANARIES["path token"], f"X-A: {CANARIES['request header']}"
    query = f"?x={CANARIES['request query']}"
    responses = [
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
        responses.append(connection.read_response())
    assert all(answer.status >= 400 for answer in responses)
    return [answer.body for answer in responses]


def test_whole_run(cloud: EmulatedCloud, proxy: FaultProxy, tmp_path: Path) -> None:
    """
    No secret appears in the log, the metrics, the status, an error body or the output of `config --show`.

    The run is at debug level, with refused requests, a faulty and failing upstream, admin commands and refreshes.
    """
    settings = all_profiles(cloud, proxy, tmp_path)
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        base, ops, token = sidecar.urls["credentials"], sidecar.urls["ops"], CANARIES["path token"]
        path_token_header = f"X-Aliyun-Parameters-Secrets-Token: {token}"
        sidecar.process.event("credentials_issued", profile="default")
        for name in ("key", "command", "proxied"):
            sidecar.process.event("refresh_failed", profile=name)
        session = fetch(base, "/latest/api/token", path_token_header, TTL, method="PUT").body.decode()
        first = fetch(base, f"{ROLES}/default", path_token_header, f"X-aliyun-ecs-metadata-token: {session}")
        sessions = [json.loads(first.body)]
        outputs = error_bodies(sidecar, session)
        for reply in faulty_replies():
            proxy.reply = reply
            outputs += [refresh_output(sidecar, name) for name in ("faulty-token", "faulty-sts")]
        proxy.reply = None
        add_fault(cloud, kind="sts", times=1, body=CANARIES["upstream text"])
        outputs += [refresh_output(sidecar, name) for name in (*settings["profiles"], "default")]
        sessions.append(json.loads(fetch(base, "/credentials", path_token_header).body))
        outputs += [fetch(ops, path).body for path in ("/metrics", "/status.json", "/status", "/readyz", "/startupz")]
        outputs.append(command_output(sidecar, "config", "--show"))
        outputs.append(command_output(sidecar, "config", "--show", "--json"))
        sidecar.process.stop()
        log = "\n".join((*sidecar.process.stderr.lines(), *sidecar.process.stdout.lines()))

    secrets = {**CANARIES, "client secret": SECRET, "session token": session, "any JWT": "eyJ"}
    for number, body in enumerate(sessions):
        secrets |= {f"{name} {number}": body[name] for name in ("AccessKeySecret", "SecurityToken")}
    text = log + b"\n".join(outputs).decode()
    assert first.status == 200
    assert sessions[0]["AccessKeyId"] != sessions[1]["AccessKeyId"], "the refresh did not replace the session"
    assert '"event":"credentials_issued"' in log
    assert '"event":"denied"' in log
    assert [name for name, secret in secrets.items() if secret in text] == []


def refresh_output(sidecar: RunningSidecar, profile: str) -> bytes:
    """Return the output of a refresh command, whether or not it succeeded."""
    return command_output(sidecar, "refresh", "--profile", profile, "--json")


def command_output(sidecar: RunningSidecar, *arguments: str) -> bytes:
    """Run a command and return its output. Fails if it has a traceback."""
    env = environment(sidecar.config_path.parent, **ENV)
    done = run(*arguments, "--config", str(sidecar.config_path), env=env)
    assert "Traceback" not in done.err
    return (done.out + done.err).encode()


# --- crashes ----------------------------------------------------------------------------------------------------------

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()


def with_cores(program: tuple[str, ...]) -> tuple[str, ...]:
    """Return `program` with no limit on the size of core files."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    return ("sh", "-c", f'ulimit -c {limit}; exec "$@"', "sh", *program)


@pytest.mark.skipif(
    CORE_PATTERN.startswith("|") or "/" in CORE_PATTERN, reason="skipped: needs a core_pattern that is a file name"
)
def test_no_core_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGABRT the sidecar leaves no core file, in a place where a control program leaves one."""
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
        log = process.stderr.lines()

    assert list(control.glob("core*")), "this machine writes no core files, so the test proves nothing"
    assert code == -signal.SIGABRT
    assert list(ours.glob("core*")) == []
    assert not [line for line in log if re.search(r"eyJ|STS\..*SecurityToken|demo-client-secret", line)]


@needs_root
def test_same_user_cannot_inspect_the_process(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A process of the same user cannot read the environment or memory of the sidecar, or attach a debugger."""
    (tmp_path / "home").mkdir()
    home = tmp_path / "home"
    with serve(config(cloud), home=home, env=ENV, program=program_as(IMAGE_UID, home=home)) as sidecar:
        sidecar.process.event("credentials_issued")
        pid = sidecar.process.pid
        owners = {os.stat(f"/proc/{pid}/{name}").st_uid for name in ("environ", "mem", "maps", "fd")}
        attach = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.ptrace(16, {}, 0, 0))"
        attached = subprocess.run(
            ["/usr/bin/python3", "-c", attach.format(pid)], user=IMAGE_UID, cwd="/", capture_output=True, check=False
        )

    assert owners == {0}
    assert attached.stdout.strip() == b"-1"
