"""Secrets by the name of an environment variable or the path of a file, read when used."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path

from .model import ConfigError, Secret

LARGEST = 65_536
"""Bytes of a secret file: room for an RSA-16384 key, far below what would hurt."""


def from_environment(environ: Mapping[str, str], name: str, place: str) -> Secret:
    """A reader of the variable `name`; `place` is the configuration key that named it."""

    def read() -> str:
        value = environ.get(name, "").strip()
        if not value:
            raise ConfigError(f"{place}: the environment variable {name} is not set or empty; set it, or name another")
        return value

    return read


def from_file(path: str, place: str) -> Secret:
    """A reader of the file at `path`, white space around it trimmed; `place` is the configuration key that named it."""

    def read() -> str:
        try:
            with Path(path).expanduser().open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as error:
            raise ConfigError(f"{place}: {path}: cannot be read: {error.strerror}") from None
        if len(raw) > LARGEST:
            raise ConfigError(f"{place}: {path}: larger than {LARGEST} bytes; that is no secret")
        try:
            value = raw.decode().strip()
        except UnicodeDecodeError:
            raise ConfigError(f"{place}: {path}: not UTF-8 text") from None
        if not value:
            raise ConfigError(f"{place}: {path}: empty")
        return value

    return read


def one_of(
    environ: Mapping[str, str], *, name: str | None, path: str | None, place: str, keys: tuple[str, str]
) -> Secret:
    """The one reader that is configured: `keys` are the two keys' names. Raises ConfigError for none or both."""
    variable_key, file_key = keys
    if name and path:
        raise ConfigError(f"{place}: {variable_key} and {file_key} are both set; keep one")
    if name:
        return from_environment(environ, name, f"{place}.{variable_key}")
    if path:
        return from_file(path, f"{place}.{file_key}")
    raise ConfigError(f"{place}: {variable_key} or {file_key} is required")


def same(left: bytes, right: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ. The one comparison of secrets."""
    return hmac.compare_digest(left, right)
