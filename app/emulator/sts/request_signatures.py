"""
Who signed this call? Both signatures of Alibaba Cloud's OpenAPI: RPC (HMAC-SHA1) and ACS3 (HMAC-SHA256).

The checks come in the order in which a gateway can make them: is it signed, by a known key, with its token, in time,
once, and rightly.
"""

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from ..crypto.nonces import SeenOnce
from ..http.request import Asked
from ..http.response import RefusedError
from .issued_sessions import Sessions

RPC_SECONDS, ACS3_SECONDS = 31 * 60, 15 * 60
"""How far a call's time may be from ours (documentation of the two request syntaxes)."""

ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(rf"{ALGORITHM} Credential=([^,\s]+),SignedHeaders=([^,\s]+),Signature=([0-9a-f]{{64}})")
_MUST_BE_SIGNED = {
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever signed. `principal` is a RAM user's ARN or that of a session; `may` names what the key allows."""

    principal: str
    may: tuple[str, ...]

    @property
    def account(self) -> str:
        return self.principal.split(":")[3]


@dataclass(frozen=True, slots=True)
class _Signed:
    access_key_id: str
    token: str | None = field(repr=False)
    at: str
    nonce: str
    seconds: int


def caller(asked: Asked, sessions: Sessions, seen: SeenOnce) -> Caller:
    """Who signed `asked`. Raises `RefusedError`."""
    fields = {**asked.query, **asked.form}
    match = _AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
    if not match and "Signature" not in fields:
        raise RefusedError("MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
    signed = _acs3(asked, match) if match else _rpc(fields)
    found, secret = _known(signed, asked, sessions)
    _in_time_and_once(signed, asked, seen)
    ours = _acs3_signature(asked, match, secret) if match else _rpc_signature(asked, fields, secret)
    given = match[3] if match else fields["Signature"]
    if not hmac.compare_digest(ours.encode(), given.encode()):
        raise RefusedError("SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
    return found


def _known(signed: _Signed, asked: Asked, sessions: Sessions) -> tuple[Caller, str]:
    user = asked.world.access_keys.get(signed.access_key_id)
    if user is not None:
        if not user.active:
            raise RefusedError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        return Caller(user.user_arn, user.may), user.secret
    session = sessions.find(signed.access_key_id)
    if session is None:
        raise RefusedError("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
    if signed.token is None:
        raise RefusedError("MissingSecurityToken", "SecurityToken is mandatory for this action.")
    if not hmac.compare_digest(signed.token.encode(), session.token.encode()):
        raise RefusedError("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
    if asked.at >= session.expires_at:
        raise RefusedError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
    return Caller(session.principal, asked.world.sessions_may), session.secret


def _in_time_and_once(signed: _Signed, asked: Asked, seen: SeenOnce) -> None:
    try:
        at = calendar.timegm(time.strptime(signed.at, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise RefusedError("InvalidTimeStamp.Format", "Specified time stamp is not well formatted.") from None
    if abs(asked.at - at) > signed.seconds:
        raise RefusedError("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    if not signed.nonce:
        raise RefusedError("MissingSignatureNonce", "SignatureNonce is mandatory for this action.")
    if not seen.first_time((signed.access_key_id, signed.nonce), until=at + 2 * signed.seconds, now=asked.at):
        raise RefusedError("SignatureNonceUsed", "Specified signature nonce was used already.")


def _rpc(fields: Mapping[str, str]) -> _Signed:
    if (fields.get("SignatureMethod"), fields.get("SignatureVersion")) != ("HMAC-SHA1", "1.0"):
        raise RefusedError("InvalidSignatureMethod", "Use SignatureMethod HMAC-SHA1 and SignatureVersion 1.0.")
    names = ("AccessKeyId", "Timestamp", "SignatureNonce")
    key_id, at, nonce = (fields.get(name, "") for name in names)
    return _Signed(key_id, fields.get("SecurityToken"), at, nonce, RPC_SECONDS)


def _rpc_signature(asked: Asked, fields: Mapping[str, str], secret: str) -> str:
    joined = _canonical({name: value for name, value in fields.items() if name != "Signature"})
    text = f"{asked.method}&%2F&{_encoded(joined)}"
    digest = hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")
    return base64.b64encode(digest).decode()


def _acs3(asked: Asked, match: re.Match[str]) -> _Signed:
    names = match[2].split(";")
    if names != sorted(names) or not set(names) >= _MUST_BE_SIGNED | _of_session(asked):
        raise RefusedError("IncompleteSignature", "SignedHeaders must be sorted and name host and every x-acs- header.")
    if asked.headers.get("x-acs-content-sha256") != hashlib.sha256(asked.body).hexdigest():
        raise RefusedError("InvalidContentSha256", "x-acs-content-sha256 is not that of the body.")
    headers = asked.headers
    return _Signed(
        match[1],
        headers.get("x-acs-security-token"),
        headers.get("x-acs-date", ""),
        headers.get("x-acs-signature-nonce", ""),
        ACS3_SECONDS,
    )


def _of_session(asked: Asked) -> set[str]:
    return {name for name in asked.headers if name.startswith("x-acs-")}


def _acs3_signature(asked: Asked, match: re.Match[str], secret: str) -> str:
    names = match[2].split(";")
    lines = "".join(f"{name}:{asked.headers.get(name, '').strip()}\n" for name in names)
    body = hashlib.sha256(asked.body).hexdigest()
    path = urlsplit(asked.url).path or "/"
    request = "\n".join((asked.method, path, _canonical(asked.query), lines, match[2], body))
    text = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _canonical(fields: Mapping[str, str]) -> str:
    return "&".join(f"{_encoded(name)}={_encoded(fields[name])}" for name in sorted(fields))


def _encoded(text: str) -> str:
    return quote(text, safe="~")
