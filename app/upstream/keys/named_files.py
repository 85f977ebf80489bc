"""Reads the files that a connection names: CA certificates, a client certificate and its key."""

from __future__ import annotations

from ...core.errors import ConfigError, NotThereYet
from ...system import files


def read(path: str, place: str, largest: int, *, secret: bool = False) -> bytes:
    """
    Return the bytes of a file. `place`: the configuration key that names it. `secret`: a private key.

    Raises NotThereYet for a file that is missing or empty, because another program may write it soon. Raises
    ConfigError for a file that cannot be read, is larger than `largest` bytes, or is a secret that others could read.
    """
    try:
        raw = (files.read_secret if secret else files.read)(path, largest)
    except files.Absent as why:
        raise NotThereYet(why.at(f"{place}: {path}")) from None
    except files.Unreadable as why:
        raise ConfigError(why.at(f"{place}: {path}"), error_code="IDS-115") from None
    if not raw.strip():
        raise NotThereYet(f"{place}: {path}: empty")
    return raw
