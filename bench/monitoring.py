"""
The picture docs/monitoring.png: panels of the fleet dashboard, drawn from the answers of a real Prometheus.

Three sidecars with sessions of three minutes and a cloud each. The cloud of the second one fails for four minutes,
which is longer than a session, and the third one refuses requests for a while. Takes eight minutes:

    .venv/bin/python -m bench.monitoring --png docs/monitoring.png
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.picture import Colour, Picture, text_width
from tests.deploy.monitoring import APT, DASHBOARDS, expressions, rules_file
from tests.deploy.prometheus import Prometheus, Sample, Target, configuration, prometheus
from tests.e2e.cloud import add_fault, emulator_admin
from tests.e2e.processes import Demo, demo
from tests.e2e.wire import fetch

LIFETIME = 180
"""Seconds of a session. It is short, so that the picture has a whole outage in minutes."""

SECONDS, OUTAGE, REFUSALS = 480, (120, 360), (60, 150)
"""Length of the run; when the second sidecar's cloud fails; when the third sidecar refuses requests."""

PANELS = (
    "Profiles by state",
    "Time left",
    "Refreshes by outcome",
    "Duration of a refresh by stage",
    "Responses by status code",
    "Refused requests by reason",
)
COLOURS = ((20, 70, 150), (205, 40, 40), (30, 130, 60), (220, 140, 20), (120, 60, 150), (90, 90, 90))
GRID, INK = (225, 225, 225), (40, 40, 40)


@dataclass(frozen=True)
class Series:
    """A line of a panel: its name, and its value for each second that has one."""

    name: str
    points: list[tuple[float, float]]


def main() -> int:
    """Run the sidecars and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--png", type=Path, required=True, help="where to write the picture")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="end the run earlier, to try the script")
    arguments = parser.parse_args()
    program = shutil.which("prometheus")
    if program is None:
        print(f"skipped: needs prometheus ({APT})", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sidecars = [stack.enter_context(demo("--lifetime", str(LIFETIME), home=home)) for _ in range(3)]
        targets = [Target(item.ops_url, "shop", f"cart-{number}") for number, item in enumerate(sidecars)]
        server = stack.enter_context(prometheus(program, home, configuration(targets, ()), rules_file()))
        start = time.time()
        _scenario(sidecars, start, arguments.seconds)
        arguments.png.write_bytes(_png(server, start, time.time()))
    return 0


def _scenario(sidecars: list[Demo], start: float, seconds: int) -> None:
    """Read credentials twice a second from each sidecar, while faults come and go."""
    failing = refusing = False
    while (passed := time.time() - start) < seconds:
        if failing != (OUTAGE[0] <= passed < OUTAGE[1]):
            failing = not failing
            if failing:
                add_fault(sidecars[1], kind="sts", times=None, status=503)
            else:
                emulator_admin(sidecars[1].emulator_url, "DELETE", "faults")
        refusing = REFUSALS[0] <= passed < REFUSALS[1]
        for number, sidecar in enumerate(sidecars):
            base, _, path = sidecar.credentials_uri.partition("/credentials")
            host = "example.com" if refusing and number == 2 else "127.0.0.1"
            fetch(base, f"/credentials{path}", host=host)
        time.sleep(0.5)


def _png(server: Prometheus, start: float, end: float) -> bytes:
    """Return the picture: two columns of panels."""
    picture = Picture(1280, 60 + 250 * math.ceil(len(PANELS) / 2))
    title = f"3 sidecars, sessions of {LIFETIME} s, one cloud fails from {OUTAGE[0]} to {OUTAGE[1]} s. X: seconds"
    picture.text(40, 16, title)
    texts = expressions(DASHBOARDS["fleet"], "30s")
    for index, name in enumerate(PANELS):
        found = [
            series
            for letter in "ABC"
            if f"{name} {letter}" in texts
            for series in _series(server, name, letter, texts[f"{name} {letter}"], start, end)
        ]
        _panel(picture, 80 + 630 * (index % 2), 60 + 250 * (index // 2), name, found, end - start)
    return picture.png()


def _series(server: Prometheus, panel: str, letter: str, expression: str, start: float, end: float) -> list[Series]:
    """Return the series of one expression of a panel, named as Grafana names them."""
    (board,) = [item for item in DASHBOARDS["fleet"]["panels"] if item["title"] == panel]
    (legend,) = [target["legendFormat"] for target in board["targets"] if target["refId"] == letter]
    answers = server.query_range(expression, start, end, 1)
    return [Series(_name(legend, item), _points(item, start)) for item in answers]


def _name(legend: str, item: Sample) -> str:
    for label, value in item["metric"].items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend


def _points(item: Sample, start: float) -> list[tuple[float, float]]:
    values = [(float(at) - start, float(value)) for at, value in item["values"]]
    return [(at, value) for at, value in values if math.isfinite(value)]


def _panel(picture: Picture, left: int, top: int, title: str, series: list[Series], seconds: float) -> None:
    """Draw a panel of 520 by 150 pixels with its title, axes, lines and legend."""
    width, height = 520, 150
    shown = [item for item in series if any(value for _, value in item.points)]
    maximum = 1.1 * max((value for item in shown for _, value in item.points), default=1.0)
    picture.text(left, top, title)
    top += 20
    for quarter in range(5):
        y = top + height - height * quarter // 4
        label = f"{maximum * quarter / 4:.3g}"
        picture.box(left, y, width, 1, GRID)
        picture.text(left - 8 - text_width(label), y - 4, label)
    for minute in range(0, int(seconds) + 1, 60):
        x = left + round(minute / seconds * width)
        picture.box(x, top + height, 1, 4, INK)
        picture.text(x - text_width(str(minute)) // 2, top + height + 8, str(minute))
    for number, item in enumerate(shown):
        _line(picture, item, COLOURS[number % len(COLOURS)], (left, top, width, height), seconds, maximum)
    _legend(picture, left, top + height + 28, [item.name for item in shown])


def _line(
    picture: Picture, item: Series, colour: Colour, box: tuple[int, int, int, int], seconds: float, maximum: float
) -> None:
    """Draw a line as steps: a vertical stroke wherever the value changes."""
    left, top, width, height = box
    before: tuple[int, int] | None = None
    for at, value in item.points:
        x, y = left + round(at / seconds * width), top + height - round(value / maximum * height)
        last_x, last_y = before or (x, y)
        picture.box(last_x, last_y - 1, x - last_x + 2, 2, colour)
        picture.box(x, min(y, last_y) - 1, 2, abs(y - last_y) + 2, colour)
        before = (x, y)


def _legend(picture: Picture, left: int, top: int, names: list[str]) -> None:
    for number, name in enumerate(names):
        picture.box(left, top, 16, 10, COLOURS[number % len(COLOURS)])
        picture.text(left + 22, top, name)
        left += 40 + text_width(name)


if __name__ == "__main__":
    sys.exit(main())
