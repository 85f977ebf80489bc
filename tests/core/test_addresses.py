"""Addresses and URLs: validation, selection of STS endpoints, and the choice of a proxy."""

from __future__ import annotations

from typing import Any

import pytest

from app.core import addresses, display, endpoints, proxies, urls
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


GLOBAL_ENDPOINT = ("https://sts.aliyuncs.com",)
STS_ENDPOINTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, GLOBAL_ENDPOINT),
    ({"region": "cn-hangzhou"}, ("https://sts.cn-hangzhou.aliyuncs.com",)),
    ({"region": "cn-hangzhou", "vpc": True}, ("https://sts-vpc.cn-hangzhou.aliyuncs.com",)),
    ({"region": "cn-hangzhou-finance"}, ("https://sts.cn-hangzhou.aliyuncs.com",)),
    ({"region": "ap-south-1"}, GLOBAL_ENDPOINT),
    ({"region": "ap-southeast-2"}, GLOBAL_ENDPOINT),
    ({"region": "cn-beijing-gov-1"}, GLOBAL_ENDPOINT),
    ({"region": "ap-south-1", "vpc": True}, ("https://sts-vpc.ap-south-1.aliyuncs.com",)),
    ({"explicit": ["sts.example.com"]}, ("https://sts.example.com",)),
    (
        {"region": "x", "explicit": ["https://a.example.com/", "https://b.example.com"]},
        ("https://a.example.com", "https://b.example.com"),
    ),
    ({"explicit": ["http://127.0.0.1:7140"]}, ("http://127.0.0.1:7140",)),
    ({"explicit": ["https://a.example.com/~/"]}, ("https://a.example.com/~",)),
]


@pytest.mark.parametrize(
    ("settings", "expected"), STS_ENDPOINTS, ids=[f"{number}" for number in range(len(STS_ENDPOINTS))]
)
def test_sts_endpoints_are_selected(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    """As in the official SDKs: explicit endpoints in their order, else the region's, else the global one."""
    arguments = {"region": None, "vpc": False, "explicit": None, "place": "exchange", **settings}

    assert endpoints.sts_endpoints(**arguments) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"explicit": []}, "exchange.endpoints: empty; add an endpoint, or remove the key to use the region's"),
        (
            {"explicit": ["a.example.com", "b c"]},
            "exchange.endpoints[1]: 'https://b c' has ' ', which a URL cannot have",
        ),
        ({"vpc": True}, "exchange.vpc: needs regionId; a VPC endpoint belongs to one region"),
        (
            {"region": "x"},
            "exchange.regionId: 'x' is not a region's id; write an id of small letters, digits and hyphens",
        ),
        ({"region": "cn.example.com/"}, "exchange.regionId: 'cn.example.com/' is not a region's id"),
    ],
)
def test_invalid_sts_endpoint_is_refused(settings: dict[str, Any], message: str) -> None:
    """An endpoint, a region or a combination of both that cannot work is refused with its key."""
    with pytest.raises(ConfigError) as caught:
        endpoints.sts_endpoints(**{"region": None, "vpc": False, "explicit": None, "place": "exchange", **settings})

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"region": "cn-hangzhou"}, "https://eiam-developerapi.cn-hangzhou.aliyuncs.com"),
        ({"region": "us-west-1"}, "https://eiam-developerapi.us-west-1.aliyuncs.com"),
        ({"region": "cn-hangzhou", "vpc": True}, "https://eiam-developerapi-cn.vpc-proxy.aliyuncs.com"),
        ({"region": "cn-hongkong", "vpc": True}, "https://eiam-developerapi-hk.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-southeast-1", "vpc": True}, "https://eiam-developerapi-sg.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-southeast-5", "vpc": True}, "https://eiam-developerapi-jk.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-northeast-2", "vpc": True}, "https://eiam-developerapi-sel.vpc-proxy.aliyuncs.com"),
        ({"region": "eu-central-1", "vpc": True}, "https://eiam-developerapi-eu.vpc-proxy.aliyuncs.com"),
        ({"region": "cn-hangzhou", "explicit": "api.example.com"}, "https://api.example.com"),
        ({"explicit": "http://127.0.0.1:7140/path"}, "http://127.0.0.1:7140"),
    ],
)
def test_developer_api_is_selected(settings: dict[str, Any], expected: str) -> None:
    """The explicit endpoint of the DeveloperAPI wins; otherwise it is the region's, or the one in the region's VPC."""
    assert (
        endpoints.developer_api(**{"region": None, "vpc": False, "explicit": None, **settings}, place="x") == expected
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {},
            "exchange.regionId: required to find the DeveloperAPI, unless exchange.endpoint or the identity's "
            "developerApiEndpoint is set",
        ),
        (
            {"region": "CN"},
            "exchange.regionId: 'CN' is not a region's id; write an id of small letters, digits and hyphens, such as "
            "cn-hangzhou",
        ),
        (
            {"region": "us-west-1", "vpc": True},
            "exchange.vpc: us-west-1 has no VPC endpoint; these regions have one: cn-hangzhou, cn-hongkong, "
            "ap-southeast-1, ap-southeast-5, ap-northeast-2, eu-central-1",
        ),
        ({"explicit": "ftp://x"}, "exchange.endpoint: 'ftp://x' is not a URL of the form https://host/path"),
    ],
)
def test_developer_api_that_cannot_be_found_is_refused(settings: dict[str, Any], message: str) -> None:
    """A region without the DeveloperAPI, or none at all, is refused with its key."""
    with pytest.raises(ConfigError) as caught:
        endpoints.developer_api(**{"region": None, "vpc": False, "explicit": None, **settings}, place="exchange")

    assert str(caught.value) == message


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


