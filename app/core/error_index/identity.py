"""Errors of tokens and of the servers that issue them: IDaaS, Entra ID, Okta, Keycloak and other OAuth servers.

OAuth codes come from RFC 6749 5.2 and RFC 8693 2.2.2. Entra ID names its cause in the description, as `AADSTS` and a
number; Okta and Keycloak write sentences. The cures become part of messages, so they are not complete sentences.
"""

from __future__ import annotations

from .entry import Entry

IDENTITY = (
    Entry(
        "IDS-300",
        "The server refused with a code that this index does not have.",
        "The message names the server's code, its words and the request id.",
        "run `idaas-sidecar doctor`; if it finds no cause, give the server's support the code and request id",
    ),
    Entry(
        "IDS-301",
        "The token endpoint does not accept the client.",
        "The client id, secret, key or assertion is wrong or has expired, or a clock is off.",
        "copy clientId and a current secret from the application's page into clientId and the variable or file that "
        "the method names, or register the key there, and set this machine's clock",
        seen=("invalid_client",),
        words=(
            *("AADSTS7000222", "AADSTS7000215", "AADSTS700027", "Invalid client or Invalid client credentials"),
            *("Invalid client secret", "Invalid JWT Signature"),
        ),
    ),
    Entry(
        "IDS-302",
        "The scope is not valid.",
        "The scope is misspelled, or the application has no permission in it.",
        "write a scope that the server has into scope, and grant it to the application",
        seen=("invalid_scope",),
    ),
    Entry(
        "IDS-303",
        "The scope names a permission that does not exist.",
        "The resource server has no permission of that name.",
        "copy the scope from the permissions of the resource server",
        seen=("scope_not_found",),
    ),
    Entry(
        "IDS-304",
        "The application is not authorised.",
        "It has no grant for the resource server or scope, or a policy of the server denies it.",
        "grant the application access to the resource server and scope, or change the server's policy that denies it",
        seen=("access_denied", "E0000006"),
        words=('You need to create a "client-grant"',),
    ),
    Entry(
        "IDS-305",
        "The subject token was not accepted.",
        "The platform's token is of another issuer or audience, or has expired.",
        "correct issuer and audience of the trusted platform on the server, or let the platform write a current token",
        seen=("invalid_grant",),
    ),
    Entry(
        "IDS-306",
        "The client may not use this grant or authentication method.",
        "The application is not a machine-to-machine client, or another method is set for it.",
        "enable client credentials for the application, and select the authentication method that the identity uses",
        seen=("unauthorized_client",),
    ),
    Entry(
        "IDS-307",
        "The server does not know the grant.",
        "The URL is of another endpoint, or the server has client credentials or token exchange switched off.",
        "write the token endpoint's URL into tokenEndpoint, or enable client credentials or token exchange on the "
        "server",
        seen=("unsupported_grant_type",),
    ),
    Entry(
        "IDS-308",
        "The server does not know the audience or resource.",
        "audience or resource is misspelled.",
        "write an audience or resource that the server has into audience or resource of the identity",
        seen=("invalid_target",),
        words=("Service not enabled within domain",),
    ),
    Entry(
        "IDS-309",
        "The IDaaS edition does not include the feature.",
        "The instance's licence does not cover it.",
        "upgrade the edition of the IDaaS instance, or use an authentication method that its edition includes",
        seen=("operation_denied_by_license",),
    ),
    Entry(
        "IDS-310",
        "The authorisation is pending.",
        "The server has not decided yet.",
        "approve the request on the server; the sidecar repeats it",
        effect="transient",
        seen=("authorization_pending",),
    ),
    Entry(
        "IDS-311",
        "The application may not use the resource server.",
        "IDaaS has no grant of the application on the resource server.",
        "grant the application access to the resource server in IDaaS",
        words=("has not been authorized by resource server",),
    ),
    Entry(
        "IDS-312",
        "The request proves the client's identity twice.",
        "A secret in the body and a header or assertion are sent together.",
        "keep one authentication method in the identity, and let no gateway add an Authorization header",
        words=("multiple client credentials",),
    ),
    Entry(
        "IDS-313",
        "The server requires an audience.",
        "The server issues tokens only for a named API.",
        "set audience of the identity to the API's identifier, or a default audience in the tenant's settings",
        words=("Audience is required", "No audience parameter was provided"),
    ),
    Entry(
        "IDS-314",
        "Entra ID does not know the application.",
        "The client id is wrong, or the application is in another tenant than the URL names.",
        "write the application's id into clientId and its tenant's id into tokenEndpoint",
        words=("AADSTS700016", "AADSTS900023", "AADSTS90002:", "AADSTS70001:"),
    ),
    Entry(
        "IDS-315",
        "Entra ID does not accept the federated credential.",
        "Subject, issuer or audience of the assertion equals no federated credential of the application.",
        "make issuer, subject and audience of the application's federated credential equal the assertion's claims",
        words=("AADSTS700211", "AADSTS700212", "AADSTS700213", "AADSTS70021:"),
    ),
    Entry(
        "IDS-316",
        "Entra ID does not accept the scope or resource.",
        "With client credentials the scope reads <application id URI>/.default, and the resource must exist.",
        "write the scope as <application id URI>/.default, and check that the resource is in this tenant",
        words=("AADSTS1002012", "AADSTS500011", "AADSTS70011:"),
    ),
    Entry(
        "IDS-317",
        "Keycloak does not know the realm.",
        "The realm in the URL is misspelled.",
        "write the realm's name into issuer or tokenEndpoint, as in https://HOST/realms/<realm>",
        words=("Realm does not exist",),
    ),
    Entry(
        "IDS-318",
        "Keycloak has client credentials switched off for the client.",
        "The client has no service account.",
        "switch on `Client authentication` and `Service accounts roles` of the client in Keycloak",
        words=("not enabled to retrieve service account",),
    ),
    Entry(
        "IDS-319",
        "Okta does not accept the token.",
        "The API was called with a token that Okta does not accept.",
        "write the URL of an authorization server into tokenEndpoint, as in https://HOST/oauth2/<id>/v1/token",
        seen=("E0000011",),
    ),
    Entry(
        "IDS-320",
        "The token endpoint's answer has no usable token.",
        "tokenUse names another token than the server returns, or the token has no lifetime.",
        "set tokenUse to the token that the server returns, and let the server state expires_in",
    ),
    Entry(
        "IDS-321",
        "The token is not a JWT.",
        "The server issues opaque tokens, or the file has other content.",
        "switch the resource server to JWT access tokens, or name the right file",
    ),
    Entry(
        "IDS-322",
        "The token has expired.",
        "The program that writes the token file has stopped, or this machine's clock is off.",
        "start the program that writes the token, or synchronise the clock with an NTP client such as chrony",
    ),
    Entry(
        "IDS-323",
        "The issuer's discovery document contradicts the configuration.",
        "The document names another issuer, no token endpoint, or one that is not https.",
        "write the issuer exactly as the document names it, or set tokenEndpoint",
    ),
    Entry(
        "IDS-324",
        "The identity's command failed.",
        "It ended with an error, did not end in time, or printed something other than a token.",
        "run the command by hand as the sidecar's user, and correct it until it prints one token and exits with 0",
    ),
    Entry(
        "IDS-325",
        "There is no AccessKey for the plugin identity.",
        "Neither the environment, nor aliyun-cli's file, nor the metadata service has one.",
        "set ALIBABA_CLOUD_ACCESS_KEY_ID and its secret, or give the instance a RAM role",
    ),
    Entry(
        "IDS-326",
        "The metadata service cannot be used.",
        "The address is this machine's own, or the answer has no credentials.",
        "give the instance a RAM role, or use another authnMethod",
    ),
    Entry(
        "IDS-327",
        "The caller may not obtain a token from IDaaS's OpenAPI.",
        "The AccessKey or role lacks eiam:GenerateOauthToken.",
        "grant the AccessKey's user or role the action eiam:GenerateOauthToken on the application",
        effect="withdrawn",
    ),
    Entry(
        "IDS-328",
        "IDaaS does not know the application.",
        "clientId or idaasInstanceId is wrong.",
        "write the application's id into clientId, and that of its instance into idaasInstanceId",
        seen=("EntityNotExist.Application", "EntityNotExist.Instance"),
    ),
    Entry(
        "IDS-329",
        "The token endpoint's URL is wrong.",
        "The server answers 404, or another API of Alibaba Cloud answers.",
        "copy the token endpoint's URL from the application's page into tokenEndpoint",
    ),
    Entry(
        "IDS-330",
        "The token's audience differs from the configuration.",
        "The scope or audience belongs to another resource server.",
        "use the scope of the resource server whose audience the OIDC provider in RAM has as a client id",
    ),
    Entry(
        "IDS-331",
        "The token's issuer differs from the configuration.",
        "A custom domain, a trailing slash or another instance.",
        "write issuer exactly as the token names it, and register the same URL in RAM, if tokens of that issuer may "
        "assume the role",
    ),
    Entry(
        "IDS-332",
        "The token's subject differs from the client id.",
        "The resource server has a custom subject, or the token is of another application.",
        "use the application that the role trusts; if the token's subject is right, name it in oidc:sub of the trust "
        "policy",
    ),
    Entry(
        "IDS-333",
        "The token lives too short.",
        "It ends before the sidecar can exchange it.",
        "raise the lifetime of access tokens on the server",
    ),
    Entry(
        "IDS-334",
        "The token request is incomplete or malformed.",
        "A parameter that the server needs is missing, repeated or not possible, or a gateway changed the request.",
        "set the parameter that the server's words name, such as scope or audience of the identity, and let no gateway "
        "change the request",
        seen=("invalid_request",),
        words=("AADSTS900144", "AADSTS9002313"),
    ),
    Entry(
        "IDS-335",
        "Entra ID has no consent for the application's permission.",
        "An administrator has not consented to the permissions that the application requests of the resource.",
        "grant admin consent on the page `API permissions` of the application in Entra ID",
        words=("AADSTS65001",),
    ),
    Entry(
        "IDS-336",
        "The application has no service principal in the tenant.",
        "It is registered in another tenant, or its enterprise application was deleted.",
        "create the service principal in the tenant of tokenEndpoint with `az ad sp create --id <client id>`",
        words=("AADSTS7000229",),
    ),
    Entry(
        "IDS-337",
        "The application has no role of the resource in Entra ID.",
        "The resource requires an assignment, and no app role of it is assigned to the application.",
        "add an app role of the resource to the application in Entra ID, or set `Assignment required` of the resource "
        "to No",
        words=("AADSTS501051",),
    ),
    Entry(
        "IDS-338",
        "The application is disabled in Entra ID.",
        "An administrator or a policy of the tenant disabled its service principal.",
        "set `Enabled for users to sign-in` of the enterprise application to Yes in Entra ID",
        words=("AADSTS7000112",),
    ),
    Entry(
        "IDS-339",
        "A policy of Conditional Access blocks the application.",
        "The policy includes workload identities, and this machine's address or risk is outside what it allows.",
        "add this machine's address to the named locations of the policy, or exclude the application from it",
        words=("AADSTS53003",),
    ),
    Entry(
        "IDS-340",
        "The assertion is not within its time.",
        "This machine's clock or the platform's is off, or the assertion was written too long ago.",
        "synchronise this machine's clock with an NTP client such as chrony, and let the platform write a current "
        "token",
        effect="renew_token",
        words=("AADSTS700024", "AADSTS500133", "Token must be a short-lived token"),
    ),
    Entry(
        "IDS-341",
        "Entra ID cannot use the assertion.",
        "Its issuer, audience, subject or form is another than Entra ID expects.",
        "make iss and sub of the assertion equal the federated credential, and its aud api://AzureADTokenExchange, "
        "or register the certificate that signs it",
        words=("AADSTS50027:",),
    ),
    Entry(
        "IDS-342",
        "The token request has no client credentials.",
        "The method of the identity sends no secret, certificate or assertion, or a gateway removed them.",
        "choose the method in the identity that the application is registered with, and let no gateway remove the "
        "Authorization header",
        words=("AADSTS7000218", "No client authentication was found"),
    ),
    Entry(
        "IDS-343",
        "Okta has nothing at the URL.",
        "The id of the authorization server is misspelled or of another organization, or the path is wrong.",
        "write the issuer that Okta shows for the authorization server, as in https://HOST/oauth2/<id>",
        seen=("E0000007", "E0000022"),
    ),
    Entry(
        "IDS-344",
        "No access policy of Okta's authorization server allows the client.",
        "The server has no policy for the client, or no rule of it allows client credentials with the scope.",
        "add an access policy that includes the client, with a rule for client credentials and the scope, to the "
        "authorization server in Okta",
        words=("Policy evaluation failed for this request",),
    ),
    Entry(
        "IDS-345",
        "Okta's organization has no API Access Management.",
        "Authorization servers below /oauth2/<id>, also `default`, are a feature of their own.",
        "activate API Access Management for the organization in Okta, or use another identity provider",
        seen=("E0000015",),
    ),
    Entry(
        "IDS-346",
        "The issuer's discovery document cannot be renewed; the known token endpoint stays in use.",
        "The document is gone, a gateway answers in its place, or it names another issuer.",
        "make the document readable again, or set tokenEndpoint; after a restart no endpoint would be known",
    ),
    Entry(
        "IDS-347",
        "The token shows a secret of its request.",
        "The server wrote the client's secret or proof into iss, aud, sub or the header of the token.",
        "let the server issue tokens with other claims, and replace the secret",
    ),
)
