"""Files that change under us: noticed by the kernel's news of their directories, never by looking again and again.

A name is followed through every symbolic link on its way, because Kubernetes swaps one (`..data`) to replace all files
of a volume at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Hashable, Iterator

from .inotify import Inotify

SETTLE = 0.2
"""Seconds from the first news to a look: a writer's steps come together, and a half-written file is not read."""

PAUSE = 1.0
"""Seconds between two looks: who rewrites a file without end does not keep us from everything else."""

MOST_LINKS = 16
"""Symbolic links on one way; the kernel gives up after 40."""

Changed = Callable[[frozenset[str]], None]
"""Told the names of the files that are not what they were."""


class Watch:
    """
    Tells which of the named files changed. Needs a running loop.

    `follow` may be called again with other names. Without inotify (no Linux, limits used up) only `look` notices.
    """

    def __init__(self, changed: Changed, *, settle: float = SETTLE, pause: float = PAUSE) -> None:
        self._changed = changed
        self._settle = settle
        self._pause = pause
        self._stamps: dict[str, Hashable] = {}
        self._inotify: Inotify | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_look = float("-inf")

    def start(self) -> str | None:
        """Begins to listen; why that cannot be, if so."""
        try:
            self._inotify = Inotify()
        except (OSError, AttributeError) as error:
            return str(getattr(error, "strerror", None) or "this system has no inotify")
        self._listen()
        return None

    def follow(self, names: Collection[str]) -> None:
        """From now on it is these files, as they are now; what is known of others is forgotten."""
        self._stamps = {name: self._stamps.get(name, stamp(name)) for name in names}
        self._arm()

    def look(self) -> None:
        """Tells at once of what has changed since the last look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listen()
        self._last_look = asyncio.get_running_loop().time()
        self._arm()  # first: what changes between arming and looking is told twice, and not never
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
            asyncio.get_running_loop().add_reader(self._inotify.descriptor, self._news)

    def _news(self) -> None:
        # Starvation: in a directory that others write to, somebody can make news faster than it can be read. It is
        # left unread until the look that it leads to.
        assert self._inotify is not None  # noqa: S101 - it is read while it is there
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._inotify.descriptor)
        if self._timer is None:
            at = max(loop.time() + self._settle, self._last_look + self._pause)
            self._timer = loop.call_at(at, self.look)

    def _arm(self) -> None:
        """Watches every directory in which one of the names could come to mean something else."""
        if self._inotify is None:
            return
        for directory in {place for name in self._stamps for place in directories(name)}:
            with contextlib.suppress(OSError):  # gone this moment, or not ours to see: its parent tells the rest
                self._inotify.watch(directory)


def stamp(name: str) -> Hashable:
    """What tells that the file behind `name` is another one, or has another content; None where there is none."""
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


def directories(name: str) -> Iterator[str]:
    """The directories on the way from `name` to its file: each link's, and the nearest that is there."""
    path = os.path.abspath(os.path.expanduser(name))
    for _ in range(MOST_LINKS):
        yield from _links_above(path)
        parent = os.path.dirname(path)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        yield parent
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # no link: the way ends here
            return


def _links_above(path: str) -> Iterator[str]:
    """The parents of those directories above `path` that are links themselves."""
    above = os.path.dirname(path)
    while above != "/":
        if os.path.islink(above):
            yield os.path.dirname(above)
        above = os.path.dirname(above)
