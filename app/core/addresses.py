"""Hosts and listening addresses. Pure: no name is resolved."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from socket import inet_aton

from .errors import ConfigError

METADATA_ADDRESSES = frozenset({"100.100.100.200", "169.254.169.254"})
"""The addresses of instance metadata services. A request to one of them must never go through a proxy."""

LAST_PORT = 65535

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_OWN_NAMES = frozenset(
    (
        *("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"),
        *("localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6"),
    )
)
"""The names of loopback in /etc/hosts of Linux distributions. Those below `localhost` are loopback, too (RFC 6761)."""

_NO_SPACE = "remove it, also from a variable's value"

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,20})")

_LONGEST_NAME = 253

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
"""A label of a host name. RFC 1035 has no underscore, but resolvers do."""


def is_loopback(host: str) -> bool:
    """Return whether `host`, without port and brackets, is `localhost` or a loopback address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def stays_here(host: str) -> bool:
    """
    Return whether a request to `host` must not leave this machine: it may mean loopback or a metadata service.

    Covers every spelling that `getaddrinfo` accepts (`127.1`, `2130706433`), and the unspecified addresses, to which
    Linux connects over loopback. `is_loopback` is stricter, because it permits more than a direct connection.
    """
    host = ascii_name(host).rstrip(".")
    if host in _OWN_NAMES or host.endswith(".localhost"):
        return True
    address = address_of(host) or _other_spelling(host)
    return address is not None and (address.is_loopback or address.is_unspecified or str(address) in METADATA_ADDRESSES)


def address_of(text: str) -> Address | None:
    """
    Return an IP address in its canonical form; None for a name.

    An IPv4-mapped IPv6 address is returned as IPv4, and a link-local one without its zone (`%eth0`, in URLs `%25eth0`).
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _other_spelling(host: str) -> Address | None:
    """Return the IPv4 address of a spelling such as `127.1`; None for a name."""
    try:
        return ipaddress.IPv4Address(inet_aton(host))
    except (OSError, ValueError):  # the latter for characters that no host has, such as NUL
        return None


def is_private(host: str) -> bool:
    """Return whether only this machine reaches a listener on `host`: loopback, or the ECS metadata address."""
    return is_loopback(host) or host == "100.100.100.200"


def is_host(text: str) -> bool:
    """Return whether `text` is the host part of a Host header: a name, an IPv4 address, or a bracketed IPv6 address."""
    return re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text) is not None


def canonical_host(host: str) -> str:
    """
    Return the host part of a Host header or URL in lower case, an IPv6 address in its canonical spelling.

    A mapped address is IPv4: `::ffff:127.0.0.1` reaches an IPv4 listener. Clients write IPv6 in several spellings.
    """
    host = host.lower()
    if not host.startswith("["):
        return host
    try:
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return host
    return str(address.ipv4_mapped or f"[{address}]")


def is_host_name(text: str) -> bool:
    """
    Return whether DNS can have a host of this name: labels of 1 to 63 characters, and 253 in all (RFC 1035).

    The last label must not be a number: `127.1` or `0x7f000001` is another spelling of an IPv4 address.
    """
    name = ascii_name(text)
    known = len(name) <= _LONGEST_NAME and re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", name) is not None
    return known and re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]) is None


def ascii_name(name: str) -> str:
    """Return a host name in lower case and in its ASCII form (IDNA), if it has one, without its final dot."""
    if not name.isascii():
        with contextlib.suppress(UnicodeError):
            name = name.encode("idna").decode("ascii")
    return name.lower().removesuffix(".")


def overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """
    Return whether two listeners conflict: they have the same port, and the same host or a wildcard.

    `::` is every address of both families, `0.0.0.0` every IPv4 address.
    """
    hosts = {one[0], other[0]}
    both_ipv4 = not any(":" in host for host in hosts)
    wildcard = "::" in hosts or (both_ipv4 and "0.0.0.0" in hosts)  # noqa: S104
    return one[1] == other[1] != 0 and (len(hosts) == 1 or wildcard)


def listen_address(text: str, place: str) -> tuple[str, int]:
    """Return host and port of a listening address such as `127.0.0.1:7117` or `[::1]:7117`. Raises ConfigError."""
    if text != text.strip():
        raise ConfigError(f"{place}: {text!r} has white space at an end", cure=_NO_SPACE, error_code="IDS-121")
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ConfigError(f"{place}: {text!r} is not <IP address>:<port>, such as 127.0.0.1:7117", error_code="IDS-121")
    if int(match["port"]) > LAST_PORT:
        cause = f"{place}: {text!r}: the port {match['port']} is out of range"
        raise ConfigError(cause, cure=f"write a port of 1 to {LAST_PORT}, or 0 for a free port", error_code="IDS-121")
    host = match["v6"] or match["v4"]
    if host == "localhost":
        return "127.0.0.1", int(match["port"])
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(
            f"{place}: {host!r} is not an IP address; names are not resolved to listen", error_code="IDS-121"
        ) from None
    return host, int(match["port"])


def authority(host: str, port: int) -> str:
    """Return the authority of a URL: `host:port`, with an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return `host` as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
