"""The meaning of each upstream response: retry, give up, retry with a new token, or success."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest

from app.core.error_index.entry import Effect
from app.core.errors import ConfigError, Refused, SidecarError, Unreachable
from app.exchange.sts import credentials_from, instant
from app.identity.token_response import token_from
from app.upstream.answers import errors
from app.upstream.answers.meaning import Meaning
from app.upstream.answers.server_codes import CODES
from app.upstream.response import UpstreamResponse

NOW = 1_767_323_045.0
URL = "https://login.example.com/token"
TRANSIENT, THROTTLED = "transient", "transient, because a shared quota is used up"
PERMANENT, NEW_TOKEN = "permanent", "permanent, but a new token may succeed"
AUTH_FAIL = "AuthenticationFail"


def response(status: int, **members: Any) -> UpstreamResponse:
    """Return a response with this status and these members as its JSON body, to a request with the secret `s3cr3t`."""
    return page(status, json.dumps(members).encode())


def page(status: int, body: bytes) -> UpstreamResponse:
    """Return a response with this body."""
    return UpstreamResponse(status, body, retry_after=7.0, sent=("s3cr3t",))


def error_of(answer: UpstreamResponse, where: str, **meanings: Any) -> Refused | Unreachable:
    """Return the error that the answer of a token endpoint stands for."""
    return errors.error_of(answer, where, asked="the token endpoint", **meanings)


def classify(error: SidecarError) -> str:
    """Return the class of an error."""
    if isinstance(error, Refused):
        return NEW_TOKEN if error.renew_token else PERMANENT
    assert isinstance(error, Unreachable)
    assert error.retry_after == 7.0
    return THROTTLED if error.throttled else TRANSIENT


OAUTH = [
    (400, "invalid_client", PERMANENT, "copy clientId and a current secret"),
    (401, "invalid_client", PERMANENT, "copy clientId and a current secret"),
    (400, "invalid_request", PERMANENT, ""),
    (400, "invalid_scope", PERMANENT, "write a scope that the server has"),
    (400, "scope_not_found", PERMANENT, "copy the scope from the permissions of the resource server"),
    (403, "access_denied", PERMANENT, "grant the application access to the resource server"),
    (400, "unauthorized_client", PERMANENT, ""),
    (403, "operation_denied_by_license", PERMANENT, "upgrade the edition"),
    (404, "SomethingNew", PERMANENT, ""),
    (400, "slow_down", THROTTLED, ""),
    (400, "authorization_pending", TRANSIENT, ""),
    (400, "temporarily_unavailable", TRANSIENT, ""),
    (400, "server_error", TRANSIENT, ""),
    (429, "Throttling", THROTTLED, ""),
    (400, "Throttling.User", THROTTLED, ""),
    (429, "invalid_request", THROTTLED, ""),
    (500, "server_error", TRANSIENT, ""),
    (503, "invalid_client", TRANSIENT, ""),
]


@pytest.mark.parametrize(("status", "code", "expected", "hint"), OAUTH)
def test_token_endpoint_error_class(status: int, code: str, expected: str, hint: str) -> None:
    """Each code has its class, and the message has code, request id and, where there is one, a remedy."""
    error = error_of(response(status, error=code, error_description="secret s3cr3t is wrong", request_id="req-1"), URL)

    assert classify(error) == expected
    assert str(error).startswith(f"{URL}: HTTP {status} {code} (request req-1)")
    assert hint in str(error)
    assert error.cloud_message == "secret [hidden] is wrong"
    assert str(error).endswith('it says "secret [hidden] is wrong"')
    assert "[hidden]" not in error.own_words


@pytest.mark.parametrize(
    "members",
    [
        {"error": "invalid_scope", "request_id": "req-1"},
        {"Code": "invalid_scope", "Message": "m", "RequestId": "req-1"},
        {"code": "invalid_scope", "message": "m", "requestId": "req-1"},
    ],
)
def test_three_spellings_of_an_error(members: dict[str, str]) -> None:
    """The spellings of OAuth, of the gateway and of the API have the same meaning."""
    error = error_of(response(400, **members), URL)

    assert isinstance(error, Refused)
    assert (error.code, error.request_id, error.status) == ("invalid_scope", "req-1", 400)


def test_missing_grant_is_explained() -> None:
    """If IDaaS says that the application lacks the resource server, the message says how to grant it."""
    description = "app x has not been authorized by resource server y"
    for members in ({"error": "x", "error_description": description}, {"Code": "x", "Message": description}):
        assert str(error_of(response(400, **members), URL)) == (
            f'{URL}: HTTP 400 x: grant the application access to the resource server in IDaaS; it says "{description}"'
        )


def test_error_without_a_code_has_its_status() -> None:
    """Without a code the status stands for it."""
    error = error_of(response(418), URL)

    assert (str(error), getattr(error, "code", None)) == (f"{URL}: HTTP 418", "418")


STS = [
    (401, f"{AUTH_FAIL}.NoPermission", PERMANENT, "request the token with the issuer, audience"),
    (401, f"{AUTH_FAIL}.OIDCToken.AudienceNotMatch", PERMANENT, "add the token's aud"),
    (401, f"{AUTH_FAIL}.OIDCToken.IssuerNotMatch", PERMANENT, "write the token's iss, to the letter"),
    (401, f"{AUTH_FAIL}.OIDCToken.Expired", NEW_TOKEN, "clock"),
    (401, f"{AUTH_FAIL}.OIDCToken.Invalid", NEW_TOKEN, ""),
    (401, f"{AUTH_FAIL}.OIDCToken.InvalidSignature", NEW_TOKEN, ""),
    (401, f"{AUTH_FAIL}.OIDCToken.HttpsUrlInvalid", PERMANENT, "add the provider's fingerprint"),
    (
        401,
        f"{AUTH_FAIL}.OIDCToken.PublicKeyFingerprintMismatch",
        PERMANENT,
        "add the fingerprint that `idaas-sidecar setup fingerprint` prints",
    ),
    (401, f"{AUTH_FAIL}.OIDCToken.IssuerConfigurationBroken", TRANSIENT, ""),
    (404, "EntityNotExist.Role", PERMANENT, "correct roleArn"),
    (400, "InvalidParameter.RoleSessionName", PERMANENT, ""),
    (400, "InvalidParameter.DurationSeconds", PERMANENT, "between 900 and the role's MaxSessionDuration"),
    (400, "InvalidParameter.PolicyGrammar", PERMANENT, "write a RAM policy"),
    (400, "InvalidTimeStamp.Expired", PERMANENT, "synchronise this machine's clock"),
    (400, "Throttling.User", THROTTLED, ""),
    (400, "Throttling.Api", THROTTLED, ""),
    (400, "Throttling", THROTTLED, ""),
    (429, "Throttling.Something", THROTTLED, ""),
    (400, "ServiceUnavailable", TRANSIENT, ""),
    (500, "InternalError", TRANSIENT, ""),
    (499, "SomethingNew", PERMANENT, ""),
    (500, "SomethingNew", TRANSIENT, ""),
    (502, "SomethingNew", TRANSIENT, ""),
    (400, "SomethingNew", PERMANENT, ""),
]


@pytest.mark.parametrize(("status", "code", "expected", "hint"), STS)
def test_sts_error_class(status: int, code: str, expected: str, hint: str) -> None:
    """Each documented code of AssumeRoleWithOIDC has its class, which depends on the code before the status."""
    error = error_of(response(status, Code=code, Message="secret s3cr3t is wrong", RequestId="REQ-1"), URL)

    assert classify(error) == expected
    assert str(error).startswith(f"{URL}: HTTP {status} {code} (request REQ-1)")
    assert hint in str(error)
    assert error.cloud_message == "secret [hidden] is wrong"
    assert str(error).endswith('it says "secret [hidden] is wrong"')
    assert "[hidden]" not in error.own_words


EFFECTS = {
    "refused": [
        *("invalid_client", "invalid_scope", "scope_not_found", "access_denied", "invalid_grant"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_target", "operation_denied_by_license"),
        *(f"{AUTH_FAIL}.OIDCToken.AudienceNotMatch", f"{AUTH_FAIL}.OIDCToken.IssuerNotMatch"),
        *(f"{AUTH_FAIL}.OIDCToken.HttpsUrlInvalid", f"{AUTH_FAIL}.OIDCToken.PublicKeyFingerprintMismatch"),
        *("InvalidParameter.DurationSeconds", "InvalidParameter.PolicyGrammar", "InvalidTimeStamp.Expired"),
        *("InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch"),
        *("InvalidSecurityToken.Expired", "EntityNotExist.Application", "EntityNotExist.Instance"),
        *("E0000006", "E0000007", "E0000011", "E0000015", "E0000022", "invalid_request"),
        *("invalid_client_credential", "invalid_audience", "EntityNotExist.OIDCProvider"),
        *("Missing*", "MissingSecurityToken", "InvalidSecurityToken.Malformed", "InvalidParameter*"),
        *("InvalidSecurityToken.MismatchWithAccessKey", "InvalidParameter.RoleSessionName", "InvalidVersion"),
        *("InvalidAction.NotFound", "UnsupportedHTTPMethod", "IncompleteSignature", "InvalidSignatureMethod"),
        *("InvalidContentSha256", "InvalidTimeStamp.Format", "SignatureTypeMismatch", "Forbidden.RiskControl"),
        *("EntityAlreadyExists*", "EntityNotExist*", "LimitExceeded*", "DeleteConflict*", "MalformedPolicyDocument*"),
    ],
    "renew_token": [
        *(f"{AUTH_FAIL}.OIDCToken.{name}" for name in ("Expired", "Invalid", "InvalidSignature")),
        "invalid_token",
    ],
    "withdrawn": [
        *(f"{AUTH_FAIL}.NoPermission", "EntityNotExist.Role", "NoPermission", "Forbidden.RAM"),
        *("insufficient_scope", "cloud_account_role_not_found"),
    ],
    "transient": [
        *("temporarily_unavailable", "server_error", "authorization_pending", "ServiceUnavailable", "InternalError"),
        *("slow_down", "too_many_requests", "rate_limit_exceeded", "E0000009", "E0000047"),
        *("Throttling*", "SignatureNonceUsed"),
        f"{AUTH_FAIL}.OIDCToken.IssuerConfigurationBroken",
    ],
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_effect_of_each_code(effect: str) -> None:
    """Every code of the table has its effect, and there is no other effect."""
    assert sorted(code for code, meaning in CODES.items() if meaning.effect == effect) == sorted(EFFECTS[effect])
    assert set(get_args(Effect)) == EFFECTS.keys()
    assert len(CODES) == sum(map(len, EFFECTS.values()))


@pytest.mark.parametrize(
    ("code", "withdrawn"),
    [
        (f"{AUTH_FAIL}.NoPermission", True),
        ("EntityNotExist.Role", True),
        ("NoPermission", True),
        (f"{AUTH_FAIL}.OIDCToken.Expired", False),
        ("InvalidParameter.DurationSeconds", False),
        ("SomethingNew", False),
    ],
)
def test_codes_of_a_withdrawn_role(code: str, withdrawn: bool) -> None:
    """Three codes say that the role, or the trust in this workload, no longer exists."""
    error = error_of(response(403, Code=code), URL)

    assert isinstance(error, Refused)
    assert error.withdrawn is withdrawn


OWN = {"Own": Meaning("transient", "own words"), "EntityNotExist.Role": Meaning("renew_token", "own words")}
STATUSES = {403: Meaning("withdrawn", "words of the status"), 404: Meaning("renew_token"), 409: Meaning("transient")}


@pytest.mark.parametrize(
    ("status", "code", "message", "renew_token", "withdrawn"),
    [
        (400, "EntityNotExist.Role", "EntityNotExist.Role: own words", True, False),
        (403, "EntityNotExist.Role", "EntityNotExist.Role: own words", True, False),
        (403, "SomethingNew", "SomethingNew: words of the status", False, True),
        (403, "access_denied", "access_denied: grant the application access", False, True),
        (403, "NoPermission", "NoPermission: allow sts:AssumeRole in a policy of the first role", False, True),
        (404, "SomethingNew", "SomethingNew", True, False),
        (404, f"{AUTH_FAIL}.NoPermission", f"{AUTH_FAIL}.NoPermission: request the token with", False, True),
        (400, "SomethingNew", "SomethingNew", False, False),
    ],
)
def test_meanings_of_one_service_come_first(
    status: int, code: str, message: str, renew_token: bool, withdrawn: bool
) -> None:
    """A service's own meaning of a code comes first; its meaning of a status supplies what the code leaves open."""
    error = error_of(response(status, Code=code), URL, codes=OWN, statuses=STATUSES)

    assert isinstance(error, Refused)
    assert str(error).startswith(f"{URL}: HTTP {status} {message}")
    assert (error.renew_token, error.withdrawn) == (renew_token, withdrawn)


