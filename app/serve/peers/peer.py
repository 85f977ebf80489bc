"""Who is at the other end of a connection, as those see it who decide by it or write it down. No I/O of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

LONGEST_LOOK = 2.0
"""Seconds for finding a process in /proc; on a machine of some thousand processes it takes tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of the client's end of a connection; `inode` is that socket's."""

    uid: int
    inode: int


@dataclass(frozen=True, slots=True)
class Process:
    """What can be said of the process behind a caller; `groups` is None where nobody can be sure of them."""

    pid: int | None = None
    executable: str | None = None
    groups: frozenset[int] | None = None


Look = Callable[[Caller], Awaitable[Process]]
"""Finds the process of a caller. May take a while."""


class Visitor:
    """
    The other end of one connection.

    `caller` is found out when somebody first wants to know, and once; None where it is not sure. `process` is None
    until `look_closer` has ended.
    """

    __slots__ = ("_asked", "_caller", "_identify", "_look", "process")

    def __init__(self, identify: Callable[[], Caller | None], look: Look) -> None:
        self._identify = identify
        self._look = look
        self._asked = False
        self._caller: Caller | None = None
        self.process: Process | None = None

    @property
    def caller(self) -> Caller | None:
        """Who made the connection."""
        if not self._asked:
            self._asked = True
            self._caller = self._identify()
        return self._caller

    @property
    def uid(self) -> int | None:
        """The caller's uid."""
        caller = self.caller
        return caller.uid if caller is not None else None

    async def look_closer(self) -> None:
        """Fills `process`; with nothing if that takes too long."""
        caller = self.caller
        if self.process is not None:
            return
        if caller is None:
            self.process = Process()
            return
        try:
            async with asyncio.timeout(LONGEST_LOOK):
                self.process = await self._look(caller)
        except TimeoutError:
            self.process = Process()


async def _nothing(_caller: Caller) -> Process:
    return Process()


STRANGER = Visitor(lambda: None, _nothing)
"""Somebody of whom nothing is known."""
