"""Detects file changes, by the kernel's events about directories, and by a check every few seconds.

Every symbolic link behind a name is followed, because Kubernetes replaces one (`..data`) to change all files of a
volume at once. All system calls about the files are made on threads: a file system that hangs stops no listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Collection, Hashable
from functools import partial

from .disk import DaemonThreads
from .inotify import Inotify
from .sleep import InterruptibleSleep
from .survey import Survey

QUIET = 0.2
"""Seconds from the first event to a check. All steps of a writer lead to one check, and no partial file is read."""

PAUSE = 1.0
"""Seconds between two checks, so that a program that rewrites a file without end does not keep the process busy."""

POLL = 5.0
"""
Seconds between two checks without an event. The kernel may have no inotify or no watch left. It never reports changes
by another machine (NFS), a mount, or a renamed ancestor directory.
"""

SELDOM = 60.0
"""The most seconds between two checks."""

IDLE_PART = 50
"""The pause as a multiple of the time for a check, so that checks of thousands of files take 2 % of the time."""

Changed = Callable[[frozenset[str]], None]
"""Receives the names of the files that have changed."""

NotReported = Callable[[str], None]
"""Receives the reason why the kernel reports no changes. Only the checks every POLL seconds find them then."""


class FileWatch:
    """
    Reports the named files that have changed, while `run` runs.

    `follow` may be called again with other names. `not_reported` is called at most once.
    """

    def __init__(
        self,
        changed: Changed,
        not_reported: NotReported = lambda _why: None,
        *,
        open_inotify: Callable[[], Inotify] = Inotify,
        quiet: float = QUIET,
        pause: float = PAUSE,
        survey: Survey | None = None,
    ) -> None:
        self._changed = changed
        self._not_reported = not_reported
        self._open_inotify = open_inotify
        self._quiet = quiet
        self._between_checks = pause
        self._survey = survey or Survey()
        self._sleep = InterruptibleSleep()
        self._threads = DaemonThreads()
        self._stamps: dict[str, Hashable] = {}
        self._used_up = False
        self._inotify: Inotify | None = None
        self._listening = False
        self._why: str | None = None
        self._wanted = asyncio.Event()

    def start(self) -> None:
        """Make the kernel report changes, if it can."""
        self._survey.on_answer(partial(_call_in, asyncio.get_running_loop(), self.check))
        try:
            self._inotify = self._open_inotify()
        except (OSError, AttributeError) as error:
            self._report_nothing(str(getattr(error, "strerror", None) or "this system has no inotify"))

    async def follow(self, names: Collection[str]) -> None:
        """Watch these files from now on, beginning with their present state. Forget all other files."""
        new = await self._look([name for name in names if name not in self._stamps])
        # A file that does not answer has no state yet. Its first state is reported as a change.
        self._stamps = {name: self._stamps.get(name, new.get(name, _UNKNOWN)) for name in names}
        self._survey.forget_others(names)

    async def run(self) -> None:
        """Check after events, after `check`, and every POLL seconds, until cancelled. See IDLE_PART."""
        now = asyncio.get_running_loop().time
        while True:
            self._wanted.clear()
            started = now()
            await self._check()  # also at the start: a file may have changed since `follow`
            pause = min(max(POLL, IDLE_PART * (now() - started)), SELDOM)
            await self._sleep.sleep(self._between_checks)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    def check(self) -> None:
        """Check all files now."""
        self._wanted.set()
        self._sleep.wake()

    def stop(self) -> None:
        """Stop watching."""
        if self._inotify is None:
            return
        self._ignore_events()
        # A thread that hangs would use the descriptor's number later, so the descriptor stays open until the exit.
        if not self._survey.hanging():
            self._inotify.close()
        self._inotify = None

    # --- checks -------------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        self._listen()  # called first, so that an event during this check leads to another check
        found = await self._look(list(self._stamps))
        # `follow` may have replaced the names meanwhile.
        changed = {name: now for name, now in found.items() if self._stamps.get(name, now) != now}
        self._stamps |= changed
        if changed:
            self._changed(frozenset(changed))

    def _listen(self) -> None:
        if self._inotify is not None and not self._listening:
            self._inotify.drain()
            asyncio.get_running_loop().add_reader(self._inotify.descriptor, self._on_event)
            self._listening = True

    def _ignore_events(self) -> None:
        if self._inotify is not None and self._listening:
            asyncio.get_running_loop().remove_reader(self._inotify.descriptor)
            self._listening = False

    def _on_event(self) -> None:
        # Starvation: other users can cause events in a shared directory faster than this process reads them. Events
        # stay unread until the check that they lead to.
        self._ignore_events()
        asyncio.get_running_loop().call_later(self._quiet, self._wanted.set)

    def _report_nothing(self, why: str) -> None:
        if self._why is None:
            self._why = why
            self._not_reported(why)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _look(self, names: Collection[str]) -> dict[str, Hashable]:
        """Return the state of each file that answers. Watch all directories in which a change of a file is visible."""
        if not names:
            return {}
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._survey.look, names, self._arm)
        if self._used_up:
            self._report_nothing(os.strerror(errno.ENOSPC))
        return found

    def _arm(self, directory: str) -> None:
        """Watch a directory. Runs in a thread."""
        if self._inotify is None:
            return
        try:
            self._inotify.watch(directory)
        except PermissionError:  # the parent directory reports a correction of the mode
            if directory != "/":
                self._arm(os.path.dirname(directory))
        except OSError as error:  # the directory was removed just now
            self._used_up = self._used_up or error.errno in (errno.ENOSPC, errno.ENOMEM)


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the event loop has ended meanwhile
        loop.call_soon_threadsafe(call)


_UNKNOWN: Hashable = object()
"""The state of a file that has not answered yet."""
