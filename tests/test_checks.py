"""Each check covers every package: a violation that is planted in any package is reported."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the program and of the files that the checks read."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("app", "docs", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def output_of_failing_check(project: Path, *command: str) -> str:
    """Run a check that must fail, and return its output."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": str(project)}
    program = PYTHON / command[0]
    result = subprocess.run(
        (program, *command[1:]), cwd=project, env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode != 0, result.stdout + result.stderr
    return result.stdout + result.stderr


UNUSED_FUNCTION = "def planted_function():\n    return 1\n"
UNDECLARED_DEPENDENCY = "import jsonschema\n"
SHELL_CALL = "import subprocess\n\nsubprocess.call('ls', shell=True)\n"
UPWARD_IMPORT = "from {dots}service import Service\n"
UNUSED_IMPORT = "import os\n"

VULTURE = ("vulture",)
DEPTRY = ("deptry", "app")
BANDIT = ("bandit", "--quiet", "--recursive", "--configfile", "pyproject.toml", "app")
IMPORTS = ("lint-imports", "--no-cache")
RUFF = ("ruff", "check", "--no-cache", ".")


@pytest.mark.parametrize("folder", ["core", "identity/methods", "serve/handlers"])
@pytest.mark.parametrize(
    ("command", "text"),
    [
        (VULTURE, UNUSED_FUNCTION),
        (DEPTRY, UNDECLARED_DEPENDENCY),
        (BANDIT, SHELL_CALL),
        (IMPORTS, UPWARD_IMPORT),
        (RUFF, UNUSED_IMPORT),
    ],
    ids=["vulture", "deptry", "bandit", "lint-imports", "ruff"],
)
def test_planted_violation_is_reported_by_each_tool(
    project: Path, command: tuple[str, ...], text: str, folder: str
) -> None:
    """Each tool reports the planted module, in a package and in a subpackage."""
    depth = folder.count("/") + 2
    (project / "app" / folder / "planted.py").write_text(text.format(dots="." * depth))

    assert "planted" in output_of_failing_check(project, *command)


EXCLUDED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["vulture"]["exclude"]
"""Files that vulture leaves out: their fields have no use that it can see."""


def test_unused_functions_are_reported_in_every_file(project: Path) -> None:
    """A function that nothing uses is reported in each file that vulture does not leave out."""
    planted = [
        path for path in sorted((project / "app").rglob("*.py")) if str(path.relative_to(project)) not in EXCLUDED
    ]
    for path in planted:
        path.write_text(f"{path.read_text()}\n\n{UNUSED_FUNCTION}")

    output = output_of_failing_check(project, *VULTURE)
    reported = {line.partition(":")[0] for line in output.splitlines() if "'planted_function'" in line}
    assert [str(path.relative_to(project)) for path in planted if str(path.relative_to(project)) not in reported] == []


def unused_definitions(text: str, program: str) -> list[str]:
    """Return the classes and functions of a file whose names occur once in the program, special names aside."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return [name for name in names if not name.startswith("__") and len(re.findall(rf"\b{name}\b", program)) < 2]


@pytest.mark.parametrize("name", EXCLUDED)
def test_files_without_vulture_have_nothing_unused(name: str) -> None:
    """Every class and function of a file that vulture leaves out is used, and a planted function is reported."""
    program = "\n".join(path.read_text() for path in sorted((ROOT / "app").rglob("*.py")))
    text = (ROOT / name).read_text()

    assert unused_definitions(text, program) == []
    assert unused_definitions(text + UNUSED_FUNCTION, program + UNUSED_FUNCTION) == ["planted_function"]


@pytest.mark.parametrize(
    ("test", "text"),
    [
        ("test_repr.py", "from dataclasses import dataclass\n\n\n@dataclass\nclass Planted:\n    secret: str\n"),
        ("test_architecture.py", "def f(given, secret):\n    return given == secret\n"),
    ],
    ids=["repr", "comparison"],
)
@pytest.mark.parametrize("folder", ["core", "identity/methods", "serve/handlers"])
def test_planted_violation_is_reported_by_our_tests(project: Path, test: str, text: str, folder: str) -> None:
    """A repr with a secret and a secret that is compared with `==` fail a test in any package."""
    (project / "app" / folder / "planted.py").write_text(text)

    output = output_of_failing_check(project, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{test}")
    assert "planted" in output.lower()
