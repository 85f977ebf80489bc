"""The state of many files, looked at by one thread, and the places of the file system that do not answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import Future, wait
from threading import Lock

from .disk import DaemonThreads
from .files import probe

STALL = 1.0
"""Seconds for one file. Where one takes longer, its directory is left out until it answers."""

MOST_HANGING = 64
"""Places that hang, each with a thread. Beyond them no further file is looked at."""

MOST_LINKS = 16
"""Symbolic links behind one name; the kernel gives up after 40."""

Arm = Callable[[str], None]
"""Receives a directory in which a change could give a name another file."""

Ask = Callable[[str, str], None]
"""Receives a path before the system is asked about it, and the place to leave out where the system does not answer."""


class Survey:
    """
    Looks at files, and knows the places that hang, for the whole process. `look` blocks; it is for threads.

    A place that hangs keeps one thread, however often its files are looked at. `answered` is called in that thread when
    the place answers.
    """

    def __init__(self, *, stall: float = STALL, stamp: Callable[[str], Hashable] = probe) -> None:
        self.answered: Callable[[], None] = lambda: None
        self._stall = stall
        self._stamp = stamp
        self._threads = DaemonThreads()
        self._hanging: frozenset[str] = frozenset()
        self._linked: dict[str, str] = {}
        self._lock = Lock()

    def hanging(self) -> list[str]:
        """Return the directories and files that do not answer."""
        return sorted(self._hanging)

    def hangs(self, name: str) -> bool:
        """Return whether a file, or the file that it is a link to, lies where the file system does not answer."""
        return self._place(self._linked.get(name, name)) is not None

    def directory(self, name: str) -> str:
        """Return the directory of a file, or of the file that it was a link to when it was looked at last."""
        return self._linked.get(name) or os.path.dirname(name)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget the links of other files than these."""
        self._linked = {name: place for name, place in self._linked.items() if name in names}

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
            walk = _Walk(rest, arm, self._stamp, self._place)
            work = self._threads.submit(walk.run)
            done = -1
            while not work.done() and done < len(walk.found):
                done = len(walk.found)
                wait([work], self._stall)
            if work.done():
                work.result()  # a bug in the thread is raised: it would leave out the same file for ever
            else:
                self._leave_behind(walk, work)
            self._linked |= walk.linked
            found |= walk.found
        return found

    def _place(self, path: str) -> str | None:
        """Return the place in which a path lies that does not answer, or None."""
        return next((place for place in self._hanging if path == place or path.startswith(f"{place}/")), None)

    def _leave_behind(self, walk: _Walk, work: Future[None]) -> None:
        """Leave out the place where the thread hangs until it answers."""
        walk.abandoned = True
        place = walk.place
        walk.linked[walk.name] = place
        with self._lock:
            self._hanging |= {place}

        def answered(_: Future[None]) -> None:
            with self._lock:
                self._hanging -= {place}
            self.answered()

        work.add_done_callback(answered)


class _Behind(Exception):
    """A name is a link to a place that hangs."""


class _Walk:
    """
    One thread's way through files: at `name` now. Where that hangs, `place` is to be left out; `abandoned` ends it.

    `linked`: the directory of each file that has another name, or the place behind which it lies.
    """

    def __init__(
        self, names: list[str], arm: Arm, stamp: Callable[[str], Hashable], hanging: Callable[[str], str | None]
    ) -> None:
        self.found: dict[str, Hashable] = {}
        self.linked: dict[str, str] = {}
        self.name = ""
        self.place = ""
        self.abandoned = False
        self._names = names
        self._arm = arm
        self._stamp = stamp
        self._hanging = hanging
        self._armed: set[str] = set()

    def run(self) -> None:
        for name in self._names:
            if self.abandoned:
                return
            self.name = name
            try:
                state = self._look(name)
            except _Behind:
                continue
            if not self.abandoned:
                self.found[name] = state
                if self.place != os.path.dirname(name):
                    self.linked[name] = self.place

    def _look(self, name: str) -> Hashable:
        """Return the state of a file. Raises _Behind where it is a link to a place that hangs."""
        # First: a change between arming and looking is reported twice, and not never.
        for directory in directories(name, self._ask):
            if directory not in self._armed and not self.abandoned:
                self._armed.add(directory)
                self._arm(directory)
        return self._stamp(name)

    def _ask(self, path: str, place: str) -> None:
        if self.abandoned:
            return
        # Known to hang: another thread would hang there for each link to it.
        hanging = self._hanging(os.path.normpath(path))
        if hanging is not None:
            self.linked[self.name] = hanging
            raise _Behind
        self.place = os.path.normpath(place)


def directories(name: str, ask: Ask = lambda _path, _place: None) -> Iterator[str]:
    """
    Yield the directories between `name` and its file: each link's, and the nearest one that exists.

    `ask` receives each path before the system is asked about it; a directory comes before what is in it. Of a file that
    hangs, the whole directory is to be left out: the others there would hang too, each with a thread.
    """
    path = "/" + os.path.abspath(os.path.expanduser(name)).lstrip("/")  # POSIX lets a path begin with two slashes
    for _ in range(MOST_LINKS):
        yield from _links_above(path, ask)
        parent = os.path.dirname(path)
        ask(parent, parent)
        nearest = parent
        while not os.path.isdir(nearest):
            nearest = os.path.dirname(nearest)
        yield nearest
        ask(path, parent)
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # not a link: this is the file
            return


def _links_above(path: str, ask: Ask) -> Iterator[str]:
    """Yield the parents of those directories above `path` that are links themselves."""
    above = [os.path.dirname(path)]
    while above[-1] != "/":
        above.append(os.path.dirname(above[-1]))
    for directory in reversed(above[:-1]):
        ask(directory, directory)
        if os.path.islink(directory):
            yield os.path.dirname(directory)
