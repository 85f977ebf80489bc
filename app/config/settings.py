"""The configuration file as types: the source of the defaults, the checks and the JSON Schema.

Durations are seconds unless a name says otherwise (`httpConfiguration` is the IDaaS SDK's and counts milliseconds).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from ..core.base import DEFAULT, HIDDEN, Expanded, OtherFile, Strict
from ..exchange.settings import ChainedRole, ExchangeSettings
from ..identity.identities import Identity

VALUE_NAME = r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9._:-]+)*$"
PROFILE_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
ALLOWED_HOSTS = ("127.0.0.1", "localhost", "[::1]", "100.100.100.200")


Id = Annotated[int, Meta(ge=0, le=4294967294)]


class CallerRule(Strict, frozen=True):
    """The users and groups whose processes may get the credentials, as the kernel reports them. One match is enough."""

    uids: Annotated[tuple[Id, ...], Meta(description="User ids.")] = ()
    gids: Annotated[
        tuple[Id, ...],
        Meta(description="Group ids, primary or not. They need a visible calling process (SECURITY.md)."),
    ] = ()


class CredentialFile(Strict, frozen=True):
    """A file for programs that read credentials only from files. Every refresh replaces the whole file."""

    path: Annotated[Expanded, Meta(description="Absolute path of the file. Its directory must exist.")]
    format: Annotated[
        Literal["aliyun", "json", "uri", "external", "env", "aws"],
        Meta(description="Format, as `get --format` prints it. `aliyun` is the format of `~/.aliyun/config.json`."),
    ] = "aliyun"
    mode: Annotated[
        Literal["0600", "0400", "0640", "0440"],
        Meta(description="Permissions of the file: for the owner, or for the owner and the group."),
    ] = "0600"


class Profile(Strict, frozen=True):
    """One set of credentials: an identity, and the exchange of its token for credentials."""

    identity: Annotated[Identity, Meta(description="How the sidecar obtains an OIDC token.", extra={DEFAULT: "idaas"})]
    exchange: Annotated[
        ExchangeSettings,
        Meta(description="How the token is exchanged for credentials.", extra={DEFAULT: "sts"}),
    ]
    chain: Annotated[
        tuple[ChainedRole, ...],
        Meta(max_length=8, description="Further roles. Each is assumed with the credentials of the previous one."),
    ] = ()
    files: Annotated[
        tuple[CredentialFile, ...],
        Meta(max_length=8, description="Credential files that are kept up to date, in addition to the listeners."),
    ] = ()
    required: Annotated[bool, Meta(description="Whether start-up and readiness wait for this profile.")] = True
    callers: Annotated[
        CallerRule | None,
        Meta(description="Whose processes may get the credentials. null: every process that reaches the listener."),
    ] = None
    on_denied: Annotated[
        Literal["serve", "stop"],
        Meta(
            description="When the role, or its trust in this workload, is withdrawn: `serve` the held session until it "
            "expires, or `stop` at once."
        ),
    ] = "serve"


class Server(Strict, frozen=True):
    """The listening addresses. Port 0 selects a free port."""

    bind: Annotated[
        str, Meta(description="Credentials listener. A loopback address, unless `access.unsafeBind` is true.")
    ] = "127.0.0.1:7117"
    ops: Annotated[
        str | None,
        Meta(
            description="Operations listener: probes, metrics, status. `[::]:7118` is every address of "
            "IPv4 and IPv6. null: no such listener."
        ),
    ] = "127.0.0.1:7118"
    metadata: Annotated[
        str | None,
        Meta(description="Metadata listener: only ECS metadata paths, e.g. `100.100.100.200:80`. null: none."),
    ] = None
    admin_socket: Annotated[
        Expanded | None,
        Meta(
            description="Unix socket for `refresh`, `purge` and `log-level`: an absolute path, or `@name` for an "
            "abstract socket. null: none."
        ),
    ] = None


class Metadata(Strict, frozen=True):
    """Further responses of the ECS metadata paths, for programs that need to know where they run."""

    values: Annotated[
        dict[str, Expanded],
        Meta(
            description="Values by name below `/latest/meta-data/`, e.g. `region-id` or `vpc-id`. Other names get 404.",
            extra_json_schema={"propertyNames": {"pattern": VALUE_NAME}},
        ),
    ] = field(default_factory=dict)
    identity_document: Annotated[
        bool,
        Meta(description="Serve these values as `/latest/dynamic/instance-identity/document`, unsigned."),
    ] = False


class PathToken(Strict, frozen=True):
    """Where the path token is: 16 or more of A-Z a-z 0-9 - _. Exactly one key is required."""

    file: Annotated[Expanded | None, Meta(description="File that holds the path token.")] = None
    env_var_name: Annotated[str | None, Meta(description="Environment variable that holds the path token.")] = None


class Access(Strict, frozen=True):
    """The access rules of the credentials and metadata listeners."""

    allowed_hosts: Annotated[
        list[str],
        Meta(
            description="Hosts that are accepted in the Host header, IPv6 in every spelling. The port is ignored.",
            extra_json_schema={"default": list(ALLOWED_HOSTS)},
        ),
    ] = field(default_factory=lambda: list(ALLOWED_HOSTS))
    forwarded: Annotated[
        Literal["refuse", "allow"],
        Meta(description="Requests with `X-Forwarded-*`, `Forwarded`, `Via` or `X-Real-IP`."),
    ] = "refuse"
    browsers: Annotated[
        Literal["refuse", "allow"], Meta(description="Requests with headers that only browsers send.")
    ] = "refuse"
    path_token: Annotated[
        PathToken | Literal["generate"] | None,
        Meta(
            description="Secret first path segment of every credential URL. It is also accepted in the header "
            "`X-Aliyun-Parameters-Secrets-Token`. `generate`: a random one is created at start, in a file of mode 0600 "
            "that `env` reads. null: none.",
            extra={HIDDEN: True},
        ),
    ] = None
    metadata_tokens: Annotated[
        Literal["optional", "required"],
        Meta(description="Whether requests to the ECS paths must have a metadata session token."),
    ] = "optional"
    hop_limit: Annotated[
        int, Meta(ge=1, le=255, description="IP TTL of responses. With 1, no response passes a router.")
    ] = 1
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            le=65536,
            description="Connections per listener. At the limit, the oldest idle one is closed. A memory limit of the "
            "cgroup or of open files lowers it.",
        ),
    ] = 2048
    requests_per_second: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000)] | None,
        Meta(description="Limit per uid of the caller, or per listener where no uid is known. null: no limit."),
    ] = None
    unsafe_bind: Annotated[bool, Meta(description="Allow credentials on an address that other machines can reach.")] = (
        False
    )


class Tls(Strict, frozen=True):
    """Certificates that upstream calls trust."""

    ca_file: Annotated[
        OtherFile | None,
        Meta(
            description="CA certificates: PEM or DER, also as base64. null: the file in `SSL_CERT_FILE`, else the "
            "system's bundle."
        ),
    ] = None


class Startup(Strict, frozen=True):
    """When `/startupz` returns 200, and how long the sidecar tries before it exits."""

    gate: Annotated[
        Literal["credentials", "listening", "timeout"],
        Meta(
            description="`credentials`: when every required profile has credentials; else exit 2, 3 or 4 after "
            "`timeoutSeconds`. `listening`: at once. `timeout`: as `credentials`, but after `timeoutSeconds` at the "
            "latest, and without an exit."
        ),
    ] = "credentials"
    timeout_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds that a start waits for files and addresses, and after that the most that "
            "`credentials` and `timeout` wait.",
        ),
    ] = 60.0


class Shutdown(Strict, frozen=True):
    """How the sidecar stops."""

    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Seconds for which requests are answered after SIGTERM. A second SIGTERM ends them.",
        ),
    ] = 25.0


class Refresh(Strict, frozen=True):
    """The pace of refreshes. How early a session is refreshed follows from its length (app/core/schedule.py)."""

    jitter: Annotated[
        float, Meta(ge=0, le=0.2, description="Share of the session length by which a refresh may be earlier.")
    ] = 0.1
    min_retry_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="Longest first pause while there is nothing to serve. Pauses double; each is drawn from its "
            "upper half.",
        ),
    ] = 1.0
    max_retry_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Longest pause while the cloud is not available; at most 40 while there is nothing to serve.",
        ),
    ] = 240.0
    permanent_retry_seconds: Annotated[
        float,
        Meta(
            ge=10,
            le=86400,
            description="Longest pause after a definite refusal, drawn from its upper half. It is at least "
            "`maxRetrySeconds`.",
        ),
    ] = 300.0


class Cache(Strict, frozen=True):
    """The encrypted credential cache, to survive a restart during an outage of the cloud."""

    directory: Annotated[
        Expanded | None,
        Meta(description="Absolute path, best on a memory-backed volume. It needs one of the keys. null: no cache."),
    ] = None
    key_file: Annotated[
        Expanded | None,
        Meta(description="File that holds the key: 32 or more characters. It must not be in the directory."),
    ] = None
    key_env_var_name: Annotated[str | None, Meta(description="Environment variable that holds the key.")] = None


class Logging(Strict, frozen=True):
    """The log on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Lowest level that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"], Meta(description="`auto`: text on a terminal, JSON lines elsewhere.")
    ] = "auto"


