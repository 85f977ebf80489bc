"""Architecture rules that a program can check: what each entry point imports, and where secrets are compared."""

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

from app.core import errors

ROOT = Path(__file__).parents[1]


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "absent",
    [
        "app.cli",
        "app.conformance",
        "app.emulator",
        "app.migrate",
        "app.observe.exposition",
        "app.observe.traces",
        "app.refresh.pipeline",
        "app.setup",
        "app.serve.application",
        "app.serve.metrics",
        "fastapi",
        "pydantic",
        "httpx",
        "jwt",
        "cryptography",
        "opentelemetry",
    ],
)
def test_serve_loads_only_what_it_needs_to_listen(absent: str) -> None:
    """`app.main` loads neither the command line, nor the emulator, nor a library that is imported later or never."""
    assert absent not in loaded_by("import app.main")


def test_search_for_secrets_in_an_answer_loads_no_html() -> None:
    """Each refresh searches its answer for secrets. The table of HTML's names must not stay in the process for that."""
    loaded = loaded_by("from app.upstream.redaction import repeats; repeats('an id', ['a secret'])")

    assert "app.upstream.redaction" in loaded
    assert "html" not in loaded


def modules(root: Path) -> dict[str, Path]:
    """Return the dotted names of the package at `root` and of everything below it, with their files."""
    files = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imported_modules(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules among `known` that a file imports, also in functions and for types alone."""
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


def import_cycles(root: Path) -> list[list[str]]:
    """
    Return the import cycles among the children of each package below `root`.

    A child is a module, or a subpackage with everything in it. So a module must not import from a subpackage beside it
    that imports the module. A package's own `__init__` is also a child.
    """
    known = modules(root)
    edges: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        for imported in imported_modules(name, path, known):
            importer, target = name.split("."), imported.split(".")
            difference = next((i for i, (a, b) in enumerate(zip(importer, target, strict=False)) if a != b), None)
            if difference is not None:
                edges[".".join(importer[: difference + 1])].add(".".join(target[: difference + 1]))
    cycles: list[list[str]] = []
    visited: set[str] = set()

    def visit(node: str, trail: list[str]) -> None:
        if node in trail:
            cycles.append(trail[trail.index(node) :])
        elif node not in visited:
            for target in sorted(edges[node]):
                visit(target, [*trail, node])
            visited.add(node)

    for node in sorted(edges):
        visit(node, [])
    return cycles


def test_packages_have_no_import_cycle() -> None:
    """No two packages, and no two modules of one folder, import each other directly or through others."""
    assert import_cycles(ROOT / "app") == []


def test_import_cycles_are_found(tmp_path: Path) -> None:
    """The cycle check finds a cycle between packages, even if one import is inside a function."""
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

    assert import_cycles(tmp_path / "prog") == [["prog.one", "prog.two"]]


def test_every_package_is_in_the_wheel() -> None:
    """`pyproject.toml` names each package; a package that it does not name is missing from the wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    packages = {name for name, path in modules(ROOT / "app").items() if path.name == "__init__.py"}

    assert {name.replace("idaas_sidecar", "app", 1) for name in listed} == packages


def test_every_package_has_a_docstring() -> None:
    """The `__init__` module of each package has a docstring."""
    packages = [path for path in modules(ROOT / "app").values() if path.name == "__init__.py"]

    assert [str(path) for path in packages if not ast.get_docstring(ast.parse(path.read_text()))] == []


NOT_OF_A_PACKAGE = {"cluster", "deploy", "e2e", "fuzz", "interop", "journeys"}
"""Folders of tests that use the whole program, or what is installed with it."""


def unmirrored(package: Path, tests: Path) -> set[str]:
    """
    Return the folders of a package without a folder of tests, and those of its tests without a part of the package.

    Such a part is a folder, or a module whose tests need several files. Subfolders are compared where the tests of a
    folder have any.
    """
    ours = _folders(package)
    theirs = _folders(tests) - {path.stem for path in package.glob("*.py")}
    found = {
        f"{side.name}/{name}" for side, names in ((package, ours - theirs), (tests, theirs - ours)) for name in names
    }
    for name in ours & theirs:
        if _folders(tests / name):
            found |= {f"{tests.name}/{each}" for each in unmirrored(package / name, tests / name)}
    return found


def _folders(root: Path) -> set[str]:
    ignored = NOT_OF_A_PACKAGE | {"__pycache__"}
    return {path.name for path in root.iterdir() if path.is_dir() and path.name not in ignored}


def test_every_package_has_its_folder_of_tests() -> None:
    """The folders of `tests` have the names of the packages, but for those that test the whole program."""
    assert unmirrored(ROOT / "app", ROOT / "tests") == set()
    assert {name for name in NOT_OF_A_PACKAGE if not (ROOT / "tests" / name).is_dir()} == set()


def test_unmirrored_folders_are_found(tmp_path: Path) -> None:
    """A package without tests, and a folder of tests without a package, are reported, also in a subfolder."""
    for name in (
        "app/a/one",
        "app/a/two",
        "app/b/three",
        "app/c",
        "tests/a/one",
        "tests/b",
        "tests/planted",
        "tests/d",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "app" / "d.py").touch()

    assert unmirrored(tmp_path / "app", tmp_path / "tests") == {"app/c", "tests/planted", "tests/a/two"}


def test_client_secret_loads_no_cryptography() -> None:
    """The pipeline of a profile with a client secret loads neither PyJWT nor cryptography, which saves 8 MiB."""
    loaded = loaded_by("import app.refresh.pipeline")

    assert "httpx" in loaded
    assert not {"jwt", "cryptography", "fastapi", "pydantic", "prometheus_client"} & loaded


@pytest.mark.parametrize("heavy", ["msgspec", "httpx", "asyncio", "ssl", "logging", "uvicorn"])
def test_health_loads_no_slow_module(heavy: str) -> None:
    """The health command imports no module that is slow to load."""
    assert heavy not in loaded_by("import app.cli.commands.health, app.cli")


@pytest.mark.parametrize("heavy", ["msgspec", "httpx", "asyncio", "ssl", "logging"])
@pytest.mark.parametrize("command", ["refresh", "purge", "log_level", "status"])
def test_commands_of_the_admin_socket_load_little(command: str, heavy: str) -> None:
    """A command that only asks the running sidecar counts towards the memory limit of its container."""
    assert heavy not in loaded_by(f"import app.cli.commands.{command}, app.cli")


def test_emulator_imports_nothing_of_the_sidecar() -> None:
    """The emulator loads no other code of ours, so it does not repeat a mistake of the code that it verifies."""
    own_modules = {name for name in loaded_by("import app.emulator") if name.startswith("app.")}

    assert {name for name in own_modules if not name.startswith("app.emulator")} == set()


def test_conformance_imports_nothing_of_the_sidecar() -> None:
    """The conformance checker loads no code of the sidecar that it checks."""
    own_modules = {name for name in loaded_by("import app.conformance.report") if name.startswith("app.")}

    assert {name for name in own_modules if not name.startswith("app.conformance")} == set()


def test_secrets_are_compared_in_one_place() -> None:
    """`compare_digest` is used only in app/system/secrets.py and in the emulator."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        if re.search(r"compare_digest", path.read_text())
    }

    assert {user for user in users if not user.startswith("app/emulator/")} == {"app/system/secrets.py"}


_SECRET = re.compile(r"secret|token|password|hmac|digest|signature", re.I)
_PUBLIC = {"TOKEN_PATH"}
"""Names that match `_SECRET` but are public: a path of the metadata service."""


def plain_comparisons(path: Path) -> Iterator[str]:
    """Yield line and name of each possible secret that is compared with `==`, `!=` or `in`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Compare) or not {type(op) for op in node.ops} & {
            ast.Eq,
            ast.NotEq,
            ast.In,
            ast.NotIn,
        }:
            continue
        if any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators)):
            continue  # a comparison with a literal is public
        for side in (node.left, *node.comparators):
            name = side.id if isinstance(side, ast.Name) else side.attr if isinstance(side, ast.Attribute) else ""
            if _SECRET.search(name) and name not in _PUBLIC:
                yield f"{path.name}:{node.lineno}: {name}"


