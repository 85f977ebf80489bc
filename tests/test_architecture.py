"""The house's rules that a program can check: who is loaded when, and that secrets are compared in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
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
        "app.refresh.pipeline",
        "app.serve.application",
        "app.serve.metrics",
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


def modules(root: Path) -> dict[str, Path]:
    """Dotted names of the package at `root` and of everything below it, with their files."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules among `known` that a file imports, at any depth: also in functions and for types alone."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            for alias in node.names:
                full = f"{module}.{alias.name}"
                yield from (full,) if full in known else (module,) if module in known else ()
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def cycles(root: Path) -> list[list[str]]:
    """
    The import cycles among the children of each package below `root`.

    A child is a module or a subpackage with everything in it: a module beside a subpackage must not be imported by it
    if it imports from it. A package's own `__init__` is a child of its own.
    """
    known = modules(root)
    edges: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        for other in imported(name, path, known):
            one, two = name.split("."), other.split(".")
            shared = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
            if shared is not None:
                edges[".".join(one[: shared + 1])].add(".".join(two[: shared + 1]))
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> None:
        if node in trail:
            found.append(trail[trail.index(node) :])
        elif node not in done:
            for target in sorted(edges[node]):
                visit(target, [*trail, node])
            done.add(node)

    for node in sorted(edges):
        visit(node, [])
    return found


def test_packages_have_no_import_cycle() -> None:
    """Neither two packages nor two modules of one folder import each other, directly or through others."""
    assert cycles(ROOT / "app") == []


def test_a_cycle_would_be_seen(tmp_path: Path) -> None:
    """The check above sees a cycle between packages, and one that stands in a function."""
    for name, text in {
        "prog/__init__.py": "",
        "prog/one/__init__.py": "",
        "prog/one/a.py": "from ..two import b",
        "prog/two/__init__.py": "",
        "prog/two/b.py": "",
        "prog/two/c.py": "def f():\n    from ..one import a",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert cycles(tmp_path / "prog") == [["prog.one", "prog.two"]]


def test_every_package_is_in_the_wheel() -> None:
    """`pyproject.toml` names each package folder: one that it does not name is missing from the installed program."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {name for name, path in modules(ROOT / "app").items() if path.name == "__init__.py"}

    assert {name.replace("idaas_sidecar", "app", 1) for name in listed} == found


def test_every_package_says_what_lives_there() -> None:
    """Each folder's `__init__` has a docstring."""
    packages = [path for path in modules(ROOT / "app").values() if path.name == "__init__.py"]

    assert [str(path) for path in packages if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_a_client_secret_needs_no_cryptography() -> None:
    """The outbound half of a profile with a plain secret loads neither PyJWT nor cryptography: 8 MiB."""
    loaded = loaded_by("import app.refresh.pipeline")

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
    """`compare_digest` stands in app/system/secrets.py and in the emulator, nowhere else."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"compare_digest", path.read_text())
    }

    assert {user for user in users if not user.startswith("app/emulator/")} == {"app/system/secrets.py"}


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
