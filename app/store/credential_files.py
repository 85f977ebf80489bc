"""Credentials in files, for programs that read nothing else: replaced whole at every refresh, gone when dropped.

A reader sees the file of before or the new one, never half of one. The directory is its owner's business: a volume that
both containers mount, or one that the service made for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping

from ..config.settings import Profile
from ..core import formats
from ..core.model import BadEntry, ConfigError, Credentials
from ..system import files

FORMATS: Mapping[str, Callable[[Credentials], str]] = {
    "uri": lambda credentials: formats.uri_document(credentials).decode(),
    "external": formats.external_document,
    "env": formats.env_lines,
    "ini": formats.ini_lines,
    "json": formats.plain_document,
}
"""How credentials can be written down, by name; each ends without a newline."""


class CredentialFiles:
    """Writes what the profiles' `files` ask for. Its methods wait for the disk, and raise BadEntry or ConfigError."""

    def __init__(self) -> None:
        self._written: dict[str, set[str]] = {}

    def read(self, _name: str, _profile: Profile) -> None:
        """Nothing: these files are for others."""

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replaces the profile's files; those that it has no more go."""
        paths = {file.path for file in profile.files}
        _unlink(self._written.get(name, set()) - paths)
        self._written[name] = paths
        for index, file in enumerate(profile.files):
            try:
                write(file.path, file.format, credentials, int(file.mode, 8))
            except ConfigError as error:
                place = f"profiles.{name}.files[{index}]"
                raise BadEntry(f"{place}: {error}; is its directory there, and ours?") from None

    def remove(self, name: str) -> None:
        """Takes away what was written for the profile."""
        _unlink(self._written.pop(name, set()))

    def tidy(self, names: Collection[str]) -> None:
        """Takes away what was written for other profiles than these."""
        for name in self._written.keys() - set(names):
            self.remove(name)


def write(path: str, form: str, credentials: Credentials, mode: int = 0o600) -> None:
    """One file with `credentials` in one of FORMATS, whole before it has its name. Raises ConfigError."""
    text = FORMATS[form](credentials)
    try:
        files.replace(path, f"{text}\n".encode(), mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _unlink(paths: Collection[str]) -> None:
    for path in paths:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be removed: {error.strerror}") from None
