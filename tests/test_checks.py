"""The checks see every file: a violation planted in any package is reported by each of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the program and of what the checks read."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("app", "docs", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def complaint(copy: Path, *command: str) -> str:
    """Run a check that must fail, and return what it says."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(copy), "PYTHONPATH": str(copy)}
    program = PYTHON / command[0]
    done = subprocess.run(
        (program, *command[1:]), cwd=copy, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0, done.stdout + done.stderr
    return done.stdout + done.stderr


UNUSED = "def planted_function():\n    return 1\n"
UNKNOWN = "import yaml\n"
SHELL = "import subprocess\n\nsubprocess.call('ls', shell=True)\n"
UPWARD = "from {dots}service import Service\n"
COMMENT = "import os\n"

VULTURE = ("vulture",)
DEPTRY = ("deptry", "app")
BANDIT = ("bandit", "--quiet", "--recursive", "--configfile", "pyproject.toml", "app")
IMPORTS = ("lint-imports", "--no-cache")
RUFF = ("ruff", "check", "--no-cache", ".")


@pytest.mark.parametrize("folder", ["core", "identity/methods", "serve/handlers"])
@pytest.mark.parametrize(
    ("command", "text"),
    [(VULTURE, UNUSED), (DEPTRY, UNKNOWN), (BANDIT, SHELL), (IMPORTS, UPWARD), (RUFF, COMMENT)],
    ids=["vulture", "deptry", "bandit", "lint-imports", "ruff"],
)
def test_a_planted_violation_is_reported(copy: Path, command: tuple[str, ...], text: str, folder: str) -> None:
    """Each tool names the planted module, in a package and in a package within it."""
    depth = folder.count("/") + 2
    (copy / "app" / folder / "planted.py").write_text(text.format(dots="." * depth))

    assert "planted" in complaint(copy, *command)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        ("test_repr.py", "from dataclasses import dataclass\n\n\n@dataclass\nclass Planted:\n    secret: str\n"),
        ("test_architecture.py", "def f(given, secret):\n    return given == secret\n"),
    ],
    ids=["repr", "comparison"],
)
@pytest.mark.parametrize("folder", ["core", "identity/methods", "serve/handlers"])
def test_our_own_checks_see_it_too(copy: Path, test: str, text: str, folder: str) -> None:
    """A type that prints its secret, and a secret that is compared with `==`, fail a test wherever they stand."""
    (copy / "app" / folder / "planted.py").write_text(text)

    said = complaint(copy, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{test}")
    assert "planted" in said.lower()
