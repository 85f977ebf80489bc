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
"""Attestations at the same time: they take the interpreter from all other work."""

MOST_LISTS = 20
"""Lists of processes, of which all but the first cost less than a millisecond; a busy machine needs a few."""

Ids = tuple[frozenset[int], frozenset[int]]
"""A process's user ids, and its groups."""


class AttestInTurn:
    """
    Calls `attest` in threads of its own, one at a time for each user.

    Starvation: a refused caller has caused an attestation all the same. However many connections one user makes,
    another user's attestation waits for one of them at most, and nothing else that needs a thread waits at all.
    """

    def __init__(self, attest: Callable[[PeerCredentials], PeerProcess]) -> None:
        self._attest = attest
        self._threads = ThreadPoolExecutor(AT_ONCE, "look")
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, caller: PeerCredentials) -> PeerProcess:
        """Return what `attest` finds."""
        turn = self._turns.get(caller.uid)
        if turn is None:
            turn = self._turns[caller.uid] = asyncio.Lock()
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._attest, caller)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class ProcFs:
    """
    Reads /proc, which takes milliseconds: not on the event loop.

    The holder of a socket is shown to the same user and to CAP_SYS_PTRACE, so a container sees its neighbours' sockets
    with a shared PID namespace and one of the two.
    """

    def __init__(self, proc: Path = Path("/proc"), initial_namespace: int = INITIAL_PID_NAMESPACE) -> None:
        self._proc = proc
        self._initial_namespace = initial_namespace

    def holder_of(self, caller: PeerCredentials) -> PeerProcess:
        """Return what is known about the process that holds the caller's socket; None for what is not certain."""
        holders = [pid for pid in self._pids() if self._holds(pid, caller)]
        if not holders:
            return PeerProcess(groups=self._groups_of_all(caller.uid))
        known = [groups for pid in holders if (groups := self._groups(pid)) is not None]
        # After a fork several processes hold it, and only a group that all of them have is certain.
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

        Other users' sockets are not shown without privilege, but all processes' groups are. The result is certain only
        where every process is visible: in the machine's own PID namespace, with none hidden, and with none that moved
        on to another process before it was read.
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
        Return the ids of all processes; None where new ones appear without end.

        A process that forks and ends all the time is in each list, and gone when it is read. So everything listed must
        have been read, twice in a row: process numbers may have wrapped around below the position of one list.
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
        # Of real, effective, saved and filesystem id, a socket is made with the last one.
        groups = frozenset(map(int, [words["Gid"][3], *words.get("Groups", ())]))
        return frozenset(map(int, words.get("Uid", ()))), groups

    def _executable(self, pid: int) -> str | None:
        try:
            return os.readlink(self._proc / str(pid) / "exe")
        except OSError:
            return None
