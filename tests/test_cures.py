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
    "app/cli/arguments/common.py": (1, "usage of the commands"),
    "app/cli/arguments/config.py": (2, "usage of the commands"),
    "app/cli/completion_scripts.py": (1, "a shell script"),
    "app/cli/errors.py": (1, "an internal error, which has no cause to show"),
    "app/conformance/checker.py": (1, "a program of its own"),
    "app/conformance/wire/url.py": (4, "a program of its own"),
    "app/doctor/steps/client_environment.py": (1, "why a step is skipped"),
    "app/doctor/steps/configuration.py": (1, "why a step is skipped"),
    "app/doctor/steps/provider.py": (1, "why a step is skipped"),
    "app/doctor/steps/trust.py": (1, "why a step is skipped"),
    "app/emulator/idaas/client_auth.py": (1, "the words of a provider"),
    "app/emulator/idaas/okta.py": (1, "the words of a provider"),
    "app/emulator/world/world.py": (2, "a program of its own"),
    "app/main.py": (1, "the log line of the development mode"),
    "app/migrate/compose.py": (1, "a verdict of the report"),
    "app/migrate/report.py": (1, "a verdict of the report"),
    "app/observe/event_log.py": (1, "the sentence of a log event"),
    "app/observe/log_events.py": (2, "sentences of log events"),
    "app/setup/sources.py": (2, "notes of `setup`"),
    "app/upstream/keys/key_forms.py": (1, "a command that converts a key"),
    "app/webhook/decision.py": (1, "an answer of the API server, as in the chart's policies"),
    "app/webhook/guard.py": (2, "answers of the API server, as in the chart's policies"),
    "app/webhook/rules.py": (6, "answers of the API server, as in the chart's policies"),
    "app/webhook/serving/application.py": (1, "an answer of the API server"),
    "app/webhook/sidecar_rules.py": (2, "answers of the API server, as in the chart's policies"),
}
"""Files with sentences that are no failure of this program: how many, and what they are."""

SITES = frozenset(
    {
        *("SidecarError", "ConfigError", "NotThereYet", "Unreachable", "Refused", "NoCredentials", "Stalled"),
        *("Reason", "Mistake", "Unreadable", "OfAnotherUser", "Absent", "CommandNotStarted"),
        *("broken", "warning", "Finding", "at", "reworded", "_mistake"),
    }
)
"""What takes a cause as an argument that is not named."""

PLACE_OF_CURE = {"Entry": 3, "Mistake": 2, "broken": 2, "warning": 2}
"""The functions and types that take a cure as a positional argument, with its index."""

WITH_CURE = frozenset({"SidecarError", "ConfigError", "NotThereYet", "Unreachable", "Refused", "Unreadable"})
"""Exceptions whose text has the cure behind the cause."""

OTHER_VERBS = {
    *("ask", "check", "chmod", "close", "convert", "delete", "drop", "edit", "fix", "leave", "look", "open", "pass"),
    *("print", "provide", "put", "reload", "renew", "repeat", "see", "select", "specify", "turn", "wait"),
}
"""What an instruction within a cause may begin with, besides the verbs of the errors index."""

CURE = re.compile(rf"(?:; |[.?] )(?:{'|'.join(sorted(VERBS | OTHER_VERBS))})\b", re.IGNORECASE)

QUESTION = re.compile(r"[a-z]+ [a-z{}]+.*[a-z}]\?(?: |$)", re.DOTALL)
"""Two words with a question mark after a word. Patterns and URLs do not match."""

SUGGESTION = "did you mean"
QUESTIONS = "app/setup/questions.py"
"""The file with the questions of `setup`, which people answer."""


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
    """Return the lines of the strings, cures and docstrings aside, in which an instruction follows a clause."""
    left_out = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    left_out |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    left_out |= {part for cure in cures(tree) for part in ast.walk(cure)}
    return [
        getattr(node, "lineno", 0) for node in ast.walk(tree) if node not in left_out and CURE.search(literal(node))
    ]


