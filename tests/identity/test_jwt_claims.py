"""The claims of a JWT, read without verification."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.identity.jwt_claims import Claims, ExpectedClaims, header, mismatches, seconds_until_issued, unverified

NOW = 1_767_323_045.0
CLAIMS = {
    "iss": "https://login.example.com/oauth2",
    "aud": "api.example.com",
    "sub": "app_example",
    "iat": NOW - 5,
    "exp": NOW + 1200,
}
EXPECTED = ExpectedClaims("https://login.example.com/oauth2", "api.example.com", "app_example")


def token(claims: Any) -> str:
    """Return an unsigned JWT with these claims, or with these bytes as its payload."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"e30.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.c2ln"


def test_five_claims_are_read() -> None:
    """`iss`, `aud`, `sub`, `iat` and `exp` are read, whatever the base64 padding."""
    found = unverified(token(CLAIMS))

    assert found == Claims("https://login.example.com/oauth2", ("api.example.com",), "app_example", NOW - 5, NOW + 1200)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c.d",
        "e30.e30\n.c2ln",
        "e30.e30.c2ln\n",
        "..",
        "e30..c2ln",
        "e30.!!!!.c2ln",
        "e30.ü.c2ln",
        token(b"not json"),
        token(b"\xff\xfe"),
        token([]),
        token(b"[" * 100_000),
        token(b'{"exp": ' + b"9" * 5000 + b"}"),
    ],
)
def test_invalid_jwt_has_no_claims(text: str) -> None:
    """Text that is not a JWT gives None and never an exception."""
    assert unverified(text) is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, Claims(None, (), None, None, None)),
        ({"aud": ["a", "b", 3]}, Claims(None, ("a", "b"), None, None, None)),
        ({"aud": {"a": 1}, "iss": 3, "sub": []}, Claims(None, (), None, None, None)),
        ({"exp": "1767323045", "iat": True}, Claims(None, (), None, None, None)),
        ({"exp": 1767323045.5, "iat": 0}, Claims(None, (), None, 0.0, 1767323045.5)),
        ({"exp": 10**400, "iat": -1}, Claims(None, (), None, None, None)),
        ({"exp": float("nan"), "iat": float("inf")}, Claims(None, (), None, None, None)),
        ({"exp": 99_999_999_999, "iat": 1e11}, Claims(None, (), None, None, 99_999_999_999.0)),
        ({"exp": 1e11, "iat": 1e11 + 0.5}, Claims(None, (), None, None, None)),
    ],
)
def test_claim_of_the_wrong_type_is_absent(claims: dict[str, Any], expected: Claims) -> None:
    """A claim of the wrong type is absent and not an error."""
    assert unverified(token(claims)) == expected


@pytest.mark.parametrize(
    ("changes", "starts", "error_codes"),
    [
        ({}, [], []),
        ({"aud": ["other", "api.example.com"]}, [], []),
        ({"iat": NOW + 60}, [], []),
        ({"exp": NOW + 0.5}, [], []),
        (
            {"iss": "https://login.example.com/oauth2/"},
            ["the token's iss is 'https://login.example.com/oauth2/', the"],
            ["IDS-331"],
        ),
        (
            {"iss": None},
            ["the token's iss is missing, the configuration says 'https://login.example.com/oauth2'"],
            ["IDS-331"],
        ),
        ({"aud": "other"}, ["the token's aud is 'other', the scope asks for 'api.example.com'"], ["IDS-330"]),
        ({"aud": None}, ["the token's aud is missing, the scope asks for"], ["IDS-330"]),
        ({"sub": "someone"}, ["the token's sub is 'someone', not the client id 'app_example'"], ["IDS-332"]),
        (
            {"iat": NOW + 60.5},
            ["the token's iat is more than 60 s ahead of this machine's clock; set the clock"],
            ["IDS-214"],
        ),
        ({"exp": NOW}, ["the token's exp has passed by this machine's clock; set the clock"], ["IDS-322"]),
        ({"exp": NOW - 90}, ["the token's exp has passed by this machine's clock; set the clock"], ["IDS-322"]),
        ({"iss": "x", "sub": "y"}, ["the token's iss is 'x'", "the token's sub is 'y'"], ["IDS-331", "IDS-332"]),
    ],
)
def test_mismatch_is_one_sentence(changes: dict[str, Any], starts: list[str], error_codes: list[str]) -> None:
    """Each claim that STS is likely to refuse gives one sentence with its code."""
    found = unverified(token(CLAIMS | changes))
    assert found is not None

    sentences = list(mismatches(found, EXPECTED, NOW))

    assert [sentence[: len(start)] for sentence, start in zip(sentences, starts, strict=True)] == starts
    assert [sentence.error_code for sentence in sentences] == error_codes


