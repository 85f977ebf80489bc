"""The credentials in an answer of STS: complete, in one format, and not expired."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Unreachable
from app.exchange.sts import credentials_from, instant

NOW = 1_767_323_045.0
URL = "https://login.example.com/token"
SESSION = {
    "AccessKeyId": "STS.example",
    "AccessKeySecret": "secret",
    "SecurityToken": "token",
    "Expiration": "2026-01-02T04:04:05Z",
}


def test_credentials_are_read() -> None:
    """The session has three values, its expiry, and the request id for the audit log."""
    credentials = credentials_from({"Credentials": SESSION, "RequestId": "REQ-1"}, now=NOW, where=URL)

    assert (credentials.access_key_id, credentials.access_key_secret, credentials.security_token) == (
        "STS.example",
        "secret",
        "token",
    )
    assert (credentials.issued_at, credentials.expires_at, credentials.request_id) == (NOW, NOW + 3600, "REQ-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"AccessKeyId": ""},
        {"AccessKeySecret": None},
        {"SecurityToken": 3},
        {"Expiration": ""},
        {"Expiration": None},
        {"Expiration": 1767326645},
        {"Expiration": "2026-01-02T04:04:05+00:00"},
        {"Expiration": "2026-01-02T04:04:05.000Z"},
        {"Expiration": "2026-13-02T04:04:05Z"},
    ],
)
def test_incomplete_credentials_are_an_error(changes: dict[str, Any]) -> None:
    """A 200 without one of the values, or with an expiry in another format than STS's, is an error."""
    with pytest.raises(Unreachable, match="HTTP 200 without complete credentials"):
        credentials_from({"Credentials": SESSION | changes}, now=NOW, where=URL)


@pytest.mark.parametrize("members", [{}, {"Credentials": None}, {"Credentials": []}, {"Credentials": "x"}])
def test_missing_credentials_are_an_error(members: dict[str, Any]) -> None:
    """A 200 without credentials is an error."""
    with pytest.raises(Unreachable, match="HTTP 200 without complete credentials"):
        credentials_from(members, now=NOW, where=URL)


def test_expired_credentials_are_an_error() -> None:
    """A session that has expired by our clock is an error that names the clock."""
    with pytest.raises(Unreachable, match="already expired by this machine's clock; set the clock"):
        credentials_from({"Credentials": SESSION}, now=NOW + 3600, where=URL)


def test_session_longer_than_any_role_allows_is_an_error() -> None:
    """An expiry is believed up to 12 h (the longest session) and 1 h (a clock that is behind) from now."""
    latest = NOW + 3600 - 43_200 - 3_600
    credentials = credentials_from({"Credentials": SESSION}, now=latest, where=URL)

    assert credentials.expires_at == NOW + 3600
    with pytest.raises(Unreachable) as caught:
        credentials_from({"Credentials": SESSION}, now=latest - 1, where=URL)
    assert str(caught.value) == (f"{URL}: the credentials end later than any session does; set this machine's clock")


def test_instant_reads_one_format() -> None:
    """Only STS's format of a time is read, as UTC."""
    assert instant("1970-01-01T00:00:10Z") == 10.0
    assert instant("2026-01-02T03:04:05Z") == NOW
    assert instant("2026-01-02 03:04:05") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"AccessKeyId": 'STS.a","Code":"x'},
        {"AccessKeySecret": "two\nlines"},
        {"SecurityToken": "a,b"},
        {"SecurityToken": "schlüssel"},
        {"Expiration": "9999-12-31T23:59:59Z"},
    ],
)
def test_impossible_values_are_an_error(changes: dict[str, str]) -> None:
    """A value that would break a client's parser, or an expiry that would stop refreshes, is an error."""
    with pytest.raises(Unreachable):
        credentials_from({"Credentials": SESSION | changes}, now=NOW, where=URL)
