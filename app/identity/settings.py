"""The `identity` of a profile as types: who we are to the issuer of the token."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ..core.base import Connection, Expanded, Strict
from ..core.model import TokenUse

AuthnMethod = Literal[
    "CLIENT_SECRET_POST",
    "CLIENT_SECRET_BASIC",
    "CLIENT_SECRET_JWT",
    "PRIVATE_KEY_JWT",
    "PKCS7",
    "OIDC",
    "PCA",
    "PLUGIN",
]
ClientAuthMethod = Literal[
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth"
]
Algorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
DeployEnvironment = Literal[
    "COMMON",
    "COMPUTER",
    "KUBERNETES",
    "ALIBABA_CLOUD_ECS",
    "ALIBABA_CLOUD_ECI",
    "ALIBABA_CLOUD_ACK",
    "AWS_EC2",
    "AWS_ESK",
    "GOOGLE_VM",
    "HUAWEI_CLOUD_ECS",
    "CUSTOM",
]
Milliseconds = Annotated[int, Meta(ge=2000, le=60000)]

ECS_METADATA = "http://100.100.100.200"
"""Where every ECS instance finds its metadata service."""

ACCESS: TokenUse = "access_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name (RFC 8693 section 3)


class Keys(Strict, frozen=True):
    """Where a client's secret or private key is: names of variables and paths of files, never the thing itself."""

    client_secret_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the client secret; read at every token request."),
    ] = None
    client_secret_file: Annotated[
        Expanded | None,
        Meta(description="File that holds the client secret; read at every token request, white space trimmed."),
    ] = None
    private_key_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the private key: PEM, or bare base64 DER."),
    ] = None
    private_key_file: Annotated[
        Expanded | None, Meta(description="File that holds the private key; read at every token request.")
    ] = None
    private_key_password_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the password of an encrypted private key."),
    ] = None
    algorithm: Annotated[
        Algorithm | None, Meta(description="Signature algorithm of the assertion; null: chosen by the key.")
    ] = None
    key_id: Annotated[str | None, Meta(description="`kid` of the assertion; null: none is sent, as the SDKs do.")] = (
        None
    )


class AuthnConfiguration(Keys, frozen=True, kw_only=True):
    """How the M2M application proves itself to IDaaS."""

    authn_method: Annotated[AuthnMethod, Meta(description="Client authentication method of the M2M application.")]
    identity_type: Annotated[Literal["CLIENT"], Meta(description="Only machine identities are served.")] = "CLIENT"
    application_federated_credential_name: Annotated[
        str | None,
        Meta(description="PKCS7, OIDC, PCA: name of the application's federated credential in the console."),
    ] = None
    client_deploy_environment: Annotated[
        DeployEnvironment | None,
        Meta(description="The SDK's word for where we run: ALIBABA_CLOUD_ECS with PKCS7, KUBERNETES with OIDC."),
    ] = None
    oidc_token_file_path: Annotated[
        Expanded | None,
        Meta(
            description="OIDC: file with the token; else the file that oidcTokenFilePathEnvVarName names, else "
            "Kubernetes' own. Read at every token request, white space trimmed."
        ),
    ] = None
    oidc_token_file_path_env_var_name: Annotated[
        str | None, Meta(description="OIDC: environment variable that holds the path of that file.")
    ] = None
    client_x509_certificate: Annotated[
        str | None, Meta(description="PCA: the client's certificate, PEM text (it is no secret).")
    ] = None
    client_x509_certificate_file: Annotated[
        Expanded | None, Meta(description="PCA: file with it instead; read at every token request.")
    ] = None
    x509_cert_chains: Annotated[
        str | None, Meta(description="PCA: the intermediate certificates, PEM blocks one after the other.")
    ] = None
    x509_cert_chains_file: Annotated[
        Expanded | None, Meta(description="PCA: file with them instead; read at every token request.")
    ] = None
    plugin_name: Annotated[
        str | None,
        Meta(description="PLUGIN: alibabacloudPluginCredentialProvider, the one there is; signs with an AccessKey."),
    ] = None
    ecs_metadata_endpoint: Annotated[
        str, Meta(description="PKCS7, PLUGIN: the ECS metadata service; a loopback URL for an emulated one.")
    ] = ECS_METADATA


class ClientAuthentication(Keys, frozen=True, kw_only=True):
    """How an OAuth client proves itself (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2.1)."""

    method: Annotated[
        ClientAuthMethod,
        Meta(description="The client's registered method; tls_client_auth needs connection.certificateFile."),
    ] = "client_secret_basic"
    assertion_audience: Annotated[
        Literal["tokenEndpoint", "issuer"],
        Meta(description="`aud` of a JWT assertion: what the provider wants there."),
    ] = "tokenEndpoint"


