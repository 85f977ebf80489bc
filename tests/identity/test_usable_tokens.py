"""A successful token response: the end of its token, and what makes the token unusable."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.core.errors import ConfigError, Unreachable
from app.identity.token_response import token_from

NOW = 1_767_323_045.0
URL = "https://login.example.com/token"


def token(**claims: Any) -> str:
    """Return an unsigned JWT with these claims."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


@pytest.mark.parametrize(
    ("members", "expires_at"),
    [
        ({"access_token": token(), "expires_in": 1200}, NOW + 1200),
        ({"access_token": token(), "expires_at": NOW + 900}, NOW + 900),
        ({"access_token": token(), "expires_in": "1200"}, NOW + 1200),
        ({"access_token": token(exp=NOW + 800)}, NOW + 800),
        ({"access_token": token(exp=NOW + 800), "expires_in": 1200, "expires_at": NOW + 900}, NOW + 800),
        ({"access_token": token(exp=NOW + 2000), "expires_in": 1200, "expires_at": NOW + 900}, NOW + 900),
        ({"access_token": token(), "expires_in": 1200, "expires_at": "soon", "token_type": "bearer"}, NOW + 1200),
        ({"access_token": token(exp=10**400), "expires_in": 1200, "token_type": None}, NOW + 1200),
    ],
)
def test_token_expires_at_the_earliest_time(members: dict[str, Any], expires_at: float) -> None:
    """A token expires at the earliest time that the response or the token itself states."""
    assert token_from(members, now=NOW, where=URL).expires_at == expires_at


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "an answer without access_token"),
        ({"access_token": ""}, "an answer without access_token"),
        ({"id_token": token()}, "an answer without access_token, but with id_token; set tokenUse to id_token"),
        ({"access_token": 3}, "an answer without access_token"),
        ({"access_token": "opaque", "expires_in": 1200}, "the access_token is not a JWT, which STS needs"),
        ({"access_token": token(), "token_type": "mac"}, "a token of type mac, not Bearer"),
        ({"access_token": token(), "token_type": "<x>"}, "a token of type (unreadable), not Bearer"),
        ({"access_token": token()}, "the answer does not say how long the token lives"),
        ({"access_token": token(), "expires_in": True}, "the answer does not say how long the token lives"),
        ({"access_token": token(), "expires_in": -5}, "the answer does not say how long the token lives"),
        ({"access_token": token(), "expires_in": 1e300}, "the answer does not say how long the token lives"),
        (
            {"access_token": token(exp=NOW - 1), "expires_in": 1200},
            "already expired by this machine's clock; set the c",
        ),
        ({"access_token": token(), "expires_at": NOW}, "already expired by this machine's clock; set the clock"),
    ],
)
def test_response_without_a_usable_token_is_an_error(members: dict[str, Any], message: str) -> None:
    """A 200 without a usable token repeats nothing of the token; one with another kind of token is no outage."""
    with pytest.raises(ConfigError if "tokenUse" in message or "not a JWT" in message else Unreachable) as caught:
        token_from(members, now=NOW, where=URL)

    assert message in str(caught.value)
    assert "e30" not in str(caught.value)
