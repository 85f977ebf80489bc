"""
Authenticate the caller of a signed request. Alibaba Cloud's OpenAPI has two signatures: RPC (HMAC-SHA1) and ACS3
(HMAC-SHA256).

The checks are in the order in which a gateway can make them: presence of a signature, access key, security token,
time, nonce, signature.
"""

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError
from .issued_sessions import IssuedSessions

RPC_SECONDS, ACS3_SECONDS = 31 * 60, 15 * 60
"""The maximum difference between a request's time and the emulator's (documentation of the two request syntaxes)."""

ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(rf"{ALGORITHM} Credential=([^,\s]+),SignedHeaders=([^,\s]+),Signature=([0-9a-f]{{64}})")
_MANDATORY_SIGNED_HEADERS = {
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """The signer of a request. `principal` is the ARN of a RAM user or of a session."""

    principal: str
    allowed_actions: tuple[str, ...]

    @property
    def account(self) -> str:
        """The account id in the ARN."""
        return self.principal.split(":")[3]


@dataclass(frozen=True, slots=True)
class _SignatureParameters:
    """What either signature sends with itself. `max_skew` is the maximum clock difference, in seconds."""

    access_key_id: str
    security_token: str | None = field(repr=False)
    timestamp: str
    nonce: str
    max_skew: int


def authenticate(request: Request, sessions: IssuedSessions, nonces: ReplayCache) -> Caller:
    """Return the caller that signed `request`. Raises `RefusedError`."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if not match and "Signature" not in request.parameters:
        raise RefusedError("MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
    parameters = _acs3_parameters(request, match) if match else _rpc_parameters(request)
    caller, secret = _find_caller(parameters, request, sessions)
    _check_freshness(parameters, request, nonces)
    expected = _acs3_signature(request, match, secret) if match else _rpc_signature(request, secret)
    received = match[3] if match else request.parameters["Signature"]
    if not hmac.compare_digest(expected.encode(), received.encode()):
        raise RefusedError("SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
    return caller


def _find_caller(parameters: _SignatureParameters, request: Request, sessions: IssuedSessions) -> tuple[Caller, str]:
    """Return the owner of the access key, a RAM user or a session, and the key's secret."""
    user_key = request.world.access_keys.get(parameters.access_key_id)
    if user_key is not None:
        if not user_key.active:
            raise RefusedError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        return Caller(user_key.user_arn, user_key.may), user_key.secret
    session = sessions.find(parameters.access_key_id)
    if session is None:
        raise RefusedError("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
    if parameters.security_token is None:
        raise RefusedError("MissingSecurityToken", "SecurityToken is mandatory for this action.")
    if not hmac.compare_digest(parameters.security_token.encode(), session.token.encode()):
        raise RefusedError("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
    if request.now >= session.expires_at:
        raise RefusedError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
    return Caller(session.principal, request.world.sessions_may), session.secret


def _check_freshness(parameters: _SignatureParameters, request: Request, nonces: ReplayCache) -> None:
    try:
        signed_at = calendar.timegm(time.strptime(parameters.timestamp, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise RefusedError("InvalidTimeStamp.Format", "Specified time stamp is not well formatted.") from None
    if abs(request.now - signed_at) > parameters.max_skew:
        raise RefusedError("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    if not parameters.nonce:
        raise RefusedError("MissingSignatureNonce", "SignatureNonce is mandatory for this action.")
    expires_at = signed_at + 2 * parameters.max_skew
    if not nonces.add((parameters.access_key_id, parameters.nonce), expires_at=expires_at, now=request.now):
        raise RefusedError("SignatureNonceUsed", "Specified signature nonce was used already.")


def _rpc_parameters(request: Request) -> _SignatureParameters:
    fields = request.parameters
    if (fields.get("SignatureMethod"), fields.get("SignatureVersion")) != ("HMAC-SHA1", "1.0"):
        raise RefusedError("InvalidSignatureMethod", "Use SignatureMethod HMAC-SHA1 and SignatureVersion 1.0.")
    return _SignatureParameters(
        fields.get("AccessKeyId", ""),
        fields.get("SecurityToken"),
        fields.get("Timestamp", ""),
        fields.get("SignatureNonce", ""),
        RPC_SECONDS,
    )


def _rpc_signature(request: Request, secret: str) -> str:
    signed_fields = {name: value for name, value in request.parameters.items() if name != "Signature"}
    string_to_sign = f"{request.method}&%2F&{_percent_encode(_canonical_query(signed_fields))}"
    digest = hmac.digest(f"{secret}&".encode(), string_to_sign.encode(), "sha1")
    return base64.b64encode(digest).decode()


def _acs3_parameters(request: Request, match: re.Match[str]) -> _SignatureParameters:
    headers = request.headers
    names = match[2].split(";")
    sent_acs_headers = {name for name in headers if name.startswith("x-acs-")}
    if names != sorted(names) or not set(names) >= _MANDATORY_SIGNED_HEADERS | sent_acs_headers:
        raise RefusedError("IncompleteSignature", "SignedHeaders must be sorted and name host and every x-acs- header.")
    if headers.get("x-acs-content-sha256") != hashlib.sha256(request.body).hexdigest():
        raise RefusedError("InvalidContentSha256", "x-acs-content-sha256 is not that of the body.")
    return _SignatureParameters(
        match[1],
        headers.get("x-acs-security-token"),
        headers.get("x-acs-date", ""),
        headers.get("x-acs-signature-nonce", ""),
        ACS3_SECONDS,
    )


def _acs3_signature(request: Request, match: re.Match[str], secret: str) -> str:
    names = match[2].split(";")
    header_lines = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names)
    body_hash = hashlib.sha256(request.body).hexdigest()
    query = _canonical_query(request.query)
    canonical_request = "\n".join((request.method, request.path or "/", query, header_lines, match[2], body_hash))
    string_to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical_request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


def _canonical_query(fields: Mapping[str, str]) -> str:
    return "&".join(f"{_percent_encode(name)}={_percent_encode(fields[name])}" for name in sorted(fields))


def _percent_encode(text: str) -> str:
    return quote(text, safe="~")
