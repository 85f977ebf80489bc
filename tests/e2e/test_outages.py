"""A real cloud that is stopped and killed under a real sidecar, and a loop that ends."""

from __future__ import annotations

import json
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .ending_loop import MARK
from .fault_proxy import fault_proxy
from .processes import EmulatedCloud, RunningSidecar, emulator, environment, run, serve, wait_until
from .cloud import ENV, config
from .wire import fetch

READS = 300
SLOWER = 5.0
"""How many times as long as in an unloaded run a read may take while the cloud hangs; both on this machine, now."""

RED_WITHIN = 10.0
"""Seconds in which /livez is to be red after a loop has ended."""


def settings(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    whole = config(cloud)
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    whole["profiles"]["default"]["identity"]["httpConfiguration"] = {"connectTimeout": 2000, "readTimeout": 2000}
    return whole


def ordered(sidecar: RunningSidecar) -> dict[str, Any]:
    """What comes of an order to prove the identity anew."""
    path = sidecar.config_path
    done = run("refresh", "--config", str(path), "--json", env=environment(path.parent, **ENV), seconds=60)
    found: dict[str, Any] = json.loads(done.out)[0]
    return found


def reads(sidecar: RunningSidecar) -> tuple[set[int], float]:
    """The statuses of many reads, and the median seconds of one."""
    statuses, seconds = set(), []
    for _ in range(READS):
        began = time.perf_counter()
        statuses.add(fetch(sidecar.urls["credentials"], "/credentials").status)
        seconds.append(time.perf_counter() - began)
    return statuses, statistics.median(seconds)


def hung(cloud: EmulatedCloud) -> None:
    cloud.process.send(signal.SIGSTOP)


def killed(cloud: EmulatedCloud) -> None:
    cloud.process.send(signal.SIGKILL)
    cloud.process.wait()


@pytest.mark.parametrize(("gone", "why"), [(hung, "no answer in time"), (killed, "could not connect")])
def test_the_cloud_is_gone(gone: Callable[[EmulatedCloud], None], why: str, tmp_path: Path) -> None:
    """Stopped or killed while it is asked: every read is 200 and as fast as ever, and the truth is told elsewhere."""
    with emulator(home=tmp_path) as cloud, serve(settings(cloud, tmp_path), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        before, unloaded = reads(sidecar)
        gone(cloud)
        outcomes: list[dict[str, Any]] = []
        asking = threading.Thread(target=lambda: outcomes.append(ordered(sidecar)))
        asking.start()
        during, loaded = reads(sidecar)
        asking.join()

        assert before == during == {200}
        assert loaded / unloaded < SLOWER
        assert (outcomes[0]["state"], outcomes[0]["permanent"]) == ("stale", False)
        assert why in outcomes[0]["last_error"]
        assert fetch(sidecar.urls["ops"], "/readyz").status == 200


def test_the_cloud_is_another_process_afterwards(tmp_path: Path) -> None:
    """Killed, and started anew with other keys: what is held is served, and the next attempt succeeds."""
    with (
        emulator(home=tmp_path) as cloud,
        fault_proxy(cloud.url) as door,
        serve(settings(replace(cloud, url=door.url), tmp_path), home=tmp_path, env=ENV) as sidecar,
    ):
        sidecar.process.event("credentials_issued")
        held = fetch(sidecar.urls["credentials"], "/credentials").body
        killed(cloud)
        assert ordered(sidecar)["state"] == "stale"
        with emulator(home=tmp_path) as another:
            door.set_upstream(another.url)
            assert fetch(sidecar.urls["credentials"], "/credentials").body == held
            assert ordered(sidecar)["state"] == "fresh"

            assert fetch(sidecar.urls["credentials"], "/credentials").body != held


def test_a_loop_that_ends_turns_livez_red(tmp_path: Path) -> None:
    """Within 10 s, and it names the profile; what is held is served all the same, until the process is started anew."""
    program = (sys.executable, "-m", "tests.e2e.ending_loop")
    with (
        emulator(home=tmp_path) as cloud,
        serve(settings(cloud, tmp_path), home=tmp_path, env=ENV, program=program) as sidecar,
    ):
        sidecar.process.event("credentials_issued")
        ops = sidecar.urls["ops"]
        assert fetch(ops, "/livez").status == 200
        (tmp_path / MARK).touch()
        ordered(sidecar)
        wait_until(lambda: fetch(ops, "/livez").status == 503, RED_WITHIN)

        assert json.loads(fetch(ops, "/livez").body)["loops"] == ["default"]
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
