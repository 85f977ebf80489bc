"""How clients read a time: one function for each way, text to seconds since the epoch, or None where it is refused."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable

Instant = Callable[[str], float | None]

_SECONDS = r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})"
_STRICT = re.compile(_SECONDS + "Z")
_GO = re.compile(_SECONDS + r"([.,][0-9]+)?Z")
_NODE = re.compile(_SECONDS + r"(\.[0-9]{3})?Z")
_RFC3339 = re.compile(_SECONDS + r"(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_TOLERANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_PREFIX = re.compile(_SECONDS)


def strict(text: str) -> float | None:
    """`YYYY-MM-DDThh:mm:ssZ` and nothing else: Python, Java, oss2, SLS Java, and what every client accepts."""
    return _read(_STRICT.fullmatch(text))


def go_layout(text: str) -> float | None:
    """Go's layout of seconds and a literal Z, which takes a fraction that it does not mention: credentials-go."""
    return _read(_GO.fullmatch(text))


def node(text: str) -> float | None:
    """20 characters, or 24 with three digits of fraction, Z at the end: @alicloud/credentials."""
    return _read(_NODE.fullmatch(text))


def rfc3339(text: str) -> float | None:
    """With a fraction and an offset if they are there: OSS Go v2, SLS Go, aliyungo, ecctl."""
    found = _RFC3339.fullmatch(text)
    return _shifted(found, found[4]) if found else None


def tolerant(text: str) -> float | None:
    """
    Any form that a server of this protocol was seen to send: stands for PHP's `strtotime` and .NET's date parser.

    Both take more (words, other orders of day and month), which nobody sends.
    """
    found = _TOLERANT.fullmatch(text)
    return _shifted(found, found[4]) if found else None


def nineteen(text: str) -> float | None:
    """The first 19 characters, whatever follows: OSS Java, and ossfs v1 by strptime."""
    return _read(_PREFIX.match(text))


def seconds_then_z(text: str) -> float | None:
    """strptime with a Z at its place; what follows the Z is not looked at: ossfs2, C++, LoongCollector."""
    return _read(_STRICT.match(text))


def exactly_20(text: str) -> float | None:
    """20 characters, of which the first 19 are read: aliyun-java-sdk-core."""
    return nineteen(text) if len(text) == 20 else None


def _read(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    try:
        return float(calendar.timegm(time.strptime(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S")))
    except ValueError:
        return None


def _shifted(found: re.Match[str], offset: str | None) -> float | None:
    instant = _read(found)
    if instant is None or offset is None or offset == "Z":
        return instant
    hours, minutes = int(offset[1:3]), int(offset[-2:])
    away = 3600.0 * hours + 60.0 * minutes
    return instant - away if offset[0] == "+" else instant + away
