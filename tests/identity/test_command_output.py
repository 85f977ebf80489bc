"""The forms in which programs print a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.core.json_text import TooDeep
from app.core.values import TokenUse
from app.identity.command_output import token_members

from .test_jwt_claims import token

JWT = token({})


def exec_credential(status: Any) -> dict[str, Any]:
    """Return what a plug-in of kubectl prints."""
    return {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}


@pytest.mark.parametrize(
    "printed",
    [
        JWT,
        f" {JWT}\n",
        f'"{JWT}"\n',
        f"\ufeff{JWT}\r\n",
        {"value": JWT},
        {"count": 1, "value": JWT},
        exec_credential({"token": JWT, "expirationTimestamp": "2026-01-02T04:04:05Z"}),
        [{"svids": [{"spiffe_id": "spiffe://example.org/app", "svid": JWT}]}, {"bundles": {}}],
        [{"bundles": {}}, None, {"svids": None}, {"svids": ["x", {"svid": 3}, {"svid": JWT}, {"svid": "second"}]}],
        f"Bearer {JWT}\n",
        f"authorization: bearer {JWT}\n",
        {"kind": "TokenRequest", "status": {"token": JWT, "expirationTimestamp": "2026-01-02T04:04:05Z"}},
        {"request_id": "r", "data": {"token": JWT, "ttl": 60}},
        {"accessToken": JWT, "expiresOn": "2026-01-02 04:04:05", "tokenType": "Bearer"},
        {"WebIdentityToken": JWT, "Expiration": 1},
        {"token": JWT, "again": [JWT], "refreshToken": token({"refresh": 1})},
        [{"jwt": JWT}],
        {"idToken": JWT},
        {"identityToken": JWT},
        {"data": {"id_token": JWT}},
        {"data": {"id-token": JWT}},
    ],
    ids=[
        *("JWT", "JWT with white space", "JWT in quotes", "JWT with a byte order mark"),
        *("GitHub", "GitHub with count", "ExecCredential", "SPIRE", "SPIRE, second item"),
        *("Bearer", "header in small letters", "TokenRequest", "Vault", "Azure", "AWS"),
        *("beside a refresh token", "list"),
        *("idToken", "identityToken", "id_token within", "id-token within"),
    ],
)
@pytest.mark.parametrize("use", ["access_token", "id_token"])
def test_token_without_a_name_is_the_requested_one(printed: Any, use: TokenUse) -> None:
    """Each form with one token without an OAuth name is read as the token that is requested."""
    output = printed if isinstance(printed, str) else json.dumps(printed)

    assert token_members(output.encode(), use) == {use: JWT}


@pytest.mark.parametrize(
    "members",
    [
        {"access_token": JWT, "expires_in": 600},
        {"access_token": JWT, "value": "another"},
        {"error": "access_denied"},
        {"value": 3},
        {"one": JWT, "two": token({"two": 2})},
        {"refresh_token": JWT},
        {"token": JWT, "jwt": token({"two": 2})},
        {"accessToken": "opaque", "clientSecret": JWT, "refreshToken": "opaque"},
        *({name: JWT} for name in ("offline_token", "rt", "renewToken", "client_assertion")),
        {"tokens": [{"name": "refresh_token", "token": JWT}]},
        {"kind": "refresh_token", "value": JWT},
        {"error": "denied", "hint": JWT},
        {"error": "denied", "token": JWT},
        exec_credential("text"),
        exec_credential({"token": 3}),
        exec_credential({}) | {"value": JWT},
        {},
    ],
    ids=str,
)
def test_other_objects_are_token_responses(members: dict[str, Any]) -> None:
    """Every other object is read as an OAuth token response; a named token goes before one without a name."""
    assert token_members(json.dumps(members).encode(), "access_token") == members


def test_access_token_is_not_replaced() -> None:
    """Where an ID token is requested, an answer with an access token stays as it is, whatever is beside it."""
    members = {"access_token": "opaque", "jwt": JWT}

    assert token_members(json.dumps(members).encode(), "id_token") == members


@pytest.mark.parametrize(
    "output",
    [
        json.dumps([{"type": "refresh_token", "value": JWT}]).encode(),
        b"",
        b"text",
        b"\xff",
        b"3",
        b'"text"',
        b"null",
        b"[]",
        b'[{"svids": []}]',
        b'["svids"]',
        b"[" * 50,
        f"{JWT}~".encode(),
    ],
    ids=[
        "refresh token",
        "empty",
        "text",
        "not UTF-8",
        "number",
        "string",
        "null",
        "list",
        "no SVID",
        "list of texts",
        "cut",
        "JWT with a further character",
    ],
)
def test_unknown_form(output: bytes) -> None:
    """Output of no known form gives None and never an exception."""
    assert token_members(output, "access_token") is None


def test_output_that_is_nested_too_deeply() -> None:
    """Output with too many levels is reported as such."""
    with pytest.raises(TooDeep):
        token_members(b"[" * 60_000, "access_token")
