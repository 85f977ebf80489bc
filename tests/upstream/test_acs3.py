"""ACS3 request signatures, with test vectors."""

from __future__ import annotations

import pytest

from app.upstream.acs3 import KeyPair, acs3, canonical_query

SESSION = KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecret", "example+Security/Token==")
QUERY = {
    "RoleArn": "acs:ram::1234567890123456:role/second-role",
    "RoleSessionName": "sidecar-1",
    "DurationSeconds": "3600",
}
SIGNED_AT = 1767323045.9
NONCE = "00000000000040008000000000000001"
SIGNATURE = "5c9cdadc0f1120c128f32ade521f23917844ec7dc63caeb5153e84921d15ca5e"


def headers(**changes: object) -> dict[str, str]:
    """Return the headers of the vector's request, or of one with changed arguments."""
    arguments = {
        "host": "sts.cn-hangzhou.aliyuncs.com",
        "query": QUERY,
        "keys": SESSION,
        "at": SIGNED_AT,
        "nonce": NONCE,
    }
    arguments |= {"action": "AssumeRole", "version": "2015-04-01"} | changes
    return acs3(arguments.pop("host"), arguments.pop("query"), **arguments)  # type: ignore[arg-type]


def test_signature_matches_the_vector() -> None:
    """The signature and the list of signed headers equal those of the official signing code."""
    assert headers()["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=STS.exampleAccessKeyId,SignedHeaders=host;x-acs-accesskey-id;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-security-token;x-acs-signature-nonce;x-acs-version,"
        f"Signature={SIGNATURE}"
    )


def test_order_of_parameters_does_not_matter() -> None:
    """Parameters are sorted before signing, so their order has no effect."""
    assert headers(query=dict(reversed(QUERY.items()))) == headers()


@pytest.mark.parametrize(
    "change",
    [
        {"host": "sts.aliyuncs.com"},
        {"query": {**QUERY, "DurationSeconds": "3601"}},
        {"query": {**QUERY, "Policy": "{}"}},
        {"action": "AssumeRoles"},
        {"version": "2015-04-02"},
        {"at": SIGNED_AT + 1},
        {"nonce": NONCE[:-1] + "2"},
        {"keys": KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecreu", "example+Security/Token==")},
        {"keys": KeyPair("STS.exampleAccessKeyId", "exampleAccessKeySecret", "example+Security/Token=")},
        {"keys": KeyPair("STS.exampleAccessKeyIe", "exampleAccessKeySecret", "example+Security/Token==")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_change_changes_the_signature(change: dict[str, object]) -> None:
    """A change of any part of the request changes the signature."""
    assert SIGNATURE not in headers(**change)["Authorization"]


def test_key_without_a_session_has_no_token_header() -> None:
    """Without a session, x-acs-security-token is neither sent nor signed."""
    found = headers(keys=KeyPair("LTAIexample", "exampleAccessKeySecret"))

    assert "security-token" not in "".join([*found, *found.values()])


def test_canonical_query_encoding() -> None:
    """The query is encoded by RFC 3986 and sorted by name: space is %20, star %2A, and tilde is unchanged."""
    assert canonical_query({"b": "a b*~/+", "a": "ü"}) == "a=%C3%BC&b=a%20b%2A~%2F%2B"


def test_repr_shows_no_secret() -> None:
    """The repr of a key pair shows neither the secret nor the token."""
    assert repr(SESSION) == "KeyPair(access_key_id='STS.exampleAccessKeyId')"
