"""The configuration file as types: the source of the defaults, the checks and the JSON Schema.

Durations are seconds unless a name says otherwise (`httpConfiguration` is the IDaaS SDK's and counts milliseconds).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from ..core.base import DEFAULT, HIDDEN, Expanded, OtherFile, Strict
from ..exchange.settings import ChainedRole, ExchangeSettings
from ..identity.identities import Identity

VALUE_NAME = r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9._-]+)*$"
PROFILE_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


Id = Annotated[int, Meta(ge=0, le=4294967294)]


class CallerRule(Strict, frozen=True):
    """The users and groups whose processes may have a profile, as the kernel reports them. Either list is enough."""

    uids: Annotated[tuple[Id, ...], Meta(description="User ids.")] = ()
    gids: Annotated[
        tuple[Id, ...],
        Meta(description="Group ids, primary or not; only where the caller's process is visible (SECURITY.md)."),
    ] = ()


class CredentialFile(Strict, frozen=True):
    """A file for a program that reads credentials only from files; replaced as a whole at every refresh."""

    path: Annotated[Expanded, Meta(description="The file; its directory must exist.")]
    format: Annotated[
        Literal["ini", "json", "uri", "external", "env"],
        Meta(description="As `get --format` prints it; `ini` is ~/.alibabacloud/credentials."),
    ] = "ini"
    mode: Annotated[
        Literal["0600", "0400", "0640", "0440"],
        Meta(description="Its permissions: for the owner, or the owner and the group."),
    ] = "0600"


class Profile(Strict, frozen=True):
    """One set of credentials: the identity that is proven, and what its token is exchanged for."""

    identity: Annotated[Identity, Meta(description="How the sidecar proves its identity.", extra={DEFAULT: "idaas"})]
    exchange: Annotated[ExchangeSettings, Meta(description="What the token is exchanged for.", extra={DEFAULT: "sts"})]
    chain: Annotated[
        tuple[ChainedRole, ...],
        Meta(max_length=8, description="Further roles, each assumed with the credentials of the previous one."),
    ] = ()
    files: Annotated[
        tuple[CredentialFile, ...],
        Meta(max_length=8, description="Files that are kept up to date, in addition to the listeners."),
    ] = ()
    required: Annotated[bool, Meta(description="Whether start-up and readiness wait for this profile.")] = True
    callers: Annotated[
        CallerRule | None,
        Meta(description="Whose processes may have it; null: every process that reaches the listener."),
    ] = None
    on_denied: Annotated[
        Literal["serve", "stop"],
        Meta(
            description="When the role, or the trust in this workload, is withdrawn: `serve` the held session to its "
            "expiry, or `stop` at once."
        ),
    ] = "serve"


class Server(Strict, frozen=True):
    """The listening addresses; port 0 takes a free one."""

    bind: Annotated[str, Meta(description="Credentials: loopback, unless access.unsafeBind.")] = "127.0.0.1:7117"
    ops: Annotated[str | None, Meta(description="Probes, metrics, status; null: none.")] = "127.0.0.1:7118"
    metadata: Annotated[
        str | None, Meta(description="ECS metadata paths alone, e.g. 100.100.100.200:80; null: none.")
    ] = None
    admin_socket: Annotated[
        Expanded | None,
        Meta(description="Unix socket for refresh, purge and log-level: a path, or @name (abstract); null: none."),
    ] = None


class Metadata(Strict, frozen=True):
    """Further answers of the ECS paths, for programs that need to know where they run."""

    values: Annotated[
        dict[str, Expanded],
        Meta(
            description="By name below /latest/meta-data/, such as region-id or vpc-id; other names get 404.",
            extra_json_schema={"propertyNames": {"pattern": VALUE_NAME}},
        ),
    ] = field(default_factory=dict)
    identity_document: Annotated[
        bool,
        Meta(description="Answers /latest/dynamic/instance-identity/document, unsigned, made of these values."),
    ] = False


class PathToken(Strict, frozen=True):
    """A secret that becomes the first segment of every credential URL; exactly one of the two."""

    file: Annotated[Expanded | None, Meta(description="File that holds it.")] = None
    env_var_name: Annotated[str | None, Meta(description="Environment variable that holds it.")] = None


class Access(Strict, frozen=True):
    """The access rules of the credentials and metadata listeners."""

    allowed_hosts: Annotated[
        list[str], Meta(description="Host parts of Host; port ignored. Default: loopback names, 100.100.100.200.")
    ] = field(default_factory=lambda: ["127.0.0.1", "localhost", "[::1]", "100.100.100.200"])
    forwarded: Annotated[
        Literal["refuse", "allow"],
        Meta(description="Requests with X-Forwarded-*, Forwarded, Via, X-Real-IP."),
    ] = "refuse"
    browsers: Annotated[Literal["refuse", "allow"], Meta(description="Requests with Origin or Sec-Fetch-*.")] = "refuse"
    path_token: Annotated[
        PathToken | Literal["generate"] | None,
        Meta(
            description="Secret first path segment; also accepted as X-Aliyun-Parameters-Secrets-Token. `generate`: "
            "created at start, in a file of mode 0600 where `env` finds it.",
            extra={HIDDEN: True},
        ),
    ] = None
    metadata_tokens: Annotated[
        Literal["optional", "required"],
        Meta(description="Whether ECS requests must carry a metadata session token."),
    ] = "optional"
    hop_limit: Annotated[int, Meta(ge=1, le=255, description="IP TTL of answers: 1 stops at the first router.")] = 1
    max_connections: Annotated[
        int, Meta(ge=16, le=65536, description="Per listener; when full, the oldest idle one is closed.")
    ] = 2048
    requests_per_second: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000)] | None,
        Meta(description="For each caller's uid where it is known, else per listener; null: no limit."),
    ] = None
    unsafe_bind: Annotated[bool, Meta(description="Allows credentials on an address that is not loopback.")] = False


class Tls(Strict, frozen=True):
    """Trust for upstream calls."""

    ca_file: Annotated[
        OtherFile | None,
        Meta(description="PEM bundle instead of the system's; null: $SSL_CERT_FILE, else the system's."),
    ] = None


class Startup(Strict, frozen=True):
    """When /startupz turns green, and how long the sidecar tries before it exits."""

    gate: Annotated[
        Literal["credentials", "listening", "timeout"],
        Meta(description="`credentials`: every required profile usable, else exit 3 or 4 after timeoutSeconds."),
    ] = "credentials"
    timeout_seconds: Annotated[float, Meta(gt=0, le=3600, description="How long `credentials` and `timeout` wait.")] = (
        60.0
    )


class Shutdown(Strict, frozen=True):
    """How the sidecar stops."""

    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long requests are answered after SIGTERM; a second SIGTERM ends it.",
        ),
    ] = 25.0


class Refresh(Strict, frozen=True):
    """The pace of refreshes. The time before expiry follows from the session's length (app/core/schedule.py)."""

    jitter: Annotated[
        float, Meta(ge=0, le=0.2, description="Share of the session by which a refresh may be earlier.")
    ] = 0.1
    min_retry_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="Longest first pause with nothing to serve; pauses double, each drawn from its upper half.",
        ),
    ] = 1.0
    max_retry_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Longest pause while the cloud does not answer; at most 40 while there is nothing to serve.",
        ),
    ] = 240.0
    permanent_retry_seconds: Annotated[
        float,
        Meta(ge=10, le=86400, description="Longest pause after a definite no; drawn from its upper half."),
    ] = 300.0


class Cache(Strict, frozen=True):
    """The encrypted credential cache: to survive a restart during an outage of the cloud."""

    directory: Annotated[
        Expanded | None,
        Meta(description="The directory, best on a memory-backed volume; null: no cache. Needs one of the keys."),
    ] = None
    key_file: Annotated[
        Expanded | None, Meta(description="File with the key: 32 or more characters, not in the directory.")
    ] = None
    key_env_var_name: Annotated[str | None, Meta(description="Environment variable that holds the key.")] = None


class Logging(Strict, frozen=True):
    """Logs go to stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least level that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"], Meta(description="`auto`: text on a terminal, JSON lines elsewhere.")
    ] = "auto"


class Telemetry(Strict, frozen=True):
    """No keys in this version: metrics are served on the ops listener and sent nowhere."""


class Settings(Strict, frozen=True):
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
    metadata: Metadata = field(default_factory=Metadata)
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
