"""Credentials in files, for programs that read only files: replaced as a whole at every refresh, removed when dropped.

A reader sees the previous file or the new one, never half of one. The directory must exist: a volume that both
containers mount, or a directory of the service.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping

from ..config.settings import Profile
from ..core import formats
from ..core.errors import ConfigError
from ..core.values import Credentials
from ..system import files
from .errors import EntryError

FORMATS: Mapping[str, Callable[[Credentials], str]] = {
    "uri": lambda credentials: formats.uri_document(credentials).decode(),
    "external": formats.external_document,
    "env": formats.env_lines,
    "aliyun": formats.aliyun_document,
    "aws": formats.aws_document,
    "json": formats.plain_document,
}
"""The formats of credentials by name; each ends without a newline."""


class CredentialFiles:
    """Writes the `files` of the profiles. The methods wait for the disk, and raise EntryError or ConfigError."""

    def __init__(self) -> None:
        self._written: dict[str, set[str]] = {}

    def read(self, _name: str, _profile: Profile) -> None:
        """Return nothing: these files are for other programs."""

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replace the profile's files, and remove those that are no longer configured."""
        paths = {file.path for file in profile.files}
        _unlink(self._written.get(name, set()) - paths)
        self._written[name] = paths
        for index, file in enumerate(profile.files):
            try:
                write(file.path, file.format, credentials, int(file.mode, 8))
            except ConfigError as error:
                place = f"profiles.{name}.files[{index}]"
                raise EntryError(
                    f"{place}: {error}; does its directory exist, and may this user write there?"
                ) from None

    def remove(self, name: str) -> None:
        """Remove what was written for the profile."""
        _unlink(self._written.pop(name, set()))

    def tidy(self, names: Collection[str]) -> None:
        """Remove what was written for other profiles than these."""
        for name in self._written.keys() - set(names):
            self.remove(name)


def write(path: str, format_name: str, credentials: Credentials, mode: int = 0o600) -> None:
    """Write one file with `credentials` in one of FORMATS, complete before it has its name. Raises ConfigError."""
    text = FORMATS[format_name](credentials)
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
