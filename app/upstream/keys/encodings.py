"""The text encodings of keys and certificates: PEM (RFC 7468), and base64 of any form."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

PKCS12 = re.compile(rb"\x30.{1,5}?\x02\x01\x03", re.DOTALL)
"""The beginning of a PKCS#12: a sequence with the version 3 (RFC 7292 section 4)."""


def blocks(begins: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield label and body of each block of PEM. A beginning without an end is skipped."""
    place, endless = 0, set[str]()
    while (begin := begins.search(text, place)) is not None:
        label, place = begin[1], begin.end()
        end = -1 if label in endless else text.find(f"-----END {label}-----", place)
        if end < 0:
            endless.add(label)
        else:
            yield label, text[place:end]
            place = end


def plain(text: str) -> str:
    """Return a text whose line breaks became the two characters `\\n` with line breaks."""
    return text.replace("\\n", "\n").replace("\\r", "")


def block(label: str, body: str) -> str:
    """Return a block of PEM with lines of 64 characters (RFC 7468), whatever its line breaks became."""
    lines = "\n".join(re.findall(r".{1,64}", re.sub(r"\s", "", body)))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def der_value(raw: bytes, place: int = 0) -> slice:
    """Return where the value of the DER element at `place` is."""
    length, begin = raw[place + 1 : place + 2], place + 2
    if length and length[0] > 0x80:
        octets = length[0] & 0x7F
        return slice(begin + octets, begin + octets + int.from_bytes(raw[begin : begin + octets]))
    return slice(begin, begin + (length[0] if length else 0))


def decode(text: str) -> bytes:
    """
    Return the decoded base64 of `text`, in either alphabet (RFC 4648 sections 4 and 5), with or without padding.

    Raises ValueError.
    """
    digits = re.sub(r"^data:[^,]{0,100},|\s", "", text.strip()).rstrip("=").translate({45: "+", 95: "/"})
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        raise ValueError("neither PEM nor base64") from None
