"""Mode `External` of the SDKs' profile file: without a server, the SDK runs `get --format external` itself.

The newest available credentials-java, 1.0.3, does not support this mode.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from app.emulator.world.world import CHAINED_ROLE_ARN, CLIENT_SECRET
from app.upstream import acs3
from app.upstream.acs3 import KeyPair

from ..e2e.processes import EmulatedCloud
from .clients import GO, NODE, PYTHON, Client, rows
from .conftest import bare_environment
from .program import Program, Result
from .testbed import configuration, http_request

CALLS = 5
CLIENTS = (
    Client("python-external", PYTHON, "chain.py", "chain", {}),
    Client("node-external", NODE, "chain.js", "chain", {}),
    Client("go-external", GO, "credentials-chain", "chain", {}),
)
ROWS = rows(CLIENTS)
pytestmark = pytest.mark.interop


def call(client: Client, cloud: EmulatedCloud, home: Path, profile: str) -> list[Result]:
    """Return the results of the client's calls, in a home whose profile file names the command."""
    missing = client.missing
    assert missing is None, f"{client.name}: {missing}"
    config = home / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    command = f"{sys.executable} -m app get --config {config} --profile {profile} --format external"
    profiles = [{"name": "default", "mode": "External", "process_command": command}]
    (home / ".aliyun").mkdir()
    (home / ".aliyun" / "config.json").write_text(json.dumps({"current": "default", "profiles": profiles}))
    variables = {"IDAAS_SECRET": CLIENT_SECRET, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    environment = {**bare_environment(home), **client.kit.environment, **variables}
    with Program(client.kit.start(client.program), environment, home / "stderr") as program:
        return [program.call() for _ in range(CALLS)]


def sessions(cloud: EmulatedCloud) -> list[str]:
    """Return the session names of all sessions that the emulated STS has issued for tokens, in their order."""
    _, text = http_request(f"{cloud.url}/_emulator/journal")
    calls: list[dict[str, Any]] = json.loads(text)["calls"]
    return [each["fields"]["RoleSessionName"] for each in calls if each["kind"] == "sts" and each["outcome"] == "ok"]


def assume_role(cloud: EmulatedCloud, keys: Result) -> int:
    """Return the status of a further AssumeRole that is signed with the three values. The emulated STS verifies it."""
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
    return http_request(f"{cloud.url}/?{urlencode(query)}", "POST", headers=headers)[0]


@pytest.mark.parametrize("client", ROWS)
def test_sdk_runs_get(client: Client, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    Five calls use one session of the named profile, and STS accepts a request signed with it.

    Note: the SDK writes the session, with its secret, to its profile file.
    """
    before = len(sessions(cloud))
    results = call(client, cloud, tmp_path, "p2")
    issued = sessions(cloud)[before:]

    assert results == results[:1] * CALLS
    assert issued == ["p2"]
    assert assume_role(cloud, results[0]) == 200
    assert results[0]["AccessKeySecret"] in (tmp_path / ".aliyun" / "config.json").read_text()


def test_sts_refuses_unknown_keys(cloud: EmulatedCloud) -> None:
    """STS refuses keys that it has not issued; this is the control of the test above."""
    keys = {"AccessKeyId": "STS.nobody", "AccessKeySecret": "wrong", "SecurityToken": "wrong"}

    assert assume_role(cloud, keys) >= 400
