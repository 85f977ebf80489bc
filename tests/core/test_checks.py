"""Checks and their findings: each mistake once, and none that follows from another."""

from __future__ import annotations

import pytest

from app.core.checks import Check, Findings, above, check, fails, join, key_paths, profile_of, profile_place, require
from app.core.errors import ConfigError, Mistake, NotThereYet

A, B = Mistake("a.b: wrong", "IDS-105", "cure"), Mistake("c: wrong", "IDS-106")


def refuse(text: str) -> None:
    """Raise a mistake."""
    raise ConfigError(text, error_code="IDS-105")


def absent(place: str) -> None:
    """Raise that a file is missing."""
    raise NotThereYet(f"{place}: no such file", "write it")


def test_all_checks_run_and_each_mistake_is_kept_once() -> None:
    """A mistake ends no run, and keeps its code and cure; the same line of two checks is one mistake."""
    found = Findings()

    assert found.run([fails(A), check(int, "1"), fails(B), fails(A)]) == []
    assert found.mistakes == [A, B]
    assert [(each.error_code, each.cure) for each in found.mistakes] == [("IDS-105", "cure"), ("IDS-106", "")]


@pytest.mark.parametrize(
    ("needs", "runs"),
    [
        (("a.b",), False),
        (("a",), False),
        (("a.b.c",), True),
        (("a.bc",), True),
        (("x", "a.b"), False),
        (("x",), True),
        ((), True),
    ],
)
def test_check_does_not_run_where_a_value_that_it_needs_is_wrong(needs: tuple[str, ...], runs: bool) -> None:
    """A wrong value, or one with a wrong part, ends the checks that need it. A mistake of a whole leaves its parts."""
    found = Findings()
    ran: list[str] = []

    found.run([fails(A), Check(lambda: ran.append("x"), needs)])

    assert bool(ran) is runs


@pytest.mark.parametrize(
    ("place", "is_listed"),
    [("a", True), ("a.b", False), ("a.b[0].c", False), ("a.b.c", False), ("a.bc", True), ("a.b0", True)],
)
def test_nothing_is_said_about_what_could_not_be_read(place: str, is_listed: bool) -> None:
    """A mistake, or a missing file, at an unusable place or below it is no mistake of its own."""
    found = Findings()
    found.add([A], ["a.b"])

    missing = found.run([check(refuse, f"{place}: odd"), check(absent, place)])

    assert (f"{place}: odd" in found.mistakes) is is_listed
    assert (missing == [f"{place}: no such file; write it"]) is is_listed


@pytest.mark.parametrize("needed", ["a", "a.b", "a.b[0]", "a.b.c"])
def test_check_that_needs_an_unusable_value_does_not_run(needed: str) -> None:
    """What could not be read is wrong in all its parts."""
    found = Findings()
    found.add((), ["a.b"])

    found.run([fails(B, needed)])

    assert found.mistakes == []


def test_missing_file_is_a_mistake_for_the_impatient() -> None:
    """A file that does not exist is returned, or is a mistake with its code and cure."""
    patient, impatient = Findings(), Findings()

    assert patient.run([check(absent, "a")]) == ["a: no such file; write it"]
    assert patient.mistakes == []
    assert impatient.run([check(absent, "a")], patient=False) == []
    assert [(each.cause, each.error_code, each.cure) for each in impatient.mistakes] == [
        ("a: no such file", "IDS-124", "write it")
    ]


def test_require_raises_all() -> None:
    """All mistakes are one error; a missing file alone is NotThereYet; without either, nothing is raised."""
    with pytest.raises(ConfigError) as caught:
        require([fails(A), check(absent, "x"), fails(B)])
    assert caught.value.mistakes == (A, B)
    with pytest.raises(NotThereYet, match="x: no such file; write it"):
        require([check(absent, "x"), check(absent, "y")])
    require([check(int, "1")])


def test_places_of_keys_and_above() -> None:
    """A place has its key, and every object and list that it belongs to above it."""
    assert key_paths("a.b", "c", "d") == ("a.b.c", "a.b.d")
    assert above("a.b[0].c") == {"a", "a.b", "a.b[0]", "a.b[0].c"}


@pytest.mark.parametrize("name", ["a", "a.b", "a.identity", "0-_.x", "a" * 63])
@pytest.mark.parametrize("below", ["", ".identity", "[0]", '."x.y".z'])
def test_profile_of_a_place(name: str, below: str) -> None:
    """A place in or below a profile gives the name of exactly this profile."""
    assert profile_of(f"{profile_place(name)}{below}") == name


@pytest.mark.parametrize("place", ["", "profiles", "server.bind", "profilesx.a", join("", "profiles.a")])
def test_place_outside_the_profiles(place: str) -> None:
    """A place that belongs to no profile gives none."""
    assert profile_of(place) is None
