"""Start and stop as a process: requests before there is a credential, gates, draining, files of other versions."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from ..ports import unused_port
from .cloud import ENV, QUICK_RETRIES, add_fault, config, emulator_admin, replace_config
from .gates import GATES, failed_start
from .processes import (
    DEADLINE,
    EmulatedCloud,
    Process,
    RunningSidecar,
    environment,
    run,
    serve,
    wait_until,
)
from .wire import Connection, Response, fetch, request_head

pytestmark = pytest.mark.usefixtures("clear_faults")


def probes(sidecar: RunningSidecar) -> dict[str, int]:
    """Return the statuses of the probes."""
    return {path: fetch(sidecar.urls["ops"], f"/{path}").status for path in ("livez", "startupz", "readyz")}


# --- the gates --------------------------------------------------------------------------------------------------------


def test_listeners_respond_before_the_first_credential(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While the cloud hangs both listeners respond, and a client gets 503 with Retry-After."""
    add_fault(cloud, kind="*", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        health = fetch(sidecar.urls["credentials"], "/healthz").status
        statuses = probes(sidecar)
        unavailable = fetch(sidecar.urls["credentials"], "/latest/meta-data/ram/security-credentials/default")

        assert health == 200
        assert statuses == {"livez": 200, "startupz": 503, "readyz": 503}
        assert unavailable.status == 503
        assert int(unavailable.headers["retry-after"]) >= 1


@pytest.mark.parametrize(("gate", "status"), [("credentials", 503), ("listening", 200)])
def test_gates(gate: str, status: int, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    Without a credential /startupz is 503 (`credentials`) or 200 (`listening`).

    Clients get 503 meanwhile, and 200 as soon as the cloud responds.
    """
    add_fault(cloud, kind="*", times=None, drop=True)
    startup = {"gate": gate, "timeoutSeconds": 600}
    with serve(config(cloud, startup=startup, refresh=QUICK_RETRIES), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        unavailable = fetch(sidecar.urls["credentials"], "/credentials").status
        statuses = probes(sidecar)
        emulator_admin(cloud.url, "DELETE", "faults")
        sidecar.process.event("credentials_issued")

        assert unavailable == 503
        assert statuses == {"livez": 200, "startupz": status, "readyz": 503}
        assert probes(sidecar) == {"livez": 200, "startupz": 200, "readyz": 200}
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert sidecar.process.stop() == 0


def test_gate_that_ends_at_its_time(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With the gate `timeout`, /startupz is 503 at first, and 200 after the time, still without a credential."""
    add_fault(cloud, kind="*", times=None, drop=True)
    for seconds in GATES:
        startup = {"gate": "timeout", "timeoutSeconds": seconds}
        with serve(config(cloud, startup=startup, refresh=QUICK_RETRIES), home=tmp_path, env=ENV) as sidecar:
            first = probes(sidecar)
            wait_until(lambda sidecar=sidecar: probes(sidecar)["startupz"] == 200, seconds + DEADLINE)  # type: ignore[misc]
            later = probes(sidecar)
        if first["startupz"] == 503:  # else the time was over before the first probe: the machine is busy
            break

    assert first == {"livez": 200, "startupz": 503, "readyz": 503}
    assert later == {"livez": 200, "startupz": 200, "readyz": 503}


def test_gate_waits_for_a_late_credential(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A credential that arrives within the gate's time keeps the process running after that time."""
    for seconds in GATES:
        add_fault(cloud, kind="token", times=1, delay=1)
        startup = {"gate": "credentials", "timeoutSeconds": seconds}
        with serve(config(cloud, startup=startup), home=tmp_path, env=ENV) as sidecar:
            wait_until(lambda sidecar=sidecar: is_over(sidecar), seconds + DEADLINE)  # type: ignore[misc]
            issued = sidecar.process.events("credentials_issued")
            if issued:  # else the time was over before the credential: the machine is busy
                with pytest.raises(AssertionError, match="still running"):
                    sidecar.process.wait(seconds)
                assert probes(sidecar) == {"livez": 200, "startupz": 200, "readyz": 200}
                break

    assert issued


def is_over(sidecar: RunningSidecar) -> bool:
    """Return whether the wait at the gate has ended, with credentials or without."""
    return bool(sidecar.process.events("credentials_issued") or sidecar.process.events("start_up_failed"))


def test_missing_token_file_at_the_gate(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A token file that does not appear within the gate's time gives exit code 4: it can still appear."""
    settings = config(cloud, startup={"gate": "credentials"})
    settings["profiles"]["default"]["identity"] = {"type": "tokenFile", "tokenFile": str(tmp_path / "absent")}
    start = failed_start(settings, home=tmp_path, env=ENV)

    assert start.code == 4
    assert "absent: no such file" in start.failed["error"]


def test_sigterm_at_the_gate(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM while the gate waits ends the process with 4 and the reason: a probe may have lost patience."""
    add_fault(cloud, kind="*", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 4
        failed = sidecar.process.event("start_up_failed")
        assert (failed["profile"], failed["error"]) == ("default", "no answer from the cloud")
        assert 0 <= failed["seconds"] < 60


def test_sigterm_at_the_gate_after_a_refusal(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM while the gate waits after a refusal ends the process with 3 and the cloud's words."""
    add_fault(cloud, kind="sts", times=None, status=403, code="NoPermission")
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 3
        assert "NoPermission" in sidecar.process.event("start_up_failed")["error"]


def test_sigint_at_the_gate(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGINT while the gate waits, a person at a terminal, ends the process with 0."""
    add_fault(cloud, kind="*", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.send(signal.SIGINT)

        assert sidecar.process.wait() == 0
        assert sidecar.process.events("start_up_failed") == []


# --- stop -------------------------------------------------------------------------------------------------------------


def test_drain_refreshes_sessions(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Sessions that end during the drain are replaced, and every read during the drain gets a valid one."""
    add_fault(cloud, kind="sts", times=None, expirationOffset=6)
    configuration = config(cloud, shutdown={"drainSeconds": 600}, refresh=QUICK_RETRIES)
    with serve(configuration, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")
        before = len(sidecar.process.events("credentials_issued"))
        responses = []

        def has_read_three_sessions() -> bool:
            responses.append(fetch(sidecar.urls["credentials"], "/credentials"))
            return len({json.loads(answer.body).get("AccessKeyId") for answer in responses}) >= 3

        wait_until(has_read_three_sessions)
        sidecar.process.send(signal.SIGTERM)
        code = sidecar.process.wait()

        assert {answer.status for answer in responses} == {200}
        assert len(sidecar.process.events("credentials_issued")) >= before + 2
        assert code == 0


def test_stop_without_drain(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With drainSeconds 0, as in the Kubernetes manifest, SIGTERM ends the process without waiting for clients."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar, Connection(sidecar.urls["credentials"]) as client:
        sidecar.process.event("credentials_issued")
        client.send(request_head("GET", "/credentials"))
        assert client.read_response().status == 200
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 0
        assert sidecar.process.event("draining")["seconds"] == 0


def test_waiting_client_is_answered_at_stop(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A client that waits for the first credential gets a response when the sidecar stops."""
    add_fault(cloud, kind="token", times=1, delay=2)
    responses: list[Response] = []
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar, Connection(sidecar.urls["credentials"]) as client:
        client.send(request_head("GET", "/credentials"))
        waiter = threading.Thread(target=lambda: responses.append(client.read_response()))
        waiter.start()
        wait_until(lambda: b"\nidaas_sidecar_build_info" in fetch(sidecar.urls["ops"], "/metrics").body)
        sidecar.process.send(signal.SIGTERM)
        waiter.join(DEADLINE)
        code = sidecar.process.wait()

    assert code in (0, 4)  # with the credentials, or before they came
    assert [answer.status for answer in responses] in ([200], [503])


def test_port_is_free_after_stop(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After a stop the next sidecar can use the port at once, and the connections of clients are closed."""
    settings = config(cloud)
    settings["server"]["bind"] = f"127.0.0.1:{unused_port()}"
    base = f"http://{settings['server']['bind']}"
    with serve(settings, home=tmp_path, env=ENV) as sidecar, Connection(base) as idle:
        sidecar.process.event("credentials_issued")
        idle.send(request_head("GET", "/credentials"))
        idle.read_response()
        code = sidecar.process.stop()
        closed = idle.is_closed()
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        assert (code, closed) == (0, True)
        assert sidecar.urls["credentials"] == base
        assert fetch(base, "/credentials").status == 200


# --- other versions ---------------------------------------------------------------------------------------------------


def newer(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """Return a file of the next minor version with two keys that this program does not know."""
    configuration = config(cloud, configVersion="1.1", shiny={"a": 1}, **changes)
    configuration["profiles"]["default"]["exchange"]["shinier"] = True
    return configuration


def test_newer_file_with_an_older_program(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A program that was rolled back reads a newer minor version, with one warning for each unknown key."""
    with serve(newer(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        log = [event["message"] for event in sidecar.process.events("configuration")]

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert len([line for line in log if "shiny" in line]) == 1
        assert len([line for line in log if "profiles.default.exchange.shinier" in line]) == 1


def test_newer_file_under_a_running_program(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A running sidecar loads a file of the next minor version and rejects one of the next major version."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        key = sidecar.process.event("credentials_issued")["access_key_id"]
        sidecar.config_path.write_text(json.dumps(newer(cloud)))
        sidecar.process.event("config_reloaded")
        sidecar.config_path.write_text(json.dumps(config(cloud, configVersion="2.0")))
        failed = sidecar.process.event("config_reload_failed")["error"]
        served = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)["AccessKeyId"]

        assert "configVersion: 2.0 is not supported" in failed
        assert served == key


def test_next_major_version_is_refused(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A file of the next major version gives exit code 2 and one line with the supported versions."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(cloud, configVersion="2.0")))
    ended = run("serve", "--config", str(path), env=environment(tmp_path, **ENV))

    assert ended.code == 2
    assert "configVersion: 2.0 is not supported; this program reads 1.x" in ended.error_line


def test_unknown_keys_of_the_same_version(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The same unknown keys in a file of this program's version are an error."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(newer(cloud) | {"configVersion": "1.0"}))
    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
        code = process.wait()
        log = process.stderr.lines()

    assert code == 2
    assert "shin" in log[-1]


# --- not yet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", ["credentials", "listening"])
def test_role_that_was_just_made(cloud: EmulatedCloud, tmp_path: Path, gate: str) -> None:
    """A role that STS does not know yet is asked for again within the start gate; a refusal in mid-life is not."""
    add_fault(cloud, kind="sts", times=2, code="EntityNotExist.Role")
    settings = config(cloud, startup={"gate": gate})
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        # A busy machine may add an attempt without an answer in time.
        failures = [line for line in sidecar.process.events("refresh_failed") if line.get("code")]
        at_start = [line["retry_in"] for line in failures]
        add_fault(cloud, kind="sts", times=None, code="EntityNotExist.Role")
        run("refresh", "--config", str(sidecar.config_path), env=environment(tmp_path))
        later = sidecar.process.events("refresh_failed")[-1]["retry_in"]

    assert len(at_start) == 2
    assert max(at_start) <= 8
    assert later >= 150


def test_changed_role_that_was_just_made(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A changed profile on trial is a start, too: its new role is asked for again soon."""
    settings = config(cloud)
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        add_fault(cloud, kind="sts", times=1, code="EntityNotExist.Role")
        settings["profiles"]["default"]["exchange"]["durationSeconds"] = 1800
        replace_config(sidecar, settings)

        assert sidecar.process.event("refresh_failed")["retry_in"] <= 4
        wait_until(lambda: len(sidecar.process.events("credentials_issued")) >= 2)


@pytest.mark.parametrize("body", ["<title>Later</title>", "", '["later"]'])
def test_wish_of_the_server_at_a_start(cloud: EmulatedCloud, tmp_path: Path, body: str) -> None:
    """A page with Retry-After is obeyed, and no wish keeps a sidecar without credentials for more than 40 s."""
    add_fault(cloud, kind="token", status=503, body=body, headers={"Retry-After": "30"})
    add_fault(cloud, kind="token", status=429, body=body, headers={"Retry-After": "100000"})
    settings = config(cloud, startup={"gate": "listening"})
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        first = sidecar.process.event("refresh_failed", failures=1)
        run("refresh", "--config", str(sidecar.config_path), env=environment(tmp_path))
        second = sidecar.process.event("refresh_failed", failures=2)

    assert 30 <= first["retry_in"] <= 40
    assert 30 <= second["retry_in"] <= 40
