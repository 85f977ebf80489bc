"""The sidecar as a process: log, probes, cold start, outage, metrics, shutdown."""

from __future__ import annotations

import calendar
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .cloud import ENV, SECRET, add_fault, calls_of, config, emulator_admin
from .processes import DEADLINE, ROOT, Demo, EmulatedCloud, demo, serve, wait_until
from .wire import Connection, fetch, request_head

ROLE = "/latest/meta-data/ram/security-credentials/default"


pytestmark = pytest.mark.usefixtures("clear_faults")


@pytest.fixture(scope="module")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with two profiles that have credentials."""
    with demo("--profiles", "2", home=tmp_path_factory.mktemp("demo")) as running:
        yield running


def test_first_log_line(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The first line on stderr is the listening event with the URL of every listener, and the URLs respond."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        first = json.loads(sidecar.process.stderr.lines()[0])

        assert first["event"] == "listening"
        assert {"credentials", "ops", "version", "config"} <= first.keys()
        assert fetch(first["credentials"], "/healthz").status == 200
        assert fetch(first["ops"], "/livez").status == 200


def test_probes_before_the_first_credential(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Without credentials the sidecar is live, neither started nor ready, and names the profile and the reason."""
    add_fault(cloud, kind="sts", times=None, code="AuthenticationFail.NoPermission")
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        ops = sidecar.urls["ops"]
        ready = fetch(ops, "/readyz")

        assert fetch(ops, "/livez").status == 200
        assert fetch(ops, "/startupz").status == 503
        assert ready.status == 503
        assert json.loads(ready.body)["profiles"][0]["profile"] == "default"
        assert "AuthenticationFail.NoPermission" in json.loads(ready.body)["profiles"][0]["reason"]


def test_probes_with_credentials(running_demo: Demo) -> None:
    """With credentials every probe is green, by GET and by HEAD."""
    for path in ("/livez", "/healthz", "/readyz", "/startupz"):
        assert fetch(running_demo.ops_url, path).status == 200
        assert fetch(running_demo.ops_url, path, method="HEAD").status == 200


