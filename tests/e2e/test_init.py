"""The sidecar as the first process of a PID namespace, like the only program of a container. Needs root."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, config, workload_token
from .processes import PROGRAM, EmulatedCloud, Process, RunningSidecar, serve, wait_until
from .users import needs_root
from .wire import admin_request, fetch

pytestmark = needs_root

AS_INIT = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *PROGRAM)
REFRESHES = 50


def init_of(process: Process) -> int:
    """Return the process id that the first process of the namespace has outside of it."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def children(pid: int) -> dict[int, str]:
    """Return the states (S, Z, …) of the children of a process, by process id."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # the process has just ended
                continue
            if int(parent) == pid:
                found[int(entry)] = state
    return found


def test_sidecar_is_process_1(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """In its namespace the sidecar is process 1, and it serves credentials."""
    with serve(config(cloud), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        status = Path(f"/proc/{init_of(sidecar.process)}/status").read_text()

        assert next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:")) == "1"
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200


def test_sigterm_drains(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM drains and ends process 1 with 0, although the kernel ignores signals without a handler for it."""
    with serve(config(cloud, shutdown={"drainSeconds": 1}), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        os.kill(init_of(sidecar.process), signal.SIGTERM)

        assert sidecar.process.wait() == 0
        sidecar.process.event("draining")
        sidecar.process.event("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_the_drain(number: signal.Signals, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Requests are answered during the drain, and a second signal ends it."""
    with serve(config(cloud, shutdown={"drainSeconds": 600}), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        init_pid = init_of(sidecar.process)
        os.kill(init_pid, signal.SIGTERM)
        sidecar.process.event("draining")
        status = fetch(sidecar.urls["credentials"], "/credentials").status
        os.kill(init_pid, number)

        assert status == 200
        assert sidecar.process.wait() == 0


def with_command(cloud: EmulatedCloud, home: Path, script: str) -> dict[str, Any]:
    """Return a configuration whose identity runs a shell script that prints a token at its end."""
    token = workload_token(cloud)
    (home / "token.json").write_text(json.dumps({"access_token": token, "expires_in": 600}))
    program = home / "print-token"
    program.write_text(f"#!/bin/sh\n{script}\ncat {home}/token.json\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    configuration = config(cloud)
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    profile = configuration["profiles"]["default"]
    profile["identity"] = {"type": "command", "command": [str(program)]}
    profile["exchange"]["oidcProviderArn"] = "acs:ram::1234567890123456:oidc-provider/workload-demo"
    return configuration


def refresh(sidecar: RunningSidecar, home: Path) -> None:
    """Refresh over the admin socket. Fails if the refresh fails."""
    assert admin_request(str(home / "admin.sock"), "POST", "/refresh") == 200
    assert sidecar.process.events("refresh_failed") == []


def test_daemonized_children_leave_no_zombies(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Fifty daemons that a command leaves behind are reaped, and each refresh gets its token."""
    double_fork = "( (sleep 1; exit 3) >/dev/null 2>&1 & )"
    with serve(with_command(cloud, tmp_path, double_fork), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        init_pid = init_of(sidecar.process)
        inherited: set[int] = set()
        for _ in range(REFRESHES):
            refresh(sidecar, tmp_path)
            inherited |= children(init_pid).keys()
        wait_until(lambda: children(init_pid) == {})
        issued = len(sidecar.process.events("credentials_issued"))

    assert len(inherited) > 5, "no daemon became a child of the sidecar"
    assert issued == REFRESHES + 1


def test_orphans_of_other_processes_are_reaped(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Orphans of a process that entered the container, as by `kubectl exec`, are reaped too."""
    with serve(with_command(cloud, tmp_path, ""), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        init_pid = init_of(sidecar.process)
        enter = (
            "nsenter",
            "--target",
            str(init_pid),
            "--pid",
            "--",
            "sh",
            "-c",
            "(sleep 0.1 & sleep 0.2 & sleep 60 &) &",
        )
        assert os.spawnvp(os.P_WAIT, enter[0], enter) == 0
        wait_until(lambda: len(children(init_pid)) > 0)
        refresh(sidecar, tmp_path)  # without a refresh, the sidecar reaps only every half minute
        wait_until(lambda: len(children(init_pid)) == 1)

        assert "Z" not in children(init_pid).values()
