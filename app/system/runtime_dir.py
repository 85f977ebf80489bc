"""Where a running sidecar leaves what its user's commands need: a directory of mode 0700 that ends with the boot."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping

from ..core.model import ConfigError
from . import files

NAME = "idaas-sidecar"


def directory(environ: Mapping[str, str], uid: int) -> str:
    """
    The directory's path: systemd's `$RUNTIME_DIRECTORY`, else one below `$XDG_RUNTIME_DIR`, /run (root) or /tmp.

    The server and the commands that look for its files must come to the same answer; where their environments differ,
    as in a unit with RuntimeDirectory=, name the file in the configuration instead.
    """
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return given
    user = environ.get("XDG_RUNTIME_DIR")
    if user:
        return os.path.join(user, NAME)
    return f"/run/{NAME}" if uid == 0 else f"/tmp/{NAME}-{uid}"  # noqa: S108 - looked at before it is used: `_private`


def path_token_file(environ: Mapping[str, str], uid: int, port: int) -> str:
    """Where the generated path token of the sidecar at `port` is."""
    return os.path.join(directory(environ, uid), f"path-token-{port}")


def generated_path_token(path: str, uid: int) -> str:
    """
    The token in the file at `path`, made now if there is none.

    One that is there is kept, or a restart would lock out every client that has its URL already. Raises ConfigError
    where directory or file are not ours alone.
    """
    _private(os.path.dirname(path), uid)
    try:
        with contextlib.suppress(FileExistsError):
            _write_new(path, secrets.token_urlsafe(24))
    except OSError as error:
        raise ConfigError(f"access.pathToken: {path}: cannot be written: {error.strerror}") from None
    return read_path_token(path)


def read_path_token(path: str) -> str:
    """The token that a running sidecar has left. Raises ConfigError."""
    try:
        return files.read_secret(path, 1024).decode().strip()
    except files.Unreadable as why:
        raise ConfigError(f"access.pathToken: {path}: {why}; it is made by `serve`, for its own user") from None


def _private(path: str, uid: int) -> None:
    """Makes the directory, or makes sure of it: /tmp is everybody's, and its names can be taken by others."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
    except OSError as error:
        raise ConfigError(
            f"access.pathToken: {path}: cannot be made: {error.strerror}; set $XDG_RUNTIME_DIR, or name a file"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise ConfigError(
            f"access.pathToken: {path}: is not a directory that only this user (uid {uid}) writes to; remove it"
        )


def _write_new(path: str, text: str) -> None:
    """A new file, whole or not at all, of mode 0600 whatever the umask. Raises FileExistsError."""
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        os.link(draft, path)  # unlike rename, it does not replace what is there
    finally:
        os.unlink(draft)
