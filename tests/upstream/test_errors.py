"""The meaning of each upstream response: retry, give up, retry with a new token, or success."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest

from app.core.errors import Refused, SidecarError, Unreachable
from app.exchange.sts import credentials_from, instant
from app.identity.token_response import token_from
from app.upstream.errors import CODES, Effect, Meaning, error_of
from app.upstream.response import UpstreamResponse

NOW = 1_767_323_045.0
URL = "https://login.example.com/token"
TRANSIENT, THROTTLED = "transient", "transient, because a shared quota is used up"
PERMANENT, NEW_TOKEN = "permanent", "permanent, but a new token may succeed"
AUTH_FAIL = "AuthenticationFail"


def response(status: int, **members: Any) -> UpstreamResponse:
    """Return a response with this status and these members as its JSON body."""
    return UpstreamResponse(status, json.dumps(members).encode(), retry_after=7.0)


def classify(error: SidecarError) -> str:
    """Return the class of an error."""
    if isinstance(error, Refused):
        return NEW_TOKEN if error.renew_token else PERMANENT
    assert isinstance(error, Unreachable)
    assert error.retry_after == 7.0
    return THROTTLED if error.throttled else TRANSIENT


OAUTH = [
    (400, "invalid_client", PERMANENT, "is it current, is the clock right?"),
    (401, "invalid_client", PERMANENT, "is it current, is the clock right?"),
    (400, "invalid_request", PERMANENT, ""),
    (400, "invalid_scope", PERMANENT, "check the scope"),
    (400, "scope_not_found", PERMANENT, "the resource server does not have"),
    (403, "access_denied", PERMANENT, "not authorised for that resource server"),
    (400, "unauthorized_client", PERMANENT, ""),
    (403, "operation_denied_by_license", PERMANENT, "edition does not include"),
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
    error = error_of(response(status, error=code, error_description="s3cr3t", request_id="req-1"), URL)

    assert classify(error) == expected
    assert str(error).startswith(f"{URL}: HTTP {status} {code} (request req-1)")
    assert hint in str(error)
    assert "s3cr3t" not in str(error)


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
            f"{URL}: HTTP 400 x: grant the application access to the resource server in IDaaS"
        )


def test_error_without_a_code_has_its_status() -> None:
    """Without a code the status stands for it."""
    error = error_of(response(418), URL)

    assert (str(error), getattr(error, "code", None)) == (f"{URL}: HTTP 418 418", "418")


STS = [
    (401, f"{AUTH_FAIL}.NoPermission", PERMANENT, "trust policy does not match"),
    (401, f"{AUTH_FAIL}.OIDCToken.AudienceNotMatch", PERMANENT, "add the token's aud"),
    (401, f"{AUTH_FAIL}.OIDCToken.IssuerNotMatch", PERMANENT, "equal the token's iss to the letter"),
    (401, f"{AUTH_FAIL}.OIDCToken.Expired", NEW_TOKEN, "clock"),
    (401, f"{AUTH_FAIL}.OIDCToken.Invalid", NEW_TOKEN, ""),
    (401, f"{AUTH_FAIL}.OIDCToken.InvalidSignature", NEW_TOKEN, ""),
    (401, f"{AUTH_FAIL}.OIDCToken.HttpsUrlInvalid", PERMANENT, "check the provider's fingerprint"),
    (401, f"{AUTH_FAIL}.OIDCToken.PublicKeyFingerprintMismatch", PERMANENT, "update the provider's fingerprint"),
    (401, f"{AUTH_FAIL}.OIDCToken.IssuerConfigurationBroken", TRANSIENT, ""),
    (404, "EntityNotExist.Role", PERMANENT, "check roleArn"),
    (400, "InvalidParameter.RoleSessionName", PERMANENT, ""),
    (400, "InvalidParameter.DurationSeconds", PERMANENT, "above the role's MaxSessionDuration"),
    (400, "InvalidParameter.PolicyGrammar", PERMANENT, "not a RAM policy"),
    (400, "InvalidTimeStamp.Expired", PERMANENT, "clock is off"),
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
    """Each code of upstream-protocols.md 4.5 has its class, which depends on the code before the status."""
    error = error_of(response(status, Code=code, Message="s3cr3t", RequestId="REQ-1"), URL)

    assert classify(error) == expected
    assert str(error).startswith(f"{URL}: HTTP {status} {code} (request REQ-1)")
    assert hint in str(error)
    assert "s3cr3t" not in str(error)


EFFECTS = {
    "refused": [
        *("invalid_client", "invalid_scope", "scope_not_found", "access_denied", "invalid_grant"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_target", "operation_denied_by_license"),
        *(f"{AUTH_FAIL}.OIDCToken.AudienceNotMatch", f"{AUTH_FAIL}.OIDCToken.IssuerNotMatch"),
        *(f"{AUTH_FAIL}.OIDCToken.HttpsUrlInvalid", f"{AUTH_FAIL}.OIDCToken.PublicKeyFingerprintMismatch"),
        *("InvalidParameter.DurationSeconds", "InvalidParameter.PolicyGrammar", "InvalidTimeStamp.Expired"),
        *("InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch"),
        "InvalidSecurityToken.Expired",
    ],
    "renew_token": [f"{AUTH_FAIL}.OIDCToken.{name}" for name in ("Expired", "Invalid", "InvalidSignature")],
    "withdrawn": [f"{AUTH_FAIL}.NoPermission", "EntityNotExist.Role", "NoPermission"],
    "transient": [
        *("temporarily_unavailable", "server_error", "authorization_pending", "ServiceUnavailable", "InternalError"),
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
        (403, "access_denied", "access_denied: the application is not authorised for that", False, True),
        (403, "NoPermission", "NoPermission: the caller may not assume the role", False, True),
        (404, "SomethingNew", "SomethingNew", True, False),
        (404, f"{AUTH_FAIL}.NoPermission", f"{AUTH_FAIL}.NoPermission: the role's trust policy", False, True),
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
    """An unreadable code or id is not repeated, and a body that is not JSON is described by its size."""
    code, request_id = spelling
    error = error_of(response(400, **{code: "<b>\n", request_id: "x y"}), URL)

    assert str(error) == f"{URL}: HTTP 400 (unreadable) (request (unreadable))"
    with pytest.raises(Unreachable, match="HTTP 502 with 6 bytes of HTML or XML instead of JSON"):
        error_of(UpstreamResponse(502, b"<html>"), URL)


# --- successful responses ---------------------------------------------------------------------------------------------


def token(**claims: Any) -> str:
    """Return an unsigned JWT with these claims."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


