"""Every message about a failure ends with its code, and docs/errors.md has the code."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app.serve
from app import cli
from app.cli.errors import EXIT_CODES, INTERRUPTED, PIPE_CLOSED, REFUSED
from app.cli.parser import COMMANDS
from app.serve.access import Denial
from app.serve.responses import Response

from ..conftest import ENVIRON, configuration
from .test_examples import commands

ROOT = Path(__file__).parents[2]
LISTED = frozenset(re.findall(r"(?m)^### (IDS-[0-9]{3})$", (ROOT / "docs/errors.md").read_text()))


def codes(lines: list[str]) -> list[str]:
    """Return the code at the end of each line. Raises AssertionError for a line without one, or with two."""
    found = [re.fullmatch(r"(.*) \((IDS-[0-9]{3})\)", line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None or "(IDS-" in match[1]] == []
    return [match[2] for match in found if match is not None]


def failed(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[str]]:
    """Return the exit code of a command that fails, and the codes of the lines that name it on stderr."""
    try:
        code = cli.main(argv, ENVIRON)
    except SystemExit as end:
        code = int(str(end.code))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("idaas-sidecar")]
    assert lines
    return code, codes(lines)


# --- the command line -------------------------------------------------------------------------------------------------


def mistakes(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Yield arguments that the parser of a command cannot accept: one for each way in which each argument can fail."""
    positionals = [action for action in parser._actions if not action.option_strings]
    if not any(action.nargs == argparse.REMAINDER for action in positionals):  # all is of the command of `exec`
        yield ["--no-such-option"]
        yield ["--", "--no-such-option", "too-many"]
    if any(action.required and action.nargs not in ("*", argparse.REMAINDER) for action in positionals):
        yield []
    for action in parser._actions:
        option = action.option_strings[-1:]
        if action.choices is not None or action.type is not None:
            yield [*option, "not-possible"]
        if option and action.nargs is None:
            yield option
        if option and action.nargs == 0 and option != ["--help"]:
            yield [f"{option[0]}=x"]


MISTAKES = [
    [*name.split(), *arguments]
    for name, parser in commands()
    for arguments in mistakes(parser)
    if [*name.split(), *arguments][:2] != ["migrate", "report"] or "too-many" not in arguments  # it takes any number
]


@pytest.mark.parametrize("argv", MISTAKES, ids=" ".join)
def test_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each way to misuse each option and argument of each command is exit 2 with the code of a command line."""
    assert failed(capsys, *argv) == (2, ["IDS-132"])


@pytest.mark.parametrize("argv", [[], ["gett"], ["--frob"], ["--config", "x", "get"], ["--"]], ids=" ".join)
def test_usage_without_a_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """So is a command line without a command."""
    assert failed(capsys, *argv) == (2, ["IDS-132"])


# --- the commands -----------------------------------------------------------------------------------------------------

SHUT = "127.0.0.1:1"
"""An address at which nothing listens."""

FAILURES: dict[str, tuple[int, str]] = {
    "serve --config NONE": (2, "IDS-102"),
    "emulator --world NONE": (2, "IDS-126"),
    "get --config NONE": (2, "IDS-102"),
    "get --config FILE --profile other": (2, "IDS-120"),
    "get --config LATE": (4, "IDS-124"),
    "env --config NONE": (2, "IDS-102"),
    "env --config FILE --profile other": (2, "IDS-120"),
    "exec": (2, "IDS-125"),
    "exec --config NONE -- true": (2, "IDS-102"),
    "config --config NONE": (2, "IDS-102"),
    "config --config BROKEN": (2, "IDS-103"),
    "config --config FILE --json": (2, "IDS-125"),
    "config --config FILE --offline --show": (2, "IDS-125"),
    "doctor --trust-policy NONE": (2, "IDS-102"),
    "doctor --ram-endpoint http://127.0.0.1:1": (2, "IDS-125"),
    "setup --from NONE": (2, "IDS-102"),
    "setup fingerprint https://127.0.0.1:1 --registered short": (2, "IDS-127"),
    "setup fingerprint https://127.0.0.1:1": (4, "IDS-200"),
    "setup cluster http://issuer.example": (2, "IDS-127"),
    "setup cluster https://127.0.0.1:1 --jwks NONE": (2, "IDS-102"),
    "setup cluster https://127.0.0.1:1 --jwks EMPTY --offline": (2, "IDS-126"),
    "conformance http://127.0.0.1:1/": (4, "IDS-200"),
    "conformance nonsense": (2, "IDS-125"),
    "health --config FILE": (1, "IDS-503"),
    "health --config NONE": (1, "IDS-102"),
    "health --config BROKEN": (1, "IDS-102"),
    "health --ready --config FILE": (1, "IDS-503"),
    "status --config FILE": (4, "IDS-503"),
    "status --config NONE": (2, "IDS-102"),
    "refresh --config FILE": (2, "IDS-106"),
    "refresh --config SOCKET": (4, "IDS-503"),
    "purge --config FILE": (2, "IDS-106"),
    "purge --config SOCKET": (4, "IDS-503"),
    "log-level debug --config SOCKET": (4, "IDS-503"),
    "migrate report": (2, "IDS-125"),
    "migrate report NONE": (2, "IDS-102"),
    "migrate report FILE --before BROKEN": (2, "IDS-103"),
    "webhook --settings NONE": (2, "IDS-128"),
    "webhook explain NONE": (2, "IDS-128"),
    "webhook explain NONE --policies NONE": (2, "IDS-102"),
    "webhook explain EMPTY --policies EMPTY": (2, "IDS-128"),
}
"""A command line, its exit code, and the code of its message. Words in capitals stand for files."""


def written(path: Path, content: Any) -> str:
    """Write a file of JSON, or of text, and return its path."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The files that the command lines name."""
    server = {"ops": SHUT}
    sts = configuration()["profiles"]["default"]["exchange"]
    late = {"identity": {"type": "tokenFile", "tokenFile": str(tmp_path / "token")}, "exchange": sts}
    return {
        "NONE": str(tmp_path / "none.json"),
        "BROKEN": written(tmp_path / "broken.json", "{"),
        "EMPTY": written(tmp_path / "empty.json", {}),
        "FILE": written(tmp_path / "config.json", configuration(server=server)),
        "LATE": written(tmp_path / "late.json", configuration(profiles={"default": late})),
        "SOCKET": written(
            tmp_path / "socket.json", configuration(server={**server, "adminSocket": str(tmp_path / "a.sock")})
        ),
    }


