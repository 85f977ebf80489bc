"""As the first process of a PID namespace, as a container's only program is: signals, and orphans. Needs root."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import PROGRAM, EmulatedCloud, Process, Serving, emulator, serve, until
from .test_admin import ask_unix
from .test_service import ENV, admin, config
from .users import needs_root
from .wire import ask

pytestmark = needs_root

AS_INIT = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *PROGRAM)
TIMES = 50


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


def init_of(process: Process) -> int:
    """The number that the namespace's first process has outside of it."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def children(pid: int) -> list[str]:
    """The states of its children: S, Z and so on."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # gone this moment
                continue
            if int(parent) == pid:
                found.append(state)
    return found


def test_it_is_the_first(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Control: in its namespace it is number 1, and it serves."""
    with serve(config(cloud), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        numbers = Path(f"/proc/{init_of(sidecar.process)}/status").read_text()

        assert next(line.split()[-1] for line in numbers.splitlines() if line.startswith("NSpid:")) == "1"
        assert ask(sidecar.urls["credentials"], "/credentials").status == 200


def test_it_drains(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM, which the kernel keeps from a first process that does not ask for it, drains and ends it with 0."""
    with serve(config(cloud, shutdown={"drainSeconds": 1}), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        os.kill(init_of(sidecar.process), signal.SIGTERM)
        sidecar.process.event("draining")

        assert ask(sidecar.urls["credentials"], "/credentials").status == 200
        assert sidecar.process.code() == 0
        sidecar.process.event("stopped")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_at_once(number: signal.Signals, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A second signal ends the draining."""
    with serve(config(cloud, shutdown={"drainSeconds": 600}), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        first = init_of(sidecar.process)
        os.kill(first, signal.SIGTERM)
        sidecar.process.event("draining")
        os.kill(first, number)

        assert sidecar.process.code(5) == 0


def with_command(cloud: EmulatedCloud, home: Path, script: str) -> dict[str, Any]:
    """A configuration whose identity is a shell script that ends with printing a token."""
    token = json.loads(admin(cloud.url, "POST", "token").body)["token"]
    (home / "token.json").write_text(json.dumps({"access_token": token, "expires_in": 600}))
    program = home / "print-token"
    program.write_text(f"#!/bin/sh\n{script}\ncat {home}/token.json\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    whole = config(cloud)
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    profile = whole["profiles"]["default"]
    profile["identity"] = {"type": "command", "command": [str(program)]}
    profile["exchange"]["oidcProviderArn"] = "acs:ram::1234567890123456:oidc-provider/workload-demo"
    return whole


def renew(sidecar: Serving, home: Path) -> None:
    assert ask_unix(str(home / "admin.sock"), "POST", "/refresh") == 200
    assert sidecar.process.events("refresh_failed") == []


def test_double_forks_leave_no_zombies(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A command that leaves a daemon behind, fifty times: each is waited for when it ends, and tokens keep coming."""
    double_fork = "( (sleep 1; exit 3) >/dev/null 2>&1 & )"
    with serve(with_command(cloud, tmp_path, double_fork), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        first = init_of(sidecar.process)
        inherited = 0
        for _ in range(TIMES):
            renew(sidecar, tmp_path)
            inherited = max(inherited, len(children(first)))
        until(lambda: children(first) == [])
        issued = len(sidecar.process.events("credentials_issued"))

    assert inherited > 5, "none of them became our child"
    assert issued == TIMES + 1


def test_what_somebody_else_left(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The orphans of a process that was brought into the container, as by `kubectl exec`, are waited for as well."""
    with serve(with_command(cloud, tmp_path, ""), home=tmp_path, env=ENV, program=AS_INIT) as sidecar:
        sidecar.process.event("credentials_issued")
        first = init_of(sidecar.process)
        inside = (
            "nsenter",
            "--target",
            str(first),
            "--pid",
            "--",
            "sh",
            "-c",
            "(sleep 0.1 & sleep 0.2 & sleep 60 &) &",
        )
        assert os.spawnvp(os.P_WAIT, inside[0], inside) == 0
        until(lambda: len(children(first)) > 0)
        renew(sidecar, tmp_path)  # without it the next look is up to half a minute away
        until(lambda: len(children(first)) == 1)

        assert "Z" not in children(first)
