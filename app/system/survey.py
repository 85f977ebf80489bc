"""The state of many files, looked at by one thread, and the places of the file system that do not answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import Future, wait
from threading import Lock

from .disk import DaemonThreads
from .files import stamp

STALL = 1.0
"""Seconds for one file. Where one takes longer, its directory is left out until it answers."""

MOST_HANGING = 64
"""Places that hang, each with a thread. Beyond them no further file is looked at."""

MOST_LINKS = 16
"""Symbolic links behind one name; the kernel gives up after 40."""

Arm = Callable[[str], None]
"""Receives a directory in which a change could give a name another file."""


class Survey:
    """
    Looks at files, and knows the places that hang, for the whole process. `look` blocks; it is for threads.

    A place that hangs keeps one thread, however often its files are looked at. `answered` is called in that thread when
    the place answers.
    """

    def __init__(self, *, stall: float = STALL, stamp: Callable[[str], Hashable] = stamp) -> None:
        self.answered: Callable[[], None] = lambda: None
        self._stall = stall
        self._stamp = stamp
        self._threads = DaemonThreads()
        self._hanging: frozenset[str] = frozenset()
        self._lock = Lock()

    def hanging(self) -> list[str]:
        """Return the directories and files that do not answer."""
        return sorted(self._hanging)

    def hangs(self, name: str) -> bool:
        """Return whether a file lies where the file system does not answer."""
        return any(name == place or name.startswith(f"{place}/") for place in self._hanging)

    def look(self, names: Collection[str], arm: Arm = lambda _directory: None) -> dict[str, Hashable]:
        """
        Return the state of each file that answers, after `arm` has received the directories of each.

        One thread looks at one file after the other. A thread that hangs is left behind, and another one goes on with
        the files elsewhere.
        """
        found: dict[str, Hashable] = {}
        while rest := [name for name in names if name not in found and not self.hangs(name)]:
            if len(self._hanging) >= MOST_HANGING:
                break
            walk = _Walk(rest, arm, self._stamp)
            work = self._threads.submit(walk.run)
            done = -1
            while not work.done() and done < len(walk.found):
                done = len(walk.found)
                wait([work], self._stall)
            if work.done():
                work.result()  # a bug in the thread is raised: it would leave out the same file for ever
            else:
                self._leave_behind(walk, work)
            found |= walk.found
        return found

    def _leave_behind(self, walk: _Walk, work: Future[None]) -> None:
        """Leave out the place where the thread hangs until it answers."""
        walk.abandoned = True
        # Of a file that hangs, the whole directory: the others there would hang too, each with a thread.
        place = os.path.dirname(walk.name) if walk.at == walk.name else walk.at
        with self._lock:
            self._hanging |= {place}

        def answered(_: Future[None]) -> None:
            with self._lock:
                self._hanging -= {place}
            self.answered()

        work.add_done_callback(answered)


class _Walk:
    """One thread's way through files: at `name` now, where it asks for `at`. `abandoned` ends it there."""

    def __init__(self, names: list[str], arm: Arm, stamp: Callable[[str], Hashable]) -> None:
        self.found: dict[str, Hashable] = {}
        self.name = ""
        self.at = ""
        self.abandoned = False
        self._names = names
        self._arm = arm
        self._stamp = stamp
        self._armed: set[str] = set()

    def run(self) -> None:
        for name in self._names:
            if self.abandoned:
                return
            self.name = self.at = name
            # First: a change between arming and looking is reported twice, and not never.
            for directory in directories(name, self._ask):
                if directory not in self._armed and not self.abandoned:
                    self._armed.add(directory)
                    self._arm(directory)
            self._ask(name)
            state = self._stamp(name)
            if not self.abandoned:
                self.found[name] = state

    def _ask(self, path: str) -> None:
        if not self.abandoned:
            self.at = path


def directories(name: str, ask: Callable[[str], None] = lambda _path: None) -> Iterator[str]:
    """
    Yield the directories between `name` and its file: each link's, and the nearest one that exists.

    `ask` receives each path before the system is asked about it; a directory comes before what is in it.
    """
    path = "/" + os.path.abspath(os.path.expanduser(name)).lstrip("/")  # POSIX lets a path begin with two slashes
    for _ in range(MOST_LINKS):
        yield from _links_above(path, ask)
        parent = os.path.dirname(path)
        ask(parent)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        yield parent
        ask(path)
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # not a link: this is the file
            return


def _links_above(path: str, ask: Callable[[str], None]) -> Iterator[str]:
    """Yield the parents of those directories above `path` that are links themselves."""
    above = [os.path.dirname(path)]
    while above[-1] != "/":
        above.append(os.path.dirname(above[-1]))
    for directory in reversed(above[:-1]):
        ask(directory)
        if os.path.islink(directory):
            yield os.path.dirname(directory)
