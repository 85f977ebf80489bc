"""A child process. Threads start it and wait for it, because its executable may lie on a file system that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess  # nosec B404 - the identity `command`
from collections.abc import Mapping, Sequence
from threading import Lock

from .disk import DaemonThreads, Disk

# With vfork, Python holds its global lock until the child has opened its executable, a script's interpreter and the
# dynamic linker. If one of these files hangs, all threads stop, and no signal ends the process.
# The name is documented: https://docs.python.org/3/library/subprocess.html#disable-vfork-posix-spawn
setattr(subprocess, "_USE_VFORK", False)  # noqa: B010 - typeshed does not have the name

FILES_AT_START = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""The soft limit of open files with which this process was started. A listener raises the limit. Some programs close
each possible descriptor at their start, which takes minutes with a limit of 1,000,000,000."""


class ChildProcess:
    """A running child process, which leads a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._ended = asyncio.get_running_loop().run_in_executor(DaemonThreads(), process.wait)

    @property
    def returncode(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for the end of the process and return its exit status. Several callers may wait."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Kill the whole process group."""
        _kill_group(self.pid)


async def start(
    disk: Disk, argv: Sequence[str], environ: Mapping[str, str], *, stdout: int, stderr: int
) -> ChildProcess:
    """
    Start an executable with an empty standard input and these descriptors for its output.

    Raises the errors of Popen, and Stalled if the executable, its interpreter or its dynamic linker does not answer.
    """
    starting = _Start(argv, environ, stdout, stderr)
    try:
        return ChildProcess(await disk.call(argv[0], starting.run))
    except BaseException:
        starting.give_up()
        raise


class _Start:
    """The start of a child process on a thread. After `give_up`, the process is killed as soon as it runs."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], stdout: int, stderr: int) -> None:
        self._argv = argv
        self._environ = environ
        self._stdout = stdout
        self._stderr = stderr
        self._lock = Lock()
        self._given_up = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> subprocess.Popen[bytes]:
        """Return the process. Blocks until the process has opened its executable."""
        process = subprocess.Popen(  # noqa: S603 # nosec B603 - the configured command, no shell
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            env=dict(self._environ),
            start_new_session=True,  # a process group of its own, so that its children end with it
        )
        _limit(process.pid)
        with self._lock:
            self._process = process
            if not self._given_up:
                return process
        _end(process)
        return process

    def give_up(self) -> None:
        """Kill the process now, or as soon as it runs. Does not wait."""
        with self._lock:
            self._given_up = True
            process = self._process
        if process is not None:
            DaemonThreads().submit(_end, process)


def _limit(pid: int) -> None:
    """Give a process the first limit of open files, and mark it as the first to end if memory is short."""
    with contextlib.suppress(OSError, ValueError):  # it has ended, or belongs to another user (setuid)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (FILES_AT_START, hard))
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write("1000")


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill_group(process.pid)
    process.wait()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
