"""The process behind a caller's socket: pid, executable and groups, from what /proc lets us see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakValueDictionary

from .peer import Caller, Process

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""The kernel's PROC_PID_INIT_INO: from there every process of the machine is in sight."""


AT_ONCE = 2
"""Looks at the same time: they take the interpreter from everybody else."""


MOST_LISTS = 20
"""Lists of processes, of which all but the first cost less than a millisecond; a busy machine is quiet after a few."""

Ids = tuple[frozenset[int], frozenset[int]]
"""A process's user ids, and its groups."""


class InTurn:
    """
    Makes `look` in threads of its own, for each user one at a time.

    Starvation: whoever is refused a profile of a group has caused a look all the same. However many connections he
    makes, another user's look waits for one of his, and nothing else that needs a thread waits at all.
    """

    def __init__(self, look: Callable[[Caller], Process]) -> None:
        self._look = look
        self._threads = ThreadPoolExecutor(AT_ONCE, "look")
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, caller: Caller) -> Process:
        """What `look` finds."""
        turn = self._turns.get(caller.uid)
        if turn is None:
            turn = self._turns[caller.uid] = asyncio.Lock()
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, caller)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Processes:
    """
    Reads /proc, which takes milliseconds: not on the event loop.

    Whose socket it is, is shown to the same user and to CAP_SYS_PTRACE, so a container sees its neighbours' with a
    shared PID namespace and one of the two.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def behind(self, caller: Caller) -> Process:
        """What can be said of who holds the caller's socket. Raises nothing: what is not sure stays None."""
        holders = [pid for pid in self._pids() if self._holds(pid, caller)]
        if not holders:
            return Process(groups=self._groups_of_all(caller.uid))
        known = [groups for pid in holders if (groups := self._groups(pid)) is not None]
        # After a fork several hold it, and only a group that all of them have is certain.
        certain = frozenset.intersection(*known) if len(known) == len(holders) else None
        return Process(holders[0], self._executable(holders[0]), certain)

    def _pids(self) -> Iterator[int]:
        try:
            yield from (int(entry) for entry in os.listdir(self._proc) if entry.isdigit())
        except OSError:  # no /proc
            return

    def _holds(self, pid: int, caller: Caller) -> bool:
        link = f"socket:[{caller.inode}]"
        descriptors = self._proc / str(pid) / "fd"
        try:
            return any(os.readlink(descriptors / entry) == link for entry in os.listdir(descriptors))
        except OSError:
            return False

    def _groups_of_all(self, uid: int) -> frozenset[int] | None:
        """
        The groups that every process of the user is in.

        Other users' sockets are not shown without privilege, but everybody's groups are. That is sure only where no
        process can be out of sight: in the machine's own PID namespace, with nobody hidden, and nobody who has gone on
        to another process before his turn came.
        """
        try:
            all_in_sight = os.stat(self._proc / "self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
            os.stat(self._proc / "1/status")  # hidepid=, systemd's ProtectProc=
        except OSError:
            return None
        if not all_in_sight:
            return None
        found = self._seen_twice()
        groups = [groups for owners, groups in found.values() if uid in owners] if found is not None else []
        return frozenset.intersection(*groups) if groups else None

    def _seen_twice(self) -> dict[int, Ids] | None:
        """
        The ids of all processes; None where there is no end of new ones.

        A process that forks and ends all the time is in each list, and gone when it is read. So all that is listed has
        to have been read, twice in a row: by then process numbers may have begun anew below a list's place.
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
        """The process's user ids and groups; None if it is gone."""
        try:
            lines = (self._proc / str(pid) / "status").read_text(errors="replace").splitlines()
        except OSError:
            return None
        words = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        if len(words.get("Gid", ())) != 4:
            return None
        # Of real, effective, saved and filesystem id it is the last that a socket is made with.
        groups = frozenset(map(int, [words["Gid"][3], *words.get("Groups", ())]))
        return frozenset(map(int, words.get("Uid", ()))), groups

    def _executable(self, pid: int) -> str | None:
        try:
            return os.readlink(self._proc / str(pid) / "exe")
        except OSError:
            return None
