"""What the error codes of the cloud mean, and how to fix their causes: one table for every upstream service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Effect = Literal["refused", "renew_token", "withdrawn", "transient"]
"""
What an error code means for the next attempt.

`refused`: a repetition cannot succeed. `renew_token`: only the token was refused; a new one may be accepted.
`withdrawn`: the role, or the trust in this workload, no longer exists. `transient`: a repetition may succeed.
"""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one error code means, and how to fix its cause."""

    effect: Effect
    cure: str = ""


_FAIL = "AuthenticationFail."
_TOKEN = "AuthenticationFail.OIDCToken."  # noqa: S105 - the prefix of an error code

CODES: Mapping[str, Meaning] = MappingProxyType(
    {
        # OAuth token endpoints (RFC 6749 5.2, RFC 8693 2.2.2, and IDaaS's own).
        "invalid_client": Meaning(
            "refused",
            "the client id, secret, key or assertion was not accepted: is it current, is the clock right?",
        ),
        "invalid_scope": Meaning("refused", "check the scope and that the application may use it"),
        "scope_not_found": Meaning("refused", "the scope names a permission that the resource server does not have"),
        "access_denied": Meaning("refused", "the application is not authorised for that resource server or scope"),
        "invalid_grant": Meaning("refused", "the subject token was not accepted"),
        "unauthorized_client": Meaning("refused", "the client may not use this grant, or this way to prove itself"),
        "unsupported_grant_type": Meaning("refused", "the server does not know this grant"),
        "invalid_target": Meaning("refused", "the server does not know that audience or resource"),
        "operation_denied_by_license": Meaning("refused", "this IDaaS edition does not include the feature"),
        "temporarily_unavailable": Meaning("transient"),
        "server_error": Meaning("transient"),
        "authorization_pending": Meaning("transient"),
        # STS (upstream-protocols.md section 4.5).
        _FAIL + "NoPermission": Meaning(
            "withdrawn",
            "the role's trust policy does not match the token (oidc:iss, oidc:aud, oidc:sub), or the OIDC provider's "
            "ARN is wrong",
        ),
        _TOKEN + "AudienceNotMatch": Meaning("refused", "add the token's aud to the OIDC provider's client ids in RAM"),
        _TOKEN + "IssuerNotMatch": Meaning(
            "refused", "the OIDC provider's URL in RAM must equal the token's iss to the letter"
        ),
        _TOKEN + "Expired": Meaning("renew_token", "the token was too old, or this machine's clock or IDaaS's is off"),
        _TOKEN + "Invalid": Meaning("renew_token"),
        _TOKEN + "InvalidSignature": Meaning(
            "renew_token",
            "STS knows other keys of that issuer: is it the OIDC provider's, were its keys just changed?",
        ),
        _TOKEN + "HttpsUrlInvalid": Meaning(
            "refused", "STS does not trust the issuer's certificate: check the provider's fingerprint in RAM"
        ),
        _TOKEN + "PublicKeyFingerprintMismatch": Meaning(
            "refused", "the issuer's certificate changed: update the provider's fingerprint in RAM"
        ),
        _TOKEN + "IssuerConfigurationBroken": Meaning("transient"),
        "ServiceUnavailable": Meaning("transient"),
        "InternalError": Meaning("transient"),
        "EntityNotExist.Role": Meaning("withdrawn", "there is no such role: check roleArn"),
        "InvalidParameter.DurationSeconds": Meaning(
            "refused", "durationSeconds is above the role's MaxSessionDuration, or below 900"
        ),
        "InvalidParameter.PolicyGrammar": Meaning("refused", "the session policy is not a RAM policy"),
        # Signed calls: AssumeRole of a chain, GenerateOauthToken.
        "InvalidTimeStamp.Expired": Meaning("refused", "this machine's clock is off"),
        "NoPermission": Meaning(
            "withdrawn",
            "the caller may not assume the role (sts:AssumeRole), or the role's trust policy does not name it, or the "
            "externalId is wrong",
        ),
        "InvalidAccessKeyId.NotFound": Meaning("refused", "the AccessKey does not exist"),
        "InvalidAccessKeyId.Inactive": Meaning("refused", "the AccessKey is switched off"),
        "SignatureDoesNotMatch": Meaning("refused", "the AccessKey's secret is not the one that the cloud knows"),
        "InvalidSecurityToken.Expired": Meaning(
            "refused", "the session that signed has ended; this machine's clock may be off"
        ),
    }
)

CURES_BY_WORDS: tuple[tuple[str, str], ...] = (
    ("has not been authorized by resource server", "grant the application access to the resource server in IDaaS"),
    ("No such OIDC Provider", "the OIDC provider's ARN is wrong, or the provider is gone: check oidcProviderArn"),
    ("OIDCProviderArn is not valid", "oidcProviderArn is not a provider's ARN"),
    ("multiple client credentials", "the request proves the client's identity twice; choose one method"),
    ("Audience is required", "set audience to the API's identifier"),
)
"""A part of a message, and the cure for what it says: some codes stand for several causes."""
