"""app/core/error_index: stable codes, and a code for every failure of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.error_index.index import AREAS, INDEX
from app.core.errors import ConfigError, NoCredentials, NotThereYet, Refused, SidecarError, Unreachable
from app.observe.event_log import failure_fields
from app.store.errors import EntryError, StoreError

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
    """Each entry says what occurred and why, and what to do; the STS code for an unusable token has no cure."""
    assert all(entry.meaning.endswith(".") and entry.cause for entry in INDEX.values())
    assert [code for code, entry in INDEX.items() if not entry.cure] == ["IDS-407"]


def test_codes_of_the_program_are_in_the_index() -> None:
    """Every code that the program writes has an entry."""
    used = {code for text in SOURCES.values() for code in re.findall(r'"(IDS-[0-9]{3})"', text)}

    assert used - set(INDEX) == set()
    assert len(used) > 40


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
