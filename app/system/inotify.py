"""The kernel's events about changed directories (inotify, Linux), on a descriptor that an event loop can wait for.

Uses ctypes, because Python has no binding of its own. Packages with a binding start a process to find the C library, or
are ten times as large as this file.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE = 0x4, 0x8, 0x40, 0x80, 0x100
DELETE, DELETE_SELF, MOVE_SELF = 0x200, 0x400, 0x800
ONLYDIR = 0x01000000
CHANGES = ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF | ONLYDIR
"""The events that matter (linux/inotify.h): a name gets another file, a writer has finished, or a mode is corrected."""

BUFFER = 65_536


class Inotify:
    """Watches directories. The constructor raises OSError if the kernel has no inotify, or no instance left."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._called(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, directory: str) -> None:
        """Watch a directory from now on. Raises OSError if it is not a directory, or if there are too many watches."""
        self._called(self._libc.inotify_add_watch(self.descriptor, os.fsencode(directory), CHANGES))

    def drain(self) -> None:
        """Read and drop some of the events. Their content does not matter."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, BUFFER)

    def close(self) -> None:
        os.close(self.descriptor)

    def _called(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