@pytest.mark.parametrize("line", FAILURES)
def test_failures(line: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails ends with one line, and the line with its code."""
    code, found = failed(capsys, *(files.get(word, word) for word in line.split()))

    assert (code, found[-1]) == FAILURES[line]
    assert set(found) <= LISTED


NEVER_FAILS = {"completion", "version", "help", "demo"}
"""Commands with bad usage alone, and `demo`, which has the failures of `emulator` and `serve`."""


def test_every_command_is_tried() -> None:
    """Each command that can fail has such a line, and each exit code of a failure is among them."""
    assert {line.split()[0] for line in FAILURES} == set(COMMANDS) - NEVER_FAILS
    of_processes = {REFUSED, 70, 126, 127}  # tests/e2e/test_admin.py, tests/e2e/test_exec.py and tests/cli/test_cli.py
    assert set(EXIT_CODES) - {code for code, _ in FAILURES.values()} == {0, INTERRUPTED, PIPE_CLOSED, *of_processes}


NO_FAILURES = {
    "app/cli/commands/config.py": 1,  # what `config --offline` does not check
    "app/cli/parser.py": 1,  # the list of commands
    "app/cli/commands/setup.py": 2,  # the questions of `setup`, and its notes
}


def test_only_one_place_writes_failures() -> None:
    """No command writes to stderr by itself, or ends the process: `cli.errors` does, which adds the code."""
    found = {}
    for path in sorted((ROOT / "app/cli").rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and re.match(
                r"print\(.*sys\.stderr|\w+\.print_help\(sys\.stderr|.*\bexit\(|.*stderr\.write", ast.unparse(node)
            )
        ]
        if calls and path.name != "errors.py":
            found[str(path.relative_to(ROOT))] = len(calls)

    assert found == NO_FAILURES


# --- the listeners ----------------------------------------------------------------------------------------------------


def responses() -> Iterator[tuple[str, Response]]:
    """Yield each response that a module of the listeners makes at its import."""
    for module in pkgutil.walk_packages(app.serve.__path__, "app.serve."):
        for name, value in vars(importlib.import_module(module.name)).items():
            made = value.response if isinstance(value, Denial) else value
            if isinstance(made, Response) and made.status >= 400:
                yield f"{module.name}.{name}", made


REFUSALS = dict(responses())


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_of_the_listeners(name: str) -> None:
    """The body of a refusal has the two members that clients know, and the message ends with its code."""
    body = json.loads(REFUSALS[name].body)

    assert body.keys() == {"Code", "Message"}
    assert set(codes([body["Message"]])) <= LISTED


def test_the_listeners_have_refusals() -> None:
    """The walk finds the responses of the protocol, the access rules and the handlers."""
    assert {"app.serve.responses.STOPPING", "app.serve.handlers.ops._REMOTE"} < set(REFUSALS)
    assert len(REFUSALS) > 20
