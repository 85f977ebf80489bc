"""Determines the state of many files in one thread, and the places of the file system that do not answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import Future, wait
from threading import Lock

from .disk import DaemonThreads
from .probe import probe

STALL = 1.0
"""Seconds for one file. If a file takes longer, its directory is left out until the file answers."""

MOST_HANGING = 64
"""The most places that hang, each of which keeps a thread. Above this number, no further file is examined."""

MOST_LINKS = 16
"""The most symbolic links behind one name. The kernel gives up after 40."""

Arm = Callable[[str], None]
"""Receives a directory in which a change could give a name another file."""

Ask = Callable[[str, str], None]
"""Receives a path before a system call about it, and the place to leave out if the call does not return."""


class Survey:
    """
    Examines files, and knows the places that hang, for the whole process. `look` blocks; call it in a thread.

    A place that hangs keeps one thread, however often its files are requested.
    """

    def __init__(self, *, stall: float = STALL, stamp: Callable[[str], Hashable] = probe) -> None:
        self._stall = stall
        self._stamp = stamp
        self._threads = DaemonThreads()
        self._hanging: frozenset[str] = frozenset()
        self._linked: dict[str, str] = {}
        self._lock = Lock()
        self._answered: Callable[[], None] = lambda: None

    def on_answer(self, call: Callable[[], None]) -> None:
        """Call `call`, in place of an earlier one, when a place that hung answers. It runs in the thread that hung."""
        self._answered = call

    def hanging(self) -> list[str]:
        """Return the directories and files that do not answer."""
        return sorted(self._hanging)

    def hangs(self, name: str) -> bool:
        """Return whether a file, or the target of its link, lies in a place that does not answer."""
        return self._place(self._linked.get(name, name)) is not None

    def directory(self, name: str) -> str:
        """Return the directory of a file. For a link, return the directory of its target at the last `look`."""
        return self._linked.get(name) or os.path.dirname(name)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget the links of other files than `names`."""
        self._linked = {name: place for name, place in self._linked.items() if name in names}

    def look(self, names: Collection[str], arm: Arm = lambda _directory: None) -> dict[str, Hashable]:
        """
        Return the state of each file that answers. `arm` receives the directories of a file first.

        One thread examines the files in order. If the thread hangs, another thread goes on with the files of other
        places.
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
                work.result()  # raises a bug of the thread, which would otherwise hit the same file for ever
            else:
                self._leave_behind(walk, work)
            self._linked |= walk.linked
            found |= walk.found
        return found

    def _place(self, path: str) -> str | None:
        """Return the place that contains a path and does not answer, or None."""
        return next((place for place in self._hanging if path == place or path.startswith(f"{place}/")), None)

    def _leave_behind(self, walk: _Walk, work: Future[None]) -> None:
        """Leave out the place in which the thread hangs, until the place answers."""
        walk.abandoned = True
        place = walk.place
        walk.linked[walk.name] = place
        with self._lock:
            self._hanging |= {place}

        def answered(_: Future[None]) -> None:
            with self._lock:
                self._hanging -= {place}
            self._answered()

        work.add_done_callback(answered)


class _Behind(Exception):
    """A name that is a link to a place that hangs."""


class _Walk:
    """
    The work of one thread, which examines files in order.

    `name`: the present file. `place`: the place to leave out if this file hangs. `abandoned`: ends the work. `linked`:
    for each name that is a link, the directory of its target, or the place that hangs.
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
        """Return the state of a file. Raises _Behind if the file is a link to a place that hangs."""
        # Directories are armed first, so that a change in between is reported twice, instead of never.
        for directory in directories(name, self._ask):
            if directory not in self._armed and not self.abandoned:
                self._armed.add(directory)
                self._arm(directory)
        return self._stamp(name)

    def _ask(self, path: str, place: str) -> None:
        if self.abandoned:
            return
        # A place that is known to hang is skipped: otherwise each link to it would hang a further thread.
        hanging = self._hanging(os.path.normpath(path))
        if hanging is not None:
            self.linked[self.name] = hanging
            raise _Behind
        self.place = os.path.normpath(place)


def directories(name: str, ask: Ask = lambda _path, _place: None) -> Iterator[str]:
    """
    Yield the directories between `name` and its file: the directory of each link, and the nearest existing directory.

    `ask` receives each path before a system call about it, and a directory before its content. If a file hangs, the
    whole directory is left out, because the other files in it would hang, too, each with a thread.
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
        except OSError:  # not a link, but the file itself
            return


def _links_above(path: str, ask: Ask) -> Iterator[str]:
    """Yield the parent of each directory above `path` that is a link."""
    above = [os.path.dirname(path)]
    while above[-1] != "/":
        above.append(os.path.dirname(above[-1]))
    for directory in reversed(above[:-1]):
        ask(directory, directory)
        if os.path.islink(directory):
            yield os.path.dirname(directory)
