"""Addresses: loopback, listeners, and the spellings of this machine."""

from __future__ import annotations

import pytest

from app.core import addresses, proxies
from app.core.errors import ConfigError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.nip.io", False),
        ("0.0.0.0", False),
        ("100.100.100.200", False),
        ("", False),
    ],
)
def test_loopback_is_recognised_by_its_spelling(host: str, expected: bool) -> None:
    """A host is loopback by its spelling alone; no name is resolved."""
    assert addresses.is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("100.100.100.200", True), ("100.100.100.201", False), ("169.254.169.254", False)],
)
def test_private_listeners_are_loopback_and_the_ecs_metadata_address(host: str, expected: bool) -> None:
    """Only this machine reaches a loopback address or the ECS metadata address."""
    assert addresses.is_private(host) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", True),
        ("a_b-c.example.com", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("", False),
        ("::1", False),
        ("[localhost]", False),
        ("localhost:80", False),
        ("host/path", False),
        ("host~", False),
    ],
)
def test_host_of_a_host_header(text: str, expected: bool) -> None:
    """The host part of a Host header is a name, an IPv4 address, or an IPv6 address in brackets."""
    assert addresses.is_host(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:7117", ("127.0.0.1", 7117)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("127.0.0.1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_listen_address_is_parsed(text: str, expected: tuple[str, int]) -> None:
    """A listen address is an IP address and a port, with IPv6 in brackets."""
    assert addresses.listen_address(text, "server.bind") == expected


@pytest.mark.parametrize(
    "text", ["", "7117", ":7117", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]", "1.2.3:80", "h:80"]
)
def test_invalid_listen_address_is_refused(text: str) -> None:
    """Text that is not a listen address is refused with the name of its key."""
    with pytest.raises(ConfigError, match=r"^server\.bind: "):
        addresses.listen_address(text, "server.bind")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80), True),
        (("127.0.0.1", 80), ("127.0.0.1", 81), False),
        (("127.0.0.1", 80), ("0.0.0.0", 80), True),
        (("127.0.0.1", 0), ("127.0.0.1", 0), False),
        (("127.0.0.1", 80), ("127.0.0.2", 80), False),
        (("127.0.0.1", 80), ("::1", 80), False),
        (("127.0.0.1", 80), ("::", 80), True),
        (("0.0.0.0", 80), ("::", 80), True),
        (("0.0.0.0", 80), ("::1", 80), False),
        (("::1", 80), ("::", 80), True),
    ],
)
def test_listeners_overlap(one: tuple[str, int], other: tuple[str, int], expected: bool) -> None:
    """Two listeners overlap on the same port of the same host or of a wildcard address; port 0 never overlaps."""
    assert addresses.overlap(one, other) is expected
    assert addresses.overlap(other, one) is expected


def test_authority_writes_ipv6_in_brackets() -> None:
    """The authority part of a URL has an IPv6 address in brackets."""
    assert addresses.authority("127.0.0.1", 80) == "127.0.0.1:80"
    assert addresses.authority("::1", 80) == "[::1]:80"


OWN = [
    *("127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0", "0.0.0.0", "[::]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0.0.0.0]", "[0:0:0:0:0:0:0:1]", "127.255.255.254"),
    *(
        "x.localhost",
        "a.x.LOCALHOST",
        "x.localhost.",
        "localhost.localdomain",
        "localhost4",
        "LOCALHOST6.localdomain6.",
        "ip6-localhost",
        "ip6-loopback",
    ),
    *("[::ffff:100.100.100.200]", "[::ffff:6464:64c8]", "1684301000", "100.100.25800", "[::ffff:169.254.169.254]"),
    *("0xa9fea9fe", "169.254.43518"),
]
"""Hosts that may mean loopback or a metadata service, in the spellings that `getaddrinfo` accepts."""


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("proxy", ["http://own:6", None])
def test_spellings_of_this_machine(host: str, proxy: str | None) -> None:
    """In no spelling does a request for loopback or the metadata service go through a proxy."""
    assert proxies.proxy_for(f"https://{host}/token", proxy, {"ALL_PROXY": "http://all:3"}) is None


@pytest.mark.parametrize("host", ["xlocalhost", "localhost.test", "128.1", "[::ffff:10.0.0.1]", "[::2]", "127.1.test"])
def test_hosts_of_other_machines(host: str) -> None:
    """A host of another machine is requested through the proxy, whatever its name resembles."""
    assert proxies.proxy_for(f"https://{host}/token", "http://own:6", {}) == "http://own:6"


@pytest.mark.parametrize("host", ["\0", "a\0.example", "\ud800"])
def test_host_with_a_character_that_no_host_has(host: str) -> None:
    """Such a host is checked elsewhere; it is no address of this machine."""
    assert not addresses.stays_here(host)