ENVIRON = {
    "HTTPS_PROXY": "http://secure:1",
    "http_proxy": "plain:2",
    "NO_PROXY": "no.example.com, .inner.example.com,10.0.0.0/8,port.example.com:443,",
}


def proxied(no_proxy: str) -> dict[str, str]:
    """Return an environment with a proxy and these exceptions."""
    return {"HTTPS_PROXY": "http://secure:1", "NO_PROXY": no_proxy}


PROXIES = [
    ("https://login.example.com", None, ENVIRON, "http://secure:1"),
    ("http://login.example.com", None, ENVIRON, "http://plain:2"),
    ("https://login.example.com", None, {}, None),
    ("https://login.example.com", None, {"ALL_PROXY": "http://all:3"}, "http://all:3"),
    ("https://login.example.com", None, {"https_proxy": "http://low:4", "HTTPS_PROXY": "http://up:5"}, "http://low:4"),
    ("https://login.example.com", None, {"all_proxy": "http://low:4", "ALL_PROXY": "http://up:5"}, "http://low:4"),
    ("https://login.example.com", None, {"https_proxy": "", "HTTPS_PROXY": "http://up:5"}, "http://up:5"),
    ("https://login.example.com", "http://own:6", ENVIRON, "http://own:6"),
    ("https://login.example.com", "none", ENVIRON, None),
    ("https://no.example.com", "http://own:6", ENVIRON, "http://own:6"),
    ("https://no.example.com", None, ENVIRON, None),
    ("https://sub.no.example.com", None, ENVIRON, None),
    ("https://notno.example.com", None, ENVIRON, "http://secure:1"),
    ("https://a.inner.example.com", None, ENVIRON, None),
    ("https://port.example.com", None, ENVIRON, None),
    ("https://10.1.2.3", None, ENVIRON, None),
    ("https://10.1.2.3", None, proxied("10.9.9.9/8"), None),
    ("https://[fd00::1]", None, proxied("fd00::1"), None),
    ("https://[fd00::1]", None, proxied("fe80::/10,fd00::/8"), None),
    ("https://[fe80::1]", None, proxied("fd00::/8"), "http://secure:1"),
    ("https://login.example.com", None, proxied("*.example.com"), None),
    ("https://login.example.com", None, proxied(",LOGIN.example.com"), None),
    ("https://login.example.com.", None, proxied("a.example.com,"), "http://secure:1"),
    ("https://login.example.com", None, proxied("other/path"), "http://secure:1"),
    ("https://login.example.com", None, {"https_proxy": "http://low:4", "no_proxy": "login.example.com"}, None),
    (
        "https://login.example.com",
        None,
        {"https_proxy": "http://low:4", "no_proxy": "x", "NO_PROXY": "*"},
        "http://low:4",
    ),
    ("https://11.1.2.3", None, ENVIRON, "http://secure:1"),
    ("https://login.example.com", None, {"ALL_PROXY": "http://all:3", "NO_PROXY": "*"}, None),
    ("http://127.0.0.1:7140", "http://own:6", ENVIRON, None),
    ("http://localhost:7140", "http://own:6", ENVIRON, None),
    ("http://[::1]:7140", "http://own:6", ENVIRON, None),
    ("http://100.100.100.200/latest", "http://own:6", ENVIRON, None),
    ("http://169.254.169.254/latest", "http://own:6", ENVIRON, None),
]


@pytest.mark.parametrize(("url", "configured", "environ", "expected"), PROXIES)
def test_proxy_is_selected(url: str, configured: str | None, environ: dict[str, str], expected: str | None) -> None:
    """The configured proxy wins over the environment's; loopback and metadata addresses never use a proxy."""
    assert proxies.proxy_for(url, configured, environ) == expected


@pytest.mark.parametrize("url", ["https://localhost.", "https://127.0.0.1.", "https://100.100.100.200./latest"])
def test_final_dot_of_a_loopback_name(url: str) -> None:
    """A final dot does not send a request for loopback or the metadata service through a proxy."""
    assert proxies.proxy_for(url, "http://proxy:3128", {}) is None


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


