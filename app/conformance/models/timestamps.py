"""The ways in which clients parse a timestamp. Each returns seconds since the epoch, or None if it rejects the text."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable

TimestampParser = Callable[[str], float | None]

_SECONDS = r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})"
_STRICT = re.compile(_SECONDS + "Z")
_GO = re.compile(_SECONDS + r"([.,][0-9]+)?Z")
_NODE = re.compile(_SECONDS + r"(\.[0-9]{3})?Z")
_RFC3339 = re.compile(_SECONDS + r"(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_LENIENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_PREFIX = re.compile(_SECONDS)


def strict(text: str) -> float | None:
    """Parse exactly `YYYY-MM-DDThh:mm:ssZ`, which every client accepts: Python, Java, oss2, SLS Java."""
    return _seconds(_STRICT.fullmatch(text))


def go_layout(text: str) -> float | None:
    """Parse Go's layout of seconds and a literal Z, which also accepts a fraction: credentials-go."""
    return _seconds(_GO.fullmatch(text))


def nodejs(text: str) -> float | None:
    """Parse 20 characters, or 24 with a fraction of three digits, both with Z at the end: @alicloud/credentials."""
    return _seconds(_NODE.fullmatch(text))


def rfc3339(text: str) -> float | None:
    """Parse RFC 3339, with an optional fraction and with Z or an offset: OSS Go v2, SLS Go, aliyungo, ecctl."""
    found = _RFC3339.fullmatch(text)
    return _with_offset(found, found[4]) if found else None


def lenient(text: str) -> float | None:
    """
    Parse every format that servers of these protocols were seen to send: PHP's `strtotime` and .NET's date parser.

    Both accept more, such as words and other orders of day and month, which no server sends.
    """
    found = _LENIENT.fullmatch(text)
    return _with_offset(found, found[4]) if found else None


def first_19_characters(text: str) -> float | None:
    """Parse the first 19 characters and ignore the rest: OSS Java, and ossfs v1 through strptime."""
    return _seconds(_PREFIX.match(text))


def first_20_characters(text: str) -> float | None:
    """Parse seconds and Z through strptime and ignore what follows the Z: ossfs2, C++, LoongCollector."""
    return _seconds(_STRICT.match(text))


def exactly_20_characters(text: str) -> float | None:
    """Parse the first 19 of exactly 20 characters: aliyun-java-sdk-core."""
    return first_19_characters(text) if len(text) == 20 else None


def _seconds(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    try:
        return float(calendar.timegm(time.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        return None


def _with_offset(found: re.Match[str], offset: str | None) -> float | None:
    local = _seconds(found)
    if local is None or offset is None or offset == "Z":
        return local
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    difference = 3600.0 * hours + 60.0 * minutes
    return local - difference if offset[0] == "+" else local + difference
