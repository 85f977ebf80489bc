"""
What each dependency costs when it is loaded: private memory and time, in a fresh interpreter.

    .venv/bench/bin/python bench/imports.py

Each row is the median of several processes. A module that another row has loaded before ("after") costs only what it
adds. ARCHITECTURE.md, "Dependencies", has the figures.
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


def main() -> int:
    print("| package | memory (RSS) | time |\n|---|---|---|")
    for row, names, before in IMPORTS:
        command = (sys.executable, "-c", SCRIPT, ",".join(names), ",".join((*BASE, *before)))
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(ROUNDS)]
        seconds, kib = (
            statistics.median(column) for column in zip(*(map(float, run.split()) for run in runs), strict=True)
        )
        print(f"| {row} | {kib / 1024:.1f} MiB | {1000 * seconds:.0f} ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