@pytest.mark.parametrize("url", ["http://proxy:8080", "https://proxy.example.com", "http://u:p@proxy:8080/"])
def test_http_and_https_proxies_are_accepted(url: str) -> None:
    """An http or https proxy is accepted, with or without a login."""
    proxies.check_proxy(url, "proxy")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy:8080",
        "http://",
        "http://u:s3cr3t@proxy:port",
        "http://proxy:0",
        "http://proxy:65536",
        "http://u:s3cr3t@pro..xy",
        "http://[fe80::1%25eth0]:8080",
        "http://fd00::1",
        "http://proxy/path",
        "http://proxy?query",
        "http://proxy#fragment",
    ],
)
def test_invalid_proxy_is_refused(url: str) -> None:
    """An invalid proxy is refused, and its URL is not repeated because it may hold a password."""
    with pytest.raises(ConfigError) as caught:
        proxies.check_proxy(url, "proxy")

    assert caught.value.cause == "proxy: not a proxy of the form http://host:port or https://host:port"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socks5://u:s3cr3t@proxy", "a SOCKS proxy, which is not supported; name an HTTP proxy: http://host:port"),
        ("socks5h://proxy:1080", "a SOCKS proxy, which is not supported; name an HTTP proxy: http://host:port"),
        (" http://u:s3cr3t@proxy", "white space at an end of the proxy's URL; remove it, also from a variable's value"),
        ("http://proxy:3128\n", "white space at an end of the proxy's URL; remove it, also from a variable's value"),
        (
            "http://pröxy:3128",
            "the proxy's name has letters outside ASCII; write the host name in its ASCII form, with xn--",
        ),
        (
            "http://fd00::1:3128",
            "not a proxy of the form http://host:port or https://host:port; write an IPv6 address in brackets, and a "
            "port of 1 to 65535",
        ),
    ],
)
def test_proxy_that_cannot_be_used_says_why(url: str, message: str) -> None:
    """A proxy of an unsupported kind, and the usual slips, have a cure of their own."""
    with pytest.raises(ConfigError) as caught:
        proxies.check_proxy(url, "proxy")

    assert str(caught.value) == f"proxy: {message}"


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


def test_variable_with_a_line_end() -> None:
    """A proxy's variable that was read from a file has the file's line end; one of white space alone counts as none."""
    url = "https://login.example.com"
    assert proxies.proxy_for(url, None, {"HTTPS_PROXY": "http://proxy:1\n"}) == "http://proxy:1"
    assert proxies.proxy_for(url, None, {"https_proxy": " ", "HTTPS_PROXY": "proxy:1 "}) == "http://proxy:1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:8080", "http://proxy:8080"),
        ("http://user:pass@proxy:8080", "http://***@proxy:8080"),
        ("http://user:p@ss@proxy:8080/x", "http://***@proxy:8080/x"),
        ("http://user:p/ss@proxy:8080/x", "http://***@proxy:8080/x"),
        ("http://user:p/s@s@proxy", "http://***@proxy"),
        ("http://proxy:8080/a@b", "http://proxy:8080/a@b"),
        ("https://[fd00::1]:8443/a@b", "https://[fd00::1]:8443/a@b"),
    ],
)
def test_login_in_a_url_is_masked(url: str, shown: str) -> None:
    """A login in a URL is shown as `***`."""
    assert display.without_login(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://[fd00::1]:8443/x", "https://[fd00::1]:8443/x"),
        ("https://[fd00::1]/x", "https://[fd00::1]/x"),
        ("sts.example.com:443", "sts.example.com:443"),
        ("user:s3cr3t@sts.example.com", "***@sts.example.com"),
        ("https://user:s3cr3t", "https://user:***"),
        ("https://[fd00::1]:s3cr3t/x", "https://[fd00::1]:***/x"),
        ("https://sts.example.com/a?b", "https://sts.example.com/a?b"),
        ("https://sts.example.com/a?key=s3cr3t", "https://sts.example.com/a?***"),
    ],
)
def test_parts_that_may_be_secret_are_masked(url: str, shown: str) -> None:
    """A URL is shown without a login, also one without its scheme or its host, and without a query."""
    assert display.shown_url(url) == shown


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


@pytest.mark.parametrize("proxy", ["http://pro\\xy:1", "http://p|q:1", "http://a^b"])
def test_characters_that_no_proxy_can_have(proxy: str) -> None:
    """The host of a proxy is that of a URL; a password may have any character."""
    with pytest.raises(ConfigError, match="not a proxy"):
        proxies.check_proxy(proxy, "proxy")
    proxies.check_proxy("http://user:p^w|@proxy:1", "proxy")


@pytest.mark.parametrize("host", ["\0", "a\0.example", "\ud800"])
def test_host_with_a_character_that_no_host_has(host: str) -> None:
    """Such a host is checked elsewhere; it is no address of this machine."""
    assert not addresses.stays_here(host)


def test_long_url_is_cut_in_messages() -> None:
    """A file may have kilobytes in the place of a URL, and each key that uses it has a message."""
    with pytest.raises(ConfigError) as caught:
        urls.endpoint(f"https://{'a' * 5_000}/", "issuer")

    assert len(str(caught.value)) < 500
    assert f"https://{'a' * 100}" in str(caught.value)
