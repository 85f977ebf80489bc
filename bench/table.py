"""Figures, their goals, and the table of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

COLUMNS = ("figure", "ours", "baseline", "ratio", "goal", "verdict")


@dataclass(frozen=True)
class Goal:
    """A figure is `reached` at `goal` and `stretch` at `stretch`. `at_least`: a higher value is better."""

    goal: float | None
    stretch: float | None = None
    unit: str = ""
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        goal = [f"{sign} {self.goal:g}{self.unit}"] if self.goal is not None else []
        stretch = [f"stretch {sign} {self.stretch:g}{self.unit}"] if self.stretch is not None else []
        return "; ".join(goal + stretch)

    def verdict(self, value: float) -> str:
        """Return `stretch`, `reached`, `MISSED`, or an empty text without a goal."""
        if self._within(value, self.stretch):
            return "stretch"
        if self.goal is None:
            return ""
        return "reached" if self._within(value, self.goal) else "MISSED"

    def _within(self, value: float, bound: float | None) -> bool:
        if bound is None:
            return False
        return value >= bound if self.at_least else value <= bound


@dataclass(frozen=True)
class Figure:
    """A row of the table, as text."""

    figure: str
    ours: str
    baseline: str = ""
    ratio: str = ""
    goal: str = ""
    verdict: str = ""


def plain(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
    """Return a figure without a baseline."""
    return Figure(
        name, number(value, unit), goal=str(goal) if goal else "", verdict=goal.verdict(value) if goal else ""
    )


def ratio(name: str, ours: float, baseline: str, theirs: float, times: float, unit: str, goal: Goal | None) -> Figure:
    """Return a figure beside a baseline. The goal applies to `times`, the value as a multiple of the baseline's."""
    return Figure(
        name,
        number(ours, unit),
        f"{baseline} {number(theirs, unit)}",
        f"{times:.2f}",
        str(goal) if goal else "",
        goal.verdict(times) if goal else "",
    )


def skipped(name: str, reason: str) -> Figure:
    """Return a figure that was not measured, with the reason."""
    return Figure(name, f"skipped: {reason}")


def number(value: float, unit: str) -> str:
    """Format a value with three significant digits."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".replace(",", "\u202f").strip()


def markdown(figures: Iterable[Figure]) -> str:
    """Return the table as Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(tuple(asdict(figure).values()) for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
