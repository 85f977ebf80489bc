"""Which servers the entries of NO_PROXY cover. Pure: no name is resolved.

No standard says what NO_PROXY may hold. Every form of curl, Go, Python (requests), Node.js and Java that has one
meaning is accepted here: an entry that is not understood would send a request to a proxy that cannot reach the server.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from .addresses import Address, address_of, ascii_name, is_host_name

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED_BITS = 96
"""The length of `::ffff:0:0/96`, the prefix of IPv4 addresses in IPv6."""


def exempt(host: str, port: int, no_proxy: str) -> bool:
    """
    Return whether an entry of NO_PROXY covers the server.

    Entries are separated by commas, spaces, semicolons (Windows) or vertical bars (Java): `*`, a name (which includes
    its subdomains), `.name` or `*.name` (which mean the same), an address, or a network such as `fd00::/8`. Each entry
    may have a port. An IPv6 address may be in brackets. Names outside ASCII are compared in their ASCII form (IDNA).
    """
    return any(_covers(entry, host, port) for entry in _entries(no_proxy))


def unread_entries(no_proxy: str) -> list[str]:
    """Return the entries that cover no server, whatever its name: a URL, a pattern, an address without brackets."""
    return [entry for entry in _entries(no_proxy) if not _is_understood(entry)]


def _entries(no_proxy: str) -> Iterator[str]:
    # The quotes are those of a compose or env file, which Docker passes on as part of the value.
    return filter(None, (entry.strip("\"'") for entry in re.split(r"[,;|\s]+", no_proxy.lower())))


def _covers(entry: str, host: str, port: int) -> bool:
    name, wanted = _split(entry)
    if wanted and not (_is_port(wanted) and int(wanted) == port):
        return False
    if name == "*":
        return True
    address = address_of(host)
    if address is not None:  # an address has no parent domain
        return address == address_of(name) or _within(address, name)
    host, name = ascii_name(host), ascii_name(_domain(name))
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_understood(entry: str) -> bool:
    name, wanted = _split(entry)
    if wanted and not _is_port(wanted):
        return False
    if name == "*" or address_of(name) is not None or _network(name) is not None:
        return True
    return is_host_name(_domain(name))  # `192.0.2.` or `2.1`, the parts of an address, cover nothing


def _split(entry: str) -> tuple[str, str]:
    """Return host or network and port of an entry, without brackets and final dot."""
    network = re.fullmatch(r"\[?([^\[\]/]*)\]?/([^\[\]/:]*)\]?(?::(.*))?", entry)
    if network is not None:
        return f"{network[1]}/{network[2]}", network[3] or ""
    if entry.startswith("["):
        host, bracket, rest = entry[1:].partition("]")
        return (host, rest.removeprefix(":")) if bracket else (entry, "")
    # Text with two or more colons is an IPv6 address.
    host, _, port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
    return host.rstrip("."), port


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,9}", text) is not None


def _domain(name: str) -> str:
    return name.removeprefix("*").lstrip(".")


def _network(text: str) -> Network | None:
    """Return a network, an IPv4-mapped one as IPv4; None for another text."""
    if "/" not in text:
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _within(address: Address, text: str) -> bool:
    network = _network(text)
    return network is not None and address in network
