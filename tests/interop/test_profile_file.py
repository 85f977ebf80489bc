"""The `aliyun` format: every SDK's default chain reads the file that `get --format aliyun --out` writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.emulator.world.world import CLIENT_SECRET

from ..e2e.processes import EmulatedCloud, emulator
from .clients import CLIENTS, Client, rows
from .conftest import bare_environment
from .program import Program
from .testbed import configuration

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the profile file of one session."""
    home = tmp_path_factory.mktemp("home")
    with emulator(home=tmp_path_factory.mktemp("emulator")) as cloud:
        written(home, cloud)
        yield home


def written(home: Path, cloud: EmulatedCloud) -> None:
    """Write the profile file of one session below `home`."""
    config, target = home / "config.json", home / ".aliyun" / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    target.parent.mkdir()
    subprocess.run(
        [sys.executable, "-m", "app", "get", "--config", config, "--format", "aliyun", "--out", target],
        env={**bare_environment(home), "IDAAS_SECRET": CLIENT_SECRET},
        check=True,
    )


@pytest.mark.parametrize(
    "client",
    rows(each for each in CLIENTS if each.protocol == "chain"),
)
def test_default_chain_reads_the_file(client: Client, home: Path) -> None:
    """The default chain returns the session of the file, with its token."""
    missing = client.missing
    assert missing is None, f"{client.name}: {missing}"
    (profile,) = json.loads((home / ".aliyun" / "config.json").read_text())["profiles"]
    environment = {**bare_environment(home), **client.kit.environment, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    with Program(client.kit.start(client.program), environment, home / f"{client.name}.stderr") as program:
        found = program.call()

    assert found == {
        "AccessKeyId": profile["access_key_id"],
        "AccessKeySecret": profile["access_key_secret"],
        "SecurityToken": profile["sts_token"],
    }
