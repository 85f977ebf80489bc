"""Signatures, against the vectors of upstream-protocols.md section 12."""

from __future__ import annotations

import pytest

from app.upstream.acs3 import KeyPair, acs3, canonical_query

SESSION = KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecret", "example+Security/Token==")
QUERY = {
    "RoleArn": "acs:ram::1234567890123456:role/second-role",
    "RoleSessionName": "sidecar-1",
    "DurationSeconds": "3600",
}
AT = 1767323045.9
NONCE = "00000000000040008000000000000001"
SIGNATURE = "5c9cdadc0f1120c128f32ade521f23917844ec7dc63caeb5153e84921d15ca5e"


def headers(**changes: object) -> dict[str, str]:
    """The headers of the vector's call, or of one that differs in a detail."""
    given = {"host": "sts.cn-hangzhou.aliyuncs.com", "query": QUERY, "keys": SESSION, "at": AT, "nonce": NONCE}
    given |= {"action": "AssumeRole", "version": "2015-04-01"} | changes
    return acs3(given.pop("host"), given.pop("query"), **given)  # type: ignore[arg-type]


def test_vector() -> None:
    """The signature and the signed headers of the official signing code."""
    assert headers()["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=STS.exampleAccessKeyId,SignedHeaders=host;x-acs-accesskey-id;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version,"
        f"Signature={SIGNATURE}"
    )


def test_order_of_parameters_does_not_matter() -> None:
    """What is signed is sorted."""
    assert headers(query=dict(reversed(QUERY.items()))) == headers()


@pytest.mark.parametrize(
    "change",
    [
        {"host": "sts.aliyuncs.com"},
        {"query": {**QUERY, "DurationSeconds": "3601"}},
        {"query": {**QUERY, "Policy": "{}"}},
        {"action": "AssumeRoles"},
        {"version": "2015-04-02"},
        {"at": AT + 1},
        {"nonce": NONCE[:-1] + "2"},
        {"keys": KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecreu", "example+Security/Token==")},
        {"keys": KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecret", "example+Security/Token=")},
        {"keys": KeyPair("STS.exampleAccessKeyIe", "exampleAccessKeySecret", "example+Security/Token==")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_is_signed(change: dict[str, object]) -> None:
    """A change anywhere changes the signature."""
    assert SIGNATURE not in headers(**change)["Authorization"]


def test_a_users_key_has_no_token() -> None:
    """Without a session there is no x-acs-security-token, neither sent nor signed."""
    found = headers(keys=KeyPair("LTAIexample", "exampleAccessKeySecret"))

    assert "security-token" not in "".join([*found, *found.values()])


def test_encoding() -> None:
    """RFC 3986: a space is %20, a star %2A, a tilde itself; sorted by name."""
    assert canonical_query({"b": "a b*~/+", "a": "ü"}) == "a=%C3%BC&b=a%20b%2A~%2F%2B"


def test_quiet() -> None:
    """Neither secret nor token is in the repr."""
    assert repr(SESSION) == "KeyPair(access_key_id='STS.exampleAccessKeyId')"
