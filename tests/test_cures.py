"""Cause and cure of a failure are two arguments: no message of the program has a cure within its cause."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .core.test_error_index import VERBS

ROOT = Path(__file__).parents[1]

OTHER_TEXTS = {
    "app/cli/arguments": "usage of the commands",
    "app/cli/completion_scripts.py": "shell scripts",
    "app/cli/errors.py": "an internal error, which has no cause to show",
    "app/conformance": "a program of its own; its rules have their cures apart",
    "app/core/error_index": "the cures themselves",
    "app/doctor/steps/client_environment.py": "why a step is skipped",
    "app/doctor/steps/provider.py": "why a step is skipped",
    "app/doctor/steps/trust.py": "why a step is skipped",
    "app/emulator": "a program of its own",
    "app/main.py": "the log line of the development mode",
    "app/migrate": "the verdicts of a report",
    "app/observe": "sentences of log events",
    "app/webhook": "answers of the API server, equal to those of the chart's policies",
}
"""Files and folders with sentences that are no failure of this program, and what these sentences are."""

NOTES = {"app/doctor/steps/configuration.py": 1, "app/setup/sources.py": 2}
"""Why a step is skipped, and notes of `setup`: sentences of this kind in files that have causes as well."""

SITES = frozenset(
    {
        *("SidecarError", "ConfigError", "NotThereYet", "Unreachable", "Refused", "NoCredentials", "Stalled"),
        *("Reason", "Mistake", "Unreadable", "OfAnotherUser", "Absent", "CommandNotStarted"),
        *("broken", "warning", "Finding", "at", "reworded", "_mistake"),
    }
)
"""What takes a cause as an argument that is not named."""

WITH_CURE = frozenset({"SidecarError", "ConfigError", "NotThereYet", "Unreachable", "Refused", "Unreadable"})
"""Exceptions whose text has the cure behind the cause."""

CURE = re.compile(
    rf"; (?:{'|'.join(sorted(VERBS | {'check', 'chmod', 'convert', 'leave', 'look', 'renew', 'see'}))})\b"
)


def sources() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file of the program."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text()


def literal(node: ast.AST) -> str:
    """Return the text of a string, `{}` for each value in it; empty for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(each) or "{}" for each in node.values)
    return ""


def sentences_with_a_cure(tree: ast.Module) -> list[int]:
    """Return the lines of the strings, docstrings aside, in which an instruction follows a semicolon."""
    inner = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        getattr(node, "lineno", 0)
        for node in ast.walk(tree)
        if node not in inner and node not in docstrings and CURE.search(literal(node))
    ]


def causes(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the arguments without a name of everything that takes a cause."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in SITES:
                yield from node.args


def values_with_a_cure(tree: ast.Module) -> list[int]:
    """Return the lines of causes that quote a value named after a cure, or the whole text of another error."""
    caught: dict[ast.AST, str] = {}
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        kinds = {getattr(each, "attr", getattr(each, "id", "")) for each in ast.walk(handler.type or handler)}
        if handler.name and handler.type is not None and kinds & WITH_CURE:
            caught |= dict.fromkeys((each for line in handler.body for each in ast.walk(line)), handler.name)
    return [
        node.lineno
        for cause in causes(tree)
        for node in ast.walk(cause)
        if (isinstance(node, ast.Name) and node in caught and _is_text_of(node, cause, caught[node]))
        or (
            isinstance(node, ast.FormattedValue)
            and re.search(r"\bcure|_CURE\b", ast.unparse(node.value), re.IGNORECASE)
        )
    ]


def _is_text_of(node: ast.Name, cause: ast.expr, error: str) -> bool:
    """Return whether `node` is the error itself, as `{error}` or `str(error)`, and not one of its members."""
    whole = [each.value for each in ast.walk(cause) if isinstance(each, ast.FormattedValue)]
    whole += [each.args[0] for each in ast.walk(cause) if isinstance(each, ast.Call) and _is_str(each)]
    return node.id == error and node in whole


def _is_str(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "str" and len(call.args) == 1


def test_no_cause_contains_a_cure() -> None:
    """Every cure is an argument of its own, so a finding and the JSON output have it apart without reading a text."""
    found = []
    for name, text in sources():
        tree = ast.parse(text)
        lines = [] if name.startswith(tuple(OTHER_TEXTS)) else sentences_with_a_cure(tree)
        if len(lines) != NOTES.get(name, 0):
            found += [f"{name}:{line}" for line in lines]
        found += [f"{name}:{line}" for line in values_with_a_cure(tree)]

    assert found == []


def test_exemptions_are_needed() -> None:
    """Each file or folder that the check leaves out has such a sentence."""
    with_sentences = [name for name, text in sources() if sentences_with_a_cure(ast.parse(text))]

    unneeded = [each for each in OTHER_TEXTS if not any(name.startswith(each) for name in with_sentences)]
    assert unneeded == []


def lines_with_a_cure(source: str) -> list[int]:
    """Return the lines of a source text that either rule reports."""
    tree = ast.parse(source)
    return [*sentences_with_a_cure(tree), *values_with_a_cure(tree)]


PLANTED = [
    'raise ConfigError(f"{place}: empty; add a key", error_code="IDS-105")',
    'yield Mistake("a: both are set; " "keep one", "IDS-113")',
    'found.append(warning("IDS-130", f"{path}: others can read it; chmod 600 {path}"))',
    'def _why() -> str:\n    return "the port is in use; choose another"',
    'WORDS = {1: "no route; check the firewall"}',
    'raise Unreachable(f"{place}: {words}; {cure}", error_code="IDS-200")',
    'raise Refused(f"{place}: {meaning.cure}", status=400, code="x")',
    'raise ConfigError(f"{place}: not supported; {_CURE}", error_code="IDS-325")',
    'try:\n    read()\nexcept files.Unreadable as why:\n    raise ConfigError(f"{path}: {why}", error_code="IDS-102")',
    "try:\n    read()\nexcept (OSError, ConfigError) as error:\n    raise NotThereYet(str(error))",
]


@pytest.mark.parametrize("source", PLANTED)
def test_a_cure_within_a_cause_is_found(source: str) -> None:
    """A message that has its cure behind a semicolon, from a value or from another error's text, is reported."""
    assert lines_with_a_cure(source)


SOUND = [
    'raise ConfigError(f"{place}: empty", cure="add a key", error_code="IDS-105")',
    'yield Mistake("a: both are set", "IDS-113", "keep one")',
    'raise Refused(f"{place}: two; the first is used", status=400, code="x", cure=meaning.cure)',
    'try:\n    read()\nexcept files.Unreadable as why:\n    raise ConfigError(why.at(path), error_code="IDS-102")',
    "try:\n    read()\nexcept ConfigError as error:\n    raise NotThereYet(error.cause, error.cure)",
    'def f() -> None:\n    """Read the file; close it."""',
]


@pytest.mark.parametrize("source", SOUND)
def test_a_cure_of_its_own_is_no_finding(source: str) -> None:
    """A cure that is an argument of its own, and a cause in two parts, are not reported."""
    assert lines_with_a_cure(source) == []
