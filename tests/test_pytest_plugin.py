"""The pytest plugin `idaas_sidecar.testing`, in a project of its own, under the name of the installed package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .e2e.processes import DEADLINE, ROOT, environment

CONFTEST = 'pytest_plugins = ["idaas_sidecar.testing"]\n'


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run pytest in a project with these files. The package is found as `idaas_sidecar`, as a wheel installs it."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "idaas_sidecar").symlink_to(ROOT / "app")

    def run(**files: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "project"
        folder.mkdir()
        for name, text in {"conftest": CONFTEST, **files}.items():
            (folder / f"{name}.py").write_text(text)
        env = environment(tmp_path, PYTHONPATH=str(packages), ALIBABA_CLOUD_ACCESS_KEY_ID="a-developers-own")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=2 * DEADLINE)

    return run


TESTS = """
import json, os, urllib.request
from urllib.error import HTTPError
import pytest
from idaas_sidecar.testing import Options, running

@pytest.fixture(scope="session")
def sidecar_options():
    return Options(profiles=2, lifetime=1200, seed=3)

def test_environment(sidecar_env):
    assert os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"] == sidecar_env.credentials_uri
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" not in os.environ
    with urllib.request.urlopen(sidecar_env.credentials_uri) as response:
        assert json.load(response) == sidecar_env.credentials()

def test_variables_are_restored(sidecar):
    assert os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] == "a-developers-own"
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" not in sidecar.client_environment(os.environ)

def test_profiles(sidecar):
    assert sidecar.credentials("p2")["AccessKeyId"] != sidecar.credentials()["AccessKeyId"]

def test_faults(sidecar_env):
    sidecar_env.inject("sts-throttled", times=None)
    sidecar_env.inject(kind="token", status=503)
    with pytest.raises(HTTPError, match="HTTP Error 400.*unknown fault 'no-such-fault'; known: slow, ") as refused:
        sidecar_env.inject("no-such-fault")
    assert "error" in json.load(refused.value)
    with pytest.raises(HTTPError, match="nothing is served at this path"):
        sidecar_env.credentials("no-such-profile")
    with urllib.request.urlopen(f"{sidecar_env.emulator_url}/_emulator/faults") as response:
        assert [(each["kind"], each["times"]) for each in json.load(response)] == [("sts", None), ("token", 1)]

def test_faults_are_removed(sidecar):
    with urllib.request.urlopen(f"{sidecar.emulator_url}/_emulator/faults") as response:
        assert json.load(response) == []
    assert {"token", "sts"} <= {call["kind"] for call in sidecar.calls()}

def test_a_seed_repeats_the_credentials(sidecar):
    first = Options(profiles=1, seed=3)
    with running(first) as one, running(first) as two, running(Options(seed=None)) as other:
        keys = [each.credentials()["AccessKeyId"] for each in (one, two, other)]
    assert keys[0] == keys[1] != keys[2]
"""


def test_the_fixtures_serve_a_project(project):
    """The fixtures start the sidecar, set and restore variables, inject faults by name, and repeat by seed."""
    done = project(test_it=TESTS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_variables_before_collection(project, tmp_path):
    """With the ini option, the variables are set when test modules are imported, and the fixture is that sidecar."""
    tests = (
        "import os\nURI = os.environ['ALIBABA_CLOUD_CREDENTIALS_URI']\n"
        "def test_it(sidecar_env):\n    assert sidecar_env.credentials_uri == URI\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nsidecar_at_start = true\n")
    done = project(test_it=tests)

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_sidecar_that_does_not_start_is_explained(project):
    """If the sidecar cannot start, the error has the output of its process."""
    tests = "def test_it(sidecar):\n    pass\n"
    conftest = CONFTEST + (
        "import pytest\nfrom idaas_sidecar.testing import Options\n"
        "@pytest.fixture(scope='session')\ndef sidecar_options():\n    return Options(profiles=0)\n"
    )
    done = project(conftest=conftest, test_it=tests)

    assert done.returncode == 1
    assert "argument --profiles: '0' is not a whole number from 1 to 1000" in done.stdout
    assert "the sidecar did not start:" in done.stdout


def test_the_plugin_is_loaded_by_name_alone(project):
    """A project that does not name the plugin has none of its fixtures."""
    done = project(conftest="", test_it="def test_it(sidecar):\n    pass\n")

    assert "fixture 'sidecar' not found" in done.stdout
