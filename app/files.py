"""Files that somebody names to us: read in bounds; why one cannot be used is told without its name or its content."""

from __future__ import annotations

import os


class Unreadable(Exception):
    """Why a file cannot be used, as the end of a sentence that begins with its name."""


def expanded(path: str, home: str | None) -> str:
    """`path` with `~` as `home`, or as the account's own where that is None; `~name` as that account's."""
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def read(path: str, largest: int) -> bytes:
    """The file's bytes, `~` meaning the home directory. Raises Unreadable, also for more than `largest` bytes."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            raw = file.read(largest + 1)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except PermissionError:
        raise Unreadable(f"not readable by this user (uid {os.getuid()}); change its owner or mode") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}") from None
    if len(raw) > largest:
        raise Unreadable(f"larger than {largest} bytes, so it cannot be what is meant")
    return raw


def exists(path: str) -> bool:
    """Whether there is something at `path`; what we may not look at counts, so that reading it tells why."""
    try:
        os.stat(os.path.expanduser(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
