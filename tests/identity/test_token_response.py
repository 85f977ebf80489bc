"""The token in an OAuth token response: which answers hold one, and when the token ends."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.core.errors import ConfigError, Unreachable
from app.core.values import Token, TokenUse
from app.identity.token_response import token_from

from .test_jwt_claims import token

NOW = 1_767_323_045.0
WHERE = "https://idp.example.com/token"
JWT = token({})


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({"expires_in": 600}, 600),
        ({"expires_in": 0.5}, 0.5),
        ({"expires_in": 1}, 1),
        ({"expires_at": NOW + 600}, 600),
        ({"expires_at": NOW + 0.5}, 0.5),
        ({"expires_in": 600, "expires_at": NOW + 500}, 500),
        ({"expires_in": 400, "expires_at": NOW + 500}, 400),
        ({"expires_in": 600, "expires_at": 0}, 600),
        ({"expires_in": 600, "expires_at": 1e11 + 0.5}, 600),
        ({"expires_in": 1e11 - 1}, 1e11 - 1),
        ({"expires_in": "600"}, 600),
        ({"expires_in": "600.0"}, 600),
        ({"expires_in": " 600.5 "}, 600),
        ({"expires_in": "600", "expires_at": f"{NOW + 500:.0f}"}, 500),
        ({"expires_in": "six hundred", "expires_at": NOW + 500}, 500),
        ({"expires_in": "1e3", "expires_at": NOW + 500}, 500),
        ({"expires_in": "-600", "expires_at": NOW + 500}, 500),
    ],
)
def test_token_ends_at_the_earlier_end(members: dict[str, Any], seconds: float) -> None:
    """The token ends at the earliest end that the answer and its `exp` name."""
    assert token_from({"access_token": JWT, **members}, now=NOW, where=WHERE) == Token(JWT, NOW + seconds)


def test_exp_is_one_of_the_ends() -> None:
    """The token's `exp` counts, and so does an earlier end in the answer."""
    text = token({"exp": NOW + 300})

    found = [token_from({"access_token": text, "expires_in": end}, now=NOW, where=WHERE) for end in (200, 400)]

    assert [item.expires_at - NOW for item in found] == [200, 300]


def test_id_token_has_its_own_end() -> None:
    """`expires_in` and `expires_at` belong to the access token, so they say nothing about an id token."""
    text = token({"exp": NOW + 300})
    members = {"access_token": JWT, "id_token": text, "expires_in": 100, "expires_at": NOW + 100}

    assert token_from(members, now=NOW, where=WHERE, use="id_token") == Token(text, NOW + 300)


@pytest.mark.parametrize("kind", [None, "Bearer", "bearer", "BEARER", "N_A"])
def test_bearer_token_is_used(kind: str | None) -> None:
    """A bearer token, also one that is not an access token (RFC 8693 2.2.1), or one without a type is used."""
    members = {"access_token": JWT, "expires_in": 60, "token_type": kind}

    assert token_from(members, now=NOW, where=WHERE).value == JWT


@pytest.mark.parametrize(
    ("members", "message", "error_code"),
    [
        ({}, "an answer without access_token", "IDS-320"),
        ({"access_token": ""}, "an answer without access_token", "IDS-320"),
        ({"access_token": ["e30.e30.c2ln"]}, "an answer without access_token", "IDS-320"),
        ({"access_token": JWT, "token_type": "DPoP"}, "a token of type DPoP, not Bearer", "IDS-320"),
        ({"access_token": JWT, "token_type": ""}, "a token of type , not Bearer", "IDS-320"),
        ({"access_token": JWT}, "the answer does not say how long the token lives", "IDS-320"),
        ({"access_token": JWT, "expires_in": 0}, "the answer does not say how long the token lives", "IDS-320"),
        ({"access_token": JWT, "expires_in": True}, "the answer does not say how long the token lives", "IDS-320"),
        ({"access_token": JWT, "expires_in": "6e2"}, "the answer does not say how long the token lives", "IDS-320"),
        ({"access_token": JWT, "expires_in": 1e11}, "the answer does not say how long the token lives", "IDS-320"),
        (
            {"access_token": JWT, "expires_in": 1e11 + 0.5},
            "the answer does not say how long the token lives",
            "IDS-320",
        ),
        ({"access_token": JWT, "expires_at": NOW}, "the token has already expired by this machine's clock", "IDS-322"),
        (
            {"access_token": JWT, "expires_in": 60, "expires_at": 1},
            "the token has already expired by this machine's",
            "IDS-322",
        ),
        (
            {"access_token": JWT, "expires_in": 60, "expires_at": 0.5},
            "the token has already expired by this machine's",
            "IDS-322",
        ),
        (
            {"access_token": token({"exp": NOW}), "expires_in": 60},
            "the token has already expired by this machine's",
            "IDS-322",
        ),
    ],
)
def test_unusable_answer_is_transient(members: dict[str, Any], message: str, error_code: str) -> None:
    """An answer without a usable token is a transient error that names the endpoint."""
    with pytest.raises(Unreachable) as caught:
        token_from(members, now=NOW, where=WHERE)

    assert str(caught.value).startswith(f"{WHERE}: {message}")
    assert caught.value.error_code == error_code
    assert caught.value.cure == ("set the clock" if error_code == "IDS-322" else "")


