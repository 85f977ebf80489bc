"""Child processes that this program starts, and orphans that pid 1 of a PID namespace inherits.

In a container without an init, the sidecar is pid 1. A process that a command identity or `kubectl exec` leaves behind
becomes a child of the sidecar. When it ends, it stays a zombie, and counts against the pod's limit of processes, until
the sidecar waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from .sleep import InterruptibleSleep, Sleep

SOON, SELDOM = 5.0, 30.0
"""Seconds between two checks with and without children. The event loop uses SIGCHLD for itself, so no signal reports
orphans here. A zombie for some seconds does no harm."""


class Child(Protocol):
    """A child process of this program."""

    @property
    def pid(self) -> int: ...


Started = TypeVar("Started", bound=Child)


class ChildReaper:
    """
    Knows the children that this program has started, and waits for all other children.

    The part that starts a child also waits for it, and would miss its end if this class waited for it. So start each
    child with `start`, and report it to `ended` after waiting for it.
    """

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = InterruptibleSleep(sleep)
        self._starting = 0
        self._ours: set[int] = set()

    async def start(self, starting: Coroutine[Any, Any, Started]) -> Started:
        """Return the process that `starting` starts. Raises the errors of `starting`."""
        self._starting += 1  # the process may end before its number is known
        try:
            process = await starting
            self._ours.add(process.pid)
            return process
        finally:
            self._starting -= 1

    def ended(self, process: Child) -> None:
        """Forget a process that was waited for, and look for the orphans that it left behind."""
        self._ours.discard(process.pid)
        self._sleep.wake()

    async def reap_orphans(self) -> None:
        """Wait for orphans as they end, until cancelled. Only pid 1 of a PID namespace calls this method."""
        while True:
            await self._sleep.sleep(SOON if self.reap_ended() else SELDOM)

    def reap_ended(self) -> bool:
        """Wait for every ended orphan, but for no child of this program. Return whether there may be more children."""
        while not self._starting:
            try:
                # WNOWAIT: the child remains, so that the part that started it can wait for it.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are no children
                return False
            if found is None or found.si_pid in self._ours:
                return True
            os.waitpid(found.si_pid, 0)
        return True
