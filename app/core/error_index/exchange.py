"""Errors of the exchange of a token for credentials: STS (upstream-protocols.md section 4.5), RAM and DeveloperAPI.

The cures become part of messages, so they are no sentences.
"""

from __future__ import annotations

from .entry import Entry

_FAIL = "AuthenticationFail."
_TOKEN = "AuthenticationFail.OIDCToken."  # noqa: S105 - the prefix of an error code

EXCHANGE = (
    Entry(
        "IDS-401",
        "The role does not trust the token.",
        "A condition of the role's trust policy (oidc:iss, oidc:aud, oidc:sub) or its principal does not match.",
        "the role's trust policy does not match the token (oidc:iss, oidc:aud, oidc:sub), or the OIDC provider's "
        "ARN is wrong",
        effect="withdrawn",
        seen=(_FAIL + "NoPermission",),
    ),
    Entry(
        "IDS-402",
        "RAM has no such OIDC provider.",
        "oidcProviderArn is misspelled, of another account, or the provider was removed.",
        "the OIDC provider's ARN is wrong, or the provider is gone: check oidcProviderArn",
        words=("No such OIDC Provider",),
    ),
    Entry(
        "IDS-403",
        "The OIDC provider's ARN is malformed.",
        "oidcProviderArn is not of the form acs:ram::<account id>:oidc-provider/<name>.",
        "oidcProviderArn is not a provider's ARN",
        words=("OIDCProviderArn is not valid",),
    ),
    Entry(
        "IDS-404",
        "The token's audience is no client id of the OIDC provider.",
        "The provider in RAM has other client ids than the token's aud.",
        "add the token's aud to the OIDC provider's client ids in RAM",
        seen=(_TOKEN + "AudienceNotMatch",),
    ),
    Entry(
        "IDS-405",
        "The token's issuer is not the OIDC provider's URL.",
        "A slash, a custom domain or another instance.",
        "the OIDC provider's URL in RAM must equal the token's iss to the letter",
        seen=(_TOKEN + "IssuerNotMatch",),
    ),
    Entry(
        "IDS-406",
        "STS says that the token has expired.",
        "The token is older than its exp or than the provider's issuance window, or a clock is off.",
        "the token was too old, or this machine's clock or IDaaS's is off",
        effect="renew_token",
        seen=(_TOKEN + "Expired",),
    ),
    Entry(
        "IDS-407",
        "STS cannot use the token.",
        "It is no JWT of three parts, or its algorithm is not supported (HS256).",
        effect="renew_token",
        seen=(_TOKEN + "Invalid",),
    ),
    Entry(
        "IDS-408",
        "The token's signature is not valid for STS.",
        "STS has the keys of another issuer, or the issuer's keys were just changed.",
        "STS knows other keys of that issuer: is it the OIDC provider's, were its keys just changed?",
        effect="renew_token",
        seen=(_TOKEN + "InvalidSignature",),
    ),
    Entry(
        "IDS-409",
        "STS does not trust the issuer's certificate.",
        "The provider's fingerprint in RAM is of another CA, or the chain is incomplete.",
        "STS does not trust the issuer's certificate: check the provider's fingerprint in RAM",
        seen=(_TOKEN + "HttpsUrlInvalid",),
    ),
    Entry(
        "IDS-410",
        "The issuer's certificate no longer matches the fingerprint.",
        "The issuer changed its CA.",
        "the issuer's certificate changed: update the provider's fingerprint in RAM",
        seen=(_TOKEN + "PublicKeyFingerprintMismatch",),
    ),
    Entry(
        "IDS-411",
        "STS cannot load the issuer's keys.",
        "The issuer's discovery document or JWKS is not reachable from the public network.",
        "publish /.well-known/openid-configuration and the JWKS; check them with `idaas-sidecar setup fingerprint`",
        effect="transient",
        seen=(_TOKEN + "IssuerConfigurationBroken",),
    ),
    Entry(
        "IDS-412",
        "There is no such role.",
        "roleArn is misspelled, of another account, or the role was removed.",
        "there is no such role: check roleArn",
        effect="withdrawn",
        seen=("EntityNotExist.Role",),
    ),
    Entry(
        "IDS-413",
        "The session is longer than the role allows.",
        "durationSeconds is above the role's MaxSessionDuration, or below 900.",
        "durationSeconds is above the role's MaxSessionDuration, or below 900",
        seen=("InvalidParameter.DurationSeconds",),
    ),
    Entry(
        "IDS-414",
        "STS does not accept the session policy.",
        "It is JSON, but not a RAM policy.",
        "the session policy is not a RAM policy",
        seen=("InvalidParameter.PolicyGrammar",),
    ),
    Entry(
        "IDS-415",
        "The signature's time is not accepted.",
        "This machine's clock is off.",
        "this machine's clock is off",
        seen=("InvalidTimeStamp.Expired",),
    ),
    Entry(
        "IDS-416",
        "The caller may not assume the role.",
        "The policy of the first role lacks sts:AssumeRole, or the second role's trust policy or externalId differs.",
        "the caller may not assume the role (sts:AssumeRole), or the role's trust policy does not name it, or the "
        "externalId is wrong",
        effect="withdrawn",
        seen=("NoPermission",),
    ),
    Entry(
        "IDS-417",
        "The AccessKey does not exist.",
        "It was deleted, or is of another site.",
        "the AccessKey does not exist",
        seen=("InvalidAccessKeyId.NotFound",),
    ),
    Entry(
        "IDS-418",
        "The AccessKey is switched off.",
        "It was disabled in RAM.",
        "the AccessKey is switched off",
        seen=("InvalidAccessKeyId.Inactive",),
    ),
    Entry(
        "IDS-419",
        "The AccessKey's secret is wrong.",
        "The secret does not belong to the AccessKey.",
        "the AccessKey's secret is not the one that the cloud knows",
        seen=("SignatureDoesNotMatch",),
    ),
    Entry(
        "IDS-420",
        "The session that signed has ended.",
        "The credentials expired before they were used, or this machine's clock is off.",
        "the session that signed has ended; this machine's clock may be off",
        seen=("InvalidSecurityToken.Expired",),
    ),
    Entry(
        "IDS-421",
        "The token's length is outside what STS takes.",
        "STS takes 4 to 20 000 characters. A token with many groups is longer.",
        "remove claims such as groups from the token",
    ),
    Entry(
        "IDS-422",
        "The answer has no complete credentials, or they have expired.",
        "A gateway answered, or this machine's clock is off.",
        "check the endpoint and the clock",
    ),
    Entry(
        "IDS-423",
        "IDaaS manages no such role.",
        "roleArn or idaasInstanceId is wrong, or the role is not set up in IDaaS.",
        "IDaaS does not manage that role: check roleArn and the role's place in IDaaS",
        effect="withdrawn",
    ),
    Entry(
        "IDS-424",
        "The role belongs to another cloud.",
        "The DeveloperAPI returned credentials of another vendor.",
        "name a role of Alibaba Cloud",
    ),
    Entry(
        "IDS-425",
        "IDaaS's own access to the account is set up wrongly.",
        "The cloud account in IDaaS has a wrong identity provider or audience.",
        "IDaaS's own access to the target account is set up wrongly; ask its administrator",
    ),
    Entry(
        "IDS-426",
        "The DeveloperAPI does not accept the token.",
        "The token's scope is not the DeveloperAPI's, or it is of another instance.",
        "the token was not accepted: is its scope the DeveloperAPI's, is it of this instance?",
    ),
    Entry(
        "IDS-427",
        "The application may not use the role in IDaaS.",
        "It lacks the scope, or the permission on the role.",
        "the application lacks the scope, or the permission on that role, or the role is not wholly set up",
        effect="withdrawn",
    ),
    Entry(
        "IDS-428",
        "The DeveloperAPI's URL is wrong.",
        "The server answers 404.",
        "is that the DeveloperAPI's host?",
    ),
    Entry(
        "IDS-429",
        "The trust policy's condition on oidc:aud differs from the token.",
        "Another resource server, or a difference of a character.",
        "write the token's aud into oidc:aud of the role's trust policy",
    ),
    Entry(
        "IDS-430",
        "The trust policy's condition on oidc:iss differs from the token.",
        "A slash, a custom domain or another instance.",
        "write the token's iss into oidc:iss of the role's trust policy",
    ),
    Entry(
        "IDS-431",
        "The trust policy's condition on oidc:sub differs from the token.",
        "The role trusts another application.",
        "write the token's sub into oidc:sub of the role's trust policy",
    ),
    Entry(
        "IDS-432",
        "The trust policy does not name the OIDC provider.",
        "Principal.Federated has another ARN than oidcProviderArn.",
        "write oidcProviderArn into Principal.Federated of the role's trust policy",
    ),
    Entry(
        "IDS-433",
        "The trust policy cannot be read, or allows nothing.",
        "The file is not a RAM policy document with an Allow of sts:AssumeRole.",
        "give the role's trust policy as RAM shows it",
    ),
    Entry(
        "IDS-434",
        "The trust policy has no condition on a claim.",
        "Without oidc:sub, every application of that audience may assume the role.",
        "name oidc:iss, oidc:aud and oidc:sub; `idaas-sidecar setup` prints the policy",
    ),
    Entry(
        "IDS-435",
        "The session is too short for known clients.",
        "A client asks again when less than its margin is left, so it would ask on every call.",
        "set durationSeconds to 3600, or to the role's MaxSessionDuration",
    ),
)
