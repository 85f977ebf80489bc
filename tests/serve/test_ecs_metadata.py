"""Metadata session tokens and configured metadata values without a listener."""

from __future__ import annotations

import hmac
import re

import pytest

from app.serve.ecs_metadata import MetadataValues, SessionTokens, ttl_of

KEY = b"k" * 32


def signed(expiry: str, key: bytes = KEY) -> bytes:
    """Return a token that expires at an instant, written as given."""
    return f"{expiry}.{hmac.new(key, f'metadata-token {expiry}'.encode(), 'sha256').hexdigest()}".encode()


def test_issued_token() -> None:
    """A token is its expiry, rounded up to a whole second, and an HMAC of it."""
    tokens = SessionTokens(KEY, lambda: 1_000.25)

    assert tokens.issue(60) == signed("1061")
    assert re.fullmatch(rb"1061\.[0-9a-f]{64}", tokens.issue(60))
    assert tokens.issue(1) == signed("1002")


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        ("1000", None),
        ("999", None),
        ("1001", 1_001.0),
        ("22600", 22_600.0),
        ("22601", 22_601.0),
        ("22602", None),
        ("999999999999", None),
        ("01001", None),
        ("-1001", None),
        ("", None),
    ],
)
def test_expiry_of_a_token(expiry: str, expected: float | None) -> None:
    """A token is valid until its expiry, and never for longer than the longest TTL, rounded up."""
    assert SessionTokens(KEY, lambda: 1_000.0).expiry(signed(expiry)) == expected


def test_replaced_key() -> None:
    """After the key was replaced, its tokens are valid and the earlier ones are not."""
    tokens, other = SessionTokens(KEY, lambda: 1_000.0), b"o" * 32
    tokens.replace_key(other)

    assert tokens.expiry(signed("1060")) is None
    assert tokens.expiry(signed("1060", other)) == 1_060.0
    assert tokens.issue(60) == signed("1060", other)


def test_another_key_for_new_tokens() -> None:
    """New tokens get the new key, and the clients' tokens stay valid, however often the same key is named."""
    tokens, other = SessionTokens(KEY, lambda: 1_000.0), b"o" * 32
    for _ in range(3):
        tokens.sign_with(other)

    assert tokens.issue(60) == signed("1060", other)
    assert tokens.expiry(signed("1060")) == tokens.expiry(signed("1060", other)) == 1_060.0
    assert tokens.expiry(signed("1060", b"x" * 32)) is None
    tokens.replace_key(KEY)
    assert tokens.expiry(signed("1060", other)) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"1"], 1),
        ([b" \t21600\t "], 21_600),
        ([b"00060"], 60),
        ([b"000060"], None),
        ([b"0"], None),
        ([b"21601"], None),
        ([b"6 0"], None),
        ([b"~60~"], None),
        ([b"60\n"], None),
        ([b""], None),
        ([], None),
        ([b"60", b"60"], None),
    ],
)
def test_ttl(values: list[bytes], expected: int | None) -> None:
    """A TTL is given once, as 1 to 21600 in at most 5 digits; spaces and tabs around it are cut."""
    assert ttl_of(values) == expected


CONFIGURED = {"zone-id": "z", "tags/instance/a": "1", "tags/instance/b": "2", "region-id": "cn-hangzhou"}
LISTING = b"ram/\nregion-id\ntags/\nzone-id"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/latest/meta-data/zone-id", b"z"),
        (b"/LATEST/meta-DATA/zone-id", b"z"),
        (b"/latest/meta-data/Zone-id", None),
        (b"/latest/meta-data/tags/instance/b", b"2"),
        (b"/latest/meta-data/tags/", b"instance/"),
        (b"/latest/meta-data/tags/instance", b"a\nb"),
        (b"/latest/meta-data/ram/", b"security-credentials/"),
        (b"/latest/meta-data", LISTING),
        (b"/latest/meta-data/", LISTING),
        (b"/latest/meta-data//", None),
        (b"/latest/dynamic/instance-identity/document", None),
    ],
)
def test_values(path: bytes, expected: bytes | None) -> None:
    """Only configured values and their listing are answered, as text; names are case-sensitive, the prefix is not."""
    found = MetadataValues(CONFIGURED).response(path)

    assert (found.body if found is not None else None) == expected
    if found is not None:
        assert (found.status, found.headers[0]) == (200, (b"Content-Type", b"text/plain; charset=utf-8"))


def test_identity_document() -> None:
    """The identity document has the values without a slash in their name, as JSON."""
    found = MetadataValues(CONFIGURED, document=True).response(b"/latest/dynamic/instance-identity/document")

    assert found is not None
    assert (found.status, found.body) == (200, b'{"zone-id": "z", "region-id": "cn-hangzhou"}')
    assert found.headers[0] == (b"Content-Type", b"application/json; charset=utf-8")


def test_without_values() -> None:
    """Without a value nothing is answered; an identity document that is asked for is empty."""
    empty = MetadataValues({}, document=True)

    assert [empty.response(path) for path in (b"/latest/meta-data", b"/latest/meta-data/")] == [None, None]
    document = empty.response(b"/latest/dynamic/instance-identity/document")
    assert document is not None
    assert document.body == b"{}"
