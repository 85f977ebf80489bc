"""The choice of a proxy, and proxies that cannot be used."""

from __future__ import annotations

import pytest

from app.core import proxies
from app.core.errors import ConfigError

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


def test_variable_with_a_line_end() -> None:
    """A proxy's variable that was read from a file has the file's line end; one of white space alone counts as none."""
    url = "https://login.example.com"
    assert proxies.proxy_for(url, None, {"HTTPS_PROXY": "http://proxy:1\n"}) == "http://proxy:1"
    assert proxies.proxy_for(url, None, {"https_proxy": " ", "HTTPS_PROXY": "proxy:1 "}) == "http://proxy:1"


@pytest.mark.parametrize("proxy", ["http://pro\\xy:1", "http://p|q:1", "http://a^b"])
def test_characters_that_no_proxy_can_have(proxy: str) -> None:
    """The host of a proxy is that of a URL; a password may have any character."""
    with pytest.raises(ConfigError, match="not a proxy"):
        proxies.check_proxy(proxy, "proxy")
    proxies.check_proxy("http://user:p^w|@proxy:1", "proxy")
