"""
Where each code and message of a server in the errors index comes from, and whether that source was read.

docs/errors.md shows the table. A test compares it with the index: each code and each part of a message has one row.
`read` is when the source was last compared with the index; None where no public source could be read.
"""

from __future__ import annotations

from dataclasses import dataclass

ENTRA = "Microsoft Entra authentication and authorization error codes (learn.microsoft.com, reference-error-codes)"
OKTA = "Okta error codes and descriptions (developer.okta.com/docs/reference/error-codes)"
KEYCLOAK = "source of Keycloak's server"
OAUTH, EXCHANGE = "RFC 6749 5.2", "RFC 8693 2.2.2"
STS, RAM = "AssumeRoleWithOIDC and AssumeRole (STS 2015-04-01)", "errors of RAM and of Alibaba Cloud's gateway"
IDAAS = "IDaaS (EIAM) documentation and SDKs"
REPORTS = "reports of users that quote the message, in public repositories"
READ = "2026-11-28"
EARLIER = "0.1"
"""The version whose author read the source; the shared protocol notes quote it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Codes or parts of messages of one server that one source has."""

    server: str
    texts: tuple[str, ...]
    source: str
    read: str | None = READ


SOURCES = (
    Source(
        "Entra ID",
        (
            "AADSTS7000222",
            "AADSTS7000215",
            "AADSTS700027",
            "AADSTS700016",
            "AADSTS90002:",
            "AADSTS500011",
            "AADSTS70011:",
            *("AADSTS65001", "AADSTS50027:", "AADSTS7000112", "AADSTS53003", "AADSTS7000218", "AADSTS70001:"),
        ),
        ENTRA,
    ),
    Source(
        "Entra ID",
        (
            *("AADSTS900023", "AADSTS1002012", "AADSTS700211", "AADSTS700212", "AADSTS700213", "AADSTS70021:"),
            *("AADSTS7000229", "AADSTS501051", "AADSTS700024", "AADSTS500133", "AADSTS900144", "AADSTS9002313"),
        ),
        f"{REPORTS}; Microsoft's page does not list them",
    ),
    Source("Okta", ("E0000006", "E0000007", "E0000011", "E0000015", "E0000022", "E0000047", "E0000009"), OKTA),
    Source("Okta", ("multiple client credentials", "Policy evaluation failed for this request"), REPORTS),
    Source("Google", ("Invalid JWT Signature", "Token must be a short-lived token"), REPORTS),
    Source("Auth0", ("Service not enabled within domain", 'You need to create a "client-grant"'), REPORTS),
    Source("Keycloak", ("Invalid client secret",), REPORTS),
    Source("Emulator", ("No client authentication was found",), "the emulator of this project, which plays Okta"),
    Source("Auth0", ("No audience parameter was provided",), REPORTS),
    Source("Auth0", ("Audience is required",), "none found; the message may be of an older version", None),
    Source("Keycloak", ("not enabled to retrieve service account",), KEYCLOAK),
    Source("Keycloak", ("Invalid client or Invalid client credentials",), KEYCLOAK),
    Source("Keycloak", ("Realm does not exist",), KEYCLOAK),
    Source(
        "OAuth servers",
        (
            *("invalid_client", "invalid_scope", "access_denied", "invalid_grant", "unauthorized_client"),
            *("unsupported_grant_type", "temporarily_unavailable", "server_error", "invalid_request"),
        ),
        OAUTH,
        EARLIER,
    ),
    Source("OAuth servers", ("invalid_target",), EXCHANGE, EARLIER),
    Source("OAuth servers", ("invalid_token", "insufficient_scope"), "RFC 6750 3.1", EARLIER),
    Source("OAuth servers", ("authorization_pending", "slow_down"), "RFC 8628 3.5", EARLIER),
    Source("OAuth servers", ("too_many_requests", "rate_limit_exceeded"), "no standard; gateways send them", None),
    Source("IDaaS", ("has not been authorized by resource server", "operation_denied_by_license"), REPORTS),
    Source("IDaaS", ("scope_not_found", "EntityNotExist.Application", "EntityNotExist.Instance"), IDAAS, EARLIER),
    Source(
        "IDaaS",
        ("cloud_account_role_not_found", "invalid_client_credential", "invalid_audience"),
        "SDKs of IDaaS PAM (DeveloperAPI)",
        EARLIER,
    ),
    Source(
        "STS",
        (
            *("No such OIDC Provider", "OIDCProviderArn is not valid", "AuthenticationFail.NoPermission"),
            *("AuthenticationFail.OIDCToken.AudienceNotMatch", "AuthenticationFail.OIDCToken.IssuerNotMatch"),
            *("AuthenticationFail.OIDCToken.Expired", "AuthenticationFail.OIDCToken.Invalid"),
            *("AuthenticationFail.OIDCToken.InvalidSignature", "AuthenticationFail.OIDCToken.HttpsUrlInvalid"),
            "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
            *("AuthenticationFail.OIDCToken.IssuerConfigurationBroken", "EntityNotExist.Role"),
            *("InvalidParameter.DurationSeconds", "InvalidParameter.PolicyGrammar"),
        ),
        STS,
        EARLIER,
    ),
    Source(
        "Alibaba Cloud",
        (
            *("InvalidTimeStamp.Expired", "NoPermission", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive"),
            *("SignatureDoesNotMatch", "InvalidSecurityToken.Expired", "ServiceUnavailable", "InternalError"),
        ),
        RAM,
        EARLIER,
    ),
    Source(
        "Alibaba Cloud",
        (
            *(
                "SignatureNonceUsed",
                "Missing*",
                "MissingSecurityToken",
                "InvalidSecurityToken.Malformed",
                "Throttling*",
            ),
            *("InvalidSecurityToken.MismatchWithAccessKey", "InvalidParameter*", "InvalidParameter.RoleSessionName"),
            *("InvalidAction.NotFound", "InvalidVersion", "UnsupportedHTTPMethod", "IncompleteSignature"),
            *("InvalidTimeStamp.Format", "Forbidden.RAM", "Forbidden.RiskControl"),
        ),
        "pages of error codes of Alibaba Cloud's products (help.aliyun.com, alibabacloud.com), and its SDKs",
    ),
    Source(
        "Alibaba Cloud",
        (
            *("EntityNotExist.OIDCProvider", "EntityAlreadyExists*", "EntityNotExist*", "LimitExceeded*"),
            *("DeleteConflict*", "MalformedPolicyDocument*", "InvalidSignatureMethod", "InvalidContentSha256"),
            "SignatureTypeMismatch",
        ),
        "SDKs and examples of RAM; not compared with its documentation",
        None,
    ),
)
