"""A chart of a fleet's calls per second: the whole day, and two details."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.fleet_day import Day, Record, Span
from bench.fleet_goals import Spans
from bench.picture import Colour, Picture, text_width

GRID, INK, BLUE, DARK = (225, 225, 225), (40, 40, 40), (150, 185, 230), (20, 70, 150)
RED, OUTAGE, CUT, GREEN = (205, 40, 40), (228, 228, 228), (255, 232, 200), (30, 130, 60)

LOWER_EDGE = 0.5
"""The value at the lower edge. A logarithmic axis has no zero, and calls are whole numbers."""


@dataclass(frozen=True)
class Panel:
    """A rectangle of the chart: time in seconds along the x axis, calls per second (logarithmic) along the y axis."""

    left: int
    top: int
    width: int
    height: int
    span: Span
    maximum: float

    def x(self, at: float) -> int:
        """Return the x coordinate of an instant."""
        begins, ends = self.span
        return self.left + round((at - begins) / (ends - begins) * self.width)

    def y(self, calls: float) -> int:
        """Return the y coordinate of a number of calls."""
        share = math.log(max(calls, LOWER_EDGE) / LOWER_EDGE) / math.log(self.maximum / LOWER_EDGE)
        return self.top + self.height - round(min(1.0, share) * self.height)


def png(record: Record, found: Spans) -> bytes:
    """Return the chart as the bytes of a PNG file."""
    picture = Picture(1280, 760)
    day = record.day
    maximum = 2 * max(*record.calls, day.quota)
    whole = Panel(70, 70, 1180, 300, (0, day.ends), maximum)
    start = Panel(70, 450, 420, 240, (0, 300), maximum)
    outage = Panel(580, 450, 670, 240, (day.outage[0] - 300, found.recovery[1] + 360), maximum)
    label = f"{day.sidecars} sidecars, one account of {day.quota} calls per second: calls per second, seed {day.seed}"
    picture.text(70, 16, label, size=3)
    _legend(picture, 70, 44)
    for panel, title in ((whole, "hours"), (start, "roll-out: seconds"), (outage, "outage and recovery: seconds")):
        _draw(picture, panel, record, title)
    return picture.png()


def _legend(picture: Picture, left: int, top: int) -> None:
    for label, colour in (
        ("mean", DARK),
        ("least to most", BLUE),
        ("refused", RED),
        ("the quota", RED),
        ("half of it", GREEN),
        ("outage", OUTAGE),
        ("quota halved", CUT),
    ):
        thin = label in ("the quota", "half of it")
        picture.box(left, top + (4 if thin else 0), 20, 2 if thin else 10, colour)
        picture.text(left + 26, top, label)
        left += 50 + text_width(label)


def _draw(picture: Picture, panel: Panel, record: Record, title: str) -> None:
    _background(picture, panel, record.day)
    for column in range(panel.width):
        _column(picture, panel, record, column)
    _quota(picture, panel, record.day)
    _axes(picture, panel, title)


def _background(picture: Picture, panel: Panel, day: Day) -> None:
    for span, colour in ((day.outage, OUTAGE), (day.cut, CUT)):
        left, right = (min(max(panel.x(at), panel.left), panel.left + panel.width) for at in span)
        picture.box(left, panel.top, right - left, panel.height, colour)
    for calls in (1, 10, 100, 1_000):
        if calls < panel.maximum:
            picture.box(panel.left, panel.y(calls), panel.width, 1, GRID)


def _column(picture: Picture, panel: Panel, record: Record, column: int) -> None:
    begins, ends = panel.span
    first = int(begins + (ends - begins) * column / panel.width)
    last = max(first + 1, int(begins + (ends - begins) * (column + 1) / panel.width))
    calls = record.calls[first:last]
    if not calls:
        return
    x, bottom = panel.left + column, panel.top + panel.height
    minimum = min(calls) if len(calls) > 1 else 0  # a single second has no range: its bar begins at the x axis
    _bar(picture, x, panel.y(max(calls)), min(panel.y(minimum), bottom), BLUE)
    refused = max(record.throttled[first:last])
    if refused:
        _bar(picture, x, panel.y(refused), bottom, RED)
    _bar(picture, x, panel.y(sum(calls) / len(calls)) - 1, panel.y(sum(calls) / len(calls)) + 1, DARK)


def _bar(picture: Picture, x: int, top: int, bottom: int, colour: Colour) -> None:
    picture.box(x, top, 1, max(1, bottom - top), colour)


def _quota(picture: Picture, panel: Panel, day: Day) -> None:
    for column in range(panel.width):
        begins, ends = panel.span
        quota = day.quota_at(begins + (ends - begins) * column / panel.width)
        picture.box(panel.left + column, panel.y(quota), 1, 2, RED)
        if column % 8 < 4:
            picture.box(panel.left + column, panel.y(quota / 2), 1, 2, GREEN)


def _axes(picture: Picture, panel: Panel, title: str) -> None:
    bottom = panel.top + panel.height
    picture.box(panel.left - 1, panel.top, 1, panel.height, INK)
    picture.box(panel.left - 1, bottom, panel.width + 1, 1, INK)
    for calls in (1, 10, 100, 1_000):
        if calls < panel.maximum:
            label = str(calls)
            picture.text(panel.left - 8 - text_width(label), panel.y(calls) - 4, label)
    unit, step = (3600, 2 * 3600) if title == "hours" else (1, 60 if panel.span[1] <= 600 else 300)
    at = math.ceil(panel.span[0] / step) * step
    while at <= panel.span[1]:
        label = f"{at // unit:g}"
        picture.box(panel.x(at), bottom, 1, 5, INK)
        picture.text(panel.x(at) - text_width(label) // 2, bottom + 9, label)
        at += step
    picture.text(panel.left, bottom + 27, title)
