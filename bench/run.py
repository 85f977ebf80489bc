"""`make bench`: measures the installed sidecar beside nginx and a static Go server; how and why: bench/README.md.

Exit code 0 whenever it ran: on a machine that others use too, a missed goal is a question, not a verdict.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import baselines
import callers
import client
import size
import start
import traffic
from processes import CORES
from sidecar import Cloud, Sidecar, command, emulated_cloud, extras, sidecar
from table import Figure, markdown


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    seconds: float
    spawns: int
    idle_seconds: float


QUICK = Extent(rounds=2, seconds=1, spawns=3, idle_seconds=10)
FULL = Extent(rounds=7, seconds=2, spawns=11, idle_seconds=60)
PARTS = ("start", "size", "idle", "crowd", "callers", "traffic")


def main() -> int:
    arguments = _parser().parse_args()
    figures = []
    for figure in _measured(QUICK if arguments.quick else FULL, arguments.only or PARTS):
        figures.append(figure)
        print(f"{figure.verdict:8} {figure.figure}: {figure.ours} {figure.ratio}", file=sys.stderr, flush=True)
    table = f"{_where()}\n\n{markdown(figures)}"
    print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False) if arguments.json else table)
    if arguments.out:
        Path(arguments.out).write_text(table + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a look in two minutes: fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="the figures as JSON instead of a table")
    parser.add_argument("--out", metavar="FILE", help="write the table to FILE too")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part alone; may be repeated")
    return parser


def _measured(extent: Extent, parts: list[str] | tuple[str, ...]) -> Iterator[Figure]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idaas-sidecar-bench-")))
        cloud = stack.enter_context(emulated_cloud())
        go = baselines.build_go(directory)
        body = _body(cloud, directory)
        if "start" in parts:
            yield from start.figures(cloud, directory, extent.spawns)
        if "size" in parts:
            yield from size.memory(cloud, directory)
        if "idle" in parts:
            yield from size.idle(cloud, directory, extent.idle_seconds)
        if "crowd" in parts:
            yield from start.crowd(cloud, directory, go, body, extent.spawns)
        if "callers" in parts:
            yield from callers.figures(cloud, directory)
        if "traffic" in parts:
            servers = _servers(stack, cloud, directory, go, body)
            yield from traffic.figures(servers, rounds=extent.rounds, seconds=extent.seconds)


def _servers(
    stack: ExitStack, cloud: Cloud, directory: Path, go: Path | None, body: bytes
) -> dict[str, tuple[int, str]]:
    """The sidecar and whoever of the baselines is there: process ids and URLs."""
    ours = stack.enter_context(sidecar(cloud, directory))
    size.settle(ours)
    found = {"ours": (ours.pid, ours.port)}
    if baselines.nginx_binary():
        found["nginx"] = stack.enter_context(baselines.nginx(body, directory))
    if go:
        found["go"] = stack.enter_context(baselines.go_server(go, body, directory))
    return {name: (pid, f"http://127.0.0.1:{port}{baselines.PATH}") for name, (pid, port) in found.items()}


def _body(cloud: Cloud, directory: Path) -> bytes:
    """A credential's bytes, for the baselines to give."""
    with sidecar(cloud, directory) as ours:
        _ready(ours)
        return client.get(ours.port, baselines.PATH)[2]


def _ready(ours: Sidecar) -> None:
    client.until_200(ours.ops, "/readyz", since=time.perf_counter())


def _where() -> str:
    burden = f"; more is installed than users have: {', '.join(extras())}" if extras() else ""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{time.strftime('%Y-%m-%d')}, Python {python}, {len(CORES)} cores, `{Path(command()[0]).name}`{burden}"


if __name__ == "__main__":
    sys.exit(main())
