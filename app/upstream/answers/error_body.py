"""The readable beginning of an error's body: without compression, and in UTF-8."""

from __future__ import annotations

import codecs
import re
import zlib

LARGEST_UNPACKED = 65_536
"""The most bytes to which an error's body is decompressed. The words of an error are at the beginning."""

_WINDOWS = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),  # with zlib's header (RFC 9110 8.4.1.2), or without, as some send it
}


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return the beginning of a body with this Content-Encoding, gzip or deflate; empty for any other encoding."""
    for window in _WINDOWS.get(encoding, ()):
        try:
            return zlib.decompressobj(window).decompress(body, LARGEST_UNPACKED)
        except zlib.error:
            continue
    return b""


def compression(encoding: str) -> str:
    """Return the words for a Content-Encoding: each request asks for `identity` alone."""
    named = f" with {encoding}" if re.fullmatch(r"[a-z0-9-]{1,20}", encoding) else ""
    return f"compressed{named}, which was not requested"


_ENCODINGS = re.compile(r"gb(k|2312|18030)|big5|(iso8859|cp125)_?[0-9]{1,2}|shift_jis|euc_(jp|kr)|utf_16(_[bl]e)?")
"""Python's names of the encodings that are decoded: each in linear time, which not all of Python's are."""


def in_utf8(body: bytes, charset: str) -> bytes:
    """
    Return a body as UTF-8 if `charset`, the name in its Content-Type, is that of another encoding of text.

    UTF-16 must be one, as its zero bytes or its mark show: as UTF-16, ASCII is other characters, and a secret in it
    would not be recognised.
    """
    try:
        name = codecs.lookup(charset).name
        if name.startswith("utf-16") and b"\0" not in body and not body.startswith((codecs.BOM_LE, codecs.BOM_BE)):
            return body
        return body.decode(name).encode() if _ENCODINGS.fullmatch(name.replace("-", "_")) else body
    except (LookupError, ValueError):
        return body
