"""The house's rules that a program can check: who is loaded when, and that secrets are compared in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    """The modules in a fresh interpreter after `statement`."""
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "absent",
    [
        "app.cli",
        "app.conformance",
        "app.emulator",
        "app.cloud",
        "app.api",
        "app.metrics",
        "fastapi",
        "pydantic",
        "httpx",
        "jwt",
        "cryptography",
    ],
)
def test_serve_loads_only_what_it_needs_to_listen(absent: str) -> None:
    """`app.main` listens without the command line, the emulator, and every library that can wait or is never needed."""
    assert absent not in loaded_by("import app.main")


def test_a_client_secret_needs_no_cryptography() -> None:
    """The outbound half of a profile with a plain secret loads neither PyJWT nor cryptography: 8 MiB."""
    loaded = loaded_by("import app.cloud")

    assert "httpx" in loaded
    assert not {"jwt", "cryptography", "fastapi", "pydantic", "prometheus_client"} & loaded


@pytest.mark.parametrize("heavy", ["msgspec", "httpx", "asyncio", "ssl", "logging", "uvicorn"])
def test_health_is_light(heavy: str) -> None:
    """The probe command imports nothing that takes long."""
    assert heavy not in loaded_by("import app.cli.health_, app.cli")


def test_emulator_stands_alone() -> None:
    """The emulated cloud loads nothing else of ours: a mistake is not copied into its own check."""
    ours = {name for name in loaded_by("import app.emulator") if name.startswith("app.")}

    assert {name for name in ours if not name.startswith("app.emulator")} == set()


def test_conformance_stands_alone() -> None:
    """What checks servers loads nothing of the one that serves."""
    ours = {name for name in loaded_by("import app.conformance.report") if name.startswith("app.")}

    assert {name for name in ours if not name.startswith("app.conformance")} == set()


def test_secrets_are_compared_in_one_place() -> None:
    """`compare_digest` stands in app/secrets.py and in the emulator's own client authentication, nowhere else."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"compare_digest", path.read_text())
    }

    assert {user for user in users if not user.startswith("app/emulator/")} == {"app/secrets.py"}


_SECRET = re.compile(r"secret|token|password|hmac|digest|signature", re.I)
_PUBLIC = {"TOKEN_PATH"}
"""Sounds like a secret, and is a path that everybody knows."""


def compared(path: Path) -> Iterator[str]:
    """Names of what sounds like a secret and is compared with `==`, `!=` or `in`, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Compare) or not {type(op) for op in node.ops} & {
            ast.Eq,
            ast.NotEq,
            ast.In,
            ast.NotIn,
        }:
            continue
        if any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators)):
            continue  # with a word that stands in the source
        for side in (node.left, *node.comparators):
            name = side.id if isinstance(side, ast.Name) else side.attr if isinstance(side, ast.Attribute) else ""
            if _SECRET.search(name) and name not in _PUBLIC:
                yield f"{path.name}:{node.lineno}: {name}"


def test_no_secret_is_compared_plainly() -> None:
    """`==` tells by its time where two secrets differ: whatever sounds like one goes through `secrets.same`."""
    serving = [path for path in (ROOT / "app").rglob("*.py") if "emulator" not in path.parts]

    assert [line for path in serving for line in compared(path)] == []


def test_a_plain_comparison_would_be_seen(tmp_path: Path) -> None:
    """The rule above sees what it is there for."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f(given, self):\n    return given == self._path_token or self.secret in given\n")

    assert list(compared(bad)) == ["bad.py:2: _path_token", "bad.py:2: secret"]


def test_no_file_names_a_package_index() -> None:
    """Requirement files carry names, versions and hashes, and no address."""
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
