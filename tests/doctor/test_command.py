"""The command `doctor`: exit codes, JSON, and the sidecar of another user."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.cli import main
from app.doctor import output
from app.emulator.world.world import CLIENT_SECRET

from ..conftest import configuration
from .scenario import Scenario, states


def test_findings_exit_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake of the file is a finding: the exit code is 1, and the last line names the codes."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration(extra=1)))

    assert main(["doctor", "--config", str(path)], {}) == 1
    text = capsys.readouterr().out
    assert "broken   configuration: cannot be used" in text
    assert "IDS-104" in text.splitlines()[-1]


def test_json_has_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one document with states, codes and cures."""
    assert main(["doctor", "--json", "--config", str(tmp_path / "absent.json")], {}) == 1

    document = json.loads(capsys.readouterr().out)
    first = document["steps"][0]
    assert (document["healthy"], first["step"], first["state"]) == (False, "configuration", "broken")
    assert first["findings"][0]["code"] == "IDS-102"
    assert first["findings"][0]["cure"]


@pytest.mark.parametrize(
    "options", [["--trust-policy", "absent.json"], ["--client-environment", "absent"], ["--profile", "p9"]]
)
def test_what_cannot_run_exits_with_2(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of an option that does not exist, or an unknown profile, exits with 2 and one line."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration()))

    assert main(["doctor", "--config", str(path), *options], {"IDAAS_SECRET": "x"}) == 2
    assert capsys.readouterr().err.startswith("idaas-sidecar doctor: --")


@pytest.mark.skipif(os.geteuid() != 0, reason="skipped: needs root, to give a file away")
@pytest.mark.parametrize("running", [True, False])
async def test_root_examines_the_sidecar_of_another_user(scenario: Scenario, running: bool) -> None:
    """
    A secret of the user who runs the sidecar is no finding for root: the skipped step names who reads the file.

    Without a running sidecar nothing is known of the credentials, and the last line says so.
    """
    path = scenario.workload.write_file("secret", CLIENT_SECRET)
    os.chmod(path, 0o600)
    os.chown(path, 1001, 1001)
    method = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": path}
    scenario.put("identity.authnConfiguration", method)
    if not running:
        scenario.state = {}
    steps = await scenario.steps()

    assert [each for step in steps for each in step.findings] == []
    (token,) = [step for step in steps if step.name == "token"]
    assert (token.state, states(steps)["configuration"], states(steps)["exchange"]) == ("skipped", "ok", "skipped")
    assert f"{path}: belongs to uid 1001, who could read and change it. A sidecar of that user reads" in token.summary
    assert token.summary.endswith("run `sudo -u USER idaas-sidecar doctor`")
    assert output.document(steps)["healthy"] is running
    assert output.verdict(steps) == (
        "healthy: the running sidecar has credentials; no token was requested"
        if running
        else "nothing is known of the credentials: no token was requested, and no running sidecar was asked"
    )
