"""Reads files within limits, checks them for privacy, and replaces them as a whole.

A secret file must be as private as its content. Every reader of a secret goes through `read_secret`, and every writer
of a file through `replace`.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator

from ..core.errors import Reason
from . import mounts

TYPE_CHECKING = False  # not from typing: its import takes 5 ms of `health` (python -X importtime -m app health)
if TYPE_CHECKING:
    from typing import BinaryIO

Sync = Callable[[int], None]
"""Waits until the file or directory of a descriptor is on the disk: `os.fsync`."""

DRAFT = ".new"
"""The end of the name of a file that is not complete yet."""

STALE_SECONDS = 3600.0
"""The age of a draft whose writer was killed. Writing a draft takes milliseconds, and at most minutes on a disk that
hangs."""

_PRIVATE = "run `chmod 600` on the file, or set `defaultMode: 0400` and the pod's `fsGroup` for a mounted one"


class Unreadable(Exception):
    """
    A file that cannot be used. The text is the end of a sentence that begins with the file's name.

    `reason` holds the cure separately.
    """

    def __init__(self, cause: str, cure: str = "") -> None:
        self.reason = cause if isinstance(cause, Reason) else Reason(cause, cure)
        super().__init__(self.reason)

    def at(self, place: str) -> Reason:
        """Return the reason for an error's message, with `place` before it."""
        return self.reason.at(place)


class OfAnotherUser(Unreadable):
    """A secret that root reads and another user, `uid`, owns. A sidecar of that user could read the file."""

    def __init__(self, why: Reason, uid: int) -> None:
        super().__init__(why)
        self.uid = uid


class Absent(Unreadable):
    """A file that does not exist. Another program may write it a moment later."""


def expanded(path: str, home: str | None) -> str:
    """
    Return `path` with `~` and `~name` replaced by home directories.

    `~` stands for `home`, or for this account's home directory if `home` is None; `~name` for that of the account
    `name`.
    """
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)


def read(path: str, largest: int) -> bytes:
    """Return the bytes of a regular file; `~` is the home directory. Raises Unreadable, also above `largest` bytes."""
    return _read(path, largest, secret=False)


def read_secret(path: str, largest: int) -> bytes:
    """
    Return the bytes of a secret file, as `read` does. Raises Unreadable also if another user could read or change it.

    Raises OfAnotherUser if root reads the file of another user: users other than the owner may have access to it.
    """
    return _read(path, largest, secret=True)


def read_stream(stream: BinaryIO, largest: int) -> bytes:
    """Return all bytes of a stream. Raises Unreadable above `largest` bytes, because a part would be another value."""
    raw = stream.read(largest + 1)
    if len(raw) > largest:
        raise Unreadable(f"larger than {largest} bytes")
    return raw


def exposure(path: str) -> Reason | None:
    """Return why the file is less private than a secret should be, or None. Also None if the file cannot be read."""
    try:
        with _opened(path) as file:
            why = _loose(file) or _notice(file)
            return None if why is None or _is_unseen(file) else why
    except (OSError, ValueError, Unreadable):
        return None


def private_to_user(found: os.stat_result, *, readable: bool = False) -> str | None:
    """Return why a file or directory is not private to this user, or None. `readable`: others may read it."""
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid() and not mode & (0o022 if readable else 0o077):
        return None
    return f"not private to this user (uid {found.st_uid}, mode {mode:04o})"


