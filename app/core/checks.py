"""Checks of configured values, and the list of what they find: each mistake once, and none that follows from another.

Pure. A check reads its own value, and it may need others. Where one of those is wrong already, the check has nothing
to say that its owner could correct first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

from .display import displayed
from .errors import ConfigError, Mistake, NotThereYet
from .record import Record
from .text import one_line


class Check(Record, frozen=True):
    """
    `run` raises ConfigError where a value cannot work, or NotThereYet for a file that may still be written.

    `needs`: the places of the other values that it reads. It does not run where one of them is wrong.
    """

    run: Callable[[], object]
    needs: tuple[str, ...] = ()


def check(function: Callable[..., object], *arguments: object, needs: tuple[str, ...] = ()) -> Check:
    """Return the check that calls `function`."""
    return Check(partial(function, *arguments), needs)


def fails(mistake: Mistake, *needs: str) -> Check:
    """Return the check that always finds `mistake`."""
    return Check(partial(_refuse, mistake), needs)


def _refuse(mistake: Mistake) -> None:
    raise ConfigError.of([mistake])


def require(checks: Iterable[Check]) -> None:
    """Run the checks. Raises ConfigError with all mistakes, or NotThereYet where a file alone is missing."""
    found = Findings()
    absent = found.run(checks)
    if found.mistakes:
        raise ConfigError.of(found.mistakes)
    if absent:
        raise NotThereYet(absent[0].cause, absent[0].cure, error_code=absent[0].error_code)


class Findings:
    """
    The mistakes of one configuration.

    A place is a dotted key, such as `profiles.default.chain[0].roleArn`. Every mistake begins with its place.
    """

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._seen: set[Mistake] = set()
        self.unusable: set[str] = set()
        """The places whose values could not be read. A default or a stand-in is there instead."""
        self._above: set[str] = set()
        """The places above a value that could not be read or that is wrong, and its own place."""

    def add(self, mistakes: Iterable[Mistake], unusable: Iterable[str] = ()) -> None:
        """Add mistakes, and the places whose values they make unusable."""
        found = list(mistakes)
        for place in unusable:
            self.unusable.add(place)
            self._above |= above(place)
        for mistake in found:
            if mistake not in self._seen:  # several profiles may depend on one wrong variable
                self._seen.add(mistake)
                self._above |= above(place_of(mistake))
                self.mistakes.append(mistake)

    def run(self, checks: Iterable[Check], *, patient: bool = True) -> list[Mistake]:
        """
        Run the checks and add what they find. Return a line for each file that is not there yet.

        `patient`: otherwise a file that is not there is a mistake.
        """
        absent: list[Mistake] = []
        for each in checks:
            if any(map(self._is_wrong, each.needs)):
                continue
            try:
                each.run()
            except NotThereYet as error:
                missing = Mistake(error.cause, error.error_code, error.cure)
                if not self.is_reportable(missing):
                    continue
                if patient:
                    absent.append(missing)
                else:
                    self.add([missing])
            except ConfigError as error:
                self.add(filter(self.is_reportable, error.mistakes))
        return absent

    def is_reportable(self, mistake: Mistake) -> bool:
        """Return whether a mistake is about a value that could be read."""
        return not self._is_known(place_of(mistake))

    def is_wrong(self, place: str) -> bool:
        """Return whether a mistake is about the value at this place."""
        return place in map(place_of, self.mistakes)

    def _is_wrong(self, place: str) -> bool:
        """Return whether the value at `place`, or a part of it, is wrong or could not be read."""
        return place in self._above or self._is_known(place)

    def _is_known(self, place: str) -> bool:
        """Return whether the value at `place` is, or belongs to, one that could not be read."""
        return bool(self.unusable) and not self.unusable.isdisjoint(above(place))


def key_paths(above: str, *keys: str) -> tuple[str, ...]:
    """Return the key paths of keys of one object."""
    return tuple(f"{above}.{key}" for key in keys)


def place_of(mistake: Mistake) -> str:
    """Return the place that a mistake begins with."""
    return mistake.cause.partition(": ")[0]


def join(path: str, key: str) -> str:
    """
    Return the dotted path of `key` below `path`. A key that is not a plain word is quoted, without secrets in it, and
    cut if long.

    A key with a dot is no plain word: `profiles.a.identity` is a part of the profile `a`, not a profile `a.identity`.
    """
    shown = key if re.fullmatch(r"(?!eyJ)[A-Za-z0-9_$-]{1,80}", key) else f'"{one_line(displayed("", key)[:80])}"'
    return f"{path}.{shown}" if path else shown


def profile_place(name: str) -> str:
    """Return the dotted path of a profile: `profiles.a`, or `profiles."a.b"`."""
    return join("profiles", name)


def profile_of(place: str) -> str | None:
    """Return the name of the profile that `place` is, or belongs to; None for a place outside the profiles."""
    found = re.match(r'profiles\.(?:"([^"]*)"|([^."\[]+))', place)
    return (found[1] or found[2]) if found is not None else None


_PART = re.compile(r'"[^"]*"|[^.\["]+|[.\["]')
"""A key in quotes, a plain word, or the character before the next key or index."""


def above(place: str) -> set[str]:
    """Return a place and every one that it belongs to: `a."b.c"[0]` belongs to `a."b.c"` and to `a`."""
    return {place, *(place[: part.start()] for part in _PART.finditer(place) if part[0] in ".[")}
