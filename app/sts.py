"""What STS answers: credentials or an error, for every action that opens a session; and its endpoints in turn."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from .model import Credentials, Refused, SidecarError, Unreachable
from .upstream import Reply, printable

LONGEST_SESSION = 43_200
"""Seconds (the largest MaxSessionDuration of a role)."""

CLOCK_ALLOWANCE = 3_600
"""Seconds by which this machine's clock may be behind before an Expiration is not believed."""

_VALUE = re.compile(r"[!#-+\--\[\]-~]+")
"""Visible ASCII without quote, backslash and comma: what substring parsers of the served body would trip over."""

_FAIL = "AuthenticationFail."
_TOKEN = "AuthenticationFail.OIDCToken."  # noqa: S105 - an error code's prefix

_RENEW = frozenset({_TOKEN + "Expired", _TOKEN + "Invalid", _TOKEN + "InvalidSignature"})
"""It is the token that was refused: a new one may pass (it aged, or the signing key was rotated)."""

_WITHDRAWN = frozenset({_FAIL + "NoPermission", "NoPermission", "EntityNotExist.Role"})
"""The role or the provider is gone, or the trust policy does not let us in (any more)."""

_TRANSIENT = frozenset(
    {
        "ServiceUnavailable",
        "InternalError",
        _TOKEN + "IssuerConfigurationBroken",
    }
)

_HINTS = {
    _FAIL + "NoPermission": "the role's trust policy does not match the token (oidc:iss, oidc:aud, oidc:sub), or the "
    "OIDC provider's ARN is wrong",
    _TOKEN + "AudienceNotMatch": "add the token's aud to the OIDC provider's client ids in RAM",
    _TOKEN + "IssuerNotMatch": "the OIDC provider's URL in RAM must equal the token's iss to the letter",
    _TOKEN + "Expired": "the token was too old, or this machine's clock or IDaaS's is off",
    _TOKEN
    + "InvalidSignature": "STS knows other keys of that issuer: is it the OIDC provider's, were its keys just changed?",
    _TOKEN + "HttpsUrlInvalid": "STS does not trust the issuer's certificate: check the provider's fingerprint in RAM",
    _TOKEN
    + "PublicKeyFingerprintMismatch": "the issuer's certificate changed: update the provider's fingerprint in RAM",
    "EntityNotExist.Role": "there is no such role: check roleArn",
    "InvalidParameter.DurationSeconds": "durationSeconds is above the role's MaxSessionDuration, or below 900",
    "InvalidParameter.PolicyGrammar": "the session policy is not a RAM policy",
    "InvalidTimeStamp.Expired": "this machine's clock is off",
    "NoPermission": "the caller may not assume the role (sts:AssumeRole), or the role's trust policy does not name it, "
    "or the externalId is wrong",
    "InvalidAccessKeyId.NotFound": "the AccessKey does not exist",
    "InvalidAccessKeyId.Inactive": "the AccessKey is switched off",
    "SignatureDoesNotMatch": "the AccessKey's secret is not the one that the cloud knows",
    "InvalidSecurityToken.Expired": "the session that signed has ended; this machine's clock may be off",
}


async def first_reachable(endpoints: tuple[str, ...], ask: Callable[[str], Awaitable[Credentials]]) -> Credentials:
    """`ask` of each endpoint in turn while they cannot be reached; raises what the last one asked raises."""
    for endpoint in endpoints[:-1]:
        try:
            return await ask(endpoint)
        except Unreachable as error:
            # A quota is the account's and holds at every endpoint of the region: asking the next one is no cure.
            if error.code.startswith("Throttling"):
                raise
    return await ask(endpoints[-1])


def credentials_from(members: Mapping[str, Any], *, now: float, where: str) -> Credentials:
    """The session of a successful answer. Raises Unreachable unless it has three non-empty values and a future end."""
    found = members.get("Credentials")
    values = found if isinstance(found, dict) else {}
    triple = [values.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
    return whole(
        triple, instant(values.get("Expiration")), now=now, where=where, request_id=str(members.get("RequestId", ""))
    )


def whole(
    triple: Sequence[Any], expires_at: float | None, *, now: float, where: str, request_id: str = ""
) -> Credentials:
    """Key id, secret and token as Credentials. Raises Unreachable unless all are there and can be believed."""
    if not all(isinstance(value, str) and _VALUE.fullmatch(value) for value in triple) or expires_at is None:
        raise Unreachable(f"{where}: HTTP 200 without whole credentials")
    if expires_at <= now:
        raise Unreachable(f"{where}: the credentials have already expired by this machine's clock; check the clock")
    if expires_at > now + LONGEST_SESSION + CLOCK_ALLOWANCE:
        # Believed, it would put off the next refresh for as long.
        raise Unreachable(f"{where}: the credentials end later than any session does; check this machine's clock")
    key_id, secret, token = (str(value) for value in triple)
    return Credentials(
        key_id,
        secret,
        token,
        issued_at=now,
        expires_at=expires_at,
        request_id=printable(request_id),
    )


def sts_error(reply: Reply, where: str, hints: Mapping[str, str] = _HINTS) -> SidecarError:
    """An OpenAPI's answer other than 200 as our error: judged by `Code`, by the status where that is unknown."""
    members = reply.members(where)
    code = printable(str(members.get("Code") or reply.status))
    request_id = printable(str(members.get("RequestId") or ""))
    text = f"{where}: HTTP {reply.status} {code}{f' (request {request_id})' if request_id else ''}"
    throttled = code.startswith("Throttling") or reply.status == 429
    if throttled or code in _TRANSIENT or reply.status >= 500:
        return Unreachable(text, retry_after=reply.retry_after, code=code, throttled=throttled)
    hint = hints.get(code) or _HINTS.get(code)
    return Refused(
        f"{text}: {hint}" if hint else text,
        status=reply.status,
        code=code,
        request_id=request_id,
        renew_token=code in _RENEW,
        withdrawn=code in _WITHDRAWN,
    )


def instant(text: Any) -> float | None:
    """`YYYY-MM-DDThh:mm:ssZ` as seconds since the epoch, or None: STS writes no other form."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (TypeError, ValueError):
        return None
