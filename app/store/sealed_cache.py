"""The encrypted credential cache: one sealed file per profile, in a directory of its own (mode 0700).

The directory should be on a memory-backed volume. Files are sealed with AES-256-GCM; the key comes from another place
and is never stored beside the data. A file is bound to the profile, to the session that its configuration requests, and
to this format: under another name, role or version, the file is invalid. Every fault of a file raises StoreError with
one sentence. The sidecar then asks the cloud, as if there were no cache.
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
from ..core.values import Credentials, Secret
from ..system import files
from ..system.runtime_dir import KeptKey
from .errors import EntryError, StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = b"idaas-sidecar cache 1\n"
"""The beginning of every file. A file with another number has another format, and is not read."""

SUBDIRECTORY = "idaas-sidecar"
SUFFIX = ".sealed"
INSTANCE = "instance"
LARGEST = 65_536

SEED = 32
"""Bytes of the file `instance`."""

NONCE = 12
"""Bytes of the nonce: 96 random bits, which must never occur twice with one key (NIST SP 800-38D). At one write in
20 minutes, a repetition is improbable for ages."""


class SealedCache:
    """
    Reads and writes one directory. All methods wait for the disk: call them in a thread.

    They raise StoreError. A writer that is killed at any moment leaves the previous entry, or the new one.
    """

    def __init__(self, directory: str, key: Secret) -> None:
        self._directory = os.path.join(os.path.expanduser(directory), SUBDIRECTORY)
        self._key = key

    def read(self, name: str, profile: Profile) -> Credentials | None:
        """Return the session that was written for exactly this profile, or None if there is no entry."""
        with self._opened() as directory:
            try:
                raw = _read(directory, name + SUFFIX)
            except FileNotFoundError:
                return None
        return self._unsealed(raw, name, profile)

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replace the profile's entry."""
        nonce = os.urandom(NONCE)
        sealed = self._cipher().encrypt(nonce, msgspec.json.encode(credentials), _bound_to(name, profile))
        with self._opened() as directory:
            files.replace(name + SUFFIX, FORMAT + nonce + sealed, directory=directory)

    def instance(self) -> KeptKey:
        """Return 32 bytes derived from this directory and the key. A new seed replaces one that is damaged."""
        lost = ""
        with self._opened() as directory:
            try:
                seed = _read(directory, INSTANCE)
                if len(seed) != SEED:
                    raise EntryError(f"{INSTANCE}: has lost its content")
            except (FileNotFoundError, EntryError) as error:
                if isinstance(error, EntryError):
                    lost = f"{self._directory}/{error}"
                seed = os.urandom(SEED)
                self._replace_seed(directory, seed, lost)
        return KeptKey(
            hmac.digest(self._key().encode(), INSTANCE.encode() + seed, "sha256"),
            lost and f"{lost}; a new key replaces it",
        )

    def _replace_seed(self, directory: int, seed: bytes, lost: str) -> None:
        try:
            files.replace(INSTANCE, seed, directory=directory)
        except OSError as error:
            if not lost:
                raise
            raise EntryError(f"{lost}; it cannot be replaced: {error.strerror}") from None

    def remove(self, name: str) -> None:
        """Remove the profile's entry."""
        with self._opened() as directory:
            # Listed first, because on a read-only disk even unlinking a file that does not exist is an error.
            if name + SUFFIX in os.listdir(directory):
                os.unlink(name + SUFFIX, dir_fd=directory)

    def tidy(self, names: Collection[str]) -> None:
        """Remove entries of other profiles than these, and the drafts of killed writers."""
        wanted = {name + SUFFIX for name in names}
        with self._opened() as directory:
            for entry in os.listdir(directory):
                if entry not in wanted and entry.endswith((SUFFIX, ".new")):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry, dir_fd=directory)

    def _unsealed(self, raw: bytes, name: str, profile: Profile) -> Credentials:
        from cryptography.exceptions import InvalidTag

        start, nonce, sealed = raw[: len(FORMAT)], raw[len(FORMAT) :][:NONCE], raw[len(FORMAT) + NONCE :]
        if start != FORMAT:
            raise EntryError(f"{name}{SUFFIX}: an entry of another version, which is not read")
        try:
            text = self._cipher().decrypt(nonce, sealed, _bound_to(name, profile))
            return msgspec.json.decode(text, type=Credentials)
        except (InvalidTag, ValueError):
            raise EntryError(f"{name}{SUFFIX}: damaged, of another key, or of another configuration") from None

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # takes 8 MiB: imported only with a cache

        return AESGCM(hmac.digest(self._key().encode(), FORMAT, "sha256"))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """
        Open the directory; make it if it does not exist.

        Names are resolved below its descriptor, so an attacker cannot exchange the directory meanwhile.
        """
        try:
            _make(self._directory)
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(f"{self._directory}: {error.strerror}") from None
        try:
            why = files.private_to_user(os.fstat(descriptor))
            if why is not None:
                raise StoreError(f"{self._directory}: {why}")
            yield descriptor
        except OSError as error:
            raise StoreError(f"{self._directory}: {error.strerror}") from None
        finally:
            os.close(descriptor)


def _make(directory: str) -> None:
    """Make the directory and its missing parents, private to this user whatever the umask is."""
    if os.path.lexists(directory):
        return
    _make(os.path.dirname(directory))
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)


def _bound_to(name: str, profile: Profile) -> bytes:
    """Return the bytes that an entry is bound to: the profile's name, and the settings that select its credentials."""
    bound = msgspec.json.encode((name, profile.identity, profile.exchange, profile.chain))
    return FORMAT + hashlib.sha256(bound).digest()


def _read(directory: int, name: str) -> bytes:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise EntryError(f"{name}: {'a symbolic link' if link else error.strerror}") from None
    try:
        return content(descriptor, name)
    finally:
        os.close(descriptor)


def content(descriptor: int, name: str) -> bytes:
    """Return the content of the file `name`. Raises EntryError unless it is a private file of this user."""
    found = os.fstat(descriptor)
    # A link, or a second name of another user's file, would make this program accept what that user wrote. A file has
    # no name if it was replaced since it was opened: it contains the previous entry.
    regular = stat.S_ISREG(found.st_mode) and found.st_nlink <= 1
    why = files.private_to_user(found) if regular else "not a file with one name"
    if why is not None:
        raise EntryError(f"{name}: {why}")
    # Read by the descriptor: opening a directory as a file object would raise, and leave the descriptor open.
    with open(descriptor, "rb", closefd=False) as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise EntryError(f"{name}: larger than {LARGEST} bytes")
    return raw
