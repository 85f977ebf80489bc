"""Figures, the goals they are held against, and the table they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

COLUMNS = ("figure", "ours", "baseline", "ratio", "goal", "verdict")


@dataclass(frozen=True)
class Goal:
    """Reached at `goal`, a prize at `prize`; `at_least` where more is better. Without `goal` nothing is missed."""

    goal: float | None
    prize: float | None = None
    unit: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        goal = [f"{sign} {self.goal:g}{self.unit}"] if self.goal is not None else []
        prize = [f"prize {sign} {self.prize:g}{self.unit}"] if self.prize is not None else []
        return "; ".join(goal + prize)

    def verdict(self, value: float) -> str:
        if self._within(value, self.prize):
            return "prize"
        if self.goal is None:
            return ""
        return "reached" if self._within(value, self.goal) else "MISSED"

    def _within(self, value: float, bound: float | None) -> bool:
        if bound is None:
            return False
        return value >= bound if self.at_least else value <= bound


@dataclass(frozen=True)
class Figure:
    """One line of the table, as text."""

    figure: str
    ours: str
    baseline: str = ""
    ratio: str = ""
    goal: str = ""
    verdict: str = ""


def plain(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
    """A figure that stands for itself."""
    return Figure(
        name, number(value, unit), goal=str(goal) if goal else "", verdict=goal.verdict(value) if goal else ""
    )


def ratio(name: str, ours: float, whose: str, theirs: float, times: float, unit: str, goal: Goal | None) -> Figure:
    """A figure beside a baseline's; `times` (ours as a multiple of theirs) is what the goal is about."""
    return Figure(
        name,
        number(ours, unit),
        f"{whose} {number(theirs, unit)}",
        f"{times:.2f}",
        str(goal) if goal else "",
        goal.verdict(times) if goal else "",
    )


def skipped(name: str, why: str) -> Figure:
    return Figure(name, f"skipped: {why}")


def number(value: float, unit: str) -> str:
    """Three digits that mean something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".replace(",", "\u202f").strip()


def markdown(figures: Iterable[Figure]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(tuple(asdict(figure).values()) for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