class HttpConfiguration(Strict, frozen=True):
    """Limits of the calls to the token endpoint, in milliseconds; really applied."""

    connect_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to connect.")] = 5000
    read_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to the next byte.")] = 10000
    unsafe_ignore_ssl_cert: Annotated[
        bool, Meta(description="Switches TLS verification off. Warned about at start and in metrics.")
    ] = False


class TokenExchange(Strict, frozen=True):
    """RFC 8693: the token of another identity is exchanged at IDaaS for the application's own."""

    subject: Annotated[
        IdaasIdentity | OidcClientIdentity | TokenFileIdentity | CommandIdentity,
        Meta(description="Where the subject token comes from: any identity without a tokenExchange of its own."),
    ]
    subject_token_type: Annotated[str, Meta(description="What kind of token the subject's is.")] = ACCESS_TOKEN
    requested_token_type: Annotated[str | None, Meta(description="What kind is wanted; null: not said.")] = ACCESS_TOKEN


class IdaasIdentity(Strict, tag_field="type", tag="idaas", frozen=True):
    """An M2M application of IDaaS: the keys of the IDaaS SDK's client-config.json, or the path of such a file."""

    client_config_path: Annotated[
        Expanded | None,
        Meta(description="The IDaaS SDK's own file instead of the keys below; read as the SDK reads it."),
    ] = None
    idaas_instance_id: Annotated[str | None, Meta(description="Id of the IDaaS instance, `idaas_…`.")] = None
    client_id: Annotated[str | None, Meta(description="Id of the M2M application, `app_…`.")] = None
    issuer: Annotated[str | None, Meta(description="Compared with the token's `iss`; a mismatch is warned about.")] = (
        None
    )
    token_endpoint: Annotated[str | None, Meta(description="URL that tokens are asked of, https://…/token.")] = None
    scope: Annotated[
        str | None,
        Meta(
            description="`<audience>|<value>`, several separated by spaces, all of one audience. "
            "Required with sts; with developerApi the API's own scope is the default."
        ),
    ] = None
    open_api_endpoint: Annotated[
        str | None, Meta(description="PLUGIN: host of the EIAM OpenAPI, such as eiam.cn-hangzhou.aliyuncs.com.")
    ] = None
    developer_api_endpoint: Annotated[
        str | None, Meta(description="developerApi: host of the API, where the exchange names neither it nor a region.")
    ] = None
    authn_configuration: AuthnConfiguration | None = None
    http_configuration: HttpConfiguration = HttpConfiguration()
    token_exchange: TokenExchange | None = None
    connection: Connection = Connection()


class OidcClientIdentity(Strict, tag_field="type", tag="oidcClient", frozen=True, kw_only=True):
    """A client of any OpenID provider (Okta and the like): client credentials."""

    issuer: Annotated[
        str | None, Meta(description="The provider's issuer URL; its discovery document names the token endpoint.")
    ] = None
    token_endpoint: Annotated[str | None, Meta(description="The token endpoint, if there is no discovery.")] = None
    client_id: Annotated[str, Meta(min_length=1, description="Id of the client.")]
    client_authentication: ClientAuthentication = ClientAuthentication()
    scope: Annotated[str | None, Meta(description="Sent as it is; null: none.")] = None
    audience: Annotated[str | None, Meta(description="`audience` parameter, where the provider wants one.")] = None
    resource: Annotated[str | None, Meta(description="`resource` parameter (RFC 8707), a URI.")] = None
    token_use: Annotated[TokenUse, Meta(description="Which token of the answer STS gets; it must be a JWT.")] = ACCESS
    http_configuration: HttpConfiguration = HttpConfiguration()
    connection: Connection = Connection()


class TokenFileIdentity(Strict, tag_field="type", tag="tokenFile", frozen=True):
    """An OIDC token that somebody else keeps fresh in a file, such as a projected service-account token."""

    token_file: Annotated[Expanded, Meta(description="Path of the file; read at every refresh, white space trimmed.")]


class CommandIdentity(Strict, tag_field="type", tag="command", frozen=True):
    """An executable that prints a token, for everything we did not think of."""

    command: Annotated[
        tuple[Expanded, ...],
        Meta(
            min_length=1,
            description="Absolute path of the executable, then its arguments; no shell. It prints an OAuth token "
            "response: access_token or id_token, expires_in or expires_at unless the JWT has exp; or error.",
        ),
    ]
    timeout_seconds: Annotated[float, Meta(gt=0, le=120, description="Then it is killed, with its children.")] = 10.0
    token_use: Annotated[TokenUse, Meta(description="Which member of what it prints is the token.")] = ACCESS


Identity = IdaasIdentity | OidcClientIdentity | TokenFileIdentity | CommandIdentity


def instance_of(identity: Identity) -> tuple[str | None, str | None]:
    """Return the IDaaS instance's id and its DeveloperAPI endpoint; None for what the identity does not say."""
    if not isinstance(identity, IdaasIdentity):
        return None, None
    return identity.idaas_instance_id, identity.developer_api_endpoint
