"""Errors of the exchange of a token for credentials: STS (the error codes of AssumeRoleWithOIDC), RAM and DeveloperAPI.

The cures become part of messages, so they are not complete sentences.
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
        "request the token with the issuer, audience and subject that the role's trust policy names, and name the "
        "policy's principal in oidcProviderArn; change the policy only if every token with the new values may assume "
        "the role; `idaas-sidecar doctor --read-ram` shows both",
        effect="withdrawn",
        seen=(_FAIL + "NoPermission",),
    ),
    Entry(
        "IDS-402",
        "RAM has no such OIDC provider.",
        "oidcProviderArn is misspelled, of another account, or the provider was removed.",
        "correct oidcProviderArn, its account id included, or create the OIDC provider with `idaas-sidecar setup`",
        seen=("EntityNotExist.OIDCProvider",),
        words=("No such OIDC Provider",),
    ),
    Entry(
        "IDS-403",
        "The OIDC provider's ARN is malformed.",
        "oidcProviderArn is not of the form acs:ram::<account id>:oidc-provider/<name>.",
        "write oidcProviderArn as acs:ram::<account id>:oidc-provider/<name>",
        words=("OIDCProviderArn is not valid",),
    ),
    Entry(
        "IDS-404",
        "The token's audience is no client id of the OIDC provider.",
        "The provider in RAM has other client ids than the token's aud.",
        "request the token with an audience that is a client id of the OIDC provider; add the token's aud to the "
        "client ids in RAM only if RAM may accept every token of this issuer for that audience; "
        "`idaas-sidecar doctor --read-ram` shows both",
        seen=(_TOKEN + "AudienceNotMatch",),
    ),
    Entry(
        "IDS-405",
        "The token's issuer is not the OIDC provider's URL.",
        "A slash, a custom domain or another instance.",
        "request the token from the issuer of the OIDC provider; if that token is right, write the "
        "token's iss, to the letter, as the URL of an OIDC provider in RAM, and its ARN into oidcProviderArn; "
        "`idaas-sidecar doctor --read-ram` shows both",
        seen=(_TOKEN + "IssuerNotMatch",),
    ),
    Entry(
        "IDS-406",
        "STS says that the token has expired.",
        "The token is older than its exp or than the provider's issuance window, or a clock is off.",
        "synchronise this machine's clock and the issuer's, or raise the provider's issuance window in RAM",
        effect="renew_token",
        seen=(_TOKEN + "Expired",),
    ),
    Entry(
        "IDS-407",
        "STS cannot use the token.",
        "It is no JWT of three parts, or its algorithm is not supported (HS256).",
        "let the issuer sign JWTs with RS256 or another asymmetric algorithm, or name the right token in tokenUse",
        effect="renew_token",
        seen=(_TOKEN + "Invalid",),
    ),
    Entry(
        "IDS-408",
        "The token's signature is not valid for STS.",
        "The provider's URL in RAM differs from the token's iss, for example by a slash; oidcProviderArn names another "
        "issuer's provider; or the issuer's keys were just changed.",
        "create an OIDC provider in RAM with the token's iss, to the letter, as its URL, or write the ARN of the one "
        "that has it into oidcProviderArn; after a change of the issuer's keys, wait for the next refresh",
        effect="renew_token",
        seen=(_TOKEN + "InvalidSignature",),
    ),
    Entry(
        "IDS-409",
        "STS does not trust the issuer's certificate.",
        "The provider's fingerprint in RAM is of another CA, or the chain is incomplete.",
        "add the provider's fingerprint to RAM as `idaas-sidecar setup fingerprint` prints it, after the issuer's "
        "operator has confirmed it, and let the issuer send its whole chain",
        seen=(_TOKEN + "HttpsUrlInvalid",),
    ),
    Entry(
        "IDS-410",
        "The issuer's certificate no longer matches the fingerprint.",
        "The issuer changed its CA.",
        "add the fingerprint that `idaas-sidecar setup fingerprint` prints to the provider in RAM, after the issuer's "
        "operator has confirmed it",
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
        "correct roleArn, or create the role with `idaas-sidecar setup`",
        effect="withdrawn",
        seen=("EntityNotExist.Role",),
    ),
    Entry(
        "IDS-413",
        "The session is longer than the role allows.",
        "durationSeconds is above the role's MaxSessionDuration, or below 900.",
        "set durationSeconds between 900 and the role's MaxSessionDuration, or raise MaxSessionDuration in RAM",
        seen=("InvalidParameter.DurationSeconds",),
    ),
    Entry(
        "IDS-414",
        "STS does not accept the session policy.",
        "It is JSON, but not a RAM policy.",
        "write a RAM policy with Version and Statement into policy, or remove policy",
        seen=("InvalidParameter.PolicyGrammar",),
    ),
    Entry(
        "IDS-415",
        "The signature's time is not accepted.",
        "This machine's clock is off.",
        "synchronise this machine's clock with an NTP client such as chrony",
        seen=("InvalidTimeStamp.Expired",),
    ),
    Entry(
        "IDS-416",
        "The caller may not assume the role.",
        "The policy of the first role lacks sts:AssumeRole, or the second role's trust policy or externalId differs.",
        "allow sts:AssumeRole in a policy of the first role, name that role in the trust policy of the second, "
        "and correct externalId",
        effect="withdrawn",
        seen=("NoPermission", "Forbidden.RAM"),
    ),
    Entry(
        "IDS-417",
        "The AccessKey does not exist.",
        "It was deleted, or is of another site.",
        "write an AccessKey that exists: create one in RAM, or correct the variable or file with it",
        seen=("InvalidAccessKeyId.NotFound",),
    ),
    Entry(
        "IDS-418",
        "The AccessKey is switched off.",
        "It was disabled in RAM.",
        "activate the AccessKey in RAM, or use another one",
        seen=("InvalidAccessKeyId.Inactive",),
    ),
    Entry(
        "IDS-419",
        "The AccessKey's secret is wrong.",
        "The secret does not belong to the AccessKey.",
        "copy the AccessKey's secret again, or create a new AccessKey in RAM",
        seen=("SignatureDoesNotMatch",),
    ),
    Entry(
        "IDS-420",
        "The session that signed has ended.",
        "The credentials expired before they were used, or this machine's clock is off.",
        "synchronise this machine's clock; the next refresh signs with a new session",
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
        "write the API's own URL into endpoints, and synchronise this machine's clock",
    ),
    Entry(
        "IDS-423",
        "IDaaS manages no such role.",
        "roleArn or idaasInstanceId is wrong, or the role is not set up in IDaaS.",
        "correct roleArn and idaasInstanceId, or add the role to the cloud account in IDaaS",
        effect="withdrawn",
        seen=("cloud_account_role_not_found",),
    ),
    Entry(
        "IDS-424",
        "The role belongs to another cloud.",
        "The DeveloperAPI returned credentials of another vendor.",
        "write the ARN of a role of Alibaba Cloud into roleArn",
    ),
    Entry(
        "IDS-425",
        "IDaaS's own access to the account is set up wrongly.",
        "The cloud account in IDaaS has a wrong identity provider or audience.",
        "let IDaaS's administrator correct identity provider and audience of the cloud account in IDaaS",
        seen=("invalid_client_credential", "invalid_audience"),
    ),
    Entry(
        "IDS-426",
        "The DeveloperAPI does not accept the token.",
        "The token's scope is not the DeveloperAPI's, or it is of another instance.",
        "write the DeveloperAPI's scope of this instance into scope of the identity",
        effect="renew_token",
        seen=("invalid_token",),
    ),
    Entry(
        "IDS-427",
        "The application may not use the role in IDaaS.",
        "It lacks the scope, or the permission on the role.",
        "grant the application the DeveloperAPI's scope and the role in IDaaS, and finish the role's set-up there",
        effect="withdrawn",
        seen=("insufficient_scope",),
    ),
    Entry(
        "IDS-428",
        "The DeveloperAPI's URL is wrong.",
        "The server answers 404.",
        "write the DeveloperAPI's host into endpoint of the exchange, or leave it out",
    ),
    Entry(
        "IDS-429",
        "The trust policy's condition on oidc:aud differs from the token.",
        "Another resource server, or a difference of a character.",
        "request the token with the audience that the policy names; write the token's aud into oidc:aud only if every "
        "token for that audience that meets the other conditions may assume the role",
    ),
    Entry(
        "IDS-430",
        "The trust policy's condition on oidc:iss differs from the token.",
        "A slash, a custom domain or another instance.",
        "request the token with the issuer that the policy names; write the token's iss into oidc:iss only if every "
        "token of that issuer that meets the other conditions may assume the role",
    ),
    Entry(
        "IDS-431",
        "The trust policy's condition on oidc:sub differs from the token.",
        "The role trusts another application.",
        "request the token with the subject that the policy names; write the token's sub into oidc:sub only if every "
        "token with that subject that meets the other conditions may assume the role",
    ),
    Entry(
        "IDS-432",
        "The trust policy does not name the OIDC provider.",
        "Principal.Federated has another ARN than oidcProviderArn.",
        "write the ARN of Principal.Federated into oidcProviderArn; if oidcProviderArn is right, write oidcProviderArn "
        "into Principal.Federated of the role's trust policy: the role then trusts tokens of that provider",
    ),
    Entry(
        "IDS-433",
        "The trust policy cannot be read, or allows nothing.",
        "The file is not a RAM policy document with an Allow of sts:AssumeRole.",
        "save the trust policy with `aliyun ram GetRole --RoleName NAME > role.json`, and name that file",
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
        "The session is shorter than a client's margin. Such a client requests new credentials on every call.",
        "set durationSeconds to 3600, or to the role's MaxSessionDuration",
    ),
    Entry(
        "IDS-436",
        "RAM cannot be read.",
        "The AccessKey may not read roles and OIDC providers, or belongs to another account than the role.",
        "attach the system policy AliyunRAMReadOnlyAccess to the owner of the AccessKey, in the account of the role",
    ),
    Entry(
        "IDS-437",
        "The session is shorter than durationSeconds.",
        "The session of a chain ends with its first role, or the cloud gives shorter sessions than requested.",
        "set durationSeconds to the length that the message names, or raise MaxSessionDuration of the role",
    ),
    Entry(
        "IDS-438",
        "A Deny of the trust policy applies to the token.",
        "A statement with the effect Deny comes before every Allow, whatever the other statements say.",
        "request a token that the Deny does not name; if the token may assume the role, change the conditions of the "
        "Deny so that they name other tokens only",
    ),
    Entry(
        "IDS-439",
        "A signature was used twice.",
        "A gateway or proxy repeated a signed request. The next attempt has a new signature.",
        "let no gateway or proxy repeat POST requests; the sidecar tries again by itself",
        effect="transient",
        seen=("SignatureNonceUsed",),
    ),
    Entry(
        "IDS-440",
        "A parameter of the request is missing.",
        "A key of the configuration is empty, or a gateway removed a part of the request.",
        "set the key that stands for the parameter of the server's words, and let no gateway change the request",
        seen=("Missing*",),
    ),
    Entry(
        "IDS-441",
        "The security token of the signing session is missing or another one.",
        "A temporary AccessKey (STS.…) is used without its security token, or with the token of another session.",
        "set the security token that was issued with the AccessKey, such as ALIBABA_CLOUD_SECURITY_TOKEN, or use the "
        "AccessKey of a RAM user without one",
        seen=("MissingSecurityToken", "InvalidSecurityToken.Malformed", "InvalidSecurityToken.MismatchWithAccessKey"),
    ),
    Entry(
        "IDS-442",
        "A parameter of the request is not valid.",
        "A value of the configuration is outside what the API accepts.",
        "correct the key that stands for the parameter of the server's words",
        seen=("InvalidParameter*",),
    ),
    Entry(
        "IDS-443",
        "The session name is not valid.",
        "roleSessionName has a character that STS does not accept, or is shorter than 2 or longer than 64.",
        "write 2 to 64 letters, digits or .@-_ into roleSessionName, or leave it out",
        seen=("InvalidParameter.RoleSessionName",),
    ),
    Entry(
        "IDS-444",
        "The URL belongs to another API.",
        "The host in endpoints belongs to another product, the URL has a path, or a gateway changed path or method.",
        "write the product's own endpoint without a path into endpoints, such as https://sts.cn-hangzhou.aliyuncs.com, "
        "or leave it out",
        seen=("InvalidAction.NotFound", "InvalidVersion", "UnsupportedHTTPMethod"),
    ),
    Entry(
        "IDS-445",
        "The signature is not complete when it arrives.",
        "A gateway or proxy removes or changes headers, the body or the time of the request.",
        "list the endpoint's host in NO_PROXY, or let the gateway pass headers and body without a change",
        seen=(
            *("IncompleteSignature", "InvalidSignatureMethod", "InvalidContentSha256", "InvalidTimeStamp.Format"),
            "SignatureTypeMismatch",
        ),
    ),
    Entry(
        "IDS-446",
        "The cloud's risk control refuses the account.",
        "The account has unpaid bills, is not verified, or is restricted for its behaviour.",
        "let the account's owner read its messages in the console, and request the end of the restriction there",
        seen=("Forbidden.RiskControl",),
    ),
    Entry(
        "IDS-447",
        "RAM has an object of that name already.",
        "A role, policy, OIDC provider or issuer URL was created before; RAM accepts each only once.",
        "use the object that exists, or choose another name; `idaas-sidecar doctor --read-ram` compares what exists",
        seen=("EntityAlreadyExists*",),
    ),
    Entry(
        "IDS-448",
        "A limit of RAM is reached.",
        "The account has 100 OIDC providers, or an object has as many parts as RAM accepts.",
        "remove what nothing uses, or add the client id to an OIDC provider that exists",
        seen=("LimitExceeded*",),
    ),
    Entry(
        "IDS-449",
        "RAM cannot delete what is still used.",
        "The role or policy has attachments.",
        "remove the attachments first, for example with `aliyun ram DetachPolicyFromRole`",
        seen=("DeleteConflict*",),
    ),
    Entry(
        "IDS-450",
        "RAM does not accept a policy document.",
        "It is no JSON object with Version and Statement, or it names a principal that does not exist.",
        "write the policy that `idaas-sidecar setup` prints",
        seen=("MalformedPolicyDocument*",),
    ),
    Entry(
        "IDS-451",
        "RAM has no such object.",
        "The name is misspelled, of another account, or the object was removed.",
        "correct the name, or create the object with `idaas-sidecar setup`",
        seen=("EntityNotExist*",),
    ),
)
