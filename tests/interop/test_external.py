"""Mode `External` of the SDKs' own profile file: no server; they run `get --format external` themselves.

The newest credentials-java that is to be had, 1.0.3, does not know this mode.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.emulator.world.world import CHAINED_ROLE_ARN, CLIENT_SECRET
from app.upstream import acs3
from app.upstream.acs3 import KeyPair

from ..e2e.processes import EmulatedCloud, emulator
from .clients import GO, NODE, PYTHON, Client, in_ci
from .conftest import bare_environment
from .program import Answer, Program
from .testbed import answer, configuration

CALLS = 5
CLIENTS = (
    Client("python-external", PYTHON, "chain.py", "chain", {}),
    Client("node-external", NODE, "chain.js", "chain", {}),
    Client("go-external", GO, "credentials-chain", "chain", {}),
)
ROWS = [
    pytest.param(
        each,
        id=each.name,
        marks=pytest.mark.skipif(each.lacks is not None and not in_ci(), reason=f"skipped: {each.lacks}"),
    )
    for each in CLIENTS
]
pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def asked(client: Client, cloud: EmulatedCloud, home: Path, profile: str) -> list[Answer]:
    """What the client gives on each of its calls, with a home whose profile file names our command."""
    lacks = client.lacks
    assert lacks is None, f"{client.name}: {lacks}"
    config = home / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    command = f"{sys.executable} -m app get --config {config} --profile {profile} --format external"
    profiles = [{"name": "default", "mode": "External", "process_command": command}]
    (home / ".aliyun").mkdir()
    (home / ".aliyun" / "config.json").write_text(json.dumps({"current": "default", "profiles": profiles}))
    variables = {"IDAAS_SECRET": CLIENT_SECRET, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    environment = {**bare_environment(home), **client.kit.environment, **variables}
    with Program(client.kit.start(client.program), environment, home / "stderr") as program:
        return [program.ask() for _ in range(CALLS)]


def sessions(cloud: EmulatedCloud) -> list[str]:
    """The session names of all that the emulated STS has issued for tokens, in their order."""
    _, text = answer(f"{cloud.url}/_emulator/journal")
    calls: list[dict[str, Any]] = json.loads(text)["calls"]
    return [each["fields"]["RoleSessionName"] for each in calls if each["kind"] == "sts" and each["outcome"] == "ok"]


def assumes(cloud: EmulatedCloud, keys: Answer) -> int:
    """The status of a further AssumeRole that is signed with the three values: the emulated STS verifies it."""
    query = {"RoleArn": CHAINED_ROLE_ARN, "RoleSessionName": "further", "DurationSeconds": "900"}
    headers = acs3.acs3(
        cloud.url.partition("://")[2],
        query,
        action="AssumeRole",
        version="2015-04-01",
        keys=KeyPair(keys["AccessKeyId"], keys["AccessKeySecret"], keys["SecurityToken"]),
        at=time.time(),
        nonce="nonce-1",
    )
    return answer(f"{cloud.url}/?{urlencode(query)}", "POST", headers=headers)[0]


@pytest.mark.parametrize("client", ROWS)
def test_the_sdk_runs_get(client: Client, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Five calls cost one session, of the profile that the command names; STS accepts what was signed with it.

    The trap: the SDK writes it, secret and all, into its profile file.
    """
    before = len(sessions(cloud))
    answers = asked(client, cloud, tmp_path, "p2")
    issued = sessions(cloud)[before:]

    assert answers == answers[:1] * CALLS
    assert issued == ["p2"]
    assert assumes(cloud, answers[0]) == 200
    assert answers[0]["AccessKeySecret"] in (tmp_path / ".aliyun" / "config.json").read_text()


def test_sts_can_say_no(cloud: EmulatedCloud) -> None:
    """What the test above goes by: keys that nobody issued are refused."""
    keys = {"AccessKeyId": "STS.nobody", "AccessKeySecret": "wrong", "SecurityToken": "wrong"}

    assert assumes(cloud, keys) >= 400
