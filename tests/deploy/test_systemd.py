"""deploy/systemd: a unit that systemd takes without a word, hardened, with a configuration that fits it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from .conftest import ROOT, Load, tool

UNIT = ROOT / "deploy" / "systemd" / "idaas-sidecar.service"
CONFIG = (ROOT / "deploy" / "systemd" / "config.json").read_text()
MOST_EXPOSED = 13
"""Tenths, of `systemd-analyze security`; ordinary services have 96."""

HOW = "apt-get install systemd"


def directives() -> dict[str, list[str]]:
    """Each key's values, continued lines joined."""
    found = defaultdict(list)
    for line in re.sub(r"\\\n", " ", UNIT.read_text()).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def one(key: str) -> str:
    (value,) = directives()[key]
    return value


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program to start that exists here."""
    program = tmp_path / "bin" / "idaas-sidecar"
    program.parent.mkdir()
    program.touch(mode=0o755)
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/idaas-sidecar/", f"{tmp_path}/"))
    return path


def test_verified(unit: Path) -> None:
    """systemd has nothing to say about the unit; an unknown key would be one line, and exit code 0."""
    checked = subprocess.run(
        [tool("systemd-analyze", HOW), "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_exposure(unit: Path) -> None:
    """systemd's own measure of what the service could do, if it were taken over, is low."""
    checked = subprocess.run(
        [tool("systemd-analyze", HOW), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
    assert checked.stderr == ""


def test_configuration(loaded: Load, tmp_path: Path) -> None:
    """The configuration beside the unit finds the secret that systemd hands over, and the path token."""
    (tmp_path / "client-secret").write_text("made-up\n")
    (tmp_path / "path-token").write_text("0f8fad5b-d9cb-469f-a165-70867728950e\n")

    result = loaded(CONFIG, CREDENTIALS_DIRECTORY=str(tmp_path), RUNTIME_DIRECTORY=str(tmp_path))

    assert result.warnings == ()
    assert result.settings.server.bind == "127.0.0.1:7117"
    assert result.settings.server.ops == "127.0.0.1:7118"


def test_times_fit(loaded: Load, tmp_path: Path) -> None:
    """systemd waits longer than the sidecar takes to give up at start and to drain at stop."""
    (tmp_path / "client-secret").write_text("made-up\n")
    (tmp_path / "path-token").write_text("0f8fad5b-d9cb-469f-a165-70867728950e\n")
    settings = loaded(CONFIG, CREDENTIALS_DIRECTORY=str(tmp_path), RUNTIME_DIRECTORY=str(tmp_path)).settings

    assert float(one("TimeoutStartSec")) > settings.startup.timeout_seconds
    assert float(one("TimeoutStopSec")) > max(settings.shutdown.drain_seconds, 25)


def test_secret_is_handed_over() -> None:
    """The secret's name in the unit is the file's name in the configuration, and no variable holds it."""
    (profile,) = json.loads(CONFIG)["profiles"].values()
    name, _, source = one("LoadCredential").partition(":")

    assert profile["identity"]["authnConfiguration"]["clientSecretFile"] == f"${{CREDENTIALS_DIRECTORY}}/{name}"
    assert source == f"/etc/idaas-sidecar/{name}"
    assert "Environment" not in directives()


def test_bad_configuration_is_not_tried_again() -> None:
    """A crash and a cloud that is away are; exit code 2 is for a person to correct."""
    assert one("Restart") == "on-failure"
    assert one("RestartPreventExitStatus") == "2"
    assert one("StartLimitIntervalSec") == "0"


def prepare(directory: Path) -> dict[str, str]:
    """Runs ExecStartPre as systemd would, `$$` and quotes undone; what client.env then says."""
    command = one("ExecStartPre")
    assert command.startswith("/bin/sh -euc '")
    script = command.removeprefix("/bin/sh -euc '").removesuffix("'").replace("$$", "$")
    subprocess.run(["/bin/sh", "-euc", script], env={"RUNTIME_DIRECTORY": str(directory)}, check=True)
    return dict(line.split("=", 1) for line in (directory / "client.env").read_text().splitlines())


def test_client_environment(tmp_path: Path) -> None:
    """Whoever reads client.env has the URI with the token in it, and keeps away from the machine's role."""
    variables = prepare(tmp_path)
    token = (tmp_path / "path-token").read_text().strip()

    assert re.fullmatch(r"[0-9a-f-]{36}", token)
    assert variables == {
        "ALIBABA_CLOUD_CREDENTIALS_URI": f"http://127.0.0.1:7117/{token}/credentials",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    }


def test_path_token_survives_a_restart(tmp_path: Path) -> None:
    """A sidecar that is started anew keeps the token that running applications know."""
    before = prepare(tmp_path)

    assert prepare(tmp_path) == before
    assert one("RuntimeDirectoryPreserve") == "yes"


def test_path_token_is_random(tmp_path: Path) -> None:
    """Two machines have two tokens."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    assert prepare(tmp_path / "one") != prepare(tmp_path / "two")
