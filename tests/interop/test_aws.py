"""The SDK of AWS for Python reads a session from `/aws/{profile}` and from `get --format aws`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.emulator.world.world import CLIENT_SECRET

from ..e2e.processes import EmulatedCloud, RunningSidecar, serve
from ..e2e.wire import fetch
from .clients import PYTHON, in_ci
from .conftest import bare_environment
from .program import Program, Result
from .testbed import configuration

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(PYTHON.missing is not None and not in_ci(), reason=f"skipped: {PYTHON.missing}"),
]
ENV = {"IDAAS_SECRET": CLIENT_SECRET}


@pytest.fixture(scope="module")
def sidecar(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """A sidecar with credentials."""
    with serve(configuration(cloud, {}), home=tmp_path_factory.mktemp("sidecar"), env=ENV) as running:
        running.process.event("credentials_issued")
        yield running


def botocore(home: Path, variables: Mapping[str, str]) -> Result:
    """Return the result of one call of botocore's default chain."""
    with Program(PYTHON.start("botocore_aws.py"), {**bare_environment(home), **variables}, home / "stderr") as program:
        return program.call()


def test_container_provider(sidecar: RunningSidecar, tmp_path: Path) -> None:
    """The container provider, which accepts loopback addresses, gets the session that the URI returns."""
    served = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)

    found = botocore(tmp_path, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{sidecar.urls['credentials']}/aws/default"})

    assert found == {name: served[name] for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")}


def test_credential_process(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A `credential_process` that runs `get --format aws` returns a session."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(configuration(cloud, {})))
    script = tmp_path / "credentials.sh"
    command = f"{sys.executable} -m app get --config {config} --format aws"
    script.write_text(f"#!/bin/sh\nIDAAS_SECRET={CLIENT_SECRET} exec {command}\n")
    script.chmod(0o700)
    (tmp_path / "aws").write_text(f"[default]\ncredential_process = {script}\n")

    found = botocore(tmp_path, {"AWS_CONFIG_FILE": str(tmp_path / "aws")})

    assert found["AccessKeyId"].startswith("STS."), found
    assert found["SecurityToken"]
