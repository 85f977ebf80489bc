"""Start and stop as a process: what answers before there is a credential, gates, draining, files of other versions."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import EmulatedCloud, Process, RunningSidecar, emulator, environment, run, serve, wait_until
from .cloud import ENV, emulator_admin, config, add_fault
from .wire import Response, Connection, fetch, request_head

QUICKLY = {"minRetrySeconds": 0.1, "maxRetrySeconds": 1, "permanentRetrySeconds": 10}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def clear_faults(cloud: EmulatedCloud) -> Iterator[None]:
    yield
    emulator_admin(cloud.url, "DELETE", "faults")


def probes(sidecar: RunningSidecar) -> dict[str, int]:
    return {path: fetch(sidecar.urls["ops"], f"/{path}").status for path in ("livez", "startupz", "readyz")}


# --- the gates --------------------------------------------------------------------------------------------------------


def test_it_answers_before_the_first_credential(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While the cloud hangs, both listeners answer, and a client is told when to come again."""
    add_fault(cloud, kind="*", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        health = fetch(sidecar.urls["credentials"], "/healthz").status
        green = probes(sidecar)
        dark = fetch(sidecar.urls["credentials"], "/latest/meta-data/ram/security-credentials/default")

        assert health == 200
        assert green == {"livez": 200, "startupz": 503, "readyz": 503}
        assert dark.status == 503
        assert int(dark.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("gate", "early", "late"), [("credentials", 503, 503), ("listening", 200, 200), ("timeout", 503, 200)]
)
def test_the_gates(gate: str, early: int, late: int, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    Without a credential /startupz is red (`credentials`), green (`listening`), or green after the time (`timeout`).

    It is 503 for clients meanwhile, and 200 by itself as soon as the cloud answers.
    """
    add_fault(cloud, kind="*", times=None, drop=True)
    seconds = 60 if gate == "credentials" else 2
    startup = {"gate": gate, "timeoutSeconds": seconds}
    with serve(config(cloud, startup=startup, refresh=QUICKLY), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        first = probes(sidecar)["startupz"]
        wait_until(lambda: probes(sidecar)["startupz"] == late)
        dark = fetch(sidecar.urls["credentials"], "/credentials").status
        green = probes(sidecar)
        emulator_admin(cloud.url, "DELETE", "faults")
        sidecar.process.event("credentials_issued")

        assert (first, dark) == (early, 503)
        assert green == {"livez": 200, "startupz": late, "readyz": 503}
        assert probes(sidecar) == {"livez": 200, "startupz": 200, "readyz": 200}
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert sidecar.process.stop() == 0


def test_the_gate_waits_for_who_is_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A credential that comes within the time is in time: nobody leaves afterwards."""
    add_fault(cloud, kind="token", times=1, delay=1)
    startup = {"gate": "credentials", "timeoutSeconds": 2}
    with serve(config(cloud, startup=startup), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        with pytest.raises(AssertionError, match="still running"):
            sidecar.process.wait(2)

        assert probes(sidecar) == {"livez": 200, "startupz": 200, "readyz": 200}


def test_a_configuration_that_never_works(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A file that does not come within the gate's time is exit 2: neither the cloud's fault nor the network's."""
    whole = config(cloud, startup={"gate": "credentials", "timeoutSeconds": 1})
    whole["profiles"]["default"]["identity"] = {"type": "tokenFile", "tokenFile": str(tmp_path / "absent")}
    with serve(whole, home=tmp_path, env=ENV) as sidecar:
        code = sidecar.process.wait()

        assert code == 2
        assert "absent: no such file" in sidecar.process.event("start_up_failed")["error"]


def test_stopped_before_there_is_anything(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM while the gate waits is a stop as asked, exit 0, and no failure of the start."""
    add_fault(cloud, kind="*", times=None, delay=30)
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait(5) == 0
        assert sidecar.process.events("start_up_failed") == []


# --- the end ----------------------------------------------------------------------------------------------------------


def test_draining_goes_on_refreshing(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Sessions that end during the drain are replaced: every read until the last moment has a whole and valid one."""
    add_fault(cloud, kind="sts", times=None, expirationOffset=3)
    whole = config(cloud, shutdown={"drainSeconds": 5}, refresh=QUICKLY)
    with serve(whole, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")
        started, before = time.monotonic(), len(sidecar.process.events("credentials_issued"))
        answers = []
        while time.monotonic() < started + 4:
            answers.append(fetch(sidecar.urls["credentials"], "/credentials"))
            time.sleep(0.05)
        code = sidecar.process.wait()
        took = time.monotonic() - started

        assert {answer.status for answer in answers} == {200}
        assert len({json.loads(answer.body)["AccessKeyId"] for answer in answers}) >= 3
        assert len(sidecar.process.events("credentials_issued")) >= before + 2
        assert code == 0
        assert 4.5 < took < 8


def test_a_native_sidecar_leaves_when_it_is_told(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With drainSeconds 0, as in the Kubernetes manifest where it is stopped last, it is gone within a second."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        started = time.monotonic()
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 0
        assert time.monotonic() - started < 1


def test_who_waits_is_answered(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A client that is waiting for the first credential when we are stopped gets an answer, not a broken connection."""
    add_fault(cloud, kind="token", times=1, delay=2)
    answers: list[Response] = []
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar, Connection(sidecar.urls["credentials"]) as client:
        client.send(request_head("GET", "/credentials"))
        waiter = threading.Thread(target=lambda: answers.append(client.read_response()))
        waiter.start()
        wait_until(lambda: b"\nidaas_sidecar_build_info" in fetch(sidecar.urls["ops"], "/metrics").body)
        sidecar.process.send(signal.SIGTERM)
        waiter.join(20)
        code = sidecar.process.wait()

    assert code == 0
    assert [answer.status for answer in answers] in ([200], [503])


def test_nothing_is_left_of_a_stopped_one(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGTERM the port is free for the next one at once, and its clients' connections are closed."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar, Connection(sidecar.urls["credentials"]) as idle:
        sidecar.process.event("credentials_issued")
        idle.send(request_head("GET", "/credentials"))
        idle.read_response()
        base = sidecar.urls["credentials"]
        code = sidecar.process.stop()
        closed = idle.is_closed()
    again = config(cloud)
    again["server"]["bind"] = base.removeprefix("http://")
    with serve(again, home=tmp_path, env=ENV) as sidecar:
        assert (code, closed) == (0, True)
        assert sidecar.urls["credentials"] == base
        assert fetch(base, "/credentials").status == 200


# --- other versions ---------------------------------------------------------------------------------------------------


def newer(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """A file of the next minor version, with keys that this program does not know, in two places."""
    whole = config(cloud, configVersion="1.1", shiny={"a": 1}, **changes)
    whole["profiles"]["default"]["exchange"]["shinier"] = True
    return whole


def test_a_newer_file_beneath_an_older_program(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """An image that was rolled back works beneath the newer file: a warning for each key that it does not know."""
    with serve(newer(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        said = [event["message"] for event in sidecar.process.events("configuration")]

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert len([line for line in said if "shiny" in line]) == 1
        assert len([line for line in said if "profiles.default.exchange.shinier" in line]) == 1


def test_a_newer_file_under_a_running_program(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A running sidecar takes a file of the next minor version; one of the next major changes nothing."""
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        key = sidecar.process.event("credentials_issued")["access_key_id"]
        sidecar.config_path.write_text(json.dumps(newer(cloud)))
        sidecar.process.event("config_reloaded")
        sidecar.config_path.write_text(json.dumps(config(cloud, configVersion="2.0")))
        failed = sidecar.process.event("config_reload_failed")["error"]
        served = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)["AccessKeyId"]

        assert "configVersion: 2.0 is not supported" in failed
        assert served == key


def test_a_file_of_the_next_major_version(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """It is refused at the start: exit 2, and one line that says which versions are read."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(cloud, configVersion="2.0")))
    ended = run("serve", "--config", str(path), env=environment(tmp_path, **ENV))

    assert ended.code == 2
    assert "configVersion: 2.0 is not supported; this program reads 1.x" in ended.error_line


def test_a_typing_error_is_none_of_a_newer_version(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The same unknown keys in a file of our own version are an error, so leniency is for rolling back alone."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(newer(cloud) | {"configVersion": "1.0"}))
    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
        code = process.wait()
        said = process.stderr.lines()

    assert code == 2
    assert "shin" in said[-1]
