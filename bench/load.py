"""Load on one URL, bounded in time and number, on the load's core: wrk and ab, and what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from processes import LOAD_CORE, cpu_seconds, pinned

WRK = "needs wrk (apt-get install wrk)"
AB = "needs ab (apt-get install apache2-utils)"
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def has(tool: str) -> bool:
    return shutil.which(tool) is not None


@dataclass(frozen=True)
class Round:
    """One round at one server."""

    per_second: float
    p99_ms: float
    cpu_us: float
    errors: int


def wrk(pid: int, url: str, *, connections: int, seconds: float, close: bool = False) -> Round:
    """One round of `connections` clients, each asking again when it has its answer."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    if close:
        command += ["-H", "Connection: close"]
    before = cpu_seconds(pid)
    said = subprocess.run(pinned(LOAD_CORE, [*command, url]), check=True, capture_output=True, text=True).stdout
    spent = cpu_seconds(pid) - before
    return Round(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        p99_ms=_milliseconds(_found(r"\n +99% +(\S+)", said)),
        cpu_us=spent * 1e6 / max(1, int(_found(r"(\d+) requests in", said))),
        errors=_errors(said),
    )


def storm(url: str, count: int) -> tuple[float, int]:
    """`count` connections at once, one request each: milliseconds until all are answered, and errors."""
    command = ["ab", "-q", "-r", "-s", "10", "-n", str(count), "-c", str(count), url]
    said = subprocess.run(pinned(LOAD_CORE, command), check=True, capture_output=True, text=True).stdout
    failed = int(_found(r"Failed requests:\s+(\d+)", said)) + int(_found(r"Non-2xx responses:\s+(\d+)", said, "0"))
    return float(_found(r"Time taken for tests:\s+([\d.]+)", said)) * 1000, failed


def _errors(said: str) -> int:
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    refused = int(_found(r"Non-2xx or 3xx responses: (\d+)", said, "0"))
    return refused + sum(map(int, sockets.groups())) if sockets else refused


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * MILLISECONDS[unit]


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise ValueError(f"the tool did not say {pattern!r}:\n{text}")
    return match[1] if match else str(default)
