"""Addresses to listen on that another program adds after the start: `serve` waits for them within the start gate."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, config
from .gates import GATES
from .namespaces import namespace, needs_namespaces
from .processes import DEADLINE, PROGRAM, EmulatedCloud, Process, environment, run
from .wire import fetch

ABSENT = "203.0.113.1:0"
"""An address for documentation (RFC 5737), which no machine has."""

METADATA = "100.100.100.200"
NOWHERE = EmulatedCloud(None, "http://127.0.0.1:1", "", "https://idaas.test", Path())  # type: ignore[arg-type]


def waits_for(place: str, line: str) -> bool:
    """Return whether a line says that the start waits for the address of a key."""
    return f"{place}: cannot listen on " in line and line.endswith("; waiting for it")


def write(directory: Path, settings: dict[str, Any]) -> str:
    """Write a configuration and return its path."""
    path = directory / "config.json"
    path.write_text(json.dumps(settings))
    return str(path)


def elsewhere(cloud: EmulatedCloud, **startup: Any) -> dict[str, Any]:
    """Return a configuration whose address no interface has."""
    server = {"bind": ABSENT, "ops": "127.0.0.1:0"}
    return config(cloud, server=server, access={"unsafeBind": True}, startup=startup)


def test_address_that_never_appears(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The start says once what it waits for, and ends with exit code 4: the shipped unit starts the sidecar again."""
    for seconds in GATES:
        path = write(tmp_path, elsewhere(cloud, timeoutSeconds=seconds))
        with Process("serve", "--config", path, env=environment(tmp_path, **ENV)) as process:
            code = process.wait(seconds + DEADLINE)
            lines = process.stderr.lines()
        waiting = [line for line in lines if waits_for("server.bind", line)]
        if waiting:  # else the time was over after the first look: the machine is busy
            break

    says = (
        f"idaas-sidecar serve: server.bind: cannot listen on {ABSENT}: this machine has no such address; "
        "add the address (ip address add …) or choose another"
    )
    assert (code, waiting) == (4, [f"{says}; waiting for it"])
    assert lines[-1] == f"{says} (IDS-502)"


def test_sigterm_before_the_address(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM ends the wait with exit code 4 and the reason."""
    path = write(tmp_path, elsewhere(cloud))
    with Process("serve", "--config", path, env=environment(tmp_path, **ENV)) as process:
        process.stderr.find(lambda line: waits_for("server.bind", line))

        process.send(signal.SIGTERM)
        assert process.wait() == 4
        assert "this machine has no such address" in process.stderr.lines()[-1]


def test_mistake_beside_a_late_address(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A value that is no address ends the start at once, although another address is not there yet."""
    settings = elsewhere(cloud)
    settings["server"]["ops"] = "example.com:7118"
    result = run("serve", "--config", write(tmp_path, settings), env=environment(tmp_path, **ENV))

    assert result.code == 2
    assert "waiting" not in result.err


@needs_namespaces
@pytest.mark.parametrize("key", ["bind", "metadata", "ops"])
def test_address_that_appears_late(key: str, tmp_path: Path) -> None:
    """The sidecar listens on an address that another unit adds to an interface after the start."""
    server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", key: f"{METADATA}:7117"}
    path = write(tmp_path, config(NOWHERE, server=server, startup={"gate": "listening", "timeoutSeconds": 600}))
    with namespace("true") as enter:
        program = (*enter, *PROGRAM)
        with Process("serve", "--config", path, env=environment(tmp_path, **ENV), program=program) as process:
            process.stderr.find(lambda line: waits_for(f"server.{key}", line))
            added = run(
                "address", "add", f"{METADATA}/32", "dev", "lo", env=environment(tmp_path), program=(*enter, "ip")
            )
            assert added.code == 0, added.err

            urls = process.event("listening")
            assert f"http://{METADATA}:7117" in urls.values()


def test_directory_of_the_admin_socket_that_appears_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The runtime directory may be that of another unit: the start waits for it."""
    server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", "adminSocket": str(tmp_path / "late" / "admin.sock")}
    path = write(tmp_path, config(cloud, server=server, startup={"timeoutSeconds": 600}))
    with Process("serve", "--config", path, env=environment(tmp_path, **ENV)) as process:
        process.stderr.find(lambda line: waits_for("server.adminSocket", line))
        (tmp_path / "late").mkdir(0o700)

        process.event("credentials_issued")
        listening = process.event("listening")
        assert fetch(listening["ops"], "/livez").status == 200
        assert process.stop() == 0
    assert listening["admin"] == server["adminSocket"]
