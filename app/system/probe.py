"""Detects whether a file has changed, by its state and its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable

LARGEST_PROBED = 262_144
"""The most bytes that `probe` reads. Only files of CA certificates are nearly as large."""


class Probe:
    """
    The state of a file and the hash of its content. Not the content itself, which may be a secret.

    The content is None if it could not be read, for example without a free file descriptor. Only the states are
    compared then.
    """

    __slots__ = ("content", "state")

    def __init__(self, state: Hashable, content: int | None) -> None:
        self.state = state
        self.content = content

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Probe) or self.state != other.state:
            return False
        return None in (self.content, other.content) or self.content == other.content

    def __hash__(self) -> int:
        return hash(self.state)


def probe(path: str) -> Probe | None:
    """
    Return a value that changes with the file at `path`: its state, mode or owner, or its first LARGEST_PROBED bytes.

    None if there is no file.

    Two writes within one tick of the kernel's clock (10 ms, on some network file systems 1 s) may differ in the content
    alone. A network file system that hangs still reports a file's state from its cache for a minute; only a read
    hangs.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    # Only a regular file is opened: a reader that opens and closes a pipe would break the pipe.
    return Probe(_state(found), _content(path, found.st_size) if stat.S_ISREG(found.st_mode) else None)


def _state(found: os.stat_result) -> Hashable:
    # The mode is included, because two changes of it within one tick of the kernel's clock have the same st_ctime.
    changes = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode, found.st_uid, found.st_gid)
    return (found.st_dev, found.st_ino, *changes)


def _content(path: str, size: int) -> int | None:
    """Return the hash of the beginning of a file of `size` bytes; None if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return hash(os.read(descriptor, min(size + 1, LARGEST_PROBED)))
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
