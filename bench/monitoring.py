"""
The pictures docs/monitoring-fleet.png and docs/monitoring-pod.png: every panel of both dashboards, drawn from the
answers of a real Prometheus.

Three sidecars with sessions of three minutes and a cloud each. The cloud of the second one fails for four minutes,
which is longer than a session, and the third one refuses requests for a while. The pod dashboard shows the second
sidecar. Numbers and tables are those of a moment in the failure. Takes eight minutes:

    .venv/bin/python -m bench.monitoring --out docs
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.panels import bars, graph, number, table
from bench.picture import Picture
from tests.deploy.monitoring import APT, DASHBOARDS, expressions, rules_file
from tests.deploy.prometheus import Prometheus, Sample, Target, configuration, prometheus
from tests.e2e.cloud import add_fault, emulator_admin
from tests.e2e.processes import Demo, demo
from tests.e2e.wire import fetch

LIFETIME = 180
"""Seconds of a session. It is short, so that the picture has a whole outage in minutes."""

SECONDS, OUTAGE, REFUSALS, MOMENT = 480, (120, 360), (60, 150), 350
"""Length of the run; when the second sidecar's cloud fails; when the third refuses requests; when numbers are read."""

SHOWN_POD = {"fleet": ".*", "pod": "cart-1"}
"""The value of the variable `pod` in each dashboard."""

WIDTH, TOP = 1580, 60
COLUMNS = {"stat": (6, 70), "timeseries": (3, 240), "state-timeline": (3, 240), "table": (2, 150)}
"""Panels beside each other, and the height of one, by the type of the panel."""


@dataclass(frozen=True)
class Place:
    """Where a panel is drawn: the top left corner and the width."""

    left: int
    top: int
    width: int


def main() -> int:
    """Run the sidecars and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the directory of the pictures")
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
        for name in DASHBOARDS:
            view = _View(server, name, start, time.time())
            (arguments.out / f"monitoring-{name}.png").write_bytes(view.png())
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
        for number_, sidecar in enumerate(sidecars):
            base, _, path = sidecar.credentials_uri.partition("/credentials")
            host = "example.com" if refusing and number_ == 2 else "127.0.0.1"
            fetch(base, f"/credentials{path}", host=host)
        time.sleep(0.5)


def places(dashboard: dict[str, Any]) -> tuple[list[tuple[dict[str, Any], Place]], int]:
    """Return each panel of a dashboard with its place, numbers first and tables last, and the height of the picture."""
    found = []
    top = TOP
    for kinds in (("stat",), ("timeseries", "state-timeline"), ("table",)):
        columns, height = COLUMNS[kinds[0]]
        panels = [panel for panel in dashboard["panels"] if panel["type"] in kinds]
        width = (WIDTH - 20) // columns
        for index, panel in enumerate(panels):
            row, column = divmod(index, columns)
            found.append((panel, Place(20 + width * column, top + height * row, width - 20)))
        top += height * math.ceil(len(panels) / columns)
    return found, top


class _View:
    """One dashboard, with the answers of Prometheus between two times."""

    def __init__(self, server: Prometheus, name: str, start: float, end: float) -> None:
        self._server, self._name, self._start, self._end = server, name, start, end
        self._moment = min(start + MOMENT, end)
        self._expressions = expressions(DASHBOARDS[name], "30s", SHOWN_POD[name])

    def png(self) -> bytes:
        """Return the picture."""
        found, height = places(DASHBOARDS[self._name])
        picture = Picture(WIDTH, height)
        title = f"{self._name} dashboard: 3 sidecars, sessions of {LIFETIME} s, the cloud of cart-1 fails from "
        title += (
            f"{OUTAGE[0]} to {OUTAGE[1]} s. x: seconds. Numbers and tables at {round(self._moment - self._start)} s"
        )
        picture.text(20, 16, title)
        for panel, place in found:
            picture.text(place.left, place.top, panel["title"] + self._unit(panel))
            self._draw(picture, panel, place)
        return picture.png()

    def _draw(self, picture: Picture, panel: dict[str, Any], place: Place) -> None:
        left, top, width = place.left, place.top + 20, place.width
        unit = panel["fieldConfig"]["defaults"].get("unit", "short")
        match panel["type"]:
            case "stat":
                (answer,) = [*self._instant(panel)] or [("", None)]
                number(picture, left, top, None if answer[1] is None else float(answer[1]["value"][1]), unit)
            case "table":
                rows = [_row(legend, sample) for legend, sample in self._instant(panel)]
                table(picture, left, top, rows, unit)
            case "timeseries":
                graph(picture, (left, top, width), self._series(panel), self._end - self._start)
            case "state-timeline":
                bars(picture, (left, top, width), self._series(panel), self._end - self._start)
            case other:
                raise ValueError(f"no way to draw a panel of the type {other}")

    def _unit(self, panel: dict[str, Any]) -> str:
        """Return the unit of the numbers of an axis, as an addition to the title."""
        unit = panel["fieldConfig"]["defaults"].get("unit", "short")
        return {"s": ", s", "reqps": ", req/s"}.get(unit, "") if panel["type"] == "timeseries" else ""

    def _instant(self, panel: dict[str, Any]) -> Iterator[tuple[str, Sample]]:
        """Yield the samples at the moment of the numbers, each with the legend of its expression."""
        for target in panel["targets"]:
            for sample in self._server.query(self._expression(panel, target), self._moment):
                yield target.get("legendFormat", ""), sample

    def _series(self, panel: dict[str, Any]) -> list[tuple[str, list[tuple[float, float]]]]:
        """Return the series of a panel, named as Grafana names them, with the points of each."""
        return [
            (_legend(target["legendFormat"], sample), _points(sample, self._start))
            for target in panel["targets"]
            for sample in self._server.query_range(self._expression(panel, target), self._start, self._end, 1)
        ]

    def _expression(self, panel: dict[str, Any], target: dict[str, Any]) -> str:
        return self._expressions[f"{panel['title']} {target['refId']}"]


def _row(legend: str, sample: Sample) -> dict[str, str | float]:
    """Return the labels and the value of a row of a table."""
    labels = {key: value for key, value in sample["metric"].items() if key != "__name__"}
    return ({"setting": legend} if legend else {}) | labels | {"value": float(sample["value"][1])}


def _legend(legend: str, sample: Sample) -> str:
    for label, value in sample["metric"].items():
        legend = legend.replace("{{" + label + "}}", value)
    return legend


def _points(sample: Sample, start: float) -> list[tuple[float, float]]:
    values = [(float(at) - start, float(value)) for at, value in sample["values"]]
    return [(at, value) for at, value in values if math.isfinite(value)]


if __name__ == "__main__":
    sys.exit(main())