def exists(path: str) -> bool:
    """
    Return whether a file exists at `path`.

    True also if the path may not be examined: the later read then reports the reason.
    """
    try:
        os.stat(os.path.expanduser(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def replace(
    path: str, content: bytes, mode: int = 0o600, *, directory: int | None = None, sync: Sync = os.fsync
) -> None:
    """
    Make `path` a file with `content` and `mode`. The file is complete on the disk before it gets this name.

    `directory`: the descriptor of the directory below which `path` is resolved. A writer that is killed leaves the
    previous file or the new one. Raises OSError.
    """
    with _draft(path, content, mode, directory, sync) as draft:
        os.rename(draft, path, src_dir_fd=directory, dst_dir_fd=directory)
    if directory is not None:
        sync(directory)


def create(path: str, content: bytes, mode: int = 0o600, *, sync: Sync = os.fsync) -> None:
    """Write a new file in the same way as `replace`. Raises FileExistsError if it exists, and OSError."""
    with _draft(path, content, mode, None, sync) as draft:
        os.link(draft, path)  # unlike rename, link does not replace an existing file


def remove_drafts(path: str) -> None:
    """
    Remove the drafts of `path` that killed writers left: those that are STALE_SECONDS older than the file.

    Raises OSError.
    """
    directory, name = os.path.split(path)
    written = os.stat(path).st_mtime  # the file system's clock, as for the drafts
    # The name of a draft in full: `config.backup.new` is another program's file.
    named = re.compile(rf"{re.escape(name)}\.(?:[0-9a-f]{{16}}|[0-9]{{1,10}}){re.escape(DRAFT)}")
    for entry in os.listdir(directory or "."):
        if named.fullmatch(entry):
            draft = os.path.join(directory, entry)
            with contextlib.suppress(OSError):  # another user's file, or already removed
                if os.lstat(draft).st_mtime < written - STALE_SECONDS:
                    os.unlink(draft)


@contextlib.contextmanager
def _draft(path: str, content: bytes, mode: int, directory: int | None, sync: Sync) -> Iterator[str]:
    """
    Write a temporary file beside `path`. It is removed after the block in every case.

    The file's name is random. With the process id in the name, two containers that share a directory would write to one
    draft, because both are process 1.
    """
    draft = f"{path}.{os.urandom(8).hex()}{DRAFT}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            sync(descriptor)
            os.fchmod(descriptor, mode)  # independent of the umask, and only when the file is complete
        yield draft
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=directory)


def _read(path: str, largest: int, *, secret: bool) -> bytes:
    try:
        with _opened(path) as file:
            why = _loose(file) if secret else None
            if why is not None:
                owner = os.fstat(file.fileno()).st_uid
                raise OfAnotherUser(why, owner) if os.geteuid() == 0 != owner else Unreadable(why)
            raw = file.read(largest + 1)
    except FileNotFoundError:
        raise Absent("no such file") from None
    except PermissionError:
        cure = f"{'run the command as its owner, or ' if secret else ''}change its owner or mode"
        raise Unreadable(f"not readable by this user (uid {os.geteuid()})", cure) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(f"cannot be read: {getattr(error, 'strerror', None) or 'not a file name'}") from None
    if len(raw) > largest:
        raise Unreadable(f"larger than {largest} bytes, so it is the wrong file")
    return raw


def _opened(path: str) -> BinaryIO:
    """Open a regular file. Other kinds are refused: a pipe could block, and a device might never end."""
    descriptor = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("not a regular file")
    return os.fdopen(descriptor, "rb")


def _loose(file: BinaryIO) -> Reason | None:
    """
    Return why other users of this machine could read or change a secret file, or None.

    Two exceptions. A file of root may be readable by a group (0640, from fsGroup), and on a read-only mount by all
    users: Kubernetes mounts a Secret this way (0644), and only this container sees the mount. Root may read another
    user's secret that is private to its owner and on a read-only mount: systemd passes a credential to a unit this way
    (LoadCredential).
    """
    found = os.fstat(file.fileno())
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (0, os.geteuid()):
        if os.geteuid() == 0 and not mode & 0o077 and _read_only(file):
            return None
        return Reason(
            f"belongs to uid {found.st_uid}, who could read and change it",
            f"make uid {os.geteuid()} or root the file's owner",
        )
    if found.st_uid == 0 and (not mode & 0o007 or _read_only(file)):
        return None
    return Reason(f"other users can read it (mode {mode:04o})", _PRIVATE) if mode & 0o077 else None


def _notice(file: BinaryIO) -> Reason | None:
    """Return a weakness of a secret file that is accepted, or None."""
    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    return Reason(f"every process that sees this mount can read it (mode {mode:04o})") if mode & 0o004 else None


def _is_unseen(file: BinaryIO) -> bool:
    """
    Return whether no other user can reach the file, although its mode allows others to read it.

    kubelet writes projected tokens this way: they belong to root and have mode 0644. With `fsGroup`, the mode is 0640.
    If all containers of the pod have one user, the files belong to this user.
    """
    found = os.fstat(file.fileno())
    kept = found.st_uid == 0 or (found.st_uid == os.geteuid() and not found.st_mode & 0o027)
    return kept and _read_only(file) and mounts.is_own_volume(found.st_dev, user=os.geteuid())


def _read_only(file: BinaryIO) -> bool:
    return bool(os.fstatvfs(file.fileno()).f_flag & os.ST_RDONLY)