@pytest.mark.parametrize(("status", "code"), [(400, "Own"), (409, "SomethingNew"), (503, "SomethingNew")])
def test_transient_error_keeps_its_code(status: int, code: str) -> None:
    """A transient error has no remedy, and keeps its code and the pause that the server asks for."""
    error = error_of(response(status, Code=code), URL, codes=OWN, statuses=STATUSES)

    assert isinstance(error, Unreachable)
    assert (str(error), error.code, error.retry_after) == (f"{URL}: HTTP {status} {code}", code, 7.0)
    assert not error.throttled


@pytest.mark.parametrize("spelling", [("error", "request_id"), ("Code", "RequestId")])
def test_unreadable_error_is_not_repeated(spelling: tuple[str, str]) -> None:
    """A code or id that may be a secret is not repeated; a code that is a sentence counts as the message."""
    code, request_id = spelling
    error = error_of(response(400, **{code: "s3cr3t", request_id: "x y"}), URL)

    assert str(error) == f"{URL}: HTTP 400 (unreadable) (request (unreadable))"
    assert error_of(response(404, **{code: "Realm does not exist"}), URL).cloud_message == "Realm does not exist"


def test_known_code_is_shown_beside_a_secret_of_the_same_words() -> None:
    """A known code keeps its meaning if the secret of the request has a part in common with it."""
    answer = UpstreamResponse(400, b'{"error": "invalid_client"}', sent=("my-invalid_client-1",))
    error = error_of(answer, URL)

    assert (error.code, error.error_code) == ("invalid_client", CODES["invalid_client"].error_code)
    assert "copy clientId and a current secret" in str(error)


