"""The examples of README.md for each language: they print the AccessKeyId that a running sidecar serves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ..e2e.processes import demo
from ..e2e.wire import fetch
from .clients import GO, HERE, INSTALLED, JAVA, NODE, PYTHON, Kit, in_ci
from .conftest import bare_environment

EXAMPLES = {
    "python": (PYTHON, [PYTHON.command, str(HERE / "python" / "readme.py")]),
    "go": (GO, [str(INSTALLED / "go" / "readme")]),
    "java": (JAVA, ["java", "-cp", f"{INSTALLED / 'java' / 'classes'}:{INSTALLED / 'java' / 'jars'}/*", "Example"]),
    "node": (NODE, ["node", str(HERE / "node" / "readme.js")]),
}


@pytest.mark.interop
@pytest.mark.parametrize("language", EXAMPLES)
def test_example_prints_the_access_key_id(language: str, tmp_path: Path) -> None:
    """The default credentials of the SDK are those of the sidecar, with nothing but the variables that `env` sets."""
    kit, command = EXAMPLES[language]
    skip_if_missing(kit)
    with demo(home=tmp_path) as sidecar:
        base, _, path = sidecar.credentials_uri.rpartition("/")
        served = json.loads(fetch(base, f"/{path}").body)
        done = subprocess.run(
            command,
            env=bare_environment(tmp_path) | kit.environment | dict(sidecar.env),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert (done.stdout.strip(), done.returncode) == (served["AccessKeyId"], 0), done.stderr


def skip_if_missing(kit: Kit) -> None:
    """Skip the test where the kit is not installed; in CI that is a failure."""
    if kit.missing is not None:
        assert not in_ci(), kit.missing
        pytest.skip(f"skipped: {kit.missing}")
