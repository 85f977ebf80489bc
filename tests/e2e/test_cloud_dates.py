"""Two clouds, of which one sends an absurd Date and the other none: each profile is refreshed all the same."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from .cloud import ENV, add_fault, config
from .processes import emulator, environment, run, serve

HOUR, YEAR = 3_600, 365 * 86_400


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
        profiles = {}
        for name, cloud in (("absurd", absurd), ("default", silent)):
            found = config(cloud)["profiles"]["default"]
            method = {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretEnvVarName": "DEMO_SECRET"}
            profiles[name] = found | {"identity": found["identity"] | {"authnConfiguration": method}, "required": False}
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
