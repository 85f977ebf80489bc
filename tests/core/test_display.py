"""The form in which values are shown, also for hostile values that could take long."""

from __future__ import annotations

import pytest

from app.core.display import displayed, shown_url, without_login


@pytest.mark.parametrize("part", ["//a:x", "://", "//[", "//", "://a?", "eyJ", "secret="])
@pytest.mark.parametrize("key", ["", "tokenEndpoint", "clientSecretFile"])
def test_many_parts(part: str, key: str) -> None:
    """A value with many beginnings of URLs takes linear time. Quadratic time would be minutes."""
    many = part * 300_000

    for text in (many, f"https://{many}", f"a@ {many}", f"./{many}"):
        assert displayed(key, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:pass/word@host.test/", "https://***@host.test/"),
        ("x //me:a@b@host.test //you:c//d:e@other.test", "x //***@host.test //***@other.test"),
        ("https://host.test:8443/a@b https://host.test:x", "https://host.test:8443/a@b https://host.test:x"),
        ("https://host.test:8443@b", "https://***@b"),
        ("a@b //me:x y", "a@b //me:x y"),
    ],
)
def test_login(text: str, expected: str) -> None:
    """The login of each URL in a text is hidden, up to the last `@` of the word."""
    assert without_login(text) == expected


def test_query() -> None:
    """A URL's query is hidden if it is long enough for a secret."""
    assert displayed("", "a://b?12345678 c://d?1234567 e://f") == "a://b?*** c://d?1234567 e://f"
    assert shown_url("http://[fd00::5]:passw0rd/") == "http://[fd00::5]:***/"


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
    assert without_login(url) == shown


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
    assert shown_url(url) == shown