class Telemetry(Strict, frozen=True):
    """The data that the sidecar sends to a collector. The operations listener serves metrics; they are sent nowhere."""

    traces_endpoint: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None,
        Meta(
            description="URL of an OTLP collector over HTTP, which gets a span for each refresh, such as "
            "`http://127.0.0.1:4318/v1/traces`. Needs the extra `otel`."
        ),
    ] = None


class Settings(Strict, frozen=True):
    """The configuration file."""

    config_version: Annotated[
        str, Meta(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$", description="Version of the file format: `1.0`.")
    ]
    profiles: Annotated[
        dict[str, Profile],
        Meta(
            min_length=1,
            description="Sets of credentials by name. Clients that name no profile get `default`.",
            extra_json_schema={"propertyNames": {"pattern": PROFILE_NAME}},
        ),
    ]
    schema: Annotated[str | None, Meta(description="For editors. The sidecar does not read it.")] = field(
        default=None, name="$schema"
    )
    server: Server = Server()
    metadata: Metadata = field(default_factory=Metadata)
    access: Access = field(default_factory=Access)
    tls: Tls = Tls()
    proxy: Annotated[
        str | None,
        Meta(description="HTTP proxy for upstream calls. null: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`."),
    ] = None
    startup: Startup = Startup()
    shutdown: Shutdown = Shutdown()
    refresh: Refresh = Refresh()
    cache: Cache = Cache()
    logging: Logging = Logging()
    telemetry: Telemetry = Telemetry()
