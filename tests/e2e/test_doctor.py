"""`doctor` as a process: beside a running sidecar, over real sockets and TLS, and without any secret in its output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.doctor import running
from app.emulator.world.world import CLIENT_SECRET

from .cloud import ENV, add_fault, config, emulator_admin
from .processes import CommandResult, EmulatedCloud, emulator, environment, run, serve


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud."""
    with emulator(home=tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(autouse=True)
def without_faults(cloud: EmulatedCloud) -> Iterator[None]:
    """Remove all faults after each test."""
    yield
    emulator_admin(cloud.url, "DELETE", "faults")


def doctor(settings: dict[str, Any], home: Path, *options: str, **variables: str) -> CommandResult:
    """Run the command with a configuration."""
    path = home / "config.json"
    path.write_text(json.dumps(settings))
    return run("doctor", "--config", str(path), *options, env=environment(home, **ENV, **variables))


def codes(done: CommandResult) -> list[str]:
    """Return the codes of the findings of a JSON document."""
    return [each["code"] for step in json.loads(done.out)["steps"] for each in step["findings"]]


def test_healthy_workload(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Exit code 0; the text ends with the verdict, and stderr is empty."""
    done = doctor(config(cloud), tmp_path)

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "healthy: the cloud gives credentials; no running sidecar was asked"


def test_log_line_and_finding_have_one_code(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """What the running sidecar logs as `error_code` is what `doctor` finds; its status has the profile's state."""
    add_fault(cloud, kind="sts", times=None, code="AuthenticationFail.NoPermission")
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        line = sidecar.process.event("refresh_failed")
        ops = urlsplit(sidecar.urls["ops"])
        status = running.status(str(ops.hostname), int(ops.port or 0))
        done = doctor(config(cloud), tmp_path, "--json")

    assert line["error_code"] == "IDS-401"
    assert (done.code, codes(done)) == (1, ["IDS-401"])
    assert status["profiles"][0]["profile"] == "default"


def test_untrusted_ca_is_cured_by_its_message(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Over TLS, an unknown CA is found at both servers, and is cured by `tls.caFile`, which the message names."""
    settings = config(cloud)
    profile = settings["profiles"]["default"]
    profile["identity"]["tokenEndpoint"] = profile["identity"]["tokenEndpoint"].replace(cloud.url, cloud.tls_url)
    profile["exchange"]["endpoints"] = [cloud.tls_url]

    broken = doctor(settings, tmp_path, "--json")
    assert codes(broken) == ["IDS-212", "IDS-212"]
    assert "tls.caFile" in broken.out

    cured = doctor(settings | {"tls": {"caFile": str(cloud.ca_file)}}, tmp_path, "--json")
    assert (cured.code, codes(cured)) == (0, [])


@pytest.mark.parametrize("kind", ["token", "sts"])
def test_answer_that_quotes_the_request(cloud: EmulatedCloud, tmp_path: Path, kind: str) -> None:
    """An answer that quotes what was sent puts no secret and no token into either output."""
    add_fault(cloud, kind=kind, times=None, code="invalid_request", status=400, message="Words.", quotesRequest=True)

    for options in ((), ("--json",)):
        done = doctor(config(cloud), tmp_path, *options)
        assert done.code == 1
        assert "Words." in done.out
        assert CLIENT_SECRET not in done.out + done.err
        assert "eyJ" not in done.out + done.err