# --- successful responses ---------------------------------------------------------------------------------------------


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


SESSION = {
    "AccessKeyId": "STS.example",
    "AccessKeySecret": "secret",
    "SecurityToken": "token",
    "Expiration": "2026-01-02T04:04:05Z",
}


def test_credentials_are_read() -> None:
    """The session has three values, its expiry, and the request id for the audit log."""
    credentials = credentials_from({"Credentials": SESSION, "RequestId": "REQ-1"}, now=NOW, where=URL)

    assert (credentials.access_key_id, credentials.access_key_secret, credentials.security_token) == (
        "STS.example",
        "secret",
        "token",
    )
    assert (credentials.issued_at, credentials.expires_at, credentials.request_id) == (NOW, NOW + 3600, "REQ-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"AccessKeyId": ""},
        {"AccessKeySecret": None},
        {"SecurityToken": 3},
        {"Expiration": ""},
        {"Expiration": None},
        {"Expiration": 1767326645},
        {"Expiration": "2026-01-02T04:04:05+00:00"},
        {"Expiration": "2026-01-02T04:04:05.000Z"},
        {"Expiration": "2026-13-02T04:04:05Z"},
    ],
)
def test_incomplete_credentials_are_an_error(changes: dict[str, Any]) -> None:
    """A 200 without one of the values, or with an expiry in another format than STS's, is an error."""
    with pytest.raises(Unreachable, match="HTTP 200 without complete credentials"):
        credentials_from({"Credentials": SESSION | changes}, now=NOW, where=URL)


