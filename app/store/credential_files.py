"""Credentials in files, for programs that read only files: replaced as a whole at every refresh, removed when dropped.

A reader sees the previous file or the new one, never a partial file. The directory must exist: a volume that both
containers mount, or a directory of the service.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection

from ..config.settings import Profile
from ..core.checks import profile_place
from ..core.errors import ConfigError
from ..core.formats import FORMATS
from ..core.values import Credentials
from ..system import files
from .errors import EntryError

_CREATE, _LET = "create its directory", "let this user write to its directory"
_CURES = {
    errno.ENOENT: _CREATE,
    errno.ENOTDIR: _CREATE,
    errno.EACCES: _LET,
    errno.EPERM: _LET,
    errno.EROFS: "make its volume writable",
    errno.ENOSPC: "make room on its volume",
}
"""Cures by errno of a write. Without one, the errors index has the cure."""


class CredentialFiles:
    """
    Writes the `files` of the profiles. The methods wait for the disk. They try all files before they raise EntryError.

    Threads may write the files of several profiles at the same time, but not those of one profile.
    """

    def __init__(self) -> None:
        self._written: dict[str, set[str]] = {}

    def read(self, _name: str, _profile: Profile) -> None:
        """Return None, because only other programs read these files."""

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replace the profile's files, and remove those that are no longer configured."""
        paths = {file.path for file in profile.files}
        before = self._written.get(name, set())
        failures = self._unlink(name, before - paths)
        first = paths - before
        self._written.setdefault(name, set()).update(paths)
        for index, file in enumerate(profile.files):
            try:
                write(file.path, file.format, credentials, int(file.mode, 8))
            except ConfigError as error:
                failures.append(str(error.at(f"{profile_place(name)}.files[{index}]")))
            else:
                if file.path in first:
                    with contextlib.suppress(OSError):  # a directory that may be written to, but not listed
                        files.remove_drafts(file.path)
        _raise(failures)

    def remove(self, name: str) -> None:
        """Remove all files that were written for the profile."""
        _raise(self._unlink(name, self._written.get(name, set())))

    def tidy(self, names: Collection[str]) -> None:
        """Remove all files that were written for other profiles than `names`."""
        gone = sorted(set(self._written) - set(names))
        _raise([failure for name in gone for failure in self._unlink(name, self._written[name])])

    def _unlink(self, name: str, paths: Collection[str]) -> list[str]:
        """Remove files of a profile. Return an error per file that remains; the next call tries these files again."""
        failures = []
        # Copied, because other threads write the files of other profiles meanwhile.
        others = {path for other, written in list(self._written.items()) if other != name for path in list(written)}
        for path in sorted(paths):
            try:
                if path not in others:  # the configuration may give one profile's file to another
                    _unlink(path)
            except OSError as error:
                failures.append(f"{path}: cannot be removed: {error.strerror}")
            else:
                self._written[name].remove(path)
        return failures


def write(path: str, format_name: str, credentials: Credentials, mode: int = 0o600) -> None:
    """Write `credentials` to a file in one of FORMATS. The file gets its name when complete. Raises ConfigError."""
    text = FORMATS[format_name](credentials)
    try:
        files.replace(path, f"{text}\n".encode(), mode)
    except OSError as error:
        raise not_written(path, error) from None


def not_written(path: str, error: OSError) -> ConfigError:
    """Return the error of a file that cannot be written. Its cure depends on the errno."""
    cause, cure = f"{path}: cannot be written: {error.strerror}", _CURES.get(error.errno or 0, "")
    return ConfigError(cause, cure=cure, error_code="IDS-603")


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _raise(failures: list[str]) -> None:
    if failures:
        raise EntryError("; ".join(failures))
