"""What the configuration file says, as types: the source of the defaults, of the checks and of the JSON Schema.

Durations are seconds unless a name says otherwise (`httpConfiguration` is the IDaaS SDK's and counts milliseconds).
A key that may only be `null` or one value names a feature that this version does not have yet: refusing anything
else is safer than accepting a rule and not enforcing it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

PROFILE_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"

EXPANDED = "expanded"
"""Marks a type whose text may hold `${VAR}` and begin with `~`: one file then serves many pods."""

AuthnMethod = Literal["CLIENT_SECRET_POST", "CLIENT_SECRET_BASIC", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT"]
Algorithm = Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
Milliseconds = Annotated[int, Meta(ge=2000, le=60000)]
Expanded = Annotated[str, Meta(extra={EXPANDED: True})]


class _Strict(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """camelCase keys, immutable, and an unknown key is an error."""


class AuthnConfiguration(_Strict, frozen=True):
    """How the M2M application proves itself to the token endpoint."""

    authn_method: Annotated[AuthnMethod, Meta(description="Client authentication method of the M2M application.")]
    identity_type: Annotated[Literal["CLIENT"], Meta(description="Only machine identities are served.")] = "CLIENT"
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
        Algorithm | None, Meta(description="Signature algorithm of PRIVATE_KEY_JWT; null: chosen by the key.")
    ] = None
    key_id: Annotated[str | None, Meta(description="`kid` of the assertion; null: none is sent, as the SDKs do.")] = (
        None
    )


class HttpConfiguration(_Strict, frozen=True):
    """Limits of the calls to the token endpoint, in milliseconds; really applied."""

    connect_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to connect.")] = 5000
    read_timeout: Annotated[Milliseconds, Meta(description="Milliseconds to the next byte.")] = 10000
    unsafe_ignore_ssl_cert: Annotated[
        bool, Meta(description="Switches TLS verification off. Warned about at start and in metrics.")
    ] = False


class IdaasIdentity(_Strict, tag_field="type", tag="idaas", frozen=True):
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
        Meta(description="`<audience>|<value>`, several separated by spaces, all of one audience."),
    ] = None
    authn_configuration: AuthnConfiguration | None = None
    http_configuration: HttpConfiguration = HttpConfiguration()


class TokenFileIdentity(_Strict, tag_field="type", tag="tokenFile", frozen=True):
    """An OIDC token that somebody else keeps fresh in a file, such as a projected service-account token."""

    token_file: Annotated[Expanded, Meta(description="Path of the file; read at every refresh, white space trimmed.")]


class StsExchange(_Strict, tag_field="type", tag="sts", frozen=True):
    """AssumeRoleWithOIDC."""

    role_arn: Annotated[Expanded, Meta(description="The role to assume: acs:ram::<account>:role/<name>.")]
    oidc_provider_arn: Annotated[
        str, Meta(description="The OIDC provider that trusts the issuer: acs:ram::<account>:oidc-provider/<name>.")
    ]
    region_id: Annotated[str | None, Meta(description="Chooses sts.<region>.aliyuncs.com; null: sts.aliyuncs.com.")] = (
        None
    )
    vpc: Annotated[
        bool,
        Meta(description="Chooses sts-vpc.<region>.aliyuncs.com, which only that region's VPCs resolve."),
    ] = False
    endpoints: Annotated[
        list[str] | None, Meta(description="STS endpoints in order of preference, instead of the region's.")
    ] = None
    duration_seconds: Annotated[
        int,
        Meta(ge=900, le=43200, description="Session length; above the role's MaxSessionDuration STS refuses."),
    ] = 3600
    policy: Annotated[
        dict[str, Any] | str | None,
        Meta(description="Session policy; the session may do what both it and the role allow."),
    ] = None
    role_session_name: Annotated[
        Expanded | None,
        Meta(description="2-64 of A-Z a-z 0-9 . @ - _; null: {namespace}.{pod}, else the host name."),
    ] = None


class Profile(_Strict, frozen=True):
    """One set of credentials: who we are, and what we exchange that for."""

    identity: IdaasIdentity | TokenFileIdentity
    exchange: StsExchange
    chain: Annotated[list[Any], Meta(max_length=0, description="Further roles to assume: not in this version.")] = []
    required: Annotated[bool, Meta(description="Whether start-up and readiness wait for this profile.")] = True
    callers: Annotated[None, Meta(description="Callers by uid and gid: not in this version.")] = None
    on_denied: Annotated[
        Literal["serve"], Meta(description="When STS withdraws the role: `serve` what is held to its expiry.")
    ] = "serve"


class Server(_Strict, frozen=True):
    """Where we listen; port 0 takes a free one."""

    bind: Annotated[str, Meta(description="Credentials: loopback, unless access.unsafeBind.")] = "127.0.0.1:7117"
    ops: Annotated[str | None, Meta(description="Probes, metrics, status; null: none.")] = "127.0.0.1:7118"
    metadata: Annotated[
        str | None, Meta(description="ECS metadata paths alone, e.g. 100.100.100.200:80; null: none.")
    ] = None
    admin_socket: Annotated[None, Meta(description="Admin socket: not in this version.")] = None


class PathToken(_Strict, frozen=True):
    """A secret that becomes the first segment of every credential URL; exactly one of the two."""

    file: Annotated[Expanded | None, Meta(description="File that holds it.")] = None
    env_var_name: Annotated[str | None, Meta(description="Environment variable that holds it.")] = None


class Access(_Strict, frozen=True):
    """Who may have an answer from the credentials and metadata listeners."""

    allowed_hosts: Annotated[
        list[str], Meta(description="Host parts of Host; port ignored. Default: loopback names, 100.100.100.200.")
    ] = field(default_factory=lambda: ["127.0.0.1", "localhost", "[::1]", "100.100.100.200"])
    forwarded: Annotated[
        Literal["refuse", "allow"],
        Meta(description="Requests with X-Forwarded-*, Forwarded, Via, X-Real-IP."),
    ] = "refuse"
    browsers: Annotated[Literal["refuse", "allow"], Meta(description="Requests with Origin or Sec-Fetch-*.")] = "refuse"
    path_token: Annotated[
        PathToken | None,
        Meta(description="Secret first path segment; also taken as X-Aliyun-Parameters-Secrets-Token."),
    ] = None
    metadata_tokens: Annotated[
        Literal["optional", "required"],
        Meta(description="Whether ECS requests must carry a metadata session token."),
    ] = "optional"
    hop_limit: Annotated[int, Meta(ge=1, le=255, description="IP TTL of answers: 1 stops at the first router.")] = 1
    max_connections: Annotated[
        int, Meta(ge=16, le=65536, description="Per listener; when full, the oldest idle one is closed.")
    ] = 2048
    requests_per_second: Annotated[None, Meta(description="Rate limit: not in this version.")] = None
    unsafe_bind: Annotated[bool, Meta(description="Allows credentials on an address that is not loopback.")] = False


class Tls(_Strict, frozen=True):
    """Trust for upstream calls."""

    ca_file: Annotated[
        Expanded | None,
        Meta(description="PEM bundle instead of the system's; null: $SSL_CERT_FILE, else the system's."),
    ] = None


class Startup(_Strict, frozen=True):
    """When /startupz turns green, and how long we try before leaving with an exit code."""

    gate: Annotated[
        Literal["credentials", "listening", "timeout"],
        Meta(description="`credentials`: every required profile usable, else exit 3 or 4 after timeoutSeconds."),
    ] = "credentials"
    timeout_seconds: Annotated[float, Meta(gt=0, le=3600, description="How long `credentials` and `timeout` wait.")] = (
        60.0
    )


class Shutdown(_Strict, frozen=True):
    """How we leave."""

    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Answering goes on for so long after SIGTERM; a second SIGTERM ends it.",
        ),
    ] = 25.0


class Refresh(_Strict, frozen=True):
    """The pace of refreshes; the lead itself follows from the session's length (app/schedule.py)."""

    jitter: Annotated[
        float, Meta(ge=0, le=0.2, description="Share of the session by which a refresh may be earlier.")
    ] = 0.1
    min_retry_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Longest first pause; it doubles, and each is drawn at random below it.")
    ] = 1.0
    max_retry_seconds: Annotated[
        float, Meta(ge=1, le=3600, description="Where that doubling ends, while the cloud does not answer.")
    ] = 60.0
    permanent_retry_seconds: Annotated[
        float,
        Meta(ge=10, le=86400, description="Longest pause after a definite no; drawn from its upper half."),
    ] = 300.0


