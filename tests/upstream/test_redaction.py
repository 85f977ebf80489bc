"""Secrets in another side's words: the request's own in every spelling, and whatever looks like a token."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from app.upstream.redaction import HIDDEN, redacted, secrets_of

SECRET = 'cAn4ry~&+/="<0123456789>'
TOKEN = f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(b'canary' * 30).decode().rstrip('=')}.c2lnbmF0dXJl"

SPELLINGS = {
    "as it is": SECRET,
    "capitals": SECRET.upper(),
    "URL": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "HTML": html.escape(SECRET),
    "JSON": json.dumps(SECRET)[1:-1],
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "hex": SECRET.encode().hex(),
    "the beginning": SECRET[:12],
    "the end": SECRET[-12:],
    "the middle": SECRET[6:18],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_is_hidden_in_every_spelling(spelling: str) -> None:
    """Nothing of a quoted secret remains, and the words around it do."""
    shown = redacted(f"the secret <{SPELLINGS[spelling]}> is wrong", (SECRET,))

    assert shown.startswith("the secret <[hidden]")
    assert shown.endswith("> is wrong")
    assert not any(SECRET[at : at + 8].lower() in shown.lower() for at in range(len(SECRET) - 7))


def test_secrets_of_a_request() -> None:
    """Form fields are secret unless they are known not to be; of the headers, those with credentials are."""
    basic = base64.b64encode(b"app:" + quote_plus(SECRET).encode()).decode()
    fields = {"client_id": "app_demo", "scope": "api|.all", "client_secret": "a", "OIDCToken": "b", "new_field": "c"}
    headers = {
        "Authorization": f"Basic {basic}",
        "x-acs-security-token": "d",
        "x-acs-action": "AssumeRole",
        "X-aliyun-ecs-metadata-token": "e",
    }

    assert secrets_of(fields, headers) == ("a", "b", "c", basic, quote_plus(SECRET), SECRET, "d", "e")
    assert secrets_of({}, {"authorization": "Bearer f"}) == ("f",)
    assert secrets_of({}, {"Authorization": "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=host,Signature=9f"}) == ("9f",)
    assert secrets_of({}, {"Authorization": "Basic %%%"}) == ("%%%",)


@pytest.mark.parametrize("text", [TOKEN, TOKEN[:30], "CAISgQJ1q6Ft5B2yfSjIr5bSJ4oD8Z1k0aXyZ12345", "x8Q~" + "aB3" * 12])
def test_unknown_tokens_are_hidden(text: str) -> None:
    """A token that the request did not carry is hidden, too."""
    assert redacted(f"got {text} instead", ()) == f"got {HIDDEN} instead"


@pytest.mark.parametrize(
    "text",
    [
        "AADSTS700016: Application with identifier '0f4c5e1d-1111-2222-3333-444455556666' was not found",
        "The role not exists: acs:ram::1234567890123456:role/demo-default.",
        "The issuer https://login.microsoftonline.com/0f4c5e1d-1111-2222-3333-444455556666/v2.0 does not match",
        "Thumbprint of key used by client: 'AA11BB22CC33DD44EE55FF66AA77BB88CC99DD00'",
        "Invalid client secret",
    ],
)
def test_what_helps_remains(text: str) -> None:
    """Names, ARNs, URLs, request ids and thumbprints remain."""
    assert redacted(text, ("demo-client-secret", TOKEN)) == text


def test_short_secrets_and_letters_that_change_their_length() -> None:
    """A secret of four characters is found; so is one beside a letter whose small form is longer."""
    assert redacted("secret abcd.", ("abcd", "no", "")) == f"secret {HIDDEN}."
    assert redacted(f"\u0130 {SECRET}", (SECRET,)) == f"\u0130 {HIDDEN}"


def test_long_secrets_are_searched_quickly() -> None:
    """A token of the largest size and a message of the largest size take no noticeable time."""
    started = time.process_time()
    redacted("abcdefg " * 250, ("abcdefg" * 2_800 + "h",))

    assert time.process_time() - started < 30  # a quadratic search would take minutes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("client_secret=hunter2&scope=a", "client_secret=[hidden]&scope=a"),
        ("--password=hunter2 refused", "--password=[hidden] refused"),
        ('{"access_token": "hunter2", "error": "expired"}', '{"access_token": "[hidden]", "error": "expired"}'),
        ("{'apiKey': 'hunter2'}", "{'apiKey': '[hidden]'}"),
        ("export CLIENT_SECRET='hunter2'", "export CLIENT_SECRET='[hidden]'"),
        ("the token expired: token lifetime is 300 s", "the token expired: token lifetime is 300 s"),
        ("Invalid client secret provided", "Invalid client secret provided"),
        ("error=invalid_token, token_type=Bearer", "error=invalid_token, token_type=Bearer"),
    ],
)
def test_value_with_the_name_of_a_secret(text: str, shown: str) -> None:
    """A value that a form, an option or JSON calls a secret is hidden; sentences about secrets remain."""
    assert redacted(text, ()) == shown
