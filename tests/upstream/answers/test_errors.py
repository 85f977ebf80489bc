"""The meaning of each error answer: retry, give up, or retry with a new token."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from app.core.error_index.entry import Effect
from app.core.errors import Refused, Unreachable
from app.upstream.answers import errors
from app.upstream.answers.meaning import Meaning
from app.upstream.answers.server_codes import CODES
from app.upstream.response import UpstreamResponse

from .error_answers import (
    AUTH_FAIL,
    NEW_TOKEN,
    PERMANENT,
    THROTTLED,
    TRANSIENT,
    URL,
    classify,
    error_of,
    page,
    response,
)

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


@pytest.mark.parametrize("given", [{"codes": {"E7": "IDS-327"}}, {"statuses": {403: "IDS-327"}}])
def test_entry_can_be_given_by_its_code(given: dict[str, Any]) -> None:
    """A code or status that a caller maps to an entry of the index gets the entry's effect, cure and stable code."""
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
    """If the body names no error, code and words come from the header."""
    challenge = 'Bearer error="invalid_token", error_description="no such token"'
    error = error_of(UpstreamResponse(401, b"", challenge=challenge), URL)

    assert (error.code, error.cloud_message) == ("invalid_token", "no such token")
