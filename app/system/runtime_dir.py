"""The private directory in which a running sidecar leaves files for its user's commands. It is lost at a reboot."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Mapping
from secrets import token_urlsafe

from ..core.errors import ConfigError
from ..core.record import Record
from . import files, secrets

NAME = "idaas-sidecar"

LENGTH = 32
"""Characters of a generated secret: 24 random bytes in the URL-safe alphabet."""


LARGEST = 1024
"""The most bytes of a file of this directory."""


def directory(environ: Mapping[str, str], uid: int) -> str:
    """
    Return the directory's path: systemd's `$RUNTIME_DIRECTORY`, else one below `$XDG_RUNTIME_DIR`, /run (root) or /tmp.

    The server and the commands that read its files must compute the same path. If their environments differ, as in a
    unit with RuntimeDirectory=, name the file in the configuration instead.
    """
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if given:
        return given
    user = environ.get("XDG_RUNTIME_DIR")
    if user:
        return os.path.join(user, NAME)
    return f"/run/{NAME}" if uid == 0 else f"/tmp/{NAME}-{uid}"  # noqa: S108 - checked before it is used: `_make`


def path_token_file(environ: Mapping[str, str], uid: int, port: int) -> str:
    """Return the path of the generated path token of the sidecar at `port`."""
    return os.path.join(directory(environ, uid), f"path-token-{port}")


def generated_path_token(path: str) -> str:
    """
    Return the token in the file at `path`. If there is no file, generate a token.

    An existing token is kept, because a restart would otherwise lock out every client that has the URL with the token.
    Raises ConfigError if the directory or the file is not private to this user.
    """
    _generate(path)
    return read_path_token(path)


class KeptKey(Record, frozen=True):
    """
    A key of 32 bytes that survives a restart; None if it cannot be kept.

    `lost`: why the key of an earlier process is not in use any more, or why there is no key; empty if neither is so.
    """

    HIDDEN = frozenset({"key"})

    key: bytes | None
    lost: str = ""


def kept_session_key(environ: Mapping[str, str], uid: int, port: int) -> KeptKey:
    """
    Return the key for the metadata session tokens of the sidecar at `port`.

    A key that is missing is generated. A new key replaces one in a file that is not private to this user, or has lost
    its content: an attacker knows the key of an empty file, or of a file of zero bytes.
    """
    path = os.path.join(directory(environ, uid), f"session-key-{port}")
    lost = ""
    try:
        _make(os.path.dirname(path), "access.metadataTokens")
        content = files.read_secret(path, LARGEST)
        if len(content) >= LENGTH and secrets.fits_path(content.decode("ascii", "replace").strip()):
            return KeptKey(hashlib.sha256(content).digest())
        lost = f"{path}: has lost its content"
    except ConfigError as error:
        return KeptKey(None, error.cause)
    except files.Absent:
        pass
    except files.Unreadable as why:
        lost = f"{path}: {why.reason.cause}"
    content = _random()
    try:
        files.replace(path, content)
    except OSError as error:
        return KeptKey(None, f"{lost or path}: cannot be {'replaced' if lost else 'written'}: {error.strerror}")
    return KeptKey(hashlib.sha256(content).digest(), lost and f"{lost}; a new key replaces it")


def _random() -> bytes:
    return f"{token_urlsafe(LENGTH * 3 // 4)}\n".encode()


def _generate(path: str) -> None:
    """Write a random path token to `path`, private to this user, if the file does not exist."""
    _make(os.path.dirname(path), "access.pathToken")
    try:
        with contextlib.suppress(FileExistsError):
            files.create(path, _random())
    except OSError as error:
        raise ConfigError(
            f"access.pathToken: {path}: cannot be written: {error.strerror}", error_code="IDS-603"
        ) from None


def read_path_token(path: str) -> str:
    """
    Return the token that a running sidecar has left. Raises ConfigError.

    A file that lost its content is refused: with an empty token, every URL that begins with `//` would be served.
    """
    try:
        token = files.read_secret(path, LARGEST).decode("ascii", "replace").strip()
    except files.Unreadable as why:
        raise ConfigError(
            f"access.pathToken: {path}: {why.reason.cause}; `serve` creates it, for its own user",
            cure=why.reason.cure,
            error_code="IDS-509",
        ) from None
    if not secrets.fits_path(token):
        raise ConfigError(
            f"access.pathToken: {path}: not a path token",
            cure="remove the file, and restart `serve`",
            error_code="IDS-105",
        )
    return token


def _make(path: str, place: str) -> None:
    """Make the directory for `place`, or check the one there: in the shared /tmp, another user may have made it."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        found = os.lstat(path)
    except OSError as error:
        raise ConfigError(
            f"{place}: {path}: cannot be made: {error.strerror}",
            cure="set $XDG_RUNTIME_DIR, or name a file",
            error_code="IDS-603",
        ) from None
    if not stat.S_ISDIR(found.st_mode) or files.private_to_user(found, readable=True) is not None:
        raise ConfigError(
            f"{place}: {path}: is not a directory that only this user (uid {os.geteuid()}) can write to",
            cure="remove the directory",
            error_code="IDS-603",
        )