def test_optional_profile_does_not_affect_readiness(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Readiness depends on required profiles only."""
    settings = config(cloud)
    broken = json.loads(json.dumps(settings["profiles"]["default"]))
    broken["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    settings["profiles"]["spare"] = broken | {"required": False}
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued", profile="default")
        sidecar.process.event("refresh_failed", profile="spare")

        assert fetch(sidecar.urls["ops"], "/readyz").status == 200
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert fetch(sidecar.urls["credentials"], "/credentials/spare").status == 503


@pytest.mark.parametrize(("target", "patience"), [("/credentials", 4.0), (ROLE, 0.8)], ids=["uri", "ecs"])
def test_cold_start_waits_no_longer_than_the_sdk(
    cloud: EmulatedCloud, tmp_path: Path, target: str, patience: float
) -> None:
    """While the cloud hangs at a cold start, a client waits for the patience of its protocol and then gets 503."""
    add_fault(cloud, kind="token", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        started = time.monotonic()
        response = fetch(sidecar.urls["credentials"], target)
        took = time.monotonic() - started

    assert response.status == 503
    assert int(response.headers["retry-after"]) >= 1
    assert took > patience - 0.3


def test_cold_start_responds_when_credentials_arrive(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    Clients that request before the first credential get it when it arrives; one may be sent away once more by 503.

    tests/refresh/test_cold_start.py judges how long a client waits.
    """
    add_fault(cloud, kind="token", delay=1)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar, Connection(sidecar.urls["credentials"]) as client:
        assert first_credentials(client)["Code"] == "Success"


def first_credentials(client: Connection) -> dict[str, str]:
    """Request credentials until there are some; on a slow machine they arrive after a client's time limit of 4 s."""
    client.send(request_head("GET", "/credentials"))
    while (response := client.read_response()).status == 503:
        client.send(request_head("GET", "/credentials"))
    assert response.status == 200
    return dict(json.loads(response.body))


def test_two_hundred_first_requests(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Two hundred clients at a cold start get the same credential, for one token call and one STS call."""
    emulator_admin(cloud.url, "DELETE", "journal")
    add_fault(cloud, kind="token", delay=1.5)
    settings = config(cloud)
    patient = {"connectTimeout": 60_000, "readTimeout": 60_000}  # a busy machine needs no second call
    settings["profiles"]["default"]["identity"]["httpConfiguration"] = patient
    with serve(settings, home=tmp_path, env=ENV) as sidecar, ExitStack() as stack:
        connections = [stack.enter_context(Connection(sidecar.urls["credentials"])) for _ in range(200)]
        for connection in connections:
            connection.send(request_head("GET", "/credentials"))
        bodies = set()
        for connection in connections:
            response = connection.read_response()
            bodies.add(
                json.dumps(json.loads(response.body) if response.status == 200 else first_credentials(connection))
            )
    calls = calls_of(cloud)

    assert len(bodies) == 1
    assert sorted(call["kind"] for call in calls) == ["sts", "token"]


def test_metadata_listener(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The metadata listener serves only the ECS paths, and in required mode only with a session token."""
    server = {"bind": "127.0.0.1:0", "ops": None, "metadata": "127.0.0.1:0"}
    access = {"metadataTokens": "required"}
    with serve(config(cloud, server=server, access=access), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        base = sidecar.urls["metadata"]
        token = fetch(
            base, "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 60", method="PUT"
        ).body.decode()
        header = f"X-aliyun-ecs-metadata-token: {token}"

        assert fetch(base, ROLE, header, host="100.100.100.200").status == 200
        assert fetch(base, ROLE).status == 401
        assert [fetch(base, path, header).status for path in ("/credentials", "/healthz", "/metrics", "/")] == [404] * 4
        assert "ops" not in sidecar.urls


def test_metadata_values(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Configured values are served: external-dns reads region-id and vpc-id, LoongCollector reads the document."""
    values = {
        "region-id": "cn-hangzhou",
        "vpc-id": "vpc-1",
        "instance-id": "i-1",
        "owner-account-id": "1234567890123456",
    }
    targets = ("meta-data/region-id", "meta-data/vpc-id", "meta-data/zone-id", "dynamic/instance-identity/document")
    settings = config(cloud, metadata={"values": values})
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("watching")
        base = sidecar.urls["credentials"]
        before = [fetch(base, f"/latest/{path}") for path in targets]
        settings["metadata"]["identityDocument"] = True
        sidecar.config_path.write_text(json.dumps(settings))
        sidecar.process.event("config_reloaded")
        document = fetch(base, f"/latest/{targets[3]}")

    assert [response.status for response in before] == [200, 200, 404, 404]
    assert [response.body for response in before[:2]] == [b"cn-hangzhou", b"vpc-1"]
    assert json.loads(document.body) == values


def test_outage_from_start_to_end(tmp_path: Path) -> None:
    """
    In an outage a session is served to its end, then requests get 503 with Retry-After, and 200 after the outage.

    tests/refresh/test_cold_start.py judges the last second of the session.
    """
    with demo("--lifetime", "4", home=tmp_path) as sidecar:
        base = sidecar.metadata_url
        add_fault(sidecar, kind="*", times=None, drop=True)
        answers = []

        def refuses() -> bool:
            answers.append(fetch(base, "/credentials"))
            return answers[-1].status == 503

        wait_until(refuses)
        ended_at = time.time()
        emulator_admin(sidecar.emulator_url, "DELETE", "faults")
        wait_until(lambda: fetch(base, "/credentials").status == 200)

    refused, served = answers[-1], [answer for answer in answers if answer.status == 200]
    assert int(refused.headers["retry-after"]) >= 1
    assert json.loads(refused.body)["Code"] == "CredentialsUnavailable"
    for answer in served[-1:]:  # on a slow machine the session may have ended before the first request
        expiration = time.strptime(json.loads(answer.body)["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
        assert ended_at >= calendar.timegm(expiration)


METRICS = [
    "credential_expiry_timestamp_seconds",
    "credential_remaining_seconds",
    "last_refresh_timestamp_seconds",
    "refresh_total",
    "refresh_duration_seconds_bucket",
    "refresh_consecutive_failures",
    "requests_total",
    "last_served_timestamp_seconds",
    "request_duration_seconds_bucket",
    "denied_total",
    "serve_horizon_violations_total",
    "clock_offset_seconds",
    "config_reload_success",
    "config_reload_timestamp_seconds",
    "build_info",
]


def test_metrics(running_demo: Demo) -> None:
    """Every documented metric exists, with labels from the configuration and never from a request."""
    fetch(running_demo.metadata_url, "/credentials/p2")
    fetch(running_demo.metadata_url, "/some/path?with=secrets", host="evil.example")
    fetch(running_demo.metadata_url, "/some/path")
    response = fetch(running_demo.ops_url, "/metrics")
    text = response.body.decode()

    assert response.headers["content-type"].startswith("text/plain; version=")
    assert [name for name in METRICS if f"\nidaas_sidecar_{name}" not in text] == []
    assert "# TYPE idaas_sidecar_identity_not_after_timestamp_seconds gauge" in text
    assert 'denied_total{reason="Host"}' in text
    assert 'refresh_total{outcome="success",profile="p2"} 1.0' in text
    assert "/some/path" not in text
    assert "evil" not in text


def test_status(running_demo: Demo) -> None:
    """Callers on this machine see the state of each profile, as JSON and as a page."""
    status = json.loads(fetch(running_demo.ops_url, "/status.json").body)
    page = fetch(running_demo.ops_url, "/status")

    assert status["ready"] is True
    assert [profile["profile"] for profile in status["profiles"]] == ["default", "p2"]
    assert {profile["state"] for profile in status["profiles"]} == {"fresh"}
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b">p2 <span" in page.body


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: needs root, to read the memory map of an undumpable process")
def test_probes_metrics_and_status_do_not_load_fastapi(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Requests that monitors send for ever do not load FastAPI, whose memory every pod would pay for; `/docs` does."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        maps, ops = Path(f"/proc/{sidecar.process.pid}/maps"), sidecar.urls["ops"]
        for path in ("/livez", "/readyz", "/startupz", "/healthz", "/metrics", "/status.json", "/status", "/absent"):
            fetch(ops, path)
        refused = fetch(ops, "/docs", host="evil.example")
        before = maps.read_text()
        page = fetch(ops, "/docs")

        assert (refused.status, page.status) == (403, 200)
        assert "pydantic_core" not in before
        assert "pydantic_core" in maps.read_text()


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("GET", "/credentials", 404, "NotFound"),
        ("POST", "/status.json", 405, "MethodNotAllowed"),
    ],
)
def test_ops_errors(running_demo: Demo, method: str, target: str, status: int, code: str) -> None:
    """Errors of the operations listener have the same shape, and it never serves a credential."""
    response = fetch(running_demo.ops_url, target, method=method)

    assert (response.status, json.loads(response.body)["Code"]) == (status, code)


def test_sigterm_drains(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGTERM the sidecar exits with 0, not before the drain time is over."""
    with serve(config(cloud, shutdown={"drainSeconds": 1.5}), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        started = time.monotonic()
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 0
        assert time.monotonic() - started >= 1.5
        assert sidecar.process.event("draining")["seconds"] == 1.5


def test_requests_during_the_drain(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """During the drain time, requests get their responses."""
    with serve(config(cloud, shutdown={"drainSeconds": 600}), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert sidecar.process.stop() == 0


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)], ids=["twice", "ctrl-c"])
def test_immediate_exit(cloud: EmulatedCloud, tmp_path: Path, signals: tuple[signal.Signals, ...]) -> None:
    """A second SIGTERM, or SIGINT, ends the sidecar without a drain."""
    with serve(config(cloud, shutdown={"drainSeconds": 600}), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.send(signals[0])
        if len(signals) > 1:
            sidecar.process.event("draining")
            sidecar.process.send(signals[1])

        assert sidecar.process.wait() == 0


def test_signals_while_the_process_ends(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Repeated Ctrl-C until the process has ended does not change its exit code."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.send(signal.SIGTERM)
        until = time.monotonic() + DEADLINE
        while sidecar.process.running() and time.monotonic() < until:
            sidecar.process.send(signal.SIGINT)

        assert sidecar.process.wait() == 0


def test_path_token(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With a path token only the URL that contains it returns 200, and no log line contains it."""
    secret = tmp_path / "path-token"
    secret.write_text("path-token-0123456789\n")
    access = {"pathToken": {"file": str(secret)}}
    with serve(config(cloud, access=access, logging={"level": "debug"}), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        base = sidecar.urls["credentials"]
        statuses = [
            fetch(base, target).status
            for target in ("/path-token-0123456789/credentials", "/credentials", "/path-token-0123456788/credentials")
        ]
        fetch(sidecar.urls["credentials"], "/path-token-0123456789/credentials", host="evil.example")
        sidecar.process.event("denied", reason="Host")
        sidecar.process.stop()

        assert statuses == [200, 403, 403]
        assert "path-token-0123456789" not in "\n".join(sidecar.process.stderr.lines())


def test_no_secret_in_output(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """No client secret, token or STS key appears in log, metrics, status or probes at debug level."""
    with serve(config(cloud, logging={"level": "debug"}), home=tmp_path, env=ENV) as sidecar:
        base, ops = sidecar.urls["credentials"], sidecar.urls["ops"]
        event = sidecar.process.event("credentials_issued")
        body = json.loads(fetch(base, "/credentials").body)
        outputs = [fetch(ops, path).body.decode() for path in ("/metrics", "/status.json", "/status", "/readyz")]
        outputs.append(fetch(base, "/credentials", "Origin: https://evil.example").body.decode())
        sidecar.process.stop()
        text = "\n".join([*sidecar.process.stderr.lines(), *outputs])

    assert event["access_key_id"] == body["AccessKeyId"]
    assert not [word for word in (SECRET, body["AccessKeySecret"], body["SecurityToken"], "eyJ") if word in text]


def test_tls_to_the_cloud(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The emulator's CA is trusted if it is configured; without it the error names the certificate."""
    settings = config(cloud, tls={"caFile": str(cloud.ca_file)})
    profile = settings["profiles"]["default"]
    profile["identity"]["tokenEndpoint"] = f"{cloud.issuer}/token"
    profile["exchange"]["endpoints"] = [cloud.tls_url]
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
    with serve(settings | {"tls": {}}, home=tmp_path, env=ENV) as sidecar:
        error = sidecar.process.event("refresh_failed")["error"]

    assert "could not connect" in error
    assert "certificate" in error.lower()


def test_read_timeout_of_the_sdk_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`httpConfiguration.readTimeout`, which the Python SDK ignores, ends a hanging request before the default."""
    add_fault(cloud, kind="token", times=None, delay=30)
    settings = config(cloud)
    settings["profiles"]["quick"] = json.loads(json.dumps(settings["profiles"]["default"]))
    settings["profiles"]["quick"]["identity"]["httpConfiguration"] = {"readTimeout": 2000}
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        failures = [sidecar.process.event("refresh_failed", profile="quick"), *sidecar.process.events("refresh_failed")]

    assert failures[0]["error"].endswith("no answer in time")
    assert {failure["profile"] for failure in failures} == {"quick"}


def test_disabled_verification_is_reported(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`unsafeIgnoreSslCert` applies to the token endpoint and is reported at start and in the metrics."""
    settings = config(cloud)
    identity = settings["profiles"]["default"]["identity"]
    identity["tokenEndpoint"] = f"{cloud.issuer}/token"
    identity["httpConfiguration"] = {"unsafeIgnoreSslCert": True}
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        warning = sidecar.process.event("configuration")
        metrics = fetch(sidecar.urls["ops"], "/metrics").body.decode()

    assert "TLS VERIFICATION IS OFF" in warning["message"]
    assert 'idaas_sidecar_tls_verification_disabled{profile="default"} 1.0' in metrics


def test_signals_after_a_failed_start() -> None:
    """SIGINT and SIGTERM while an error is reported do not replace the error with a traceback."""
    command = (sys.executable, "-m", "tests.e2e.failing_loop")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "in use\n", "")
