"""The proxy for a URL, from the configuration or from the environment. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from .addresses import METADATA_ADDRESSES, is_loopback
from .errors import ConfigError
from .urls import refused_character

NO_PROXY = "none"
"""The configured value for direct connections. The proxy variables of the environment are then ignored."""


def check_proxy(url: str, place: str) -> None:
    """Raise ConfigError unless `url` is a valid proxy URL. The message never quotes the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not refused_character(parts.netloc.rpartition("@")[2])
        )
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(
            f"{place}: not a proxy of the form http://host:port or https://host:port", error_code="IDS-112"
        )


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy for requests to `url`, or None for a direct connection.

    `configured` is a proxy or NO_PROXY; None selects the proxy of the environment. Requests to loopback and metadata
    addresses never use a proxy: an identity document or a secret would leave the machine.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if is_loopback(host) or host in METADATA_ADDRESSES:
        return None
    if configured is not None:
        return None if configured == NO_PROXY else configured
    port = 80 if parts.scheme == "http" else 443
    chosen = _first(environ, f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    if chosen is None or _exempt(host, parts.port or port, _first(environ, "no_proxy", "NO_PROXY") or ""):
        return None
    return chosen if "://" in chosen else f"http://{chosen}"


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _exempt(host: str, port: int, no_proxy: str) -> bool:
    """
    Return whether an entry of NO_PROXY covers the server.

    Entries are separated by commas or spaces: `*`, a name (which includes its subdomains), `.name`, an address, or a
    network such as `fd00::/8`. All entries except networks may have a port. An IPv6 address may be in brackets.
    """
    return any(_covers(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if "/" in entry:
        return _within(host, entry.translate(_NO_BRACKETS))
    name, wanted = _split(entry)
    if wanted not in ("", str(port)):
        return False
    if name == "*" or host == name:
        return True
    address = _address(host)
    if address is not None:  # the end of an address is not a domain
        return address == _address(name)
    return host.endswith("." + name.lstrip("*").lstrip("."))


def _split(entry: str) -> tuple[str, str]:
    """Return host and port of an entry, without brackets and final dot. Text with two or more colons is IPv6."""
    if entry.startswith("["):
        host, bracket, rest = entry[1:].partition("]")
        return (host, rest.removeprefix(":")) if bracket else (entry, "")
    host, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    return host.rstrip("."), port


_NO_BRACKETS = str.maketrans("", "", "[]")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an IP address in its canonical form, and an IPv4-mapped IPv6 address as IPv4; None for a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _within(host: str, network: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
