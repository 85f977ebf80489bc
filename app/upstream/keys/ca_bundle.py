"""The CA certificates of a file: PEM or DER, or base64 of either, as directories and web portals export them."""

from __future__ import annotations

import base64
import binascii
import ssl

from ...core.errors import ConfigError
from . import named_files

LARGEST = 16_777_216
"""The most bytes of a bundle. Mozilla's whole bundle has a quarter of a mebibyte."""

_PEM = b"-----BEGIN "
_DER = b"\x30"
"""The first byte of a certificate in DER: a sequence."""


def context(path: str | None) -> ssl.SSLContext:
    """
    Return a context that trusts the certificates in the file at `path`, or those of the system without a path.

    Accepts PEM, DER, and base64 of both. Raises OSError, which includes ssl.SSLError. Works without
    cryptography, which takes 8 MiB.
    """
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        if path is None:
            raise
        with open(path, "rb") as file:
            found = _decoded(file.read(LARGEST))
        if found is None:
            raise
        return ssl.create_default_context(cadata=found)


def require(path: str, place: str) -> None:
    """
    Check without a context, which would take 20 ms, that a file holds certificates. `place`: the key that names it.

    Raises NotThereYet for a file that is missing or empty, and ConfigError for one that cannot be used.
    """
    if _decoded(named_files.read(path, place, LARGEST)) is None:
        raise ConfigError(
            f"{place}: {path}: holds no certificate, neither PEM (-----BEGIN CERTIFICATE-----) nor DER",
            error_code="IDS-115",
        )


def _decoded(raw: bytes) -> str | bytes | None:
    """Return the certificates in `raw`, without base64 around them: a text of PEM or the bytes of DER; None if none."""
    if _PEM in raw:
        return raw.decode("ascii", "replace") if b"CERTIFICATE-----" in raw else None
    if raw.startswith(_DER) and not raw.isascii():
        return raw
    try:
        inner = base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error:
        return None
    if _PEM in inner:
        return _decoded(inner)
    return inner if inner.startswith(_DER) else None
