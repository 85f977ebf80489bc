"""
What each dependency costs when it is loaded, and each class of a value object: private memory and time.

    .venv/bench/bin/python bench/imports.py

Each row is the median of several processes. A module that another row has loaded before ("after") costs only what it
adds. The last two rows are a class of four members, as a dataclass and as a Struct. ARCHITECTURE.md has the figures,
measured in the environment of `make bench` on one machine with two shared cores. httpx also imports rich where that is
installed, 5 MiB.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 5
BASE = ("asyncio", "logging", "ssl")
"""Loaded before each measurement: what the sidecar needs in any case."""

IMPORTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("httptools, uvloop", ("httptools", "uvloop"), ()),
    ("msgspec", ("msgspec.json",), ()),
    ("cachetools", ("cachetools",), ()),
    ("httpx, httpcore, certifi", ("httpx", "httpcore", "certifi"), ()),
    ("pyjwt, cryptography", ("jwt", "cryptography.x509"), ("httpx",)),
    ("prometheus-client", ("prometheus_client",), ("httpx",)),
    ("uvicorn", ("uvicorn.protocols.http.httptools_impl",), ("httptools", "uvloop", "httpx")),
    ("fastapi, starlette, pydantic", ("fastapi",), ("httpx", "uvicorn")),
)
"""Name of the row, what is imported, and what another part has already loaded."""

SCRIPT = """
import importlib, sys, time
names, before = sys.argv[1].split(","), [name for name in sys.argv[2].split(",") if name]
for name in before: importlib.import_module(name)
def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty", "Shared")))
began, size = time.perf_counter(), private()
for name in names: importlib.import_module(name)
print(time.perf_counter() - began, private() - size)
"""


CLASSES = {
    "a frozen dataclass with slots": (
        "from dataclasses import dataclass",
        "@dataclass(frozen=True, slots=True)\nclass Value: {members}",
    ),
    "a frozen msgspec.Struct": ("from msgspec import Struct", "class Value(Struct, frozen=True): {members}"),
}
MEMBERS = "\n".join(f"\n    member_{number}: str = ''" for number in range(4))
CLASS_SCRIPT = """
import sys, time, tracemalloc
exec(sys.argv[1])
code = compile(sys.argv[2], "value", "exec")
exec(code, {**globals()})
def make():
    kept = [dict(globals()) for _ in range(100)]
    began, size = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    for each in kept: exec(code, each)
    return (time.perf_counter() - began) / 100, (tracemalloc.get_traced_memory()[0] - size) / 100 / 1024
seconds, _ = make()
tracemalloc.start()
print(seconds, make()[1])
"""


def main() -> int:
    print("| package | memory (RSS) | time |\n|---|---|---|")
    for row, names, before in IMPORTS:
        command = (sys.executable, "-c", SCRIPT, ",".join(names), ",".join((*BASE, *before)))
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(ROUNDS)]
        seconds, kib = (
            statistics.median(column) for column in zip(*(map(float, run.split()) for run in runs), strict=True)
        )
        print(f"| {row} | {kib / 1024:.1f} MiB | {1000 * seconds:.0f} ms |")
    for row, (imports, text) in CLASSES.items():
        command = (sys.executable, "-c", CLASS_SCRIPT, imports, text.format(members=MEMBERS))
        seconds, kib = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        print(f"| {row} | {kib:.0f} KiB | {1000 * seconds:.2f} ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
