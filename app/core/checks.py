"""Checks of configured values, and the list of what they find: each mistake once, and none that follows from another.

Pure. A check reads its own value, and it may need others. Where one of those is wrong already, the check has nothing
to say that its owner could correct first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from .errors import ConfigError, Mistake, NotThereYet
from .record import Record


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
        raise NotThereYet(absent[0].cause, absent[0].cure)


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
                if not self.is_news(missing):
                    continue
                if patient:
                    absent.append(missing)
                else:
                    self.add([missing])
            except ConfigError as error:
                self.add(filter(self.is_news, error.mistakes))
        return absent

    def is_news(self, mistake: Mistake) -> bool:
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


def places(above: str, *keys: str) -> tuple[str, ...]:
    """Return the places of keys of one object."""
    return tuple(f"{above}.{key}" for key in keys)


def place_of(mistake: Mistake) -> str:
    """Return the place that a mistake begins with."""
    return mistake.cause.partition(": ")[0]


def above(place: str) -> set[str]:
    """Return a place and every one that it belongs to: `a.b[0]` belongs to `a.b` and to `a`."""
    return {place, *(place[:end] for end, character in enumerate(place) if character in ".[")}