@pytest.mark.parametrize("padding", ["", "=", "=="])
@pytest.mark.parametrize("length", range(4))
def test_padding_is_accepted(length: int, padding: str) -> None:
    """Some issuers add the padding of base64, which a JWT does not have."""
    first, payload, signature = token({"sub": "x" * length}).split(".")
    found = unverified(f"{first}{padding}.{payload}{'=' * (-len(payload) % 4)}.{signature}{padding}")

    assert found == unverified(f"{first}.{payload}.{signature}") == Claims(None, (), "x" * length, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (token({"iat": NOW + 7.5}), 7.5),
        (token({"iat": NOW}), 0.0),
        (token({"iat": NOW - 7.5}), 0.0),
        (token({}), 0.0),
        ("opaque", 0.0),
    ],
)
def test_seconds_until_a_token_is_issued(text: str, seconds: float) -> None:
    """A token whose `iat` is in the future is not valid until then; any other token does not wait."""
    assert seconds_until_issued(text, NOW) == seconds


@pytest.mark.parametrize("key_id", ["", "a", "ab", "abc", "abcd"])
def test_header_of_a_token(key_id: str) -> None:
    """The first part of a token is its header, whatever base64 padding its length needs."""
    encoded = base64.urlsafe_b64encode(json.dumps({"kid": key_id}).encode()).rstrip(b"=").decode()

    assert header(f"{encoded}.e30.c2ln") == {"kid": key_id}


@pytest.mark.parametrize("text", ["", "opaque", "W10.e30.c2ln", "_w.e30.c2ln", "ü.e30.c2ln", "e30"])
def test_header_that_cannot_be_read_is_empty(text: str) -> None:
    """Text without a header, or with a header that is not an object, gives an empty object."""
    assert header(text) == {}


def test_no_expectations_give_no_mismatch() -> None:
    """Without expectations, as for a token file, issuer, audience and subject are not checked."""
    found = unverified(token({"iss": "x", "aud": "y", "sub": "z", "exp": NOW + 60}))
    assert found is not None

    assert list(mismatches(found, ExpectedClaims(), NOW)) == []


def test_foreign_claim_is_quoted_and_shortened() -> None:
    """A claim is foreign text: it reaches a message without line breaks and shortened."""
    found = unverified(token(CLAIMS | {"iss": "x\n" * 10_000, "aud": ["y"] * 10_000}))
    assert found is not None

    sentences = list(mismatches(found, EXPECTED, NOW))

    assert len(sentences) == 2
    assert all("\n" not in sentence and len(sentence) < 1_000 for sentence in sentences)


@pytest.mark.parametrize(
    ("audiences", "shown"),
    [
        (["y" * 200], repr("y" * 200)),
        (["y" * 201], repr("y" * 200)),
        (list("abcde"), "'a', 'b', 'c', 'd', 'e'"),
        (list("abcdef"), "'a', 'b', 'c', 'd', 'e'"),
    ],
    ids=["200 characters", "201 characters", "5 values", "6 values"],
)
def test_at_most_five_claims_of_200_characters_are_shown(audiences: list[str], shown: str) -> None:
    """A message shows at most five audiences with 200 characters each."""
    found = unverified(token(CLAIMS | {"aud": audiences}))
    assert found is not None

    (sentence,) = mismatches(found, EXPECTED, NOW)

    assert sentence.startswith(f"the token's aud is {shown}, the scope asks for")
