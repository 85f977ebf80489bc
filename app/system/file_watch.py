"""File changes, by the kernel's events about their directories and not by polling.

Every symbolic link behind a name is followed, because Kubernetes replaces one (`..data`) to change all files of a
volume at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Hashable, Iterator

from .files import stamp
from .inotify import Inotify

SETTLE = 0.2
"""Seconds from the first event to a check: a writer's steps come together, and a half-written file is not read."""

PAUSE = 1.0
"""Seconds between two checks: a program that rewrites a file without end does not keep the loop busy."""

MOST_LINKS = 16
"""Symbolic links behind one name; the kernel gives up after 40."""

Changed = Callable[[frozenset[str]], None]
"""Receives the names of the files that have changed."""


class FileWatch:
    """
    Reports which of the named files changed. Needs a running loop.

    `follow` may be called again with other names. Without inotify (no Linux, limits used up) only `check` notices.
    """

    def __init__(self, changed: Changed, *, settle: float = SETTLE, pause: float = PAUSE) -> None:
        self._changed = changed
        self._settle = settle
        self._pause = pause
        self._stamps: dict[str, Hashable] = {}
        self._inotify: Inotify | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_check = float("-inf")

    def start(self) -> str | None:
        """Start to watch; return why that is impossible, or None."""
        try:
            self._inotify = Inotify()
        except (OSError, AttributeError) as error:
            return str(getattr(error, "strerror", None) or "this system has no inotify")
        self._listen()
        return None

    def follow(self, names: Collection[str]) -> None:
        """Watch these files from now on, as they are now; other files are forgotten."""
        self._stamps = {name: self._stamps.get(name, stamp(name)) for name in names}
        self._arm()

    def check(self) -> None:
        """Report at once what has changed since the last check."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listen()
        self._last_check = asyncio.get_running_loop().time()
        self._arm()  # first: a change between arming and checking is reported twice, and not never
        found = {name: stamp(name) for name in self._stamps}
        changed = frozenset(name for name, now in found.items() if now != self._stamps[name])
        self._stamps = found
        if changed:
            self._changed(changed)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.descriptor)
            self._inotify.close()
            self._inotify = None

    def _listen(self) -> None:
        if self._inotify is not None:
            self._inotify.drain()
            asyncio.get_running_loop().add_reader(self._inotify.descriptor, self._on_event)

    def _on_event(self) -> None:
        # Starvation: in a directory that others write to, events can be made faster than they can be read. They are
        # left unread until the check that they lead to.
        assert self._inotify is not None  # noqa: S101 - events come only while it is open
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._inotify.descriptor)
        if self._timer is None:
            at = max(loop.time() + self._settle, self._last_check + self._pause)
            self._timer = loop.call_at(at, self.check)

    def _arm(self) -> None:
        """Watch every directory in which a change could give one of the names another file."""
        if self._inotify is None:
            return
        for directory in {place for name in self._stamps for place in directories(name)}:
            with contextlib.suppress(OSError):  # gone this moment, or not readable: its parent reports the rest
                self._inotify.watch(directory)


def directories(name: str) -> Iterator[str]:
    """Yield the directories between `name` and its file: each link's, and the nearest one that exists."""
    path = os.path.abspath(os.path.expanduser(name))
    for _ in range(MOST_LINKS):
        yield from _links_above(path)
        parent = os.path.dirname(path)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        yield parent
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # not a link: this is the file
            return


def _links_above(path: str) -> Iterator[str]:
    """Yield the parents of those directories above `path` that are links themselves."""
    above = os.path.dirname(path)
    while above != "/":
        if os.path.islink(above):
            yield os.path.dirname(above)
        above = os.path.dirname(above)
