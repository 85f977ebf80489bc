"""A whole process whose wall clock is set while its monotonic clock continues (faketime)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, config, metric
from .processes import PROGRAM, EmulatedCloud, RunningSidecar, environment, run, serve, wait_until
from .wire import Response, fetch

HOUR, DAY = 3_600, 86_400
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

pytestmark = pytest.mark.skipif(
    not LIBRARIES and os.environ.get("CI") != "true", reason="skipped: needs faketime (apt-get install faketime)"
)


@dataclass
class FakeClockSidecar:
    """A sidecar with a fake wall clock."""

    sidecar: RunningSidecar
    offset: Path

    def set(self, seconds: int) -> None:
        """Set the wall clock to the true time plus `seconds`."""
        write_offset(self.offset, seconds)

    def read(self) -> Response:
        """Request the credentials."""
        return fetch(self.sidecar.urls["credentials"], "/credentials")

    def refresh(self) -> int:
        """Run the refresh command and return its exit code."""
        path = self.sidecar.config_path
        return run("refresh", "--config", str(path), env=environment(path.parent, **ENV)).code


def write_offset(path: Path, seconds: int) -> None:
    """Replace the file from which faketime reads the offset."""
    draft = path.with_name("draft-offset")
    draft.write_text(f"{seconds:+d}\n")
    draft.rename(path)


def settings(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    """Return a configuration whose client signs assertions with a time in them."""
    configuration = config(cloud, startup={"gate": "listening"})
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    configuration["profiles"]["default"]["identity"]["authnConfiguration"]["authnMethod"] = "CLIENT_SECRET_JWT"
    return configuration


@pytest.fixture
def faked(cloud: EmulatedCloud, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FakeClockSidecar]:
    """A sidecar whose clock is wrong at start by the parameter, or right without one."""
    assert LIBRARIES, "skipped: needs faketime (apt-get install faketime)"
    offset = tmp_path / "offset"
    write_offset(offset, getattr(request, "param", 0))
    fake = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    # Only the sidecar's own process gets the fake clock, not the process that starts it.
    program = (str(shutil.which("env")), *(f"{name}={value}" for name, value in fake.items()), *PROGRAM)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=ENV, program=program) as sidecar:
        yield FakeClockSidecar(sidecar, offset)


def served_key(response: Response) -> str:
    """Return the AccessKeyId of a response."""
    return str(json.loads(response.body)["AccessKeyId"])


@pytest.mark.parametrize("seconds", [-HOUR, -DAY])
def test_clock_set_back(faked: FakeClockSidecar, seconds: int) -> None:
    """After the clock is set back, a session is not served beyond its end, and a refresh by the cloud's time works."""
    faked.sidecar.process.event("credentials_issued")
    before = served_key(faked.read())
    faked.set(seconds)
    remaining = metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}')

    assert remaining <= HOUR
    assert served_key(faked.read()) == before
    assert faked.refresh() == 0
    assert served_key(faked.read()) != before
    wait_until(lambda: abs(metric(faked.sidecar, "clock_offset_seconds") + seconds) < 5)
    assert metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}') <= HOUR
    assert faked.sidecar.process.event("clock_offset")["seconds"] == pytest.approx(-seconds, abs=5)


@pytest.mark.parametrize("seconds", [HOUR, DAY])
def test_clock_set_ahead(faked: FakeClockSidecar, seconds: int) -> None:
    """After the clock is set ahead of the session's end, requests get 503 with the cause, and 200 once it is right."""
    faked.sidecar.process.event("credentials_issued")
    assert faked.read().status == 200
    faked.set(seconds)
    refused = faked.read()
    faked.set(0)

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    message = json.loads(refused.body)["Message"]  # of the expired session, or of the refresh that it has started
    assert "set the clock" in message
    assert faked.read().status == 200
    assert faked.refresh() == 0
    assert metric(faked.sidecar, 'refresh_consecutive_failures{profile="default"}') == 0


@pytest.mark.parametrize("faked", [-DAY, -600], indirect=True)
def test_start_with_a_slow_clock(faked: FakeClockSidecar) -> None:
    """With a clock that is behind at start, the first assertion is refused; the Date header corrects the second."""
    faked.sidecar.process.event("credentials_issued")
    response = faked.read()

    assert response.status == 200
    assert metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}') <= HOUR
    assert faked.sidecar.process.events("refresh_failed") == []


def test_wrong_clock_affects_nothing_else(faked: FakeClockSidecar) -> None:
    """With a wrong clock, probes and metrics respond and SIGTERM ends the process with 0."""
    faked.sidecar.process.event("credentials_issued")
    faked.set(DAY)
    ops = faked.sidecar.urls["ops"]

    assert [fetch(ops, path).status for path in ("/livez", "/metrics", "/startupz")] == [200, 200, 200]
    faked.sidecar.process.send(signal.SIGTERM)
    assert faked.sidecar.process.wait() == 0
