"""The seconds that a server asks to wait, in the headers in which servers say so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

_SECONDS = re.compile(r'"?([0-9]{1,18}(?:\.[0-9]{0,9})?)"?\s*s?', re.ASCII)
"""RFC 9110 10.2.3 has whole seconds. Servers also write a fraction, quotes, or the unit."""

_RESET = re.compile(r"(?:^|[;,\s])(?:reset|t)=([0-9]{1,9})(?![0-9])", re.ASCII)
"""The seconds in the header RateLimit, in the older and the newer form of its draft."""

_YEAR = 366 * 86_400.0
"""A number that is an instant at most this far from now is one: seconds, or milliseconds, since 1970."""

LONGEST = 1e9
"""The longest wait in seconds that is returned."""


class Headers(Protocol):
    """The headers of an answer, by names in any case."""

    def get_list(self, key: str) -> list[str]: ...


def retry_after(headers: Headers, now: float) -> float | None:
    """
    Return the seconds that the answer asks to wait, by the clock `now`, at most LONGEST; None if it asks for no wait.

    Alibaba Cloud's and Azure's milliseconds come first, then Retry-After. The end of the rate limit comes last: of Okta
    (X-Rate-Limit-Reset), of Auth0 and GitHub (X-RateLimit-Reset), and of the IETF's draft (RateLimit-Reset, RateLimit).
    If a header occurs several times, the longest wait counts.
    """
    found = _named(headers, now)
    return None if found is None else min(found, LONGEST)


def _named(headers: Headers, now: float) -> float | None:
    for name in ("x-acs-retry-after", "retry-after-ms", "x-ms-retry-after-ms"):
        found = _longest(_seconds(part) for part in _parts(headers, name))
        if found is not None:
            return found / 1000
    for name in ("retry-after", "x-retry-after"):
        waits = [_wait(value, now) for value in (*headers.get_list(name), *_parts(headers, name))]
        if (found := _longest(waits)) is not None:
            return found
    for name in ("x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset"):
        if (found := _longest(_wait(part, now) for part in _parts(headers, name))) is not None:
            return found
    return _longest(float(part) for value in headers.get_list("ratelimit") for part in _RESET.findall(value))


def instant(text: str) -> float | None:
    """Return an HTTP date as seconds since the epoch, or None."""
    try:
        date = parsedate_to_datetime(text)
        # The asctime format has no time zone. Every HTTP date is in UTC (RFC 9110, section 5.6.7).
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _parts(headers: Headers, name: str) -> list[str]:
    """Return the values of a header, also those that a proxy has joined with commas."""
    return [part.strip() for value in headers.get_list(name) for part in value.split(",")]


def _longest(waits: Iterable[float | None]) -> float | None:
    return max((wait for wait in waits if wait is not None), default=None)


def _wait(text: str, now: float) -> float | None:
    """Return the seconds that a number or an instant stands for."""
    number = _seconds(text)
    if number is None:
        until = instant(text) or _iso(text)
        return max(0.0, until - now) if until is not None else None
    until = next((each for each in (number, number / 1000) if abs(each - now) < _YEAR), None)
    return number if until is None else max(0.0, until - now)


def _seconds(text: str) -> float | None:
    found = _SECONDS.fullmatch(text.strip())
    return float(found[1]) if found else None


def _iso(text: str) -> float | None:
    """Return a time of RFC 3339 as seconds since the epoch, or None. Some servers send it instead of an HTTP date."""
    try:
        return datetime.fromisoformat(text).timestamp() if re.match(r"[0-9]{4}-.*(Z|[+-]..:..)$", text) else None
    except (ValueError, OverflowError):
        return None