@pytest.mark.parametrize(
    ("members", "expires_at"),
    [
        ({"access_token": token(), "expires_in": 1200}, NOW + 1200),
        ({"access_token": token(), "expires_at": NOW + 900}, NOW + 900),
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
            "already expired by this machine's clock; check the c",
        ),
        ({"access_token": token(), "expires_at": NOW}, "already expired by this machine's clock; check the clock"),
    ],
)
def test_response_without_a_usable_token_is_an_error(members: dict[str, Any], message: str) -> None:
    """A 200 without a usable token is a transient error that repeats nothing of the token."""
    with pytest.raises(Unreachable) as caught:
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
    with pytest.raises(Unreachable, match="already expired by this machine's clock; check the clock"):
        credentials_from({"Credentials": SESSION}, now=NOW + 3600, where=URL)


def test_session_longer_than_any_role_allows_is_an_error() -> None:
    """An expiry is believed up to 12 h (the longest session) and 1 h (a clock that is behind) from now."""
    latest = NOW + 3600 - 43_200 - 3_600
    credentials = credentials_from({"Credentials": SESSION}, now=latest, where=URL)

    assert credentials.expires_at == NOW + 3600
    with pytest.raises(Unreachable) as caught:
        credentials_from({"Credentials": SESSION}, now=latest - 1, where=URL)
    assert str(caught.value) == (f"{URL}: the credentials end later than any session does; check this machine's clock")


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