@pytest.mark.parametrize("members", [{}, {"Credentials": None}, {"Credentials": []}, {"Credentials": "x"}])
def test_missing_credentials_are_an_error(members: dict[str, Any]) -> None:
    """A 200 without credentials is an error."""
    with pytest.raises(Unreachable, match="HTTP 200 without complete credentials"):
        credentials_from(members, now=NOW, where=URL)


def test_expired_credentials_are_an_error() -> None:
    """A session that has expired by our clock is an error that names the clock."""
    with pytest.raises(Unreachable, match="already expired by this machine's clock; set the clock"):
        credentials_from({"Credentials": SESSION}, now=NOW + 3600, where=URL)


def test_session_longer_than_any_role_allows_is_an_error() -> None:
    """An expiry is believed up to 12 h (the longest session) and 1 h (a clock that is behind) from now."""
    latest = NOW + 3600 - 43_200 - 3_600
    credentials = credentials_from({"Credentials": SESSION}, now=latest, where=URL)

    assert credentials.expires_at == NOW + 3600
    with pytest.raises(Unreachable) as caught:
        credentials_from({"Credentials": SESSION}, now=latest - 1, where=URL)
    assert str(caught.value) == (f"{URL}: the credentials end later than any session does; set this machine's clock")


def test_instant_reads_one_format() -> None:
    """Only STS's format of a time is read, as UTC."""
    assert instant("1970-01-01T00:00:10Z") == 10.0
    assert instant("2026-01-02T03:04:05Z") == NOW
    assert instant("2026-01-02 03:04:05") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"AccessKeyId": 'STS.a","Code":"x'},
        {"AccessKeySecret": "two\nlines"},
        {"SecurityToken": "a,b"},
        {"SecurityToken": "schlüssel"},
        {"Expiration": "9999-12-31T23:59:59Z"},
    ],
)
def test_impossible_values_are_an_error(changes: dict[str, str]) -> None:
    """A value that would break a client's parser, or an expiry that would stop refreshes, is an error."""
    with pytest.raises(Unreachable):
        credentials_from({"Credentials": SESSION | changes}, now=NOW, where=URL)