def cures(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the arguments that are cures."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "cure":
            yield node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE_OF_CURE:
            yield from node.args[PLACE_OF_CURE[node.func.id] :]


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


@pytest.mark.parametrize("text", ["the port is in use; provide another", "no such file. Create it", "why? Set it"])
def test_a_cure_in_any_file_is_found(text: str) -> None:
    """One sentence more than the listed ones is reported in each file, also in a listed file."""
    for name, source in sources():
        tree = ast.parse(f"{source}\n\nPLANTED = {text!r}\n")
        assert len(sentences_with_a_cure(tree)) == OTHER_TEXTS.get(name, (0, ""))[0] + 1, name


def test_no_cause_contains_a_cure() -> None:
    """Every cure is an argument of its own, so a finding and the JSON output have it apart without reading a text."""
    found = []
    for name, text in sources():
        tree = ast.parse(text)
        lines = sentences_with_a_cure(tree)
        if len(lines) != OTHER_TEXTS.get(name, (0, ""))[0]:
            found += [f"{name}:{line}" for line in lines] or [f"{name}: no such sentence"]
        found += [f"{name}:{line}" for line in values_with_a_cure(tree)]

    assert found == []


def test_each_listed_file_exists() -> None:
    """No file is listed that the program does not have."""
    assert OTHER_TEXTS.keys() - {name for name, _ in sources()} == set()


def questions(tree: ast.Module) -> list[int]:
    """Return the lines of the causes and cures that ask a question."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    parts |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        getattr(node, "lineno", 0)
        for node in ast.walk(tree)
        if node not in parts and QUESTION.search(literal(node)) and SUGGESTION not in literal(node)
    ]


def test_no_cause_and_no_cure_is_a_question() -> None:
    """A cause states what failed, and a cure says what to do. Only `did you mean` suggests a word."""
    found = [f"{name}:{line}" for name, text in sources() if name != QUESTIONS for line in questions(ast.parse(text))]

    assert found == []


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ('ERRORS = {1: ("connection refused; is the port right?", "")}', True),
        ('raise Refused(f"{text}: is that the URL of {asked}? A gateway answered", status=400, code="x")', True),
        ('raise Unreachable(f"{path}: empty", cure="is the right file named?")', True),
        ('raise ConfigError(f"{word}: no such key; did you mean {near}?", error_code="IDS-101")', False),
        ('def f() -> None:\n    """Is the file there?"""', False),
    ],
)
def test_question_in_a_cause_or_cure_is_found(source: str, asks: bool) -> None:
    """A question at the end or in the middle of a text is reported; a suggestion and a docstring are not."""
    assert bool(questions(ast.parse(source))) == asks


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
    'raise ConfigError(f"{place}: empty. Provide a key", error_code="IDS-105")',
    'Entry("IDS-100", "The key is empty; add one.", "It was not written.", "add a key")',
    'raise Unreachable(f"{place}: {words}; {cure}", error_code="IDS-200")',
    'raise Refused(f"{place}: {meaning.cure}", status=400, code="x")',
    'raise ConfigError(f"{place}: not supported; {_CURE}", error_code="IDS-325")',
    'try:\n    read()\nexcept files.Unreadable as why:\n    raise ConfigError(f"{path}: {why}", error_code="IDS-102")',
    "try:\n    read()\nexcept (OSError, ConfigError) as error:\n    raise NotThereYet(str(error))",
]


@pytest.mark.parametrize("source", PLANTED)
def test_a_cure_within_a_cause_is_found(source: str) -> None:
    """A cure behind a semicolon or a full stop, from a value or from another error's text, is reported."""
    assert lines_with_a_cure(source)


SOUND = [
    'raise ConfigError(f"{place}: empty", cure="add a key", error_code="IDS-105")',
    'yield Mistake("a: both are set", "IDS-113", "keep one")',
    'Entry("IDS-100", "The key is empty.", "It was not written.", "add a key; see the manual")',
    'raise ConfigError(f"{place}: empty", cure="add a key; see the manual", error_code="IDS-105")',
    'raise Refused(f"{place}: two; the first is used", status=400, code="x", cure=meaning.cure)',
    'try:\n    read()\nexcept files.Unreadable as why:\n    raise ConfigError(why.at(path), error_code="IDS-102")',
    "try:\n    read()\nexcept ConfigError as error:\n    raise NotThereYet(error.cause, error.cure)",
    'def f() -> None:\n    """Read the file; close it."""',
]


@pytest.mark.parametrize("source", SOUND)
def test_a_cure_of_its_own_is_no_finding(source: str) -> None:
    """A cure that is an argument of its own, and a cause in two parts, are not reported."""
    assert lines_with_a_cure(source) == []
