"""A terminal of the reader: one bash process that keeps its variables from block to block."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..e2e.processes import DEADLINE, OutputLines

END = "-- end of block"
BLOCK_DEADLINE = 5 * DEADLINE
"""Seconds until a block fails. A block starts up to a dozen interpreters, each of which has DEADLINE elsewhere."""


class Terminal:
    """
    A bash that stops at the first command that fails.

    Everything that it started is killed when the context exits, or when the process of the test is killed.
    """

    def __init__(self, env: Mapping[str, str], directory: Path) -> None:
        self._process = subprocess.Popen(
            ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail"),
            env=dict(env),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # A killed test closes its end of this pipe. A unit that `systemctl` started would otherwise run for ever.
        self._guard = subprocess.Popen(
            ("sh", "-c", 'cat >&2; kill -s KILL -- "-$1"', "sh", str(self._process.pid)),
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = OutputLines(self._process.stdout)
        self._blocks = self._seen = 0

    def run(self, block: str) -> list[str]:
        """Type a block, wait until it ends, and return its lines. Fails with them if a command fails."""
        self._blocks += 1
        end = f"{END} {self._blocks}"
        self._type(f"{{\n{block}\n}} </dev/null\nprintf '\\n%s\\n' '{end}'\n")
        self._output.find(lambda line: line == end, BLOCK_DEADLINE)
        lines = self._output.lines()[self._seen :]
        self._seen += len(lines)
        return lines[: lines.index(end)]

    def serve(self, block: str, ready: str) -> None:
        """Type a block whose last command keeps running, and wait for a line that contains `ready`."""
        self._type(f"{{\n{block}\n}} </dev/null\n")
        self._output.find(lambda line: ready in line)

    def _type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.kill()
        self._guard.communicate()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._output.close()