# --- pages and other bodies -------------------------------------------------------------------------------------------

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
    """A page with a status of 4xx is no outage, asks for a new token of nobody, and withdraws no role."""
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


def test_two_causes_of_one_code_are_told_apart() -> None:
    """NoPermission for a missing OIDC provider has another cure than for a trust policy."""
    members = {"Code": f"{AUTH_FAIL}.NoPermission", "Message": "No such OIDC Provider registered."}

    assert "correct oidcProviderArn" in str(error_of(response(401, **members), URL))


def test_error_with_status_200() -> None:
    """An `error` with status 200 is that error; a `Code` is one where the answer's own member is missing."""
    for members in ({"error": "invalid_client"}, {"Code": "EntityNotExist.Role", "Message": "no"}):
        with pytest.raises(Refused) as caught:
            errors.answer_of(response(200, **members), URL, asked="STS", wanted="Credentials")
        assert caught.value.code in members.values()
    for members in ({"Code": "Success", "Credentials": {"a": 1}}, {"Credentials": {"a": 1}}, {"error": None}, {}):
        assert errors.answer_of(response(200, **members), URL, asked="STS", wanted="Credentials") == members
    with pytest.raises(Unreachable, match="instead of JSON"):
        errors.answer_of(page(200, b"<html>"), URL, asked="STS")


def test_words_are_cleaned_and_cut() -> None:
    """Control characters cannot reach a terminal, and a long message ends after 300 characters."""
    error = error_of(response(400, error="invalid_scope", error_description="a\x1b[31m\n\u202eb" + "c d" * 1000), URL)

    assert error.cloud_message.startswith("a\\x1b[31m \\u202eb")
    assert len(error.cloud_message) == errors.LONGEST_MESSAGE


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


@pytest.mark.parametrize("given", [{"codes": {"E7": "IDS-327"}}, {"statuses": {403: "IDS-327"}}])
def test_entry_can_be_given_by_its_code(given: dict[str, Any]) -> None:
    """A caller that maps a server's code or status to an entry of the index gets its effect, cure and stable code."""
    error = error_of(response(403, code="E7"), URL, **given)

    assert isinstance(error, Refused)
    assert (error.withdrawn, error.error_code) == (True, "IDS-327")
    assert error.cure.startswith("grant the AccessKey's user or role the action eiam:GenerateOauthToken")
    with pytest.raises(Refused) as caught:
        errors.answer_of(response(403, code="E7"), URL, asked="the token endpoint", **given)
    assert caught.value.error_code == "IDS-327"


@pytest.mark.parametrize(
    ("status", "error_code"), [(399, "IDS-209"), (400, "IDS-215"), (429, "IDS-216"), (503, "IDS-215")]
)
def test_stable_code_of_an_outage(status: int, error_code: str) -> None:
    """An outage whose code has no entry has the entry of its status."""
    error = error_of(response(status, code="E7"), URL, codes={"E7": Meaning("transient")})

    assert isinstance(error, Unreachable)
    assert error.error_code == error_code


def test_words_of_a_challenge() -> None:
    """Where the body names no error, the code and the words are those of the header."""
    challenge = 'Bearer error="invalid_token", error_description="no such token"'
    error = error_of(UpstreamResponse(401, b"", challenge=challenge), URL)

    assert (error.code, error.cloud_message) == ("invalid_token", "no such token")
