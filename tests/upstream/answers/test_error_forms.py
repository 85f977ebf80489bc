"""The forms of an error's words beside the usual ones: in lists, in strings, in other spellings, in a header."""

from __future__ import annotations

import json

import pytest

from app.core.errors import Refused, Unreachable
from app.upstream.answers import errors
from app.upstream.answers.challenge import LONGEST, challenge_words
from app.upstream.answers.error_words import error_words
from app.upstream.response import UpstreamResponse

from .error_answers import URL, error_of, page, response

FORMS: dict[str, tuple[int, bytes, str, str, str]] = {
    "Vault": (400, b'{"errors": ["permission denied", "for role x"]}', "400", "", "permission denied; for role x"),
    "NestJS": (400, b'{"message": ["no scope"], "error": "Bad Request", "statusCode": 400}', "400", "", "no scope"),
    "capitals": (
        400,
        b'{"ErrorCode": "Client.Disabled", "ErrorMessage": "It is off.", "Request-Id": "R-1"}',
        "Client.Disabled",
        "R-1",
        "It is off.",
    ),
    "DingTalk": (200, b'{"errcode": 40089, "errmsg": "invalid corpid"}', "40089", "", "invalid corpid"),
    "JSON in a string": (401, json.dumps(json.dumps({"error": "invalid_scope"})).encode(), "invalid_scope", "", ""),
    "JSON in a message": (
        401,
        json.dumps({"message": json.dumps({"error": "invalid_scope", "error_description": "no"})}).encode(),
        "invalid_scope",
        "",
        "no",
    ),
    "a form": (400, b"error=invalid_scope&error_description=not+yours", "invalid_scope", "", "not yours"),
    "GitHub": (
        200,
        b"error=incorrect_client_credentials&error_description=No.",
        "incorrect_client_credentials",
        "",
        "No.",
    ),
    "Cognito": (
        400,
        b'{"__type": "a.b#NotAuthorizedException", "message": "No."}',
        "NotAuthorizedException",
        "",
        "No.",
    ),
    "Cognito's short form": (400, b'{"__type": "UserNotFoundException"}', "UserNotFoundException", "", ""),
    "PingOne": (
        403,
        b'{"code": "ACCESS_FAILED", "message": "No access.", "details": [{"message": "No role."}, {"message": "No"}]}',
        "ACCESS_FAILED",
        "",
        "No access. No role.",
    ),
    "Hydra": (
        401,
        b'{"error": "other", "error_description": "Failed", "error_hint": "The client does not exist."}',
        "other",
        "",
        "Failed The client does not exist.",
    ),
    "Ory": (
        400,
        b'{"error": {"code": 400, "status": "Bad", "reason": "The key is old.", "message": "Malformed."}}',
        "Bad",
        "",
        "Malformed. The key is old.",
    ),
    "a page in UTF-16": (
        403,
        "<title>Kein Zugriff für Sie</title>".encode("utf-16"),
        "403",
        "",
        "Kein Zugriff für Sie",
    ),
    "a reason and a log id": (
        400,
        b'{"code": "no_quota", "reason": "none", "log_id": "L-1"}',
        "no_quota",
        "L-1",
        "none",
    ),
    "a heading below a line": (403, b"<p>Portal</p><h1>No entry</h1>", "403", "", "No entry Portal No entry"),
    "a code beside a spelled error": (400, b'{"error": {"error": "other", "code": "no_quota"}}', "no_quota", "", ""),
    "words beside an object with words": (
        400,
        b'{"code": "no_quota", "message": "none", "data": {"code": "other", "message": "inner"}}',
        "no_quota",
        "",
        "none",
    ),
    "a cause that is no object": (
        400,
        b'{"errorCode": "E1", "errorSummary": "bad", "errorCauses": ["text", {"errorSummary": "why"}]}',
        "E1",
        "",
        "bad why",
    ),
    "half a character": (400, json.dumps({"message": '{"error": "no_quota\ud800"}'}).encode(), "400", "", "no_quota?"),
}


@pytest.mark.parametrize("form", FORMS)
def test_words_in_any_form(form: str) -> None:
    """Code, id and words are read from every form in which servers and gateways write them."""
    status, body, code, request_id, message = FORMS[form]
    with pytest.raises(Refused) as caught:
        errors.answer_of(page(status, body), URL, asked="the token endpoint", wanted="access_token")

    assert (caught.value.code, caught.value.request_id, caught.value.cloud_message) == (code, request_id, message)


