"""A real cloud that is stopped, killed or replaced under a real sidecar, and a refresh loop that ends.

How fast reads are while the cloud hangs is measured in bench/outage.py.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, config
from .ending_loop import TRIGGER_FILE
from .fault_proxy import fault_proxy
from .processes import EmulatedCloud, RunningSidecar, emulator, environment, run, serve, wait_until
from .wire import fetch


def settings(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    """Return a configuration with an admin socket."""
    configuration = config(cloud)
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    return configuration


def impatient(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    """Return the configuration with time limits of 2 s, for a cloud that hangs. A busy machine may exceed them, too."""
    configuration = settings(cloud, home)
    limits = {"connectTimeout": 2000, "readTimeout": 2000}
    configuration["profiles"]["default"]["identity"]["httpConfiguration"] = limits
    return configuration


def refresh(sidecar: RunningSidecar) -> dict[str, Any]:
    """Run the refresh command and return the status of the profile."""
    path = sidecar.config_path
    done = run("refresh", "--config", str(path), "--json", env=environment(path.parent, **ENV))
    status: dict[str, Any] = json.loads(done.out)[0]
    return status


def stop_responding(cloud: EmulatedCloud) -> None:
    """Stop the cloud with SIGSTOP, so that connections hang."""
    cloud.process.send(signal.SIGSTOP)


def kill(cloud: EmulatedCloud) -> None:
    """Kill the cloud with SIGKILL."""
    cloud.process.send(signal.SIGKILL)
    cloud.process.wait()


@pytest.mark.parametrize(("fail", "message"), [(stop_responding, "no answer in time"), (kill, "could not connect")])
def test_cloud_fails_during_a_refresh(fail: Callable[[EmulatedCloud], None], message: str, tmp_path: Path) -> None:
    """While a refresh waits for a stopped or killed cloud, every read gets 200, and the status shows the error."""
    with emulator(home=tmp_path) as cloud, serve(impatient(cloud, tmp_path), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        fail(cloud)
        outcomes: list[dict[str, Any]] = []
        refreshing = threading.Thread(target=lambda: outcomes.append(refresh(sidecar)))
        refreshing.start()
        statuses = []
        while refreshing.is_alive():
            statuses.append(fetch(sidecar.urls["credentials"], "/credentials").status)

        assert set(statuses) == {200}
        assert (outcomes[0]["state"], outcomes[0]["permanent"]) == ("stale", False)
        assert message in outcomes[0]["last_error"]
        assert fetch(sidecar.urls["ops"], "/readyz").status == 200


def test_cloud_is_replaced(tmp_path: Path) -> None:
    """After the cloud is replaced by one with other keys, the held session is served and the next refresh succeeds."""
    with (
        emulator(home=tmp_path) as cloud,
        fault_proxy(cloud.url) as proxy,
        serve(settings(replace(cloud, url=proxy.url), tmp_path), home=tmp_path, env=ENV) as sidecar,
    ):
        sidecar.process.event("credentials_issued")
        held_body = fetch(sidecar.urls["credentials"], "/credentials").body
        kill(cloud)
        assert refresh(sidecar)["state"] == "stale"
        with emulator(home=tmp_path) as replacement:
            proxy.set_upstream(replacement.url)
            assert fetch(sidecar.urls["credentials"], "/credentials").body == held_body
            assert refresh(sidecar)["state"] == "fresh"

            assert fetch(sidecar.urls["credentials"], "/credentials").body != held_body


def test_ended_loop_turns_livez_red(tmp_path: Path) -> None:
    """After a refresh loop has ended, /livez gets 503 and names the profile, and the session is still served."""
    program = (sys.executable, "-m", "tests.e2e.ending_loop")
    with (
        emulator(home=tmp_path) as cloud,
        serve(settings(cloud, tmp_path), home=tmp_path, env=ENV, program=program) as sidecar,
    ):
        sidecar.process.event("credentials_issued")
        ops = sidecar.urls["ops"]
        assert fetch(ops, "/livez").status == 200
        (tmp_path / TRIGGER_FILE).touch()
        refresh(sidecar)
        wait_until(lambda: fetch(ops, "/livez").status == 503)

        assert json.loads(fetch(ops, "/livez").body)["loops"] == ["default"]
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
