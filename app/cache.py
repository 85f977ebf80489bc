"""The last good credentials across restarts: one sealed file per profile, in a directory of ours (mode 0700).

Meant for a memory-backed volume. AES-256-GCM; the key comes from elsewhere and never lies beside the data. A file is
bound to the profile, to what its configuration asks for, and to this format: read under another name, role or version
it is nothing. Whatever is wrong with it is one sentence and never an exception of another kind: the cloud is asked
instead, as if there were no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import msgspec

from .model import Credentials, Secret
from .settings import Profile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = b"idaas-sidecar cache 1\n"
"""The beginning of every file; another format has another number, and is not read."""

SUBDIRECTORY = "idaas-sidecar"
SUFFIX = ".sealed"
LARGEST = 65_536
NONCE = 12
"""Bytes (NIST SP 800-38D: a random one of 96 bits, never twice with one key; at a refresh in 20 min, for ages)."""


class Unusable(Exception):
    """Why the cache cannot be read or written, as a sentence that holds nothing secret."""


class Cache:
    """
    Reads and writes one directory. All methods wait for the disk: call them in a thread.

    They raise Unusable. A writer that is killed at any moment leaves the entry of before, or the new one.
    """

    def __init__(self, directory: str, key: Secret) -> None:
        self._directory = os.path.join(os.path.expanduser(directory), SUBDIRECTORY)
        self._key = key

    def read(self, name: str, profile: Profile) -> Credentials | None:
        """What was written for this very profile, or None where there is nothing."""
        with self._opened() as directory:
            try:
                raw = _read(directory, name + SUFFIX)
            except FileNotFoundError:
                return None
        return self._unsealed(raw, name, profile)

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replaces the profile's entry."""
        nonce = os.urandom(NONCE)
        sealed = self._cipher().encrypt(nonce, msgspec.json.encode(credentials), _bound_to(name, profile))
        with self._opened() as directory:
            _replace(directory, name + SUFFIX, FORMAT + nonce + sealed)

    def remove(self, name: str) -> None:
        """Forgets the profile's entry."""
        with self._opened() as directory, contextlib.suppress(FileNotFoundError):
            os.unlink(name + SUFFIX, dir_fd=directory)

    def tidy(self, names: Collection[str]) -> None:
        """Forgets entries of profiles that are none any more, and what a killed writer left behind."""
        wanted = {name + SUFFIX for name in names}
        with self._opened() as directory:
            for entry in os.listdir(directory):
                if entry not in wanted and entry.endswith((SUFFIX, SUFFIX + ".new")):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry, dir_fd=directory)

    def _unsealed(self, raw: bytes, name: str, profile: Profile) -> Credentials:
        from cryptography.exceptions import InvalidTag

        start, nonce, sealed = raw[: len(FORMAT)], raw[len(FORMAT) :][:NONCE], raw[len(FORMAT) + NONCE :]
        if start != FORMAT:
            raise Unusable("an entry of another version, which is not read")
        try:
            text = self._cipher().decrypt(nonce, sealed, _bound_to(name, profile))
            return msgspec.json.decode(text, type=Credentials)
        except (InvalidTag, ValueError):
            raise Unusable("an entry that is damaged, of another key, or of another configuration") from None

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 8 MiB: only for who has a cache

        return AESGCM(hmac.digest(self._key().encode(), FORMAT, "sha256"))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of our directory, made if it is not there; names are resolved below it, so nobody swaps it."""
        try:
            os.makedirs(os.path.dirname(self._directory), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._directory, 0o700)
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Unusable(f"{self._directory}: {error.strerror}") from None
        try:
            _check_private(os.fstat(descriptor), self._directory)
            yield descriptor
        except OSError as error:
            raise Unusable(f"{self._directory}: {error.strerror}") from None
        finally:
            os.close(descriptor)


def _bound_to(name: str, profile: Profile) -> bytes:
    """What an entry is good for alone: the profile's name, and all that decides whose credentials it gets."""
    whole = msgspec.json.encode((name, profile.identity, profile.exchange, profile.chain))
    return FORMAT + hashlib.sha256(whole).digest()


def _read(directory: int, name: str) -> bytes:
    # A link, or a second name of a file of somebody else's, would have us believe what another user wrote.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise Unusable(f"{name}: not a file of one name")
        _check_private(found, name)
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise Unusable(f"{name}: larger than {LARGEST} bytes")
    return raw


def _check_private(found: os.stat_result, what: str) -> None:
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise Unusable(f"{what}: not this user's alone (uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})")


def _replace(directory: int, name: str, content: bytes) -> None:
    """`name` with `content`, whole on the disk before it has that name."""
    draft = f"{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=directory)
        raise
    os.fsync(directory)