def test_message_with_status_200() -> None:
    """The message of a JSON object without a token says why there is none."""
    body = b'{"success": false, "message": "no quota"}'
    with pytest.raises(Unreachable) as caught:
        errors.answer_of(page(200, body), URL, asked="the token endpoint", wanted="access_token")

    assert (caught.value.cloud_message, caught.value.error_code) == ("no quota", "IDS-209")


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"opaque-token",
            b"<html>opaque-token",
            b"access_token=opaque-token&scope=",
            b'[{"message": "opaque-token"}]',
        ),
        b"<r><Code>Success</Code><Message>opaque-token</Message></r>",
        b"<html><p>Enter the voucher <code>opaque-1234</code></html>",
        b"<Error><Code>EntityNotExist.Role</Code><Message>opaque</Message></Error>",
        b'[{"code": "opaque-1234"}]',
    ],
)
def test_text_with_status_200_is_not_shown(body: bytes) -> None:
    """Plain text or a page with status 200 may have a token, or come from a captive portal: it is no refusal."""
    with pytest.raises(Unreachable) as caught:
        errors.answer_of(page(200, body), URL, asked="the token endpoint", wanted="access_token")

    assert "opaque" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b'{"message": "%sx"}' % (b" " * 200_000), b"error=x&error_description=" + b"+" * 16_000]
)
def test_words_take_linear_time(body: bytes) -> None:
    """A text of white space alone is read at once. A pattern that tries each of its places would take minutes."""
    assert error_of(page(400, body), URL).status == 400


def test_text_with_zero_bytes() -> None:
    """A secret in UTF-16 is hidden, also if no header names the encoding."""
    answer = UpstreamResponse(
        401, b"wrong: " + "s3cr3t-of-the-client".encode("utf-16-le"), sent=("s3cr3t-of-the-client",)
    )

    assert error_of(answer, URL).cloud_message.replace('"', "") == "wrong: [hidden]"


def test_other_token_is_no_failure() -> None:
    """An answer with words and another token than the wanted one is the caller's to judge."""
    members = {"id_token": "x", "message": "ok"}

    assert errors.answer_of(response(200, **members), URL, asked="the server", wanted="access_token") == members


@pytest.mark.parametrize(
    ("challenge", "code", "words"),
    [
        (
            'Bearer realm="x", error="invalid_token", error_description="It ended, \\"s3cr3t\\""',
            "invalid_token",
            '"[hidden]"',
        ),
        ("DPoP error=use_dpop_nonce", "use_dpop_nonce", ""),
        ('Basic realm="a", Bearer ERROR = "invalid_scope"', "invalid_scope", ""),
        ('Bearer error="two words"', "401", ""),
        ('Basic realm="error"', "401", ""),
        ('Bearer error="' + "\\" * 5000, "401", ""),
    ],
)
def test_error_in_a_header(challenge: str, code: str, words: str) -> None:
    """The error of a protected resource may stand in WWW-Authenticate alone (RFC 6750 3)."""
    answer = UpstreamResponse(401, b"", sent=("s3cr3t",), challenge=challenge)
    error = error_of(answer, URL)

    assert error.code == code
    assert error.cloud_message.endswith(words)
    assert "s3cr3t" not in str(error)


def test_error_in_a_header_is_shown_as_an_api_shows_it() -> None:
    """A code in a header comes from an API: no message asks whether the URL is wrong."""
    error = error_of(UpstreamResponse(401, b"", challenge="Bearer error=unknown_words"), URL)

    assert str(error).endswith("HTTP 401 unknown_words")


def test_end_of_a_long_header_is_not_read() -> None:
    """A header is read up to its limit. An error after the limit is ignored."""
    found = challenge_words("error=a".rjust(LONGEST))

    assert LONGEST == 4096
    assert found is not None
    assert found.code == "a"
    assert challenge_words("error=a".rjust(LONGEST + 1)) is None


def test_code_outside_comes_before_one_within() -> None:
    """Where an answer has a code, the objects beside it are not searched for another one."""
    answer = page(400, b'{"code": "no_quota", "data": {"code": "other", "message": "inner"}}')

    assert error_of(answer, URL).code == "no_quota"


def test_empty_body_is_named() -> None:
    """The message says that a server sent nothing. It does not name the number of bytes."""
    assert "HTTP 403 with an empty body instead of JSON" in str(error_of(page(403, b" "), URL))


def test_end_of_a_long_text_is_not_read() -> None:
    """Plain text is read up to its limit."""
    assert len(error_words(b"a" * 20_000).message) == 16_384


def test_body_comes_before_the_header() -> None:
    """A code in the body counts, and not the one of the header."""
    answer = UpstreamResponse(401, b'{"error": "invalid_scope"}', challenge='Bearer error="invalid_token"')

    assert error_of(answer, URL).code == "invalid_scope"
