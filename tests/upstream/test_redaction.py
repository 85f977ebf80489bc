"""Secrets in another side's words: the request's own in every spelling, and whatever looks like a token."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from app.upstream.redaction import HIDDEN, redacted, secrets_of, shown_id

SECRET = 'cAn4ry~&+/="<0123456789>'
TOKEN = f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(b'canary' * 30).decode().rstrip('=')}.c2lnbmF0dXJl"

SPELLINGS = {
    "as it is": SECRET,
    "capitals": SECRET.upper(),
    "URL": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "HTML": html.escape(SECRET),
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON in JSON": json.dumps(json.dumps(SECRET))[3:-3],
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps(SECRET)))[7:-7],
    "JSON of PHP": json.dumps(SECRET)[1:-1].replace("/", "\\/"),
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


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('a"b"c"d"e"f"g', json.dumps(json.dumps('a"b"c"d"e"f"g'))[3:-3]),
        (r"a\b\c\d\e\f\g\h", json.dumps(json.dumps(r"a\b\c\d\e\f\g\h"))[3:-3]),
        ("a/ b/ c/ d/ e", "a%2F%20b%2F%20c%2F%20d%2F%20e"),
        ("a/ b/ c/ d/ e", "a%2F+b%2F+c%2F+d%2F+e"),
        ("?" * 9, "Pz8_Pz8_Pz8_"),
        (">" * 9, "Pj4-Pj4-Pj4-"),
        ('"abcdefg"', r"\"abcdefg\""),
        ("geheim-\u00fc", r"geheim-\u00fc"),
        ("""a'b"c'd"e'f""", html.escape("""a'b"c'd"e'f""")),
    ],
    ids=[
        *("JSON in JSON", "backslashes", "URL", "form", "base64 with _", "base64 with -", "JSON", "JSON in ASCII"),
        "HTML",
    ],
)
def test_secret_with_dense_escapes_is_hidden(secret: str, text: str) -> None:
    """A secret is hidden as a whole even if its escapes leave no eight characters in a row."""
    assert redacted(f"got <{text}> instead", (secret,)) == f"got <{HIDDEN}> instead"


def test_secret_that_is_not_utf8_is_hidden() -> None:
    """A secret variable may hold bytes that are not UTF-8. Its other characters are hidden nevertheless."""
    secret = b"geheim-f\xfcr-uns-alle".decode("utf-8", "surrogateescape")
    encoded = base64.b64encode(b"geheim-f\xfcr-uns-alle").decode().rstrip("=")

    assert redacted(f"got geheim-f, {encoded}, geheim-f%FCr-uns", (secret,)) == f"got {HIDDEN}, {HIDDEN}, {HIDDEN}"


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


BASE64 = base64.b64encode(hashlib.sha512(b"canary").digest()).decode()
HEX = hashlib.sha256(b"canary").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        *(TOKEN, TOKEN[:30], "CAISgQJ1q6Ft5B2yfSjIr5bSJ4oD8Z1k0aXyZ12345", "x8Q~" + "aB3" * 12),
        *(BASE64, "/".join(BASE64[at : at + 9] for at in range(0, 72, 9)), HEX, HEX.upper(), HEX[:48]),
    ],
)
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
        "trace 0af7651916cd43dd8448eb211c80319c, span b7ad6b7169203331",
        "no such path /Tenants/Example/OAuth2/V1/Applications/Client01/Credentials/Keys2",
        "Invalid client secret",
    ],
)
def test_what_helps_remains(text: str) -> None:
    """Names, ARNs, URLs, request ids and thumbprints remain."""
    assert redacted(text, ("demo-client-secret", TOKEN)) == text


def test_short_secrets_and_letters_that_change_their_length() -> None:
    """A secret of four characters is found; so is one beside a letter whose small form is longer."""
    assert redacted("secret abcd.", ("abcd", "no", "")) == f"secret {HIDDEN}."
    assert redacted(r"a bad path\\x", (r"\\\a",)) == r"a bad path\\x"
    assert redacted(f"\u0130 {SECRET}", (SECRET,)) == f"\u0130 {HIDDEN}"


def test_long_secrets_are_searched_quickly() -> None:
    """A token of the largest size and a message of the largest size take no noticeable time."""
    started = time.process_time()
    redacted("abcdefg " * 250, ("abcdefg" * 2_800 + "h",))

    assert time.process_time() - started < 30  # a quadratic search would take minutes


@pytest.mark.parametrize(
    "text",
    [
        *("A" * 200_000, "aB3/" * 50_000, "a/" * 100_000, "a1" * 100_000, "token" * 40_000, "=~" * 100_000),
        *('token":"' * 25_000, 'token\\":\\"' * 20_000, 'token"' + " " * 200_000, 'token":"' + "\\" * 200_000),
    ],
    ids=lambda text: text[:8],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    """A text in which each place could begin a token is read in one pass."""
    started = time.process_time()
    redacted(text, ("canary-of-a-secret",))

    assert time.process_time() - started < 30  # a quadratic search would take many minutes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("client_secret=hunter2&scope=a", "client_secret=[hidden]&scope=a"),
        ("token=hunter2", "token=[hidden]"),
        ("--password=hunter2 refused", "--password=[hidden] refused"),
        ('{"access_token": "hunter2", "error": "expired"}', '{"access_token": "[hidden]", "error": "expired"}'),
        ("{'apiKey': 'hunter2'}", "{'apiKey': '[hidden]'}"),
        ("export CLIENT_SECRET='hunter2'", "export CLIENT_SECRET='[hidden]'"),
        ("the token expired: token lifetime is 300 s", "the token expired: token lifetime is 300 s"),
        ('"{\\"client_secret\\": \\"hunter2\\"}"', '"{\\"client_secret\\": \\"[hidden]\\"}"'),
        (json.dumps(json.dumps({"token": 'a"b c'})), '"{\\"token\\": \\"[hidden]\\"}"'),
        ("{&quot;token&quot;:&quot;hunter2&quot;}", "{&quot;token&quot;:&quot;[hidden]&quot;}"),
        (r"{\u0022token\u0022:\u0022hunter2\u0022}", r"{\u0022token\u0022:\u0022[hidden]\u0022}"),
        ("body=client_secret%3Dhunter2%26scope%3Da", "body=client_secret%3D[hidden]%26scope%3Da"),
        ('{"token": "hunter2 and the rest is cut', '{"token": "[hidden]'),
        ("Invalid client secret provided", "Invalid client secret provided"),
        ("error=invalid_token, token_type=Bearer", "error=invalid_token, token_type=Bearer"),
    ],
)
def test_value_with_the_name_of_a_secret(text: str, shown: str) -> None:
    """A value that a form, an option or JSON calls a secret is hidden; sentences about secrets remain."""
    assert redacted(text, ()) == shown


@pytest.mark.parametrize(
    "secret",
    ["client-secret-1", "Kj3hD8sZ2LqPx9WvB4nM7tRyGfE5aUc1Qe6Xo0Hi", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"],
)
def test_id_that_repeats_a_secret(secret: str) -> None:
    """An id is shown unless it repeats a secret, even if other texts would hide it."""
    assert shown_id(secret, (secret,)) == "(unreadable)"
    assert shown_id(secret[:12], (secret,)) == "(unreadable)"
    assert shown_id("6B29FC40-CA47-1067-B31D-00DD010662DA", (secret,)) == "6B29FC40-CA47-1067-B31D-00DD010662DA"