@pytest.mark.parametrize(
    ("members", "use", "message", "error_code"),
    [
        (
            {"id_token": JWT},
            "access_token",
            "an answer without access_token, but with id_token; set tokenUse to id_token",
            "IDS-320",
        ),
        (
            {"access_token": JWT},
            "id_token",
            "an answer without id_token, but with access_token; set tokenUse to access_token, or request the scope "
            "openid",
            "IDS-320",
        ),
        (
            {"access_token": "opaque", "id_token": JWT, "expires_in": 60},
            "access_token",
            "the access_token is not a JWT, which STS needs; set tokenUse to id_token, which is a JWT, or let the "
            "server issue a JWT as access_token",
            "IDS-321",
        ),
        (
            {"access_token": "eyJlbmMiOiJBMjU2R0NNIn0.a.b.c.d", "expires_in": 60},
            "access_token",
            "the access_token is not a JWT, which STS needs; turn off the encryption of the access_token at the server",
            "IDS-321",
        ),
        (
            {"access_token": "opaque", "id_token": "opaque", "expires_in": 60},
            "id_token",
            "the id_token is not a JWT, which STS needs; set tokenUse to access_token",
            "IDS-321",
        ),
        (
            {"access_token": "opaque", "expires_in": 60},
            "access_token",
            "the access_token is not a JWT, which STS needs; switch the resource server to JWT access tokens",
            "IDS-321",
        ),
    ],
    ids=["id token alone", "access token alone", "JWT beside", "encrypted", "opaque id token", "not a JWT"],
)
def test_token_of_another_kind_is_permanent(
    members: dict[str, Any], use: TokenUse, message: str, error_code: str
) -> None:
    """A server that issues another token than the configured one does so again, so the settings are wrong."""
    with pytest.raises(ConfigError) as caught:
        token_from(members, now=NOW, where=WHERE, use=use)

    assert str(caught.value) == f"{WHERE}: {message}"
    assert caught.value.error_code == error_code


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("600", 600),
        ("0600", 600),
        ("0" * 10 + "600", 60),
        ("9" * 5_000, 900),
        ("6e2", 900),
        ("\u0666\u0660\u0660", 900),
    ],
    ids=["digits", "leading zero", "13 digits", "too long for int", "not digits", "not ASCII"],
)
def test_number_of_seconds_as_text(text: str, seconds: float) -> None:
    """Some servers write the number as text, of which 12 digits are read; any other text names no end."""
    members = {"access_token": token({"exp": NOW + 900}), "expires_in": text}

    assert token_from(members, now=NOW, where=WHERE).expires_at == NOW + seconds


SECRET = "the-secret-of-the-client"


def signed(claims: dict[str, Any], **header: str) -> str:
    """Return a token with these claims, and with this header."""
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{encoded}.{token(claims).partition('.')[2]}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (signed({"iss": f"https://idp.example.com/{SECRET}"}), "iss"),
        (signed({"aud": ["api.example.com", SECRET.upper()]}), "aud"),
        (signed({"sub": SECRET}), "sub"),
        (signed({"sub": f"client:{SECRET.encode().hex()}"}), "sub"),
        (signed({}, kid=SECRET), "kid"),
        (signed({}, alg=SECRET), "alg"),
    ],
)
def test_token_that_shows_a_secret_is_not_used(text: str, name: str) -> None:
    """A claim that logs, `doctor` and STS show is no part of the secret; the refusal names the claim alone."""
    with pytest.raises(Unreachable, match=f"the {name} of the access_token repeats a secret of the request") as caught:
        token_from({"access_token": text, "expires_in": 60}, now=NOW, where=WHERE, secrets=(SECRET,))

    assert SECRET[4:12] not in f"{caught.value}{caught.value.cure}".lower()


def test_thousands_of_audiences() -> None:
    """A hostile answer of 256 KiB is searched without holding up the process."""
    members = {"access_token": signed({"aud": ["!~"] * 30_000}), "expires_in": 60}
    secrets = tuple(f"{number}-{'proof' * 300}" for number in range(2))

    assert token_from(members, now=NOW, where=WHERE, secrets=secrets).expires_at == NOW + 60


def test_secret_that_begins_with_the_client_id_is_not_shown() -> None:
    """A public word that is a part of the secret excuses this part alone."""
    members = {"access_token": signed({"sub": "orders:1:orders-key"}), "expires_in": 60}

    with pytest.raises(Unreachable, match="the sub of the access_token repeats"):
        token_from(members, now=NOW, where=WHERE, secrets=("orders-key",), public=("orders",))


@pytest.mark.parametrize(
    ("sub", "secret", "public"),
    [
        ("client-of-orders", "client-of-orders-secret", ("client-of-orders",)),
        ("service-account-Orders-Client", "orders-client", ("orders-client",)),
        ("my-client", "client", ()),
        ("service-account-orders", "account-secret", ()),
        ("another", SECRET, ("", "another")),
    ],
)
def test_public_words_and_short_secrets_may_be_repeated(sub: str, secret: str, public: tuple[str, ...]) -> None:
    """The client id may be a part of its secret, a short secret of a word, and both may share an ordinary word."""
    members = {"access_token": signed({"sub": sub}), "expires_in": 60}

    assert token_from(members, now=NOW, where=WHERE, secrets=(secret,), public=public).expires_at == NOW + 60
