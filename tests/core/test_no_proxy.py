"""The entries of NO_PROXY: in every form of other clients, and those that cover nothing."""

from __future__ import annotations

import pytest

from app.core import proxies
from app.core.no_proxy import unread_entries

EXEMPT = [
    ("[fd00::5]", "https://[fd00::5]", True),
    ("[fd00::5]", "https://[fd00::5]:8443", True),
    ("[fd00::5]", "https://[fd00::6]", False),
    ("[fd00::5]:8443", "https://[fd00::5]:8443", True),
    ("[fd00::5]:8443", "https://[fd00::5]", False),
    ("[fd00::5]:443", "https://[fd00::5]", True),
    ("fd00::5", "https://[fd00::5]:8443", True),
    ("FD00:0:0::5", "https://[fd00::5]", True),
    ("fd00::/8", "https://[fd00::5]", True),
    ("[fd00::]/8", "https://[fd12::5]", True),
    ("fd00::/8", "https://[fe80::5]", False),
    ("::ffff:192.0.2.1", "https://192.0.2.1", True),
    ("192.0.2.0/24", "https://[::ffff:192.0.2.1]", True),
    ("a.test b.test\tc.test", "https://b.test", True),
    ("a.test, b.test  c.test", "https://c.test", True),
    ("a.test, b.test", "https://d.test", False),
    ("sts.test.", "https://sts.test", True),
    ("sts.test", "https://sts.test.", True),
    ("sts.test.", "https://a.sts.test.", True),
    ("sts.test.:443", "https://sts.test", True),
    ("STS.test", "https://sts.TEST", True),
    ("sts.test:8443", "https://sts.test:8443", True),
    ("sts.test:8443", "https://a.sts.test:8443", True),
    ("sts.test:8443", "https://sts.test", False),
    ("sts.test:80", "https://sts.test", False),
    ("sts.test:", "https://sts.test", True),
    (".test", "https://sts.test", True),
    ("*.test", "https://sts.test", True),
    ("192.0.2.1:443", "https://192.0.2.1", True),
    ("192.0.2.1:80", "https://192.0.2.1", False),
    ("2.1", "https://192.0.2.1", False),
    ("1", "https://192.0.2.1", False),
    ("192.0.2.1", "https://[::ffff:192.0.2.1]", True),
    ("0.2.1", "https://[::ffff:192.0.2.1]", False),
    (".1", "https://[::ffff:192.0.2.1]", False),
    ("2.1]", "https://[::ffff:192.0.2.1]", False),
    ("::ffff:192.0.2.1", "https://[::ffff:c000:201]", True),
    ("[::ffff:192.0.2.1]:443", "https://192.0.2.1", True),
    ("*", "https://[fd00::5]:8443", True),
    ("[fd00::5", "https://[fd00::5]", False),
    ("sts.test:port", "https://sts.test", False),
    ("/", "https://sts.test", False),
    (" , ,", "https://sts.test", False),
    ("a.test;sts.test", "https://sts.test", True),
    ("a.test|*.test", "https://sts.test", True),
    ("10.0.0.0/8:443", "https://10.1.1.1", True),
    ("10.0.0.0/8:8443", "https://10.1.1.1", False),
    ("10.0.0.0/8:x", "https://10.1.1.1", False),
    ("[fd00::]/8:443", "https://[fd00::1]", True),
    ("[fd00::/8]", "https://[fd00::1]", True),
    ("::ffff:192.0.2.0/120", "https://192.0.2.1", True),
    ("::ffff:192.0.2.0/120", "https://192.0.3.1", False),
    ("192.0.2.0/255.255.255.0", "https://192.0.2.1", True),
    ("192.0.2.0/33", "https://192.0.2.1", False),
    ("fe80::1%eth0", "https://[fe80::1]", True),
    ("[fe80::1%25eth0]:443", "https://[fe80::1%25eth1]", True),
    ("münchen.test", "https://xn--mnchen-3ya.test", True),
    ("xn--mnchen-3ya.test", "https://münchen.test", True),
    (".MÜNCHEN.test", "https://sts.xn--mnchen-3ya.test", True),
    ("..sts.test", "https://sts.test", True),
    ("*.sts.test", "https://sts.test", True),
    ("*.sts.test", "https://a.sts.test", True),
    ("*:443", "https://sts.test", True),
    ("*:8443", "https://sts.test", False),
    ("sts.test:0443", "https://sts.test", True),
    ('"a.test,sts.test"', "https://sts.test", True),
    (".", "https://sts.test", False),
    ("sts.*", "https://sts.test", False),
    ("https://sts.test", "https://sts.test", False),
]


@pytest.mark.parametrize(("no_proxy", "url", "exempt"), EXEMPT)
def test_entries_of_no_proxy(no_proxy: str, url: str, exempt: bool) -> None:
    """NO_PROXY holds names, addresses and networks of both families, with brackets, ports, final dots and spaces."""
    environ = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy}

    assert (proxies.proxy_for(url, None, environ) is None) == exempt


@pytest.mark.parametrize(
    "entry",
    [
        "https://sts.test",
        "sts.test/",
        "sts.*",
        "192.0.2.*",
        "2.1",
        "::ffff:192.0.2.1:443",
        "192.0.2.0/33",
        "sts.test:port",
        "[fd00::5",
    ],
)
def test_entry_that_covers_nothing(entry: str) -> None:
    """A form that is not accepted is known as such, so that it can be reported."""
    assert unread_entries(f"{entry}, a.test") == [entry]


def test_entries_that_cover_something() -> None:
    """No accepted form is reported."""
    forms = (
        "*,.test;*.test|a_b.test:443 [fd00::5]:1 fd00::/8 10.0.0.0/8:443 192.0.2.1 münchen.test localhost 'sts.test.'"
    )
    assert unread_entries(forms) == []
