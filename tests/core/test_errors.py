"""What each error says: its message, whether a repetition can succeed, and what `at` keeps of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import (
    ConfigError,
    Mistake,
    NoCredentials,
    NotThereYet,
    Reason,
    Refused,
    SidecarError,
    Unreachable,
)

REFUSED: dict[str, Any] = {"status": 401, "code": "c", "request_id": "r", "renew_token": True, "withdrawn": True}
UNREACHABLE: dict[str, Any] = {"retry_after": 3.0, "code": "c", "throttled": True}
ERRORS = [
    (SidecarError("words"), False, {"retry_after": None}),
    (ConfigError("words"), True, {"retry_after": None}),
    (Unreachable("words"), False, {"retry_after": None, "code": "", "throttled": False}),
    (Unreachable("words", **UNREACHABLE), False, UNREACHABLE),
    (
        Refused("words", status=400, code="x"),
        True,
        {"status": 400, "code": "x", "request_id": "", "renew_token": False, "withdrawn": False},
    ),
    (Refused("words", **REFUSED), True, REFUSED),
    (NoCredentials("words", retry_after=7.0), False, {"retry_after": 7.0}),
]


@pytest.mark.parametrize(("error", "permanent", "members"), ERRORS)
def test_place_is_added_and_nothing_lost(error: SidecarError, permanent: bool, members: dict[str, Any]) -> None:
    """`at` puts a place before the message and keeps the type and all that the error says."""
    placed = error.at("place")

    assert (str(error), str(placed), type(placed)) == ("words", "place: words", type(error))
    assert error.permanent is placed.permanent is permanent
    for found in (error, placed):
        assert {name: getattr(found, name) for name in members} == members


WITH_CURE = [
    (ConfigError("k: empty", cure="add a key"), "k: empty; add a key"),
    (NotThereYet("k: empty", "add a key"), "k: empty; add a key"),
    (Unreachable("k: empty", cure="add a key"), "k: empty; add a key"),
    (Refused("k: empty", status=400, code="x", cure="add a key"), "k: empty: add a key"),
]


@pytest.mark.parametrize(("error", "text"), WITH_CURE)
def test_cause_and_cure_are_apart_and_shown_together(error: SidecarError, text: str) -> None:
    """An error keeps its cause and its cure apart, also at another place; its text is one sentence with both."""
    placed = error.at("p")

    assert (error.cause, error.cure, str(error)) == ("k: empty", "add a key", text)
    assert (placed.cause, placed.cure, str(placed)) == ("p: k: empty", "add a key", f"p: {text}")


def test_words_of_the_other_side_follow_cause_and_cure() -> None:
    """`str()` ends with the other side's words; `quoted_cause` has them behind the cause, without the cure."""
    error = Unreachable("no session", cure="set the clock", cloud_message="late; use UTC")

    assert str(error) == 'no session; set the clock; it says "late; use UTC"'
    assert error.quoted_cause == 'no session; it says "late; use UTC"'
    assert error.own_words == "no session; set the clock"


@pytest.mark.parametrize("kind", [ConfigError, NotThereYet, Unreachable])
def test_error_of_a_reason_has_its_cure(kind: type[SidecarError]) -> None:
    """An error that is raised with a reason keeps the cause and the cure of the reason apart."""
    error = kind(Reason("is loose", "run chmod").at("/f"))

    assert (error.cause, error.cure, str(error)) == ("/f: is loose", "run chmod", "/f: is loose; run chmod")


def test_lines_of_a_configuration_error_keep_their_cures() -> None:
    """Each line of a ConfigError has its own cause, cure and code; its text shows all of them."""
    lines = [Mistake("a: empty", "IDS-105", "add one"), Mistake("b: required", "IDS-106")]
    error = ConfigError.of(lines)
    placed = error.at("p")

    assert str(error) == "a: empty; add one\nb: required"
    assert (error.cause, error.cure, error.error_code) == ("a: empty\nb: required", "", "IDS-105")
    assert [(each.cause, each.cure, each.error_code) for each in placed.mistakes] == [
        ("p: a: empty", "add one", "IDS-105"),
        ("b: required", "", "IDS-106"),
    ]
    assert (ConfigError.of(lines[:1]).cause, ConfigError.of(lines[:1]).cure) == ("a: empty", "add one")


def test_a_changed_mistake_keeps_its_code() -> None:
    """`mapped` and `at` change the parts of a mistake and keep its code."""
    mistake = Mistake("a: empty", "IDS-105", "write a").mapped(str.upper).at("f")

    assert (mistake, mistake.error_code) == ("f: A: EMPTY; WRITE A", "IDS-105")
    assert (mistake.cause, mistake.cure) == ("f: A: EMPTY", "WRITE A")


def test_a_changed_mistake_keeps_its_variable() -> None:
    """The variable that is not set is a member, which neither another place nor other words change."""
    error = ConfigError("k: not set", cure="set it", error_code="IDS-108", variable="SECRET")

    assert [each.variable for each in error.at("p").mistakes] == ["SECRET"]
    assert error.mistakes[0].mapped(str.upper).variable == "SECRET"
    assert ConfigError("k: not set").mistakes[0].variable == Mistake("k: wrong").variable == ""


@pytest.mark.parametrize(
    "error",
    [
        ConfigError.of([Mistake("a: empty", "IDS-105", "add one"), Mistake("b: required", "IDS-106")]),
        NotThereYet("k: empty", "add a key", patience=3.0),
        Unreachable("no session", retry_after=2.0, throttled=True, cure="set the clock"),
        Refused("no", status=403, code="X", withdrawn=True, cure="ask"),
        NoCredentials("none", retry_after=1.0),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_with_other_members_is_another_error(error: SidecarError) -> None:
    """`with_members` returns a copy with all other members; the error itself stays as it was raised."""
    before = dict(vars(error))
    other = error.with_members(stage="token", files=frozenset({"/f"}))

    assert (type(other), str(other), other.cause) == (type(error), str(error), error.cause)
    assert vars(other) == before | {"stage": "token", "files": frozenset({"/f"})}
    assert (vars(error), error.stage) == (before, "")
