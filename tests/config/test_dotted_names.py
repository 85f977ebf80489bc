"""Profiles whose names contain dots: no profile is taken for a part of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config.explain import rows
from app.config.loader import examine
from app.core.checks import above, join, profile_place

from ..conftest import ENVIRON, configuration
from .configurations import profile, write_file


def examined(tmp_path: Path, **profiles: Any) -> Any:
    """Return the examination of a configuration with these profiles."""
    path = write_file(tmp_path / "config.json", configuration(profiles=profiles))
    return examine(str(path), ENVIRON, hostname="h")


def test_mistakes_of_a_profile_are_not_those_of_another(tmp_path: Path) -> None:
    """Only the profile with a mistake cannot be used, although its name begins with the other's name."""
    found = examined(tmp_path, **{"a": profile(), "a.b": profile(bogus=1), "a.identity": profile(bogus=1)})
    sound = found.sound()

    assert found.concerning("a") == []
    assert [place for place, _ in found.found] == ['profiles."a.b".bogus', 'profiles."a.identity".bogus']
    assert sound is not None
    assert list(sound.profiles) == ["a"]


def test_mistakes_above_a_dotted_name(tmp_path: Path) -> None:
    """A mistake in `identity` of one profile does not hide the values of the profile with that name."""
    found = examined(tmp_path, **{"a": profile(identity={"type": "nix"}), "a.identity": profile()})
    sound = found.sound()
    known = {row.key: row.value for row in rows(found) if not row.mistakes}

    assert sound is not None
    assert list(sound.profiles) == ["a.identity"]
    assert known['profiles."a.identity".identity.clientId'] == "app_demo"


def test_same_mistake_of_two_profiles_is_told_twice(tmp_path: Path) -> None:
    """A key that is unknown in both profiles is one mistake of each."""
    found = examined(tmp_path, **{"a": profile(b={"x": 1}), "a.b": profile(x=1)})

    assert [place for place, _ in found.found] == ["profiles.a.b", 'profiles."a.b".x']


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("a", {"a"}),
        ("a.b[0].c", {"a", "a.b", "a.b[0]", "a.b[0].c"}),
        ('a."b.c"[0]', {"a", 'a."b.c"', 'a."b.c"[0]'}),
        ('a."b[c"', {"a", 'a."b[c"'}),
        ('a."b', {"a", 'a."b'}),
    ],
)
def test_places_above(place: str, found: set[str]) -> None:
    """A place belongs to every one before a dot or an index, but a quoted key is one key."""
    assert above(place) == found


def test_places_are_quoted() -> None:
    """A key that is not a plain word is quoted."""
    assert profile_place("a-b_1") == "profiles.a-b_1"
    assert profile_place("a.b") == 'profiles."a.b"'
    assert join("", "a b") == '"a b"'
