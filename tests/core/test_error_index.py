"""app/core/error_index: stable codes, and a code for every failure of the program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from app.core.error_index.entry import Entry
from app.core.error_index.index import AREAS, INDEX
from app.core.errors import ConfigError, NoCredentials, NotThereYet, Refused, SidecarError, Unreachable
from app.observe.event_log import failure_fields
from app.observe.log_events import EVENTS
from app.serve.audit import DENIED_CODES
from app.store.errors import EntryError, StoreError
from docs.reference import error_sources

ROOT = Path(__file__).parents[2]
REGISTER = Path(__file__).with_name("error_codes.txt")
SOURCES = {path: path.read_text() for path in (ROOT / "app").rglob("*.py") if "error_index" not in path.parts}


def test_codes_are_unique() -> None:
    """No two entries have one code, one code of a server, or one part of a message; an area has one first digit."""
    entries = [entry for area in AREAS.values() for entry in area]
    for members in (
        [entry.code for entry in entries],
        [code for entry in entries for code in entry.seen],
        [part for entry in entries for part in entry.words],
    ):
        assert len(members) == len(set(members))
    assert all(re.fullmatch(r"IDS-[1-9][0-9][0-9]", entry.code) for entry in entries)


def test_codes_are_never_reused() -> None:
    """
    Each code has the meaning with which it was registered. A removed code keeps its line, so it is not given again.

    Add a line to error_codes.txt with a new entry; never change or remove one.
    """
    lines = [line.split(" ", 1) for line in REGISTER.read_text().splitlines()]
    registered = {code: meaning for code, meaning in lines}

    assert len(lines) == len(registered)
    assert {code: entry.meaning for code, entry in INDEX.items()}.items() <= registered.items()


def test_entries_are_complete() -> None:
    """Each entry says what occurred and why, and what to do."""
    assert all(entry.meaning.endswith(".") and entry.cause and entry.cure for entry in INDEX.values())


VERBS = {
    *(
        "activate",
        "add",
        "allow",
        "approve",
        "attach",
        "change",
        "choose",
        "configure",
        "copy",
        "correct",
        "create",
        "do",
    ),
    *("enable", "give", "grant", "install", "keep", "let", "list", "make", "move", "name", "publish", "raise"),
    *("reduce", "remove", "rename", "repair", "replace", "report", "request", "restart", "run", "save", "send"),
    *("set", "start", "stop", "switch", "synchronise", "try", "unset", "update", "upgrade", "use", "write"),
}
"""What a cure tells the reader to do. `check`, `look` and `see` only point elsewhere."""


@pytest.mark.parametrize("entry", INDEX.values(), ids=lambda entry: entry.code)
def test_a_cure_is_an_action(entry: Entry) -> None:
    """A cure begins with what to do, is no question, and does not repeat the cause."""
    assert entry.cure.split()[0].strip(",.:").lower() in VERBS
    assert "?" not in entry.cure
    assert entry.cure.rstrip(".").lower() not in entry.cause.lower()


def test_every_config_error_has_a_code() -> None:
    """The program raises no ConfigError and notes no mistake with the code of what has no code of its own."""
    uncoded = []
    for path, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            coded = any(each.arg == "error_code" for each in node.keywords)
            if (node.func.id == "ConfigError" and not coded) or (node.func.id == "Mistake" and len(node.args) < 2):
                uncoded.append(f"{path.name}:{node.lineno}")

    assert uncoded == []


NO_FAILURES = {
    *("purged", "log_level_changed", "clock_jumped", "traceback"),  # orders, and what follows another line
    "library",  # the text of another program
}


def test_log_events_of_failures_carry_a_code() -> None:
    """Every event of level warning or error has the field `error_code`, except those that are no failures."""
    failures = {name for name, event in EVENTS.items() if event.level in ("warning", "error")}

    assert {name for name in failures if "error_code" not in EVENTS[name].fields} == failures & NO_FAILURES
    assert {event.error_code for event in EVENTS.values() if event.error_code} <= set(INDEX)
    assert set(DENIED_CODES.values()) <= set(INDEX)


def test_every_text_of_a_server_has_a_source() -> None:
    """The table of sources has each code and part of a message of the index once, and nothing else."""
    texts = [text for source in error_sources.SOURCES for text in source.texts]

    assert sorted(texts) == sorted(text for entry in INDEX.values() for text in (*entry.seen, *entry.words))


def test_codes_of_the_program_are_in_the_index() -> None:
    """Every code that the program writes has an entry."""
    used = {code for text in SOURCES.values() for code in re.findall(r'"(IDS-[0-9]{3})"', text)}

    assert used - set(INDEX) == set()
    assert len(used) > 40


def test_every_entry_is_used() -> None:
    """An entry belongs to a failure of the program, or to a code or message of a server."""
    used = {code for text in SOURCES.values() for code in re.findall(r'"(IDS-[0-9]{3})"', text)}

    assert [code for code, entry in INDEX.items() if code not in used and not entry.seen and not entry.words] == []


ERRORS = [
    (SidecarError("x"), "IDS-900"),
    (ConfigError("x"), "IDS-100"),
    (NotThereYet("x"), "IDS-124"),
    (Unreachable("x"), "IDS-200"),
    (Refused("x", status=400, code="x"), "IDS-300"),
    (NoCredentials("x", retry_after=1), "IDS-501"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_every_class_of_error_has_a_code(error: SidecarError, code: str) -> None:
    """Each class has a code for failures without one of their own, and a log line carries it."""
    assert error.error_code == code
    assert error.at("place").error_code == code
    assert failure_fields(error)["error_code"] == code
    assert code in INDEX


def test_every_error_class_of_the_program_has_a_code() -> None:
    """Every subclass of SidecarError and StoreError has a code of the index."""
    kinds: list[type] = [SidecarError, StoreError, EntryError]
    for kind in kinds:
        kinds += kind.__subclasses__()

    named = {vars(kind)["error_code"] for kind in kinds if "error_code" in vars(kind)}
    assert named <= set(INDEX)


def test_an_internal_error_has_a_code() -> None:
    """The log line of an error that was not raised on purpose carries the code of internal errors."""
    assert failure_fields(ValueError("x")) == {"error_code": "IDS-901"}
    assert failure_fields(None) == {}
