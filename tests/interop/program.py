"""A client program as a process: it asks its SDK once for each line that it is sent, and tells what it got."""

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
"""For one answer: the slowest SDK gives up after about 30 s, and two cores may be busy with all of them."""

Answer = dict[str, str]
"""The three values, or `error`."""

BACK_OFF = 15.0
"""Seconds, after which every SDK has asked again: Java's ECS provider waits up to 10, OSS Java 10."""


class Program:
    """A running client program; leaving the context ends it."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command, env=dict(environment), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )

    def ask(self) -> Answer:
        """What the SDK gives when it is asked once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._silent("ended")
        # An answer is written at once and whole.
        readable, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        line = self._process.stdout.readline() if readable else b""
        answer: Answer = json.loads(line) if line else self._silent(f"no answer within {SECONDS} s, or ended")
        return answer

    def _silent(self, why: str) -> Answer:
        return {"error": f"{why}; it said: {self._log.read_text(errors='replace')[-2000:]}"}

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def ask_all(programs: Mapping[str, Program]) -> dict[str, Answer]:
    """One answer of each, asked all at once."""
    return at_once(Program.ask, programs)


def ask_until(programs: Mapping[str, Program], wanted: Answer) -> dict[str, Answer]:
    """The last answer of each, asked all at once and again until they give what is wanted, or the deadline is over."""
    return at_once(lambda program: _ask_until(program, wanted), programs)


def _ask_until(program: Program, wanted: Answer) -> Answer:
    answers: list[Answer] = []

    def come() -> bool:
        answers.append(program.ask())
        return answers[-1] == wanted

    with suppress(AssertionError):
        wait_until(come, BACK_OFF)
    return answers[-1]


def at_once(ask: Callable[[Program], Answer], programs: Mapping[str, Program]) -> dict[str, Answer]:
    with ThreadPoolExecutor(max(1, len(programs))) as pool:
        return dict(zip(programs, pool.map(ask, programs.values()), strict=True))
