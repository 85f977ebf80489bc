"""The terminal of the reader ends with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ..e2e.processes import DEADLINE, ROOT, wait_until

TEST = """
import os
import sys
from pathlib import Path
from tests.journeys.terminal import Terminal

with Terminal(os.environ, Path.cwd()) as terminal:
    pid, *_ = terminal.run("sleep 1000 >/dev/null & echo $!")
    print(pid, flush=True)
    sys.stdin.read()
"""
"""A test that starts a process in the background, and waits until its standard input ends."""


def runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_terminal_started_ends_with_a_killed_test() -> None:
    """A process in the background ends when the test ends, and when the test is killed."""
    for end in ("close", "kill"):
        with subprocess.Popen(
            (sys.executable, "-c", TEST), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as test:
            assert test.stdin is not None
            assert test.stdout is not None
            pid = int(test.stdout.readline())
            assert runs(pid)
            if end == "kill":
                os.kill(test.pid, signal.SIGKILL)
            else:
                test.stdin.close()
            test.wait(DEADLINE)
            wait_until(lambda pid=pid: not runs(pid))  # type: ignore[misc]
