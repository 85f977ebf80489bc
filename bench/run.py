"""`make bench`: measure the installed sidecar beside nginx and a static Go server. Method: bench/README.md.

The exit code is 0 whenever the run completes. On a shared machine a single missed goal proves nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # for tests.e2e, which attacks.py shares with the tests

import attacks
import baselines
import callers
import client
import neighbours
import outage
import reload
import size
import start
import traffic
from processes import CORES
from sidecar import Cloud, Sidecar, command, emulated_cloud, extras, sidecar
from table import Figure, markdown


@dataclass(frozen=True)
class Extent:
    """The number and the length of the measurements."""

    rounds: int
    seconds: float
    spawns: int
    idle_seconds: float


QUICK = Extent(rounds=2, seconds=1, spawns=3, idle_seconds=10)
FULL = Extent(rounds=7, seconds=2, spawns=11, idle_seconds=60)
PARTS = ("start", "outage", "size", "idle", "crowd", "callers", "attacks", "reload", "neighbours", "traffic")


def main() -> int:
    """Measure the selected parts and print the table."""
    arguments = _parser().parse_args()
    figures = []
    for figure in _measured(QUICK if arguments.quick else FULL, arguments.only or PARTS):
        figures.append(figure)
        print(f"{figure.verdict:8} {figure.figure}: {figure.ours} {figure.ratio}", file=sys.stderr, flush=True)
    table = f"{_machine()}\n\n{markdown(figures)}"
    print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False) if arguments.json else table)
    if arguments.out:
        Path(arguments.out).write_text(table + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, about two minutes")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.add_argument("--out", metavar="FILE", help="write the table to FILE too")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    return parser


def _measured(extent: Extent, parts: list[str] | tuple[str, ...]) -> Iterator[Figure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idaas-sidecar-bench-")))
        cloud = stack.enter_context(emulated_cloud())
        go = baselines.build_go(directory)
        body = _body(cloud, directory)
        measure: dict[str, Callable[[], Iterable[Figure]]] = {
            "start": lambda: start.figures(cloud, directory, extent.spawns),
            "outage": lambda: outage.figures(cloud, directory, extent.spawns),
            "size": lambda: chain(size.memory(cloud, directory), size.commands(cloud, directory)),
            "idle": lambda: size.idle(cloud, directory, extent.idle_seconds),
            "crowd": lambda: start.crowd(cloud, directory, go, body, extent.spawns),
            "callers": lambda: callers.figures(cloud, directory),
            "attacks": lambda: attacks.figures(cloud, directory),
            "reload": lambda: reload.figures(cloud, directory),
            "neighbours": lambda: neighbours.figures(directory),
        }
        for part, figures in measure.items():
            if part in parts:
                yield from figures()
        if "traffic" in parts:
            servers = _servers(stack, cloud, directory, go, body)
            yield from traffic.figures(servers, rounds=extent.rounds, seconds=extent.seconds)


def _servers(
    stack: ExitStack, cloud: Cloud, directory: Path, go: Path | None, body: bytes
) -> dict[str, tuple[int, str]]:
    """Start the sidecar and the installed baselines; return their process ids and URLs."""
    ours = stack.enter_context(sidecar(cloud, directory))
    size.settle(ours)
    found = {"ours": (ours.pid, ours.port)}
    if baselines.nginx_binary():
        found["nginx"] = stack.enter_context(baselines.nginx(body, directory))
    if go:
        found["go"] = stack.enter_context(baselines.go_server(go, body, directory))
    return {name: (pid, f"http://127.0.0.1:{port}{baselines.PATH}") for name, (pid, port) in found.items()}


def _body(cloud: Cloud, directory: Path) -> bytes:
    """Return the body of a credential response, which the baselines serve."""
    with sidecar(cloud, directory) as ours:
        _ready(ours)
        return client.get(ours.port, baselines.PATH)[2]


def _ready(ours: Sidecar) -> None:
    client.until_200(ours.ops, "/readyz", since=time.perf_counter())


def _machine() -> str:
    """Return the first line of the table: date, Python version, cores, and packages that users do not have."""
    burden = f"; installed besides the requirements: {', '.join(extras())}" if extras() else ""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{time.strftime('%Y-%m-%d')}, Python {python}, {len(CORES)} cores, `{Path(command()[0]).name}`{burden}"


if __name__ == "__main__":
    sys.exit(main())
