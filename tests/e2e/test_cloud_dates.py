"""Two clouds, of which one sends an absurd Date and the other none: each profile is refreshed all the same."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, add_fault, config
from .processes import EmulatedCloud, emulator, environment, run, serve

HOUR, YEAR = 3_600, 365 * 86_400


def test_two_ports_of_a_host_with_a_wrong_date(tmp_path: Path) -> None:
    """Two servers of one host that agree on a wrong time are one voice: other profiles keep this machine's clock."""
    homes = [tmp_path / name for name in ("wrong", "silent")]
    for home in homes:
        home.mkdir()
    with emulator(home=homes[0]) as wrong, emulator(home=homes[1]) as silent:
        for kind in ("token", "sts"):
            add_fault(wrong, kind=kind, times=None, headers={"Date": formatdate(time.time() - HOUR, usegmt=True)})
        add_fault(silent, kind="*", times=None, headers={"Date": ""})
        profiles = {name: signing(cloud) for name, cloud in (("wrong", wrong), ("default", silent))}
        # A client secret is not judged by time, so both servers are asked.
        profiles["wrong"]["identity"] |= {
            "authnConfiguration": config(wrong)["profiles"]["default"]["identity"]["authnConfiguration"]
        }
        profiles["wrong"]["exchange"] |= {"endpoints": [wrong.tls_url]}
        server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", "adminSocket": str(tmp_path / "admin")}
        settings = config(silent, profiles=profiles, server=server, tls={"caFile": str(wrong.ca_file)})
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            for url in (wrong.url, wrong.tls_url):
                sidecar.process.event("clock_offset", server=url.partition("://")[2])
            arguments = ("refresh", "--config", str(sidecar.config_path), "--profile")
            results = [run(*arguments, name, env=environment(tmp_path, **ENV)) for name in ("default", "wrong")]

            assert [result.code for result in results] == [0, 0], results
            assert not sidecar.process.events("refresh_failed")


def signing(cloud: EmulatedCloud) -> dict[str, Any]:
    """Return a profile whose assertions the cloud judges by its clock."""
    found: dict[str, Any] = config(cloud)["profiles"]["default"]
    method = {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretEnvVarName": "DEMO_SECRET"}
    return found | {"identity": found["identity"] | {"authnConfiguration": method}, "required": False}


@pytest.mark.parametrize(
    ("ahead", "own"), [(-20 * YEAR, True), (20 * YEAR, True), (-2 * HOUR, False), (2 * HOUR, False)]
)
def test_absurd_date(ahead: int, own: bool, tmp_path: Path) -> None:
    """A Date that is off by hours affects at most its own cloud's profile; one that is off by years, not even that."""
    homes = [tmp_path / name for name in ("absurd", "silent")]
    for home in homes:
        home.mkdir()
    with emulator(home=homes[0]) as absurd, emulator(home=homes[1]) as silent:
        add_fault(absurd, kind="*", times=None, headers={"Date": formatdate(time.time() + ahead, usegmt=True)})
        add_fault(silent, kind="*", times=None, headers={"Date": ""})
        profiles = {name: signing(cloud) for name, cloud in (("absurd", absurd), ("default", silent))}
        server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", "adminSocket": str(tmp_path / "admin")}
        settings = config(silent, profiles=profiles, server=server)
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            for name in ("absurd", "default") if own else ("default",):
                sidecar.process.event("credentials_issued", profile=name)
                for _ in range(2):
                    arguments = ("refresh", "--config", str(sidecar.config_path), "--profile", name)
                    result = run(*arguments, env=environment(tmp_path, **ENV))
                    assert result.code == 0, result.err
            sidecar.process.event("clock_offset", server=absurd.url.removeprefix("http://"))
            assert not [event for event in sidecar.process.events("refresh_failed") if event["profile"] == "default"]
