"""Panels of a dashboard as rectangles and letters: numbers, graphs, bars of states, and tables."""

from __future__ import annotations

from bench.picture import Colour, Picture, text_width

COLOURS = ((20, 70, 150), (205, 40, 40), (30, 130, 60), (220, 140, 20), (120, 60, 150), (90, 90, 90))
GRID, INK, FAINT = (225, 225, 225), (40, 40, 40), (140, 140, 140)
AXIS, HEIGHT, LINE = 70, 130, 16
"""Width of the numbers of an axis, height of a graph, and height of a line of text, in pixels."""

Points = list[tuple[float, float]]
Series = tuple[str, Points]
Box = tuple[int, int, int, int]


def amount(value: float, unit: str) -> str:
    """Return a value with its unit; seconds beyond a day are days."""
    if unit == "s" and abs(value) > 86400:
        return f"{value / 86400:.0f} d"
    return f"{value:.3g}{ {'s': ' s', 'reqps': ' req/s'}.get(unit, '') }"


def number(picture: Picture, left: int, top: int, value: float | None, unit: str) -> None:
    """Draw one large number."""
    text = "no data" if value is None else amount(value, unit)
    picture.text(left, top, text, FAINT if value is None else COLOURS[0], size=4)


def table(picture: Picture, left: int, top: int, rows: list[dict[str, str | float]], unit: str) -> None:
    """Draw the names of the columns and at most six rows."""
    if not rows:
        picture.text(left, top, "no data", FAINT)
        return
    cells = [{key: each if isinstance(each, str) else amount(each, unit) for key, each in row.items()} for row in rows]
    names = list(dict.fromkeys(key for row in cells for key in row))
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in cells)) + 1 for name in names}
    header = {name: name for name in names}
    for index, row in enumerate([header, *cells[:6]]):
        text = "".join(row.get(name, "").ljust(widths[name]) for name in names)
        picture.text(left, top + LINE * index, text, FAINT if index == 0 else INK)


def graph(picture: Picture, place: tuple[int, int, int], series: list[Series], seconds: float) -> None:
    """Draw the series as lines. Series that are always zero are left out beside others."""
    left, top, width = place[0] + AXIS, place[1], place[2] - AXIS - 20
    shown = [item for item in series if any(value for _, value in item[1])] or series
    maximum = 1.1 * max((value for _, points in shown for _, value in points), default=0.0) or 1.0
    for quarter in range(5):
        y = top + HEIGHT - HEIGHT * quarter // 4
        label = f"{maximum * quarter / 4:.3g}"
        picture.box(left, y, width, 1, GRID)
        picture.text(left - 8 - text_width(label), y - 4, label)
    _times(picture, left, top + HEIGHT, width, seconds)
    for index, (_, points) in enumerate(shown):
        _line(picture, points, COLOURS[index % len(COLOURS)], (left, top, width, HEIGHT), seconds, maximum)
    _legend(picture, left, top + HEIGHT + 26, width, [name for name, _ in shown])


def bars(picture: Picture, place: tuple[int, int, int], series: list[Series], seconds: float) -> None:
    """Draw a bar for each series where it has a point: the states of a profile, one below the other."""
    left, top, width = place[0] + AXIS, place[1], place[2] - AXIS - 20
    height = HEIGHT // max(1, len(series))
    step = round(width / seconds) + 1
    for index, (_, points) in enumerate(series):
        for at, _ in points:
            colour = COLOURS[index % len(COLOURS)]
            picture.box(left + round(at / seconds * width), top + height * index + 4, step, height - 8, colour)
    _times(picture, left, top + HEIGHT, width, seconds)
    _legend(picture, left, top + HEIGHT + 26, width, [name for name, _ in series])


def _times(picture: Picture, left: int, top: int, width: int, seconds: float) -> None:
    """Draw the axis of time, with a mark for each minute."""
    picture.box(left, top, width, 1, GRID)
    for minute in range(0, int(seconds) + 1, 60):
        x = left + round(minute / seconds * width)
        picture.box(x, top, 1, 4, INK)
        picture.text(x - text_width(str(minute)) // 2, top + 8, str(minute))


def _line(picture: Picture, points: Points, colour: Colour, box: Box, seconds: float, maximum: float) -> None:
    """Draw a line as steps: a vertical stroke wherever the value changes. Without a value there is no line."""
    left, top, width, height = box
    before: tuple[float, int, int] | None = None
    for at, value in points:
        x, y = left + round(at / seconds * width), top + height - round(max(0.0, value) / maximum * height)
        last_at, last_x, last_y = before or (at, x, y)
        if at - last_at > 5:
            last_x, last_y = x, y
        picture.box(last_x, last_y - 1, x - last_x + 2, 2, colour)
        picture.box(x, min(y, last_y) - 1, 2, abs(y - last_y) + 2, colour)
        before = (at, x, y)


def _legend(picture: Picture, left: int, top: int, width: int, names: list[str]) -> None:
    """Draw the names with their colours, in as many lines as they need."""
    if not names:
        picture.text(left, top, "no data", FAINT)
    x = left
    for index, name in enumerate(names):
        needed = 40 + text_width(name)
        if x > left and x + needed - 18 > left + width:
            x, top = left, top + LINE
        picture.box(x, top, 16, 10, COLOURS[index % len(COLOURS)])
        picture.text(x + 22, top, name)
        x += needed
