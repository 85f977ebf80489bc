"""URLs: validation, hosts, and the endpoint of the IDaaS SDK."""

from __future__ import annotations

import pytest

from app.core import urls
from app.core.errors import ConfigError


@pytest.mark.parametrize(
    "url",
    ["https://login.example.com/token", "https://login.example.com:8443", "http://127.0.0.1:1/x", "http://[::1]/x"],
)
def test_valid_endpoint_is_accepted(url: str) -> None:
    """An endpoint uses https on any host, or http on loopback."""
    assert urls.endpoint(url, "tokenEndpoint") == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://login.example.com", "would send secrets in clear; use https:// (http is for loopback hosts only)"),
        ("http://100.100.100.200/x", "would send secrets in clear"),
        ("http://localhost.example.com/x", "would send secrets in clear"),
        ("login.example.com", "is not a URL of the form https://host/path"),
        ("ftp://login.example.com", "is not a URL of the form"),
        ("https://", "is not a URL of the form"),
        (" https://login.example.com", "has ' ', which a URL cannot have"),
        ("https://login.example.com/a b", "has ' ', which a URL cannot have"),
        ("https://login.exämple.com/", "has 'ä', which a URL cannot have"),
        ("https://login.example.com:port", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://login.example.com/token?x=1", "has a query or a fragment; write the URL as https://host/path"),
        ("https://login.example.com/token?", "has a query or a fragment; write the URL as https://host/path"),
        ("https://login.example.com/token#", "has a query or a fragment; write the URL as https://host/path"),
        ("https://login.example.com/token#x", "has a query or a fragment; write the URL as https://host/path"),
        (
            "https://user:s3cr3t@login.example.com/",
            "the URL contains a user name or password; remove both from the URL",
        ),
    ],
)
def test_invalid_endpoint_is_refused(url: str, message: str) -> None:
    """An endpoint that would leak secrets or cannot be requested is refused, and its password is not repeated."""
    with pytest.raises(ConfigError) as caught:
        urls.endpoint(url, "tokenEndpoint")

    assert str(caught.value).startswith("tokenEndpoint: ")
    assert message in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("login.example.com/token", "https://login.example.com/token"),
        ("http://login.example.com:80/token", "https://login.example.com:80/token"),
        ("https://login.example.com", "https://login.example.com"),
        ("ftp://login.example.com", "ftp://login.example.com"),
        ("http://127.0.0.1:7140/x", "http://127.0.0.1:7140/x"),
        ("http://localhost?x", "http://localhost?x"),
        ("http://[::1]:7140/x", "http://[::1]:7140/x"),
        ("http://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("http:///x", "https:///x"),
    ],
)
def test_sdk_endpoint_uses_https_except_on_loopback(url: str, expected: str) -> None:
    """The IDaaS SDK adds a missing scheme and replaces http by https; loopback hosts keep http."""
    assert urls.sdk_endpoint(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:7117", ("127.0.0.1", 7117)),
        ("http://127.0.0.1:7117/", ("127.0.0.1", 7117)),
        ("http://[::1]", ("::1", 80)),
        ("https://127.0.0.1:7117", None),
        ("http://127.0.0.1:7117/path", None),
        ("http://127.0.0.1:7117?query", None),
        ("http://127.0.0.1:7117#fragment", None),
    ],
)
def test_authority_of_an_http_url(url: str, expected: tuple[str, int] | None) -> None:
    """An http URL without path, query and fragment has a host and a port, by default 80."""
    assert urls.http_authority(url, "url") == expected


def test_authority_of_no_url_is_refused() -> None:
    """Text that is not a URL has no authority, and the message names its key."""
    with pytest.raises(ConfigError, match=r"^url: 'x' is not a URL of the form https://host/path$"):
        urls.http_authority("x", "url")


@pytest.mark.parametrize(
    "host",
    [
        *("a" * 63, ".".join(["a" * 49] * 5), "a_b.test", "a.test.", "xn--mnchen-3ya.test", "[fd00::1]", "192.0.2.1"),
        *("1.test", "0x7f.test", "a.b1", "a.0xg", "[::ffff:192.0.2.1]"),
    ],
)
def test_host_that_dns_can_have(host: str) -> None:
    """The longest label has 63 characters, the longest name 253. Underscores are common, although RFC 1035 has none."""
    assert urls.endpoint(f"https://{host}/x", "issuer") == f"https://{host}/x"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "a" * 64,
            ".".join(["a" * 50] * 5),
            "a..test",
            ".a.test",
            "a.test..",
            "a..",
            "-a.test",
            "a-.test",
            "%61.test",
        ),
        *("[fe80::1%25eth0]", "127.1", "2130706433", "0x7f000001", "0x7f.1", "127.0.0.1.", "192.0.2.256", "1.2.3.4.5"),
    ],
)
def test_host_that_nothing_can_have(host: str) -> None:
    """A host that no resolver can find is a mistake of the configuration, not a fault of DNS."""
    expected = "has a host that is neither a valid DNS name nor an address; correct the host"
    with pytest.raises(ConfigError, match=expected):
        urls.endpoint(f"https://{host}/x", "issuer")


def test_name_outside_ascii() -> None:
    """The cure for an international name is its ASCII form; it is not computed, because it may be a homograph's."""
    with pytest.raises(ConfigError, match=r"copy the URL again from its source, or write the host name in its ASCII"):
        urls.endpoint("https://münchen.test/x", "issuer")
    with pytest.raises(ConfigError, match=r"copy the URL again from its source$"):
        urls.endpoint("https://a.test/ü", "issuer")


@pytest.mark.parametrize("wrong", [*'\\ \t\x00\x7f"<>^`{|}é\u200b'])
@pytest.mark.parametrize("url", ["https://id{}p.example.com", "https://idp.example.com/a{}b"])
def test_characters_that_no_url_can_have(url: str, wrong: str) -> None:
    """RFC 3986 has no such character in a URL: an issuer with one was copied wrong, and no token could match it."""
    with pytest.raises(ConfigError) as caught:
        urls.endpoint(url.format(wrong), "issuer")
    assert caught.value.error_code == "IDS-112"


@pytest.mark.parametrize("path", ["%", "%2", "%zz"])
def test_incomplete_percent_encoding(path: str) -> None:
    """A per cent sign stands before two hexadecimal digits."""
    with pytest.raises(ConfigError, match="has '%', which a URL cannot have; copy the URL again"):
        urls.endpoint(f"https://idp.example.com/{path}", "issuer")


def test_characters_that_a_url_can_have() -> None:
    """Every character of RFC 3986 is accepted."""
    url = "https://idp.example.com:8443/a-b.c_d~e!$&'()*+,;=:@/%2Fx"
    assert urls.endpoint(url, "issuer") == url


def test_long_url_is_cut_in_messages() -> None:
    """A file may have kilobytes in the place of a URL, and each key that uses it has a message."""
    with pytest.raises(ConfigError) as caught:
        urls.endpoint(f"https://{'a' * 5_000}/", "issuer")

    assert len(str(caught.value)) < 500
    assert f"https://{'a' * 100}" in str(caught.value)
