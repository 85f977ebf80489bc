"""Processes that the benchmark starts, pins to a core, measures through /proc and ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
"""The server under test has one core. The load, the emulated cloud and this script share the other one."""


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return `command` pinned to a core, if the machine has two cores and taskset."""
    return ["taskset", "-c", str(core), *command] if len(CORES) > 1 and shutil.which("taskset") else list(command)


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    core: int = SERVER_CORE,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` while the block runs."""
    # taskset replaces itself with the command (exec), so that the process id is the server's.
    process = subprocess.Popen(pinned(core, command), env=env, stdout=stdout, stderr=stderr)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all current threads, with nanosecond resolution. Ended threads are not included."""
    return sum(int(_read(task / "schedstat").split()[0]) for task in _tasks(pid)) / 1e9


def wake_ups(pid: int) -> int:
    """Return how often the current threads have been woken from sleep."""
    return sum(_fields(task / "status")["voluntary_ctxt_switches"] for task in _tasks(pid))


def pss_kib(pid: int) -> int:
    """Return the proportional set size: private memory, and a share of the memory mapped by several processes."""
    return _fields(Path(f"/proc/{pid}/smaps_rollup"))["Pss"]


def rss_kib(pid: int) -> int:
    """Return the resident set size: the memory of the process if it were alone on the machine."""
    return _fields(Path(f"/proc/{pid}/smaps_rollup"))["Rss"]


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _fields(path: Path) -> dict[str, int]:
    """Return the `Name:   123 kB` lines of a file in /proc."""
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)(?: kB)?$", _read(path), re.MULTILINE)}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # the thread has just ended
        return "0"
