"""
Where the CPU time of a new connection goes: `perf` by library, `strace` by system call. Needs ab, perf and strace.

    .venv/bench/bin/python bench/new_connections.py
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
from sidecar import Sidecar, emulated_cloud, sidecar
from size import settle

CONNECTIONS, AT_ONCE = 20_000, 64
TOOLS = ("ab", "perf", "strace")


def main() -> int:
    if missing := [tool for tool in TOOLS if not load.has(tool)]:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="idaas-sidecar-bench-") as name,
        emulated_cloud() as cloud,
        sidecar(cloud, Path(name)) as ours,
    ):
        settle(ours)
        print(_shares(ours, Path(name)))
        print(_calls(ours, Path(name)))
    return 0


def _crowd(ours: Sidecar, count: int) -> subprocess.Popen[bytes]:
    url = f"http://127.0.0.1:{ours.port}/credentials"
    return subprocess.Popen(
        ("ab", "-q", "-n", str(count), "-c", str(AT_ONCE), url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _shares(ours: Sidecar, directory: Path) -> str:
    """Return the share of each library in the samples of three seconds."""
    data = str(directory / "perf.data")
    crowd = _crowd(ours, 10 * CONNECTIONS)
    time.sleep(0.5)
    subprocess.run(("perf", "record", "-q", "-F", "999", "-p", str(ours.pid), "-o", data, "sleep", "3"), check=True)
    crowd.terminate()
    crowd.wait()
    report = ("perf", "report", "-i", data, "--sort", "dso", "--stdio", "-q")
    return subprocess.run(report, check=True, capture_output=True, text=True).stdout


def _calls(ours: Sidecar, directory: Path) -> str:
    """Return the number of each system call for one connection, and its share of the time in all of them."""
    out = directory / "strace.txt"
    crowd = _crowd(ours, CONNECTIONS)
    tracer = subprocess.Popen(("strace", "-c", "-f", "-p", str(ours.pid), "-o", str(out)), stderr=subprocess.DEVNULL)
    crowd.wait()
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    rows = [line.split() for line in out.read_text().splitlines()[2:]]
    return "\n".join(
        f"{int(row[3]) / CONNECTIONS:8.2f} {row[-1]:16} {row[0]:>6} %"
        for row in rows
        if row[-1] != "total" and row[0][0].isdigit() and int(row[3]) * 20 > CONNECTIONS
    )


if __name__ == "__main__":
    sys.exit(main())
