"""deploy/systemd: a hardened unit that systemd accepts without a warning, with a configuration that fits it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from app.core.client_chain import OTHER_SOURCES_DISABLED

from .conftest import ROOT, Load, tool

UNIT = ROOT / "deploy" / "systemd" / "idaas-sidecar.service"
CONFIG = (ROOT / "deploy" / "systemd" / "config.json").read_text()
CREDENTIALS = f"/run/credentials/{UNIT.name}"
"""Where systemd passes the credentials of a system service (systemd.exec(5), CREDENTIALS_DIRECTORY)."""

RUNTIME = f"/run/{UNIT.stem}"
"""The directory of `RuntimeDirectory=` (systemd.exec(5))."""

MAXIMUM_EXPOSURE = 13
"""Exposure by `systemd-analyze security`, in tenths. Ordinary services have 96."""

SYSTEMD = "apt-get install systemd"


def directives() -> dict[str, list[str]]:
    """Return the values of each key, with continued lines joined."""
    found = defaultdict(list)
    for line in re.sub(r"\\\n", " ", UNIT.read_text()).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def value_of(key: str) -> str:
    """Return the only value of a key."""
    (value,) = directives()[key]
    return value


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on this machine."""
    program = tmp_path / "bin" / "idaas-sidecar"
    program.parent.mkdir()
    program.touch(mode=0o755)
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/idaas-sidecar/", f"{tmp_path}/"))
    return path


def test_verify(unit: Path) -> None:
    """`systemd-analyze verify` reports nothing; an unknown key would be one line with exit code 0."""
    checked = subprocess.run(
        [tool("systemd-analyze", SYSTEMD), "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_exposure(unit: Path) -> None:
    """The exposure that `systemd-analyze security` calculates is low."""
    checked = subprocess.run(
        [tool("systemd-analyze", SYSTEMD), "security", "--offline=true", f"--threshold={MAXIMUM_EXPOSURE}", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
    assert checked.stderr == ""


@pytest.fixture
def config(tmp_path: Path) -> str:
    """The configuration with the files that systemd and the unit make, in a folder of this test."""
    (tmp_path / "client-secret").write_text("made-up\n")
    (tmp_path / "cache-key").write_text("0123456789abcdef" * 4)
    (tmp_path / "path-token").write_text("0f8fad5b-d9cb-469f-a165-70867728950e\n")
    assert value_of("RuntimeDirectory") == UNIT.stem
    return CONFIG.replace(f"{CREDENTIALS}/", f"{tmp_path}/").replace(f"{RUNTIME}/path", f"{tmp_path}/path")


def test_configuration(loaded: Load, config: str) -> None:
    """The configuration beside the unit finds the secrets that systemd passes, and the path token."""
    result = loaded(config)

    assert [each for each in result.warnings if "of an example" not in each] == []
    assert result.settings.server.bind == "127.0.0.1:7117"
    assert result.settings.server.ops == "127.0.0.1:7118"


def test_no_variable(config: str) -> None:
    """A command outside the unit reads the same file: it needs none of the variables that systemd sets."""
    assert "${" not in config


def test_cache_and_admin_socket(loaded: Load, config: str) -> None:
    """The cache and the admin socket are in the runtime directory, which is in memory and survives a restart."""
    settings = loaded(config).settings

    assert settings.server.admin_socket == f"{RUNTIME}/admin.sock"
    assert settings.cache.directory == f"{RUNTIME}/cache"
    assert json.loads(CONFIG)["cache"]["keyFile"] == f"{CREDENTIALS}/cache-key"
    assert value_of("RuntimeDirectoryPreserve") == "yes"
    assert value_of("RuntimeDirectoryMode") == "0700"


def test_timeouts(loaded: Load, config: str) -> None:
    """systemd waits longer than the sidecar waits for files and then for credentials, and longer than it drains."""
    settings = loaded(config).settings

    assert float(value_of("TimeoutStartSec")) > 2 * settings.startup.timeout_seconds
    assert float(value_of("TimeoutStopSec")) > max(settings.shutdown.drain_seconds, 25)


def test_secrets_are_passed_as_credentials() -> None:
    """The credentials' names in the unit are the file names in the configuration, and no variable holds a secret."""
    (profile,) = json.loads(CONFIG)["profiles"].values()
    files = [profile["identity"]["authnConfiguration"]["clientSecretFile"], json.loads(CONFIG)["cache"]["keyFile"]]
    loaded = [line.partition(":") for line in directives()["LoadCredential"]]

    assert files == [f"{CREDENTIALS}/{name}" for name, _, _ in loaded]
    assert all(source == f"/etc/idaas-sidecar/{name}" for name, _, source in loaded)
    assert "Environment" not in directives()


def test_restarts() -> None:
    """The unit restarts after a crash or an outage, but not after exit code 2, which needs a change by a person."""
    assert value_of("Restart") == "on-failure"
    assert value_of("RestartPreventExitStatus") == "2"
    assert value_of("StartLimitIntervalSec") == "0"


def prepare(directory: Path) -> dict[str, str]:
    """Run ExecStartPre as systemd does, with `$$` and quotes removed, and return the variables of client.env."""
    command = value_of("ExecStartPre")
    assert command.startswith("/bin/sh -euc '")
    script = command.removeprefix("/bin/sh -euc '").removesuffix("'").replace("$$", "$")
    subprocess.run(["/bin/sh", "-euc", script], env={"RUNTIME_DIRECTORY": str(directory)}, check=True)
    return dict(line.split("=", 1) for line in (directory / "client.env").read_text().splitlines())


def test_client_environment(tmp_path: Path) -> None:
    """client.env has the URI with the path token and disables what SDKs ask before it."""
    variables = prepare(tmp_path)
    token = (tmp_path / "path-token").read_text().strip()

    assert re.fullmatch(r"[0-9a-f-]{36}", token)
    assert variables == {
        "ALIBABA_CLOUD_CREDENTIALS_URI": f"http://127.0.0.1:7117/{token}/credentials",
        **OTHER_SOURCES_DISABLED,
    }


def test_path_token_survives_a_restart(tmp_path: Path) -> None:
    """A restarted sidecar keeps the path token that running applications use."""
    before = prepare(tmp_path)

    assert prepare(tmp_path) == before
    assert value_of("RuntimeDirectoryPreserve") == "yes"


def test_path_token_is_random(tmp_path: Path) -> None:
    """Two machines have different path tokens."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    assert prepare(tmp_path / "one") != prepare(tmp_path / "two")
