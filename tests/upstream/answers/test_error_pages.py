"""Errors in other forms than one JSON object: pages, XML, lists, the errors of providers, other encodings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.core.errors import Refused, Unreachable
from app.upstream.answers import errors
from app.upstream.answers.meaning import Meaning
from app.upstream.response import UpstreamResponse

from .error_answers import PERMANENT, THROTTLED, TRANSIENT, URL, classify, error_of, page

PAGES: dict[str, tuple[bytes, str]] = {
    "HTML": (b"<html><head><title>Too many\nrequests</title></head></html>", "Too many requests"),
    "HTML without a title": (b"<!doctype html><style>b{}</style><h2>Slow</h2> <p>down", "Slow down"),
    "empty": (b"", ""),
    "Keycloak": (
        b"<!DOCTYPE html><html><head><title>Sign in to demo</title></head><body><h1>We are sorry...</h1>"
        b"<p class='instruction'>Client not found.</p><script>alert(1)</script></body></html>",
        "Sign in to demo We are sorry... Client not found.",
    ),
    "nginx": (
        b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
        b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        "403 Forbidden nginx",
    ),
    "list": (b'["slow down"]', '["slow down"]'),
    "text": (b"slow down\r\n", "slow down"),
    "not text": (b"\xff\xfe\x00", ""),
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize(("status", "expected"), [(429, THROTTLED), (503, TRANSIENT), (408, TRANSIENT)])
def test_status_and_headers_count_before_the_body(kind: str, status: int, expected: str) -> None:
    """A throttled or overloaded server is obeyed, whatever its body is: its Retry-After counts."""
    body, words = PAGES[kind]
    error = error_of(page(status, body), URL)

    assert classify(error) == expected
    assert (error.status, error.code, error.cloud_message) == (status, str(status), words)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_page_with_a_client_error_is_not_of_the_api(kind: str, status: int) -> None:
    """A page with status 4xx is not an outage. It requests no new token, and withdraws no role."""
    error = errors.error_of(
        page(status, PAGES[kind][0]), URL, asked="STS", statuses={status: Meaning("withdrawn", "another cure")}
    )

    assert isinstance(error, Refused)
    assert (error.renew_token, error.withdrawn) == (False, False)
    assert error.cure == "correct the URL of STS; if it is right, list its host in NO_PROXY or allow it in the gateway"


def test_throttling_of_sts_as_xml() -> None:
    """The XML form of an STS error has its code, message and request id."""
    body = (
        b"<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQ-1</RequestId><HostId>sts.aliyuncs.com</HostId>"
        b"<Code>Throttling.User</Code><Message>Request was denied due to user flow control.</Message></Error>"
    )
    error = error_of(page(400, body), URL)

    assert classify(error) == THROTTLED
    assert (error.code, error.request_id) == ("Throttling.User", "REQ-1")
    assert error.cloud_message == "Request was denied due to user flow control."


def test_throttling_of_sts_as_xml_with_cdata() -> None:
    """Words in CDATA sections, with white space and a namespace around them, are read."""
    body = (
        b"<Error xmlns='http://sts'><Code> Throttling.User </Code><Message><![CDATA[Too many, a < b & c]]></Message>"
        b"<RequestId>\nREQ-2\n</RequestId></Error>"
    )
    error = error_of(page(400, body), URL)

    assert classify(error) == THROTTLED
    assert (error.code, error.request_id) == ("Throttling.User", "REQ-2")
    assert error.cloud_message == "Too many, a < b & c"


def test_list_of_errors() -> None:
    """The first object of a list has the code and the words, as Salesforce writes them."""
    error = error_of(page(400, b'[{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}]'), URL)

    assert (error.code, error.cloud_message) == ("INVALID_SESSION_ID", "Session expired")


PROVIDERS: dict[str, tuple[int, dict[str, Any], str, str, str]] = {
    "Entra": (
        401,
        {
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the "
            "client secret value.\r\nTrace ID: 0f4c5e1d-0000\r\nCorrelation ID: 11\r\nTimestamp: 2026-01-02 03:04:05Z",
            "error_codes": [7000215],
            "trace_id": "0f4c5e1d-0000",
            "correlation_id": "11",
        },
        "invalid_client",
        "0f4c5e1d-0000",
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the client secret value.",
    ),
    "Okta": (
        400,
        {
            "errorCode": "E0000001",
            "errorSummary": "Api validation failed: scope",
            "errorId": "oae1",
            "errorCauses": [{"errorSummary": "scope: no such scope"}],
        },
        "E0000001",
        "oae1",
        "Api validation failed: scope scope: no such scope",
    ),
    "Auth0": (
        403,
        {"error": "Forbidden", "message": "Service not enabled within domain: api.example.com"},
        "Forbidden",
        "",
        "Service not enabled within domain: api.example.com",
    ),
    "Keycloak": (404, {"error": "Realm does not exist"}, "404", "", "Realm does not exist"),
    "Google": (
        403,
        {"error": {"code": 403, "message": "The caller has no permission", "status": "PERMISSION_DENIED"}},
        "PERMISSION_DENIED",
        "",
        "The caller has no permission",
    ),
    "OneLogin": (
        401,
        {"status": {"error": True, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}},
        "401",
        "",
        "Authentication Failure",
    ),
    "JSON:API": (
        403,
        {"jsonapi": {"version": "1.1"}, "errors": [{"code": "E-7", "title": "Forbidden", "detail": "no such client"}]},
        "E-7",
        "",
        "no such client",
    ),
    "Apigee": (
        401,
        {"fault": {"faultstring": "Invalid client", "detail": {"errorcode": "oauth.v2.InvalidClient"}}},
        "oauth.v2.InvalidClient",
        "",
        "Invalid client",
    ),
    "problem details": (
        400,
        {"type": "about:blank", "title": "Bad Request", "detail": "no", "traceId": "t"},
        "400",
        "t",
        "no",
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_words_of_a_provider(provider: str) -> None:
    """The code, the message and the id of a provider's error are shown, and known apart."""
    status, members, code, request_id, message = PROVIDERS[provider]
    error = error_of(page(status, json.dumps(members).encode()), URL)

    assert isinstance(error, Refused)
    assert (error.code, error.request_id, error.cloud_message) == (code, request_id, message)
    assert (error.endpoint, error.status) == (URL, status)


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize("status", [200, 401])
def test_error_in_any_encoding(charset: str, status: int) -> None:
    """The code of an error is read in any encoding, although JSON between systems is UTF-8; words may lose letters."""
    words = "\u5ba2\u6237\u7aef refused" if charset == "gbk" else "client ung\u00fcltig, refused"
    body = json.dumps({"error": "invalid_client", "error_description": words}, ensure_ascii=False).encode(charset)
    with pytest.raises(Refused) as found:
        errors.answer_of(page(status, body), URL, asked="the token endpoint", wanted="a")

    assert (found.value.code, found.value.status) == ("invalid_client", status)
    assert found.value.cloud_message.endswith("refused")


@pytest.mark.parametrize(("status", "kind"), [(401, PERMANENT), (429, THROTTLED), (503, TRANSIENT)])
def test_error_with_a_compressed_body(status: int, kind: str) -> None:
    """The status alone says what the failure means, and the message says what the body was."""
    error = error_of(UpstreamResponse(status, b"", retry_after=7.0, compressed="br"), URL)

    assert classify(error) == kind
    assert f"{URL}: HTTP {status} with a body compressed with br, which was not requested, instead of JSON" in str(
        error
    )


def test_login_of_a_network() -> None:
    """HTTP 511 comes from a captive portal, not from the server. It is transient: a login at the portal ends it."""
    error = error_of(page(511, b"<html>"), URL)

    assert isinstance(error, Unreachable)
    assert error.error_code == "IDS-209"
    assert str(error).startswith(f"{URL}: HTTP 511 ")
    assert str(error).endswith(
        "requires a login; sign in to the gateway from this machine, or allow the host in the gateway"
    )
