"""The URL of the server under test, in parts. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """
    An `http://` URL in parts. `host` has no brackets.

    Path and query may contain a path token, so the repr leaves them out.
    """

    host: str
    port: int
    path: str = field(repr=False)
    query: str | None = field(repr=False, default=None)

    @property
    def request_target(self) -> str:
        """Path and query as they are written: the origin form of RFC 9112, section 3.2.1."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def bracketed_host(self) -> str:
        """The host as the Host header has it, without the port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them. Port 80 is left out, as every client does."""
        return self.bracketed_host if self.port == 80 else f"{self.bracketed_host}:{self.port}"

    @property
    def origin(self) -> str:
        """The part of the URL that a report may show: scheme, host and port."""
        return f"http://{self.authority}"

    @property
    def has_ip_literal(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        return _ip(self.host) is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the host is `localhost` or a loopback address. Other names are not resolved."""
        ip = _ip(self.host)
        return self.host == "localhost" if ip is None else ip.is_loopback


def parse_url(url: str) -> HttpUrl:
    """Return `url` in parts. Raises ValueError, whose message does not contain the URL."""
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("must be visible ASCII without spaces; percent-encode other characters")
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError("must begin with http://, as the URL that clients are given does")
    if parts.username is not None:
        raise ValueError("must not have userinfo: Python, Node and Java drop it; use a path segment instead")
    if parts.fragment:
        raise ValueError("must not have a fragment: no client sends one; remove it")
    if not parts.hostname:
        raise ValueError("has no host; write http://HOST:PORT/PATH")
    return HttpUrl(parts.hostname, _port(parts), parts.path or "/", parts.query if "?" in url else None)


def _port(parts: SplitResult) -> int:
    try:
        return 80 if parts.port is None else parts.port
    except ValueError:
        raise ValueError("has an invalid port; write a number up to 65535") from None


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
