"""Child processes: those that this program starts, and the orphans that pid 1 of a PID namespace inherits.

In a container without an init the sidecar is pid 1: what a command identity or `kubectl exec` leaves behind becomes its
child, and stays a zombie, one of the pod's limited number of processes, until it is waited for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from .sleep import InterruptibleSleep, Sleep

SOON, SELDOM = 5.0, 30.0
"""Seconds to the next look while there are children, and while there are none. The event loop has SIGCHLD for itself,
so nothing reports orphans; a zombie of some seconds harms nothing."""


class Child(Protocol):
    """A child process of this program."""

    @property
    def pid(self) -> int: ...


Started = TypeVar("Started", bound=Child)


class ChildReaper:
    """
    Knows the children of this program, and waits for all others.

    Others wait for the children that they started, and would never hear of one that was waited for here: start each
    by way of `start`, and report it to `ended` when it was waited for.
    """

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = InterruptibleSleep(sleep)
        self._starting = 0
        self._ours: set[int] = set()

    async def start(self, starting: Coroutine[Any, Any, Started]) -> Started:
        """Return the process that `starting` starts; raises what that raises."""
        self._starting += 1  # from the fork on it may end, and its number is known only afterwards
        try:
            process = await starting
            self._ours.add(process.pid)
            return process
        finally:
            self._starting -= 1

    def ended(self, process: Child) -> None:
        """The process was waited for; what it left behind is looked for now."""
        self._ours.discard(process.pid)
        self._sleep.wake()

    async def reap_orphans(self) -> None:
        """Wait for orphans as they end, until cancelled. For pid 1 of a PID namespace alone."""
        while True:
            await self._sleep.sleep(SOON if self.reap() else SELDOM)

    def reap(self) -> bool:
        """Wait for every orphan that has ended, and for none of ours; return whether there may be others."""
        while not self._starting:
            try:
                # WNOWAIT: the child is looked at, and stays to be waited for by the part that started it.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are no children
                return False
            if found is None or found.si_pid in self._ours:
                return True
            os.waitpid(found.si_pid, 0)
        return True
