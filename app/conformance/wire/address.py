"""The server that is looked at, as its URL names it, and one request to it as bytes. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

METADATA_HOST = "100.100.100.200"


@dataclass(frozen=True, slots=True)
class Address:
    """
    Whom to ask, and for what. `host` is without brackets. The target may hold a path token, so it is never shown.
    """

    host: str
    port: int
    path: str = field(repr=False)
    query: str | None = field(repr=False, default=None)

    @property
    def target(self) -> str:
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def host_name(self) -> str:
        """The host as the Host header writes it, without the port."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """The host as the Host header writes it; port 80 is left out, as every client does."""
        return self.host_name if self.port == 80 else f"{self.host_name}:{self.port}"

    @property
    def origin(self) -> str:
        """What may be shown of the URL."""
        return f"http://{self.authority}"

    @property
    def literal(self) -> bool:
        """Whether the host is an address and no name."""
        return _ip(self.host) is not None

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine, as far as the URL tells."""
        ip = _ip(self.host)
        return self.host == "localhost" if ip is None else ip.is_loopback


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `lines` are header lines in the client's order, Host aside, which comes where `Host` stands."""

    target: str = field(repr=False)
    host: str
    lines: tuple[str, ...] = field(repr=False, default=())
    method: str = "GET"

    @property
    def raw(self) -> bytes:
        head = (f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}", *self.lines, "", "")
        return "\r\n".join(head).encode("latin-1")


def address(url: str) -> Address:
    """`url` as an Address. Raises ValueError, whose words do not hold the URL."""
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("must be visible ASCII without blanks; percent-encode the rest")
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError("must begin with http://, as the address that clients are given does")
    if parts.username is not None:
        raise ValueError("must not have userinfo: Python, Node and Java drop it; use a path segment")
    if parts.fragment:
        raise ValueError("must not have a fragment: no client sends one")
    if not parts.hostname:
        raise ValueError("names no host")
    return Address(parts.hostname, _port(parts), parts.path or "/", parts.query if "?" in url else None)


def _port(parts: SplitResult) -> int:
    try:
        return 80 if parts.port is None else parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
