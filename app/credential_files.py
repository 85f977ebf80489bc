"""Credentials in files, for programs that read nothing else: replaced whole at every refresh, gone when dropped.

A reader sees the file of before or the new one, never half of one. The directory is its owner's business: a volume that
both containers mount, or one that the service made for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping

from . import documents, files
from .model import ConfigError, Credentials
from .settings import Profile

FORMATS: Mapping[str, Callable[[Credentials], str]] = {
    "uri": lambda credentials: documents.uri_document(credentials).decode(),
    "external": documents.external_document,
    "env": documents.env_lines,
    "ini": documents.ini_lines,
    "json": documents.plain_document,
}
"""How credentials can be written down, by name; each ends without a newline."""


class CredentialFiles:
    """Writes what the profiles' `files` ask for. Its methods wait for the disk, and raise ConfigError."""

    def write(self, name: str, profile: Profile, credentials: Credentials) -> None:
        """Replaces the profile's files."""
        for file in profile.files:
            write(file.path, file.format, credentials, int(file.mode, 8))

    def remove(self, name: str, profile: Profile) -> None:
        """Takes the profile's files away."""
        for file in profile.files:
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.path)
            except OSError as error:
                raise ConfigError(f"{file.path}: cannot be removed: {error.strerror}") from None


def write(path: str, form: str, credentials: Credentials, mode: int = 0o600) -> None:
    """One file with `credentials` in one of FORMATS, whole before it has its name. Raises ConfigError."""
    text = FORMATS[form](credentials)
    try:
        files.replace(path, f"{text}\n".encode(), mode)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
