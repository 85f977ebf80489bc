"""A whole process whose wall clock is set while its monotonic clock goes on (faketime)."""

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

from .processes import PROGRAM, EmulatedCloud, Serving, emulator, environment, run, serve, until
from .test_reload import metric
from .test_service import ENV, config
from .wire import Answer, ask

HOUR, DAY = 3_600, 86_400
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

pytestmark = pytest.mark.skipif(
    not LIBRARIES and os.environ.get("CI") != "true", reason="skipped: needs faketime (apt-get install faketime)"
)


@dataclass
class Faked:
    """A sidecar, and its wall clock."""

    sidecar: Serving
    offset: Path

    def set(self, seconds: int) -> None:
        """Sets the wall clock to so much more than the true time."""
        write_offset(self.offset, seconds)

    def read(self) -> Answer:
        return ask(self.sidecar.urls["credentials"], "/credentials")

    def renewed(self) -> int:
        """The exit code of an order to prove the identity anew."""
        path = self.sidecar.config_path
        return run("refresh", "--config", str(path), env=environment(path.parent, **ENV)).code


def write_offset(path: Path, seconds: int) -> None:
    draft = path.with_name("draft-offset")
    draft.write_text(f"{seconds:+d}\n")
    draft.rename(path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


def settings(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    """A client that dates what it signs."""
    whole = config(cloud, startup={"gate": "listening"})
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    whole["profiles"]["default"]["identity"]["authnConfiguration"]["authnMethod"] = "CLIENT_SECRET_JWT"
    return whole


@pytest.fixture
def faked(cloud: EmulatedCloud, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Faked]:
    """A sidecar that is started with its clock wrong by the parameter, or right."""
    assert LIBRARIES, "skipped: needs faketime (apt-get install faketime)"
    offset = tmp_path / "offset"
    write_offset(offset, getattr(request, "param", 0))
    fake = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    # Only the sidecar's own process is lied to, and not the one that starts it.
    program = (str(shutil.which("env")), *(f"{name}={value}" for name, value in fake.items()), *PROGRAM)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=ENV, program=program) as sidecar:
        yield Faked(sidecar, offset)


def expected(answer: Answer) -> str:
    return str(json.loads(answer.body)["AccessKeyId"])


@pytest.mark.parametrize("seconds", [-HOUR, -DAY])
def test_the_clock_is_set_back(faked: Faked, seconds: int) -> None:
    """What is held is served for no longer than it lives, and a new one is had by proofs dated in the cloud's time."""
    faked.sidecar.process.event("credentials_issued")
    before = expected(faked.read())
    faked.set(seconds)
    left = metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}')

    assert left <= HOUR
    assert expected(faked.read()) == before
    assert faked.renewed() == 0
    assert expected(faked.read()) != before
    until(lambda: abs(metric(faked.sidecar, "clock_offset_seconds") + seconds) < 5)
    assert metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}') <= HOUR
    assert faked.sidecar.process.event("clock_offset")["seconds"] == pytest.approx(-seconds, abs=5)


@pytest.mark.parametrize("seconds", [HOUR, DAY])
def test_the_clock_is_set_ahead(faked: Faked, seconds: int) -> None:
    """By this clock the session has ended, and none can be had that has not: 503 that says why; set right, 200."""
    faked.sidecar.process.event("credentials_issued")
    assert faked.read().status == 200
    faked.set(seconds)
    refused = faked.read()
    faked.set(0)

    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "set the clock" in json.loads(refused.body)["Message"]
    assert faked.read().status == 200
    assert faked.renewed() == 0
    assert metric(faked.sidecar, 'refresh_consecutive_failures{profile="default"}') == 0


@pytest.mark.parametrize("faked", [-DAY, -600], indirect=True)
def test_started_with_a_clock_that_is_behind(faked: Faked) -> None:
    """The first proof is dated wrongly and refused; the answer's Date is enough for the second."""
    faked.sidecar.process.event("credentials_issued")
    answer = faked.read()

    assert answer.status == 200
    assert metric(faked.sidecar, 'credential_remaining_seconds{profile="default"}') <= HOUR
    assert faked.sidecar.process.events("refresh_failed") == []


def test_a_wrong_clock_stops_nothing_else(faked: Faked) -> None:
    """Probes, metrics and the way out do not mind."""
    faked.sidecar.process.event("credentials_issued")
    faked.set(DAY)
    ops = faked.sidecar.urls["ops"]

    assert [ask(ops, path).status for path in ("/livez", "/metrics", "/startupz")] == [200, 200, 200]
    faked.sidecar.process.send(signal.SIGTERM)
    assert faked.sidecar.process.code(10) == 0
