"""A client program as a process: it calls its SDK once for each line on stdin, and prints the result."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..e2e.processes import ROOT, wait_until

SECONDS = 60
"""The time for one result: the slowest SDK gives up after about 30 s, and two cores may be busy with all of them."""

Result = dict[str, str]
"""The three values of a credential, or `error`."""

BACK_OFF = 15.0
"""Seconds after which every SDK has tried again: Java's ECS provider waits up to 10 s, OSS Java 10 s."""


class Program:
    """A running client program. It is killed when the context exits."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=dict(environment), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )

    def call(self) -> Result:
        """Make the program call its SDK once, and return the result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._no_result("ended")
        # A program writes a result as one line with one write.
        readable, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        line = self._process.stdout.readline() if readable else b""
        result: Result = json.loads(line) if line else self._no_result(f"no result within {SECONDS} s, or ended")
        return result

    def _no_result(self, reason: str) -> Result:
        return {"error": f"{reason}; its stderr: {self._log.read_text(errors='replace')[-2000:]}"}

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def call_all(programs: Mapping[str, Program]) -> dict[str, Result]:
    """Call all programs at once and return their results."""
    return at_once(Program.call, programs)


def call_until(programs: Mapping[str, Program], wanted: Result) -> dict[str, Result]:
    """Call all programs at once, each until it returns `wanted` or the deadline is over; return the last results."""
    return at_once(lambda program: _call_until(program, wanted), programs)


def _call_until(program: Program, wanted: Result) -> Result:
    results: list[Result] = []

    def is_wanted() -> bool:
        results.append(program.call())
        return results[-1] == wanted

    with suppress(AssertionError):
        wait_until(is_wanted, BACK_OFF)
    return results[-1]


def at_once(work: Callable[[Program], Result], programs: Mapping[str, Program]) -> dict[str, Result]:
    """Apply `work` to all programs at once, each in a thread."""
    with ThreadPoolExecutor(max(1, len(programs))) as pool:
        return dict(zip(programs, pool.map(work, programs.values()), strict=True))