def test_no_secret_is_compared_with_an_operator() -> None:
    """The time of `==` shows where two secrets differ, so every possible secret is compared by `secrets.same`."""
    serving = [path for path in (ROOT / "app").rglob("*.py") if "emulator" not in path.parts]

    assert [line for path in serving for line in plain_comparisons(path)] == []


def test_plain_comparisons_are_found(tmp_path: Path) -> None:
    """The comparison check finds `==` and `in` with a secret."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f(given, self):\n    return given == self._path_token or self.secret in given\n")

    assert list(plain_comparisons(bad)) == ["bad.py:2: _path_token", "bad.py:2: secret"]


ERRORS = frozenset(errors.__all__) - {"Mistake", "Reason", "code_of", "quoting"}


def changed_errors(path: Path) -> Iterator[str]:
    """Yield the lines of a file that set a member of a caught or new error, or its traceback or cause."""
    tree = ast.parse(path.read_text())
    for scope in ast.walk(tree):
        names = {scope.name} if isinstance(scope, ast.ExceptHandler) else set()
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {
                target.id
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
                if isinstance(node.value.func, ast.Name) and node.value.func.id in ERRORS
                for target in node.targets
                if isinstance(target, ast.Name)
            }
        for node in ast.walk(scope):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
                continue
            if isinstance(node.value, ast.Name) and node.value.id in names:
                yield f"{path.name}:{node.lineno}"


def test_no_error_is_changed_after_it_was_made() -> None:
    """No code changes an error after making it: `with_members` returns a copy with more members."""
    assert [found for path in sorted((ROOT / "app").rglob("*.py")) for found in changed_errors(path)] == []


def test_changed_errors_are_found(tmp_path: Path) -> None:
    """The check finds a member or a trace set on a caught or a new error, and leaves other objects alone."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "async def f(a):\n    try:\n        await a()\n    except ValueError as error:\n        error.stage = 1\n"
        "        error.__context__ = None\n        raise\n"
        "def g(a):\n    lack = NotThereYet(a)\n    lack.files, a.b = a, a\n    a.c = 1\n    raise lack\n"
    )

    assert sorted(changed_errors(bad)) == ["bad.py:10", "bad.py:5", "bad.py:6"]


def test_no_file_names_a_package_index() -> None:
    """Requirement files contain names, versions and hashes, and no address."""
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
