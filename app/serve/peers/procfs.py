"""The process behind a caller's socket: pid, executable and groups, as far as /proc shows them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakValueDictionary

from .peer import PeerCredentials, PeerProcess

INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""The inode of the machine's PID namespace (the kernel's PROC_PID_INIT_INO). From there every process is visible."""

AT_ONCE = 2
"""The most attestations at the same time: the interpreter does no other work meanwhile."""

MOST_LISTS = 20
"""The most lists of processes per look-up. Each list after the first costs less than a millisecond; a busy machine
needs a few."""

Ids = tuple[frozenset[int], frozenset[int]]
"""A process's user ids, and its groups."""


class AttestInTurn:
    """
    Calls `attest` in threads of its own, one at a time for each user.

    Starvation: a refused caller causes an attestation, too. However many connections one user makes, the attestation
    of another user waits for at most one of them. Other work that needs a thread never waits for attestations.
    """

    def __init__(self, attest: Callable[[PeerCredentials], PeerProcess]) -> None:
        self._attest = attest
        self._threads = ThreadPoolExecutor(AT_ONCE, "look")
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, caller: PeerCredentials) -> PeerProcess:
        """Return the process that `attest` finds."""
        turn = self._turns.get(caller.uid)
        if turn is None:
            turn = self._turns[caller.uid] = asyncio.Lock()
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._attest, caller)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class ProcFs:
    """
    Reads /proc, which takes milliseconds. Call it in a thread, not on the event loop.

    The kernel shows the holder of a socket to the same user and to CAP_SYS_PTRACE. So a container sees the sockets of
    the pod's other containers only with a shared PID namespace, and with the same user or this capability.
    """

    def __init__(self, proc: Path = Path("/proc"), initial_namespace: int = INITIAL_PID_NAMESPACE) -> None:
        self._proc = proc
        self._initial_namespace = initial_namespace

    def holder_of(self, caller: PeerCredentials) -> PeerProcess:
        """Return the process that holds the caller's socket. A member that is not certain is None."""
        holders = [pid for pid in self._pids() if self._holds(pid, caller)]
        if not holders:
            return PeerProcess(groups=self._groups_of_all(caller.uid))
        known = [groups for pid in holders if (groups := self._groups(pid)) is not None]
        # After a fork, several processes hold the socket. Only a group that all of them have is certain.
        certain = frozenset.intersection(*known) if len(known) == len(holders) else None
        return PeerProcess(holders[0], self._executable(holders[0]), certain)

    def _pids(self) -> Iterator[int]:
        try:
            yield from (int(entry) for entry in os.listdir(self._proc) if entry.isdigit())
        except OSError:  # no /proc
            return

    def _holds(self, pid: int, caller: PeerCredentials) -> bool:
        link = f"socket:[{caller.inode}]"
        descriptors = self._proc / str(pid) / "fd"
        try:
            return any(os.readlink(descriptors / entry) == link for entry in os.listdir(descriptors))
        except OSError:
            return False

    def _groups_of_all(self, uid: int) -> frozenset[int] | None:
        """
        Return the groups that every process of the user is in.

        Without privilege, the kernel hides other users' sockets but shows the groups of all processes. The result is
        certain only if every process is visible: in the machine's own PID namespace, with no process hidden, and with
        no process that continued in a new process (fork) before it was read.
        """
        try:
            all_visible = os.stat(self._proc / "self/ns/pid").st_ino == self._initial_namespace
            os.stat(self._proc / "1/status")  # hidepid=, systemd's ProtectProc=
        except OSError:
            return None
        if not all_visible:
            return None
        found = self._seen_twice()
        groups = [groups for owners, groups in found.values() if uid in owners] if found is not None else []
        return frozenset.intersection(*groups) if groups else None

    def _seen_twice(self) -> dict[int, Ids] | None:
        """
        Return the ids of all processes; None if new processes appear without end.

        A process that forks and ends all the time is in each list, but has ended when its entry is read. So every
        listed process must have been read, for two lists in a row: process numbers may wrap around to a value below the
        position that one list has reached.
        """
        read: dict[int, Ids] = {}
        quiet = 0
        for _ in range(MOST_LISTS):
            new = [pid for pid in self._pids() if pid not in read]
            quiet = 0 if new else quiet + 1
            if quiet == 2:
                return read
            read |= {pid: ids for pid in new if (ids := self._ids(pid)) is not None}
        return None

    def _groups(self, pid: int) -> frozenset[int] | None:
        ids = self._ids(pid)
        return ids[1] if ids is not None else None

    def _ids(self, pid: int) -> Ids | None:
        """Return the process's user ids and groups; None if it is gone."""
        try:
            lines = (self._proc / str(pid) / "status").read_text(errors="replace").splitlines()
        except OSError:
            return None
        words = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        if len(words.get("Gid", ())) != 4:
            return None
        # The kernel creates a socket with the filesystem id: the last of real, effective, saved and filesystem id.
        groups = frozenset(map(int, [words["Gid"][3], *words.get("Groups", ())]))
        return frozenset(map(int, words.get("Uid", ()))), groups

    def _executable(self, pid: int) -> str | None:
        try:
            return os.readlink(self._proc / str(pid) / "exe")
        except OSError:
            return None
