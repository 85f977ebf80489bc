"""
Keeps httpx from reading headers that this program does not use. Each of them may be hostile.

httpx parses the target of every redirect, also of one that it does not follow. It raises the errors of several parsers,
which look like mistakes in the configured URL. It stores the cookies of every server without a bound, and
sends them with later requests, also to other hosts of the same domain. It reads Content-Type with the parser of
Python's mail package, which raises ValueError for some values.
"""

from __future__ import annotations

import re
from http.cookiejar import CookieJar
from typing import Any

import httpx

_LOCATION = "idaas_sidecar.location"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE | re.ASCII)

LONGEST_TYPE = 1_000
"""The most characters of a Content-Type that are read."""


class _NoCookies(CookieJar):
    """A cookie jar that stays empty."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the cookies of an answer."""


def plain() -> dict[str, Any]:
    """Return the arguments of a client of httpx that follows no redirect and stores no cookie."""
    return {
        "follow_redirects": False,
        "cookies": _NoCookies(),
        "event_hooks": {"response": [_set_location_aside]},
    }


async def _set_location_aside(response: httpx.Response) -> None:
    """Move the target of a redirect from the headers to the extensions, before httpx reads it."""
    location = response.headers.get("location")
    if location is not None:
        del response.headers["location"]
        response.extensions[_LOCATION] = location


def location_of(response: httpx.Response) -> str | None:
    """Return the header Location of an answer to a client with `plain`; None without one."""
    found: str | None = response.extensions.get(_LOCATION)
    return found


def is_redirect(response: httpx.Response) -> bool:
    """Return whether an answer to a client with `plain` is a redirect with a target."""
    return response.status_code in _REDIRECTS and location_of(response) is not None


def charset_of(response: httpx.Response) -> str:
    """Return the name of the encoding in Content-Type; empty without one."""
    found = _CHARSET.search(response.headers.get("content-type", "")[:LONGEST_TYPE])
    return found[1] if found else ""
