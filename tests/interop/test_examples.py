"""The projects in examples/: their own tests pass, with the official SDKs against the emulated cloud."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ..e2e.processes import ROOT, demo
from .clients import GO, PYTHON
from .conftest import bare_environment
from .test_readme import skip_if_missing

EXAMPLES = ROOT / "examples"
GO_PLACES = ("/usr/local/go/bin", str(ROOT / ".interop/go-toolchain/bin"))
SECONDS = 300


@pytest.mark.interop
def test_python_example(tmp_path: Path) -> None:
    """The tests of examples/python pass with the plugin `idaas_sidecar.testing`."""
    skip_if_missing(PYTHON)
    (tmp_path / "idaas_sidecar").symlink_to(ROOT / "app")
    # The SDK is in the interpreter's own packages, pytest and the sidecar's dependencies in those of this one.
    paths = os.pathsep.join((str(tmp_path), sysconfig.get_path("purelib")))
    done = subprocess.run(
        [PYTHON.command, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "python")],
        cwd=EXAMPLES / "python",
        env=bare_environment(tmp_path) | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (done.returncode, "4 passed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.interop
def test_go_example(tmp_path: Path) -> None:
    """The tests of examples/go pass with `idaas-sidecar demo`."""
    skip_if_missing(GO)
    environ = {
        **os.environ,
        **bare_environment(tmp_path),
        "HOME": os.environ.get("HOME", "/"),
        "PATH": os.pathsep.join((os.environ["PATH"], *GO_PLACES)),
        "GOFLAGS": "-mod=readonly",
        "GOPROXY": "off",
        "IDAAS_SIDECAR": f"{sys.executable} -m app",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["go", "test", "-count=1", "./..."],
        cwd=EXAMPLES / "go", env=environ, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.interop
def test_signed_call_of_the_demo(tmp_path: Path) -> None:
    """The last command of "Try the demo" (docs/emulator.md) prints the role's ARN, with the variables of `make run`."""
    skip_if_missing(PYTHON)
    page = (ROOT / "docs" / "emulator.md").read_text()
    command = page.split("<!-- signed call -->")[1].split("```")[1].strip().splitlines()[-1]
    with demo(home=tmp_path) as sidecar:
        command = command.replace("http://127.0.0.1:7119", sidecar.emulator_url)
        command = command.replace(".venv/try/bin/python", PYTHON.command)
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=bare_environment(tmp_path) | dict(sidecar.env),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    assert (done.returncode, done.stdout.startswith("acs:ram::")) == (0, True), done.stdout + done.stderr
    assert sidecar.emulator_url in command
