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
    Return a body as UTF-8 if `charset`, the name in its Content-Type, names another text encoding.

    UTF-16 is decoded only if zero bytes or a byte order mark show it. ASCII that is decoded as UTF-16 becomes other
    characters, in which a secret would not be recognised.
    """
    try:
        name = codecs.lookup(charset).name
        if name.startswith("utf-16") and b"\0" not in body and not body.startswith((codecs.BOM_LE, codecs.BOM_BE)):
            return body
        return body.decode(name).encode() if _ENCODINGS.fullmatch(name.replace("-", "_")) else body
    except (LookupError, ValueError):
        return body
