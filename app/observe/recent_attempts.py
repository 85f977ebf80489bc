"""The last refresh attempts of each profile with the durations of their stages, for the status."""

from __future__ import annotations

from collections.abc import Collection
from sys import intern
from typing import NamedTuple

from ..core.errors import SidecarError
from ..core.events import Event, Refreshed, RefreshFailed, StageTimed
from ..core.values import Now
from .counters import outcome

KEPT = 5
"""Attempts kept of each profile. Five attempts of two stages take 1.5 KiB; a further profile may take 10 KiB in all."""

MOST_STAGES = 16
"""The most stages of one attempt: token and exchange, both repeated if the token is refused, and a chain's roles."""


class Attempt(NamedTuple):
    """
    One attempt that has ended.

    `at`: the end of the attempt by the wall clock. `stages`: name and seconds of each stage reached, as one flat tuple,
    which takes less memory than pairs. `code`: the cloud's error code, or empty.
    """

    at: float
    outcome: str
    seconds: float
    code: str
    stages: tuple[str | float, ...]

    def durations(self) -> list[tuple[str, float]]:
        """Return name and seconds of each stage, in order."""
        return [(str(name), float(seconds)) for name, seconds in zip(self.stages[::2], self.stages[1::2], strict=True)]


class RecentAttempts:
    """Keeps the last KEPT attempts of each profile, as their events report them."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._ended: dict[str, tuple[Attempt, ...]] = {}
        self._under_way: dict[str, tuple[str | float, ...]] = {}

    def observe(self, event: Event) -> None:
        """Remember a stage, or the attempt that this event ends."""
        match event:
            case StageTimed(profile=profile, stage=stage, seconds=seconds):
                stages = (*self._under_way.get(profile, ()), intern(stage), seconds)
                self._under_way[profile] = stages[-2 * MOST_STAGES :]
            case Refreshed(profile=profile, took=took):
                self._end(profile, "success", took, "")
            case RefreshFailed(profile=profile, error=error, took=took):
                self._end(profile, outcome(error), took, error.code if isinstance(error, SidecarError) else "")
            case _:
                pass

    def of(self, profile: str) -> tuple[Attempt, ...]:
        """Return the last attempts of a profile, the newest one first."""
        return self._ended.get(profile, ())

    def forget_others(self, profiles: Collection[str]) -> None:
        """Forget the attempts of all other profiles, which were removed from the configuration."""
        for kept in (self._ended, self._under_way):
            for name in kept.keys() - set(profiles):
                del kept[name]

    def _end(self, profile: str, result: str, seconds: float, code: str) -> None:
        attempt = Attempt(self._now(), intern(result), seconds, code, self._under_way.pop(profile, ()))
        self._ended[profile] = (attempt, *self._ended.get(profile, ()))[:KEPT]
