"""Load on one URL, with a bounded time or number of requests, on the load's core: wrk and ab, and their output."""

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
    """Return whether a tool is installed."""
    return shutil.which(tool) is not None


@dataclass(frozen=True)
class Round:
    """The result of one round at one server."""

    per_second: float
    p99_ms: float
    cpu_us: float
    errors: int


def wrk(pid: int, url: str, *, connections: int, seconds: float, close: bool = False) -> Round:
    """Run one round of `connections` clients that send the next request after each response."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    if close:
        command += ["-H", "Connection: close"]
    before = cpu_seconds(pid)
    output = subprocess.run(pinned(LOAD_CORE, [*command, url]), check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(pid) - before
    return Round(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", output)),
        p99_ms=_milliseconds(_found(r"\n +99% +(\S+)", output)),
        cpu_us=used * 1e6 / max(1, int(_found(r"(\d+) requests in", output))),
        errors=_errors(output),
    )


def storm(url: str, count: int) -> tuple[float, int]:
    """Send `count` requests at once, each on a connection; return milliseconds until the last response, and errors."""
    command = ["ab", "-q", "-r", "-s", "10", "-n", str(count), "-c", str(count), url]
    output = subprocess.run(pinned(LOAD_CORE, command), check=True, capture_output=True, text=True).stdout
    failed = int(_found(r"Failed requests:\s+(\d+)", output)) + int(_found(r"Non-2xx responses:\s+(\d+)", output, "0"))
    return float(_found(r"Time taken for tests:\s+([\d.]+)", output)) * 1000, failed


def _errors(output: str) -> int:
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = int(_found(r"Non-2xx or 3xx responses: (\d+)", output, "0"))
    return refused + sum(map(int, sockets.groups())) if sockets else refused


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * MILLISECONDS[unit]


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise ValueError(f"the output of the tool has no {pattern!r}:\n{text}")
    return match[1] if match else str(default)
