"""The process behind a caller's socket: pid, executable and groups, from what /proc lets us see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakValueDictionary

from .visitor import Caller, Process

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""The kernel's PROC_PID_INIT_INO: from there every process of the machine is in sight."""


AT_ONCE = 2
"""Looks at the same time: they take the interpreter from everybody else."""


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
        process can be out of sight: in the machine's own PID namespace, with nobody hidden.
        """
        try:
            all_in_sight = os.stat(self._proc / "self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
            os.stat(self._proc / "1/status")  # hidepid=, systemd's ProtectProc=
        except OSError:
            return None
        if not all_in_sight:
            return None
        found = [groups for pid in self._pids() if (groups := self._groups(pid, of=uid)) is not None]
        return frozenset.intersection(*found) if found else None

    def _groups(self, pid: int, of: int | None = None) -> frozenset[int] | None:
        """The process's groups; None if it is gone, or if it is not a process `of` that user."""
        try:
            lines = (self._proc / str(pid) / "status").read_text(errors="replace").splitlines()
        except OSError:
            return None
        words = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        if of is not None and str(of) not in words.get("Uid", ()):
            return None
        if len(words.get("Gid", ())) != 4:
            return None
        # Of real, effective, saved and filesystem id it is the last that a socket is made with.
        return frozenset(map(int, [words["Gid"][3], *words.get("Groups", ())]))

    def _executable(self, pid: int) -> str | None:
        try:
            return os.readlink(self._proc / str(pid) / "exe")
        except OSError:
            return None
