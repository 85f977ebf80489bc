"""The last good credentials across restarts: one sealed file per profile, in a directory of ours (mode 0700).

Meant for a memory-backed volume. AES-256-GCM; the key comes from elsewhere and never lies beside the data. A file is
bound to the profile, to what its configuration asks for, and to this format: read under another name, role or version
it is nothing. Whatever is wrong with it is one sentence and never an exception of another kind: the cloud is asked
instead, as if there were no cache.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import stat
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import msgspec

from ..config.settings import Profile
from ..core.model import BadEntry, Credentials, Secret, Unusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = b"idaas-sidecar cache 1\n"
"""The beginning of every file; another format has another number, and is not read."""

SUBDIRECTORY = "idaas-sidecar"
SUFFIX = ".sealed"
INSTANCE = "instance"
LARGEST = 65_536
NONCE = 12
"""Bytes (NIST SP 800-38D: a random one of 96 bits, never twice with one key; at a refresh in 20 min, for ages)."""


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

    def instance(self) -> bytes:
        """32 bytes that are this directory's own, the same after a restart; nobody has them without the key."""
        with self._opened() as directory:
            try:
                seed = _read(directory, INSTANCE)
            except FileNotFoundError:
                seed = os.urandom(32)
                _replace(directory, INSTANCE, seed)
        return hmac.digest(self._key().encode(), INSTANCE.encode() + seed, "sha256")

    def remove(self, name: str) -> None:
        """Forgets the profile's entry."""
        with self._opened() as directory:
            # Looked for first: on a read-only disk unlinking what is not there is an error, too.
            if name + SUFFIX in os.listdir(directory):
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
            raise BadEntry(f"{name}{SUFFIX}: an entry of another version, which is not read")
        try:
            text = self._cipher().decrypt(nonce, sealed, _bound_to(name, profile))
            return msgspec.json.decode(text, type=Credentials)
        except (InvalidTag, ValueError):
            raise BadEntry(f"{name}{SUFFIX}: damaged, of another key, or of another configuration") from None

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 8 MiB: only for who has a cache

        return AESGCM(hmac.digest(self._key().encode(), FORMAT, "sha256"))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of our directory, made if it is not there; names are resolved below it, so nobody swaps it."""
        try:
            _make(self._directory)
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Unusable(f"{self._directory}: {error.strerror}") from None
        try:
            why = _exposed(os.fstat(descriptor))
            if why is not None:
                raise Unusable(f"{self._directory}: {why}")
            yield descriptor
        except OSError as error:
            raise Unusable(f"{self._directory}: {error.strerror}") from None
        finally:
            os.close(descriptor)


def _make(directory: str) -> None:
    """The directory, and those above it that are missing: none of them is anybody else's, whatever the umask."""
    if os.path.lexists(directory):
        return
    _make(os.path.dirname(directory))
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)


def _bound_to(name: str, profile: Profile) -> bytes:
    """What an entry is good for alone: the profile's name, and all that decides whose credentials it gets."""
    whole = msgspec.json.encode((name, profile.identity, profile.exchange, profile.chain))
    return FORMAT + hashlib.sha256(whole).digest()


def _read(directory: int, name: str) -> bytes:
    # A link, or a second name of a file of somebody else's, would have us believe what another user wrote.
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise BadEntry(f"{name}: {'a symbolic link' if link else error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        why = "not a file of one name" if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 else _exposed(found)
        if why is not None:
            raise BadEntry(f"{name}: {why}")
        # By the descriptor: opened as a file, a directory would raise, and leave it open.
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(raw) > LARGEST:
        raise BadEntry(f"{name}: larger than {LARGEST} bytes")
    return raw


def _exposed(found: os.stat_result) -> str | None:
    if found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077:
        return None
    return f"not this user's alone (uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o})"


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
