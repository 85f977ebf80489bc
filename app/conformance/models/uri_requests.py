"""The request that a client builds from a credentials URI, and the URLs that it cannot use. Pure."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from ..wire.request import Request
from ..wire.url import HttpUrl
from .parse_result import UnmetNeed


def unchanged_request(*lines: str) -> Callable[[HttpUrl], Request]:
    """Build requests with path and query as configured, and Host with the port."""
    return lambda url: Request(url.request_target, url.authority, lines)


def python_request(*lines: str) -> Callable[[HttpUrl], Request]:
    """
    Build requests as the Python SDK does: Host without the port, and the query encoded again.

    Its encoding drops parameters without a value, keeps the last of duplicates and writes a space as `+`.
    """
    return lambda url: Request(_encoded_again(url), url.bracketed_host, lines)


def _encoded_again(url: HttpUrl) -> str:
    query = urlencode(dict(parse_qsl(url.query or "")))
    return f"{url.path}?{query}" if query else url.path


def no_ipv6(url: HttpUrl) -> UnmetNeed | None:
    """The need of a client that loses the brackets of an IPv6 address."""
    return UnmetNeed("a URL with 127.0.0.1", "an IPv6 address") if ":" in url.host else None


def only_loopback_address(url: HttpUrl) -> UnmetNeed | None:
    """The need of a client that accepts loopback addresses only, and no names."""
    if url.has_ip_literal and url.is_loopback:
        return None
    return UnmetNeed("a URL with a literal loopback address", "another host")
