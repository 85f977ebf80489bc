"""Files that somebody names to us: read in bounds; why one cannot be used is told without its name or its content."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import BinaryIO


class Unreadable(Exception):
    """Why a file cannot be used, as the end of a sentence that begins with its name."""


def expanded(path: str, home: str | None) -> str:
    """`path` with `~` as `home`, or as the account's own where that is None; `~name` as that account's."""
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def read(path: str, largest: int) -> bytes:
    """The regular file's bytes, `~` meaning the home directory. Raises Unreadable, also for more than `largest`."""
    return _read(path, largest, secret=False)


def read_secret(path: str, largest: int) -> bytes:
    """As `read`; raises Unreadable also where another user could read or change it (`exposure`)."""
    return _read(path, largest, secret=True)


def exposure(path: str) -> str | None:
    """Why the file at `path` is not as private as a secret should be, or None; None as well if it cannot be read."""
    try:
        with _opened(path) as file:
            return _loose(file) or _notice(file)
    except (OSError, ValueError, Unreadable):
        return None


def _read(path: str, largest: int, *, secret: bool) -> bytes:
    try:
        with _opened(path) as file:
            why = _loose(file) if secret else None
            if why is not None:
                raise Unreadable(why)
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


def _opened(path: str) -> BinaryIO:
    """The regular file, open; anything else could hang us (a pipe), or never end (a device)."""
    descriptor = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("not a regular file")
    return os.fdopen(descriptor, "rb")


def _loose(file: BinaryIO) -> str | None:
    """
    Why other users of this machine could know or change what is in the file, or None.

    What root owns may be shown to a group (0640 by fsGroup), and on a read-only mount to everybody: that is how
    Kubernetes mounts a Secret (0644), and only this container sees the mount.
    """
    found = os.fstat(file.fileno())
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to uid {found.st_uid}, who could read and change it; make it uid {os.geteuid()}'s or root's"
    if found.st_uid == 0 and (not mode & 0o007 or _read_only(file)):
        return None
    return f"other users can read it (mode {mode:04o}); chmod 600 it" if mode & 0o077 else None


def _notice(file: BinaryIO) -> str | None:
    """What is accepted, but could be better."""
    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    return f"every process that sees this mount can read it (mode {mode:04o})" if mode & 0o004 else None


def _read_only(file: BinaryIO) -> bool:
    return bool(os.fstatvfs(file.fileno()).f_flag & os.ST_RDONLY)


def replace(path: str, content: bytes, mode: int) -> None:
    """Makes `path` a file of `content` and `mode`, whole on the disk before it has that name. Raises OSError."""
    draft = f"{path}.{os.getpid()}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, mode)  # whatever the umask, and only when it is whole
        os.rename(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def exists(path: str) -> bool:
    """Whether there is something at `path`; what we may not look at counts, so that reading it tells why."""
    try:
        os.stat(os.path.expanduser(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
