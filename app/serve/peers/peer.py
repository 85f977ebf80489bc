"""The other end of a connection, as access rules and the audit see it. No I/O of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ...core.record import Record

LONGEST_ATTESTATION = 2.0
"""The time limit in seconds for finding a process in /proc. With some thousand processes, this takes tens of
milliseconds."""


class PeerCredentials(Record, frozen=True):
    """The owner of the client's socket, as the kernel reports it. `inode`: the inode of the client's socket."""

    uid: int
    inode: int


class PeerProcess(Record, frozen=True):
    """The known facts about the client's process. `groups` is None if the groups are not certain."""

    pid: int | None = None
    executable: str | None = None
    groups: frozenset[int] | None = None


Attest = Callable[[PeerCredentials], Awaitable[PeerProcess]]
"""Finds the process that holds the client's socket. May take a while."""


class Peer:
    """
    The other end of one connection.

    `credentials` asks the kernel at the first access and keeps the answer; None if the answer is not certain. `process`
    is None until `attest_process` has ended. `host` is the client's address, empty for a unix socket.
    """

    __slots__ = ("_asked", "_attest", "_credentials", "_identify", "host", "process")

    def __init__(self, identify: Callable[[], PeerCredentials | None], attest: Attest, host: str = "") -> None:
        self.host = host
        self.process: PeerProcess | None = None
        self._identify = identify
        self._attest = attest
        self._asked = False
        self._credentials: PeerCredentials | None = None

    @property
    def credentials(self) -> PeerCredentials | None:
        """The owner of the client's socket."""
        if not self._asked:
            self._asked = True
            self._credentials = self._identify()
        return self._credentials

    @property
    def uid(self) -> int | None:
        """The client's user id."""
        found = self.credentials
        return found.uid if found is not None else None

    async def attest_process(self) -> None:
        """Set `process`. If the search takes longer than LONGEST_ATTESTATION, set an empty process."""
        credentials = self.credentials
        if self.process is not None:
            return
        if credentials is None:
            self.process = PeerProcess()
            return
        try:
            async with asyncio.timeout(LONGEST_ATTESTATION):
                self.process = await self._attest(credentials)
        except TimeoutError:
            self.process = PeerProcess()


async def no_process(_credentials: PeerCredentials) -> PeerProcess:
    """Return an empty process: the `Attest` for connections about which the kernel says nothing."""
    return PeerProcess()


UNKNOWN_PEER = Peer(lambda: None, no_process)
"""A peer about which nothing is known."""
