"""Child processes: those that we start, and the orphans that the first process of a PID namespace is given.

In a container without an init that is the sidecar: what a command identity or `kubectl exec` leaves behind becomes its
child, and stays as a zombie, one of the pod's limited number of processes, unless it is waited for.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Coroutine
from typing import Any

from .sleep import Nap, Sleep

SOON, SELDOM = 5.0, 30.0
"""Seconds to the next look while there are children, and while there are none. The event loop has SIGCHLD for itself,
so nothing tells of orphans; a zombie of some seconds harms nobody."""


class Children:
    """
    Knows the children that are ours to wait for, and buries the others.

    The event loop waits for those that it started, and would never hear of one that somebody else waited for: so each
    is to be started by way of `started`, and reported to `ended` when it was waited for.
    """

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._nap = Nap(sleep)
        self._starting = 0
        self._ours: set[int] = set()

    async def started(self, start: Coroutine[Any, Any, Process]) -> Process:
        """The process that `start` starts; raises what that raises."""
        self._starting += 1  # from the fork on it may end, and only afterwards do we know its number
        try:
            process = await start
            self._ours.add(process.pid)
            return process
        finally:
            self._starting -= 1

    def ended(self, process: Process) -> None:
        """It was waited for; what it left behind is looked at now."""
        self._ours.discard(process.pid)
        self._nap.wake()

    async def bury(self) -> None:
        """Waits for orphans as they end, until cancelled. For the first process of a PID namespace alone."""
        while True:
            await self._nap.sleep(SOON if self.reap() else SELDOM)

    def reap(self) -> bool:
        """Waits for every orphan that has ended, and for none of ours; whether there may be others."""
        while not self._starting:
            try:
                # WNOWAIT: it is looked at, and stays to be waited for by whom it belongs to.
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are no children
                return False
            if found is None or found.si_pid in self._ours:
                return True
            os.waitpid(found.si_pid, 0)
        return True