class Cache(_Strict, frozen=True):
    """Last good credentials across restarts: not in this version."""

    directory: Annotated[None, Meta(description="Not in this version.")] = None
    key_file: Annotated[None, Meta(description="Not in this version.")] = None


class Logging(_Strict, frozen=True):
    """Logs go to stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least of what is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"], Meta(description="`auto`: text on a terminal, JSON lines elsewhere.")
    ] = "auto"


class Telemetry(_Strict, frozen=True):
    """Nothing to set in this version: metrics are served on the ops listener and sent nowhere."""


class Settings(_Strict, frozen=True):
    """The whole file."""

    config_version: Annotated[str, Meta(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$", description="Format of this file: 1.0.")]
    profiles: Annotated[
        dict[str, Profile],
        Meta(
            min_length=1,
            description="Sets of credentials by name; clients that name none get `default`.",
            extra_json_schema={"propertyNames": {"pattern": PROFILE_NAME}},
        ),
    ]
    schema: Annotated[str | None, Meta(description="For editors; not read.")] = field(default=None, name="$schema")
    server: Server = Server()
    access: Access = field(default_factory=Access)
    tls: Tls = Tls()
    proxy: Annotated[
        str | None,
        Meta(description="http(s) proxy for upstream calls; null: HTTPS_PROXY, HTTP_PROXY and NO_PROXY."),
    ] = None
    startup: Startup = Startup()
    shutdown: Shutdown = Shutdown()
    refresh: Refresh = Refresh()
    cache: Cache = Cache()
    logging: Logging = Logging()
    telemetry: Telemetry = Telemetry()
