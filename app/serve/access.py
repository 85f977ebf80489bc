"""Access rules that hold for every path of a listener: Host, forwarded requests, browsers.

The decision is pure, and is made on the raw request before any route. A request that cannot be parsed is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..core.addresses import canonical_host
from ..core.record import Record
from .request import Request
from .responses import BAD_REQUEST, Response, error

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[^:@/\s]+)(?::[0-9]{1,5})?")
_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip"})
_HARMLESS = frozenset({b"user-agent", b"accept", b"accept-encoding", b"connection", b"content-length"})
"""Headers that the SDKs send. `judge` skips them first, because most headers of a request are among them."""

_FETCH_OF_NODE = frozenset((b"sec-fetch-mode", mode) for mode in (b"cors", b"no-cors", b"same-origin"))
"""
The only Sec-Fetch header that Node's built-in `fetch` (undici) sends: the request's `mode`. A browser also sends
Sec-Fetch-Site. The other modes, such as `navigate`, are a browser's alone.
"""


DENIED_CODES = {
    "Host": "IDS-508",
    "Forwarded": "IDS-519",
    "Browser": "IDS-520",
    "PathToken": "IDS-509",
    "MetadataToken": "IDS-521",
    "Caller": "IDS-507",
    "CallerUnknown": "IDS-518",
    "Rate": "IDS-522",
    "Remote": "IDS-529",
    "Admin": "IDS-517",
}
"""The code of the errors index for each reason of a refusal."""


class Denial(Record, frozen=True):
    """A refusal. `reason` labels the metric and ends the error code."""

    reason: str
    response: Response


def deny(reason: str, message: str, status: int = 403) -> Denial:
    """Return a refusal with the code `AccessDenied.<reason>`."""
    return Denial(reason, error(status, f"AccessDenied.{reason}", message, DENIED_CODES[reason]))


_BAD_HOST = Denial("Host", BAD_REQUEST)
_WRONG_HOST = deny("Host", "the Host header names no address of this service (access.allowedHosts)")
_FORWARDED_DENIAL = deny("Forwarded", "forwarded requests are refused: connect directly, without a proxy")
_BROWSER_DENIAL = deny("Browser", "requests of web pages are refused")


class Guard:
    """The rules of one listener that hold for every path."""

    def __init__(self, *, allowed_hosts: Iterable[str], refuse_forwarded: bool, refuse_browsers: bool) -> None:
        self._allowed = frozenset(canonical_host(host).encode() for host in allowed_hosts)
        self._refuse_forwarded = refuse_forwarded
        self._refuse_browsers = refuse_browsers

    def judge(self, request: Request) -> Denial | None:
        """Return why `request` is refused, or None."""
        # SSRF: an absolute-form target comes from a client that uses this server as its proxy, or was tricked into it.
        if not request.target.startswith(b"/"):
            return _FORWARDED_DENIAL if b"://" in request.target else _BAD_HOST
        host: bytes | None = None
        for name, value in request.headers:
            if name == b"host":
                if host is not None:  # with two Hosts, two programs could each use a different one
                    return _BAD_HOST
                host = value
            elif name not in _HARMLESS and (denial := self._judge_header(name, value)) is not None:
                return denial
        return self._judge_host(host)

    def _judge_header(self, name: bytes, value: bytes) -> Denial | None:
        # SSRF: an attacker can make a reverse proxy forward a request to this server; the proxy adds these headers.
        if self._refuse_forwarded and (name in _FORWARDED or name.startswith(b"x-forwarded-")):
            return _FORWARDED_DENIAL
        # DNS rebinding and plain cross-site requests. A page's script cannot remove Sec-Fetch-Site.
        if self._refuse_browsers and (name == b"origin" or name.startswith(b"sec-fetch-")):
            return None if (name, value) in _FETCH_OF_NODE else _BROWSER_DENIAL
        return None

    def _judge_host(self, host: bytes | None) -> Denial | None:
        # DNS rebinding: a page of evil.example, whose name then resolves to 127.0.0.1, is same-origin with this server,
        # but its browser still sends the name. The port is ignored: the Python SDK never sends it.
        if host is None:
            return _BAD_HOST
        match = _HOST.fullmatch(host.lower())
        if match is not None and (match[1] in self._allowed or _canonical(match[1]) in self._allowed):
            return None
        return _WRONG_HOST


def _canonical(host: bytes) -> bytes:
    return canonical_host(host.decode("latin-1")).encode("latin-1")
