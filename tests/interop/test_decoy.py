"""A developer's own AccessKey, in every place where an SDK looks for one, never signs under `exec` or `env`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.emulator.world.world import CLIENT_SECRET

from ..e2e.processes import EmulatedCloud
from .clients import CLIENTS, JAVA, Client, rows
from .conftest import bare_environment
from .program import Program, Result
from .testbed import configuration

DECOY = "LTAI0000000000000000decoy"
CHAINS = rows(each for each in CLIENTS if each.protocol == "chain")
JAVA_CHAINS = rows(each for each in CLIENTS if each.protocol == "chain" and each.kit is JAVA)
JAVA_KEYS = {"JAVA_TOOL_OPTIONS": f"-Dalibabacloud.accessKeyId={DECOY} -Dalibabacloud.accessKeySecret=decoy"}
"""A decoy key in properties of Java."""

pytestmark = pytest.mark.interop


def plant_profile(home: Path) -> Mapping[str, str]:
    """Put a decoy key into the profile file of aliyun-cli."""
    (home / ".aliyun").mkdir()
    profile = {"name": "default", "mode": "AK", "access_key_id": DECOY, "access_key_secret": "decoy", "region_id": "x"}
    (home / ".aliyun" / "config.json").write_text(json.dumps({"current": "default", "profiles": [profile]}))
    return {}


def plant_credentials_file(home: Path) -> Mapping[str, str]:
    """Put a decoy key into the credentials file of the SDKs, which has two names."""
    (home / ".alibabacloud").mkdir()
    for name in ("credentials", "credentials.ini"):
        (home / ".alibabacloud" / name).write_text(
            f"[default]\nenable = true\ntype = access_key\naccess_key_id = {DECOY}\naccess_key_secret = decoy\n"
        )
    return {}


def plant_variables(home: Path) -> Mapping[str, str]:
    """Return variables with a decoy key."""
    return {"ALIBABA_CLOUD_ACCESS_KEY_ID": DECOY, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "decoy"}


PLANTED = (plant_profile, plant_credentials_file, plant_variables)


def plant_all(home: Path) -> Mapping[str, str]:
    """Plant a decoy in every place, and return the variables of the last one."""
    return [plant(home) for plant in PLANTED][-1]


def result_of(client: Client, command: list[str], home: Path, variables: Mapping[str, str]) -> Result:
    """Return the result of one call of the client, started by `command`."""
    missing = client.missing
    assert missing is None, f"{client.name}: {missing}"
    environment = {**bare_environment(home), **client.kit.environment, **variables}
    with Program([*command, *client.kit.start(client.program)], environment, home / "stderr") as program:
        return program.call()


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("client", CHAINS)
def test_each_decoy_signs_without_the_sidecar(
    client: Client, plant: Callable[[Path], Mapping[str, str]], tmp_path: Path
) -> None:
    """Each client finds a key in each place by itself, so that the tests below can fail."""
    assert result_of(client, [], tmp_path, plant(tmp_path))["AccessKeyId"] == DECOY


@pytest.mark.parametrize("client", CHAINS)
def test_exec(client: Client, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Under `exec` the default chain of each SDK gets the role's session, whatever keys the developer has."""
    decoys = plant_all(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    command = [sys.executable, "-m", "app", "exec", "--config", str(config), "--"]

    found = result_of(client, command, tmp_path, {**decoys, "IDAAS_SECRET": CLIENT_SECRET})

    assert found["AccessKeyId"].startswith("STS."), found


@pytest.mark.parametrize("client", JAVA_CHAINS)
def test_exec_without_java_properties(client: Client, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A key in properties of Java, which a variable sets, signs without the sidecar, and does not under `exec`."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    command = [sys.executable, "-m", "app", "exec", "--config", str(config), "--"]

    alone = result_of(client, [], tmp_path, JAVA_KEYS)
    found = result_of(client, command, tmp_path, {**JAVA_KEYS, "IDAAS_SECRET": CLIENT_SECRET})

    assert alone["AccessKeyId"] == DECOY
    assert found["AccessKeyId"].startswith("STS."), found


@pytest.mark.parametrize("client", CHAINS)
def test_env(client: Client, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """In a shell with the lines of `env` no SDK signs with a key of the developer. No sidecar runs: none signs."""
    decoys = plant_all(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    printed = subprocess.run(
        [sys.executable, "-m", "app", "env", "--config", str(config)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    shell = ["sh", "-c", f'{printed.stdout}exec "$0" "$@"']

    assert DECOY not in json.dumps(result_of(client, shell, tmp_path, decoys))
