"""
What exists in the emulated cloud: clients and resource servers in IDaaS, OIDC providers and roles in RAM.

Everything is frozen; a test varies a world with `dataclasses.replace` and hands it to `emulator.world`. The
default world is built from this module's constants, which tests and `demo` may rely on:

    INSTANCE_ID  the IDaaS instance              CLIENT_ID, CLIENT_SECRET  its one machine client, every method allowed
    AUDIENCE     its one resource server         SCOPE                     asks for every scope granted there
    ACCOUNT      the Alibaba Cloud account       PROVIDER_ARN              the OIDC provider in it that trusts ISSUER
    ISSUER       unless another one is given     role_arn(profile)         that profile's role

Beyond the usual way there are, for that client, federated credentials of three kinds (FEDERATED_PKCS7, _OIDC, _PCA), a
role managed by IDaaS (MANAGED_ROLE_ARN, PAM_SCOPE), two roles to go on to (CHAINED_ROLE_ARN, EXTERNAL_ROLE_ARN with
EXTERNAL_ID), a RAM user (ACCESS_KEY_ID), an ECS instance with a role (INSTANCE, ECS_ROLE); and a second issuer, the
`workload_issuer`, with a client OIDC_CLIENT_ID and a provider WORKLOAD_PROVIDER_ARN in RAM.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWKSet, PyJWKSetError

from ..crypto.jws import VerifyKey
from .codec import decode, encode
from .trust_policy import complaint as complaint_about

INSTANCE_ID = "idaas_demo"
CLIENT_ID = "app_demo"
CLIENT_SECRET = "demo-client-secret"  # noqa: S105 - opens nothing but the emulator
AUDIENCE = "api.demo.example"
SCOPE = f"{AUDIENCE}|.all"
ACCOUNT = "1234567890123456"
PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/idaas-demo"
ISSUER = "https://127.0.0.1:7143/api/v2/iauths_system/oauth2"

FEDERATED_PKCS7, FEDERATED_OIDC, FEDERATED_PCA = "ecs_demo", "k8s_demo", "pca_demo"
WORKLOAD_SUBJECT = "system:serviceaccount:demo:app"
WORKLOAD_AUDIENCE = "idaas.demo.example"
WORKLOAD_PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/workload-demo"
OIDC_CLIENT_ID, OIDC_CLIENT_SECRET = "oidc_demo", "demo+oidc/secret%:and more"
OIDC_AUDIENCE = "sts.demo.example"
PAM_AUDIENCE = "urn:cloud:idaas:pam"
PAM_SCOPE = f"{PAM_AUDIENCE}|cloud_account_role:obtain_access_credential"
MANAGED_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-managed"
CHAINED_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-chained"
EXTERNAL_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-external"
EXTERNAL_ID = "demo-external-id"
ACCESS_KEY_ID, ACCESS_KEY_SECRET = "LTAIdemo", "demo-access-key-secret"
ECS_ROLE, INSTANCE = "demo-ecs", "i-demo"

Method = Literal[
    "CLIENT_SECRET_BASIC",
    "CLIENT_SECRET_POST",
    "CLIENT_SECRET_JWT",
    "PRIVATE_KEY_JWT",
    "PKCS7",
    "OIDC",
    "PCA",
    "PLUGIN",
    "TLS_CLIENT_AUTH",
]
METHODS: tuple[Method, ...] = get_args(Method)[:-1]
"""What IDaaS knows; TLS_CLIENT_AUTH is the other server's."""


class WorldError(ValueError):
    """A world that cannot be; one line that names the thing, the place and the cure."""


def role_arn(profile: str) -> str:
    """The ARN of the default world's role for `profile`."""
    return f"acs:ram::{ACCOUNT}:role/demo-{profile}"


@dataclass(frozen=True, slots=True)
class Secret:
    """One client secret; several may be active side by side. `expires_at` is Unix seconds, None means never."""

    value: str = field(repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A registered key for PRIVATE_KEY_JWT: SPKI PEM, RSA or EC. An assertion's `kid`, if any, must equal `key_id`."""

    pem: str
    key_id: str | None = None

    def __post_init__(self) -> None:
        try:
            usable = isinstance(self.key(), VerifyKey)
        except (ValueError, UnsupportedAlgorithm):
            usable = False
        if not usable:
            raise WorldError("pem: not an RSA or EC public key, give SPKI PEM (-----BEGIN PUBLIC KEY-----)")

    def key(self) -> VerifyKey:
        """The key itself."""
        return cast(VerifyKey, load_pem_public_key(self.pem.encode()))


@dataclass(frozen=True, slots=True)
class Federated:
    """
    A federated credential of a client, by which somebody else vouches for it.

    `subject` is the pattern that the token's `sub` (OIDC), the certificate's common name (PCA) or the instance's id
    (PKCS7) must match. `issuer` and `audiences` matter with OIDC; its keys are those of the `workload_issuer`.
    `effective_seconds` is how old a document may be (PKCS7).
    """

    kind: Literal["PKCS7", "OIDC", "PCA"]
    subject: str = "*"
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    effective_seconds: float = 3600


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AccessKey of a RAM user, and the actions that the user is allowed."""

    secret: str = field(repr=False)
    user_arn: str
    may: tuple[str, ...] = ("sts:AssumeRole", "eiam:GenerateOauthToken")
    active: bool = True


@dataclass(frozen=True, slots=True)
class ManagedRole:
    """A RAM role that IDaaS manages. `clients` may obtain it; `broken` is one whose vendor refuses IDaaS itself."""

    clients: tuple[str, ...]
    max_session_duration: int = 3600
    vendor: Literal["alibaba_cloud", "aws", "tencent_cloud"] = "alibaba_cloud"
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """
    A client of the authorization server `server`.

    `grants` maps an audience to the scope values the client was granted there; `federated` its federated credentials by
    name; `certificate_name` is the subject's common name that TLS_CLIENT_AUTH wants.
    """

    grants: Mapping[str, tuple[str, ...]]
    methods: tuple[Method, ...] = METHODS
    secrets: tuple[Secret, ...] = ()
    public_keys: tuple[PublicKey, ...] = ()
    federated: Mapping[str, Federated] = field(default_factory=dict)
    certificate_name: str | None = None
    server: Literal["idaas", "workload"] = "idaas"

    def active_secrets(self, now: float) -> list[str]:
        """The secrets that have not expired; two are active while one replaces the other."""
        return [secret.value for secret in self.secrets if secret.expires_at is None or now < secret.expires_at]

    def keys_for(self, key_id: str | None) -> list[VerifyKey]:
        """The public keys that an assertion with this `kid`, or with none, may be signed with."""
        return [known.key() for known in self.public_keys if key_id in (None, known.key_id)]


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """What a token can be for: an audience (its key in the world) and the scope values that exist there."""

    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """
    An OIDC provider in RAM.

    STS checks signatures with `jwks` (a JWK set), or with the emulator's own keys where that is None, so that
    a world may also hold providers for issuers that nobody emulates.
    """

    issuer_url: str
    client_ids: tuple[str, ...]
    issuance_limit_hours: int = 12
    jwks: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.jwks is None:
            return
        try:
            PyJWKSet.from_dict(dict(self.jwks))
        except PyJWKSetError:
            raise WorldError("jwks: no usable key in it, give a JWK set or leave it out") from None


@dataclass(frozen=True, slots=True)
class Role:
    """A RAM role; the trust policy is RAM's own JSON."""

    trust_policy: Mapping[str, Any]
    max_session_duration: int = 3600

    def __post_init__(self) -> None:
        if complaint := complaint_about(self.trust_policy):
            raise WorldError(f"trustPolicy: {complaint}")


@dataclass(frozen=True, slots=True)
class World:
    """
    The emulated cloud at one moment. Keys of the mappings: client id, audience, provider ARN, role ARN.

    `session_seconds`, when set, is how long STS sessions live whatever DurationSeconds asks for.
    `calls_per_second`, when set, is the STS quota of each account. `issuer_mode` dynamic: a token's `iss` follows the
    scheme and host that the token was asked of. `sessions_may` is what assumed roles are allowed.
    """

    clients: Mapping[str, Client]
    resource_servers: Mapping[str, ResourceServer]
    oidc_providers: Mapping[str, Provider]
    roles: Mapping[str, Role]
    access_keys: Mapping[str, AccessKey] = field(default_factory=dict)
    managed_roles: Mapping[str, ManagedRole] = field(default_factory=dict)
    issuer: str = ISSUER
    issuer_mode: Literal["static", "dynamic"] = "static"
    instance_id: str = INSTANCE_ID
    metadata_tokens_required: bool = True
    sessions_may: tuple[str, ...] = ("sts:AssumeRole", "eiam:GenerateOauthToken")
    token_seconds: int = 1200
    session_seconds: int | None = None
    calls_per_second: int | None = None

    def __post_init__(self) -> None:
        url = urlsplit(self.issuer)
        if url.scheme not in ("http", "https") or url.path in ("", "/") or self.issuer.endswith("/"):
            raise WorldError(f"issuer: {self.issuer!r} must be an http(s) URL with a path and no slash at its end")

    @property
    def audience(self) -> str:
        """The first resource server's audience."""
        return next(iter(self.resource_servers))

    @classmethod
    def default(
        cls,
        *,
        profiles: Sequence[str] = ("default",),
        issuer: str = ISSUER,
        token_seconds: int = 1200,
        session_seconds: int | None = None,
    ) -> Self:
        """One client, one resource server, one OIDC provider, and one role for each profile."""
        role = Role(_trust_policy(issuer), max_session_duration=43200)
        workload = _workload_issuer(issuer)
        return cls(
            clients={CLIENT_ID: _client(workload), OIDC_CLIENT_ID: _OIDC_CLIENT},
            resource_servers={AUDIENCE: ResourceServer(_SCOPES), PAM_AUDIENCE: ResourceServer(_PAM_SCOPES)},
            oidc_providers={
                PROVIDER_ARN: Provider(issuer, client_ids=(AUDIENCE,)),
                WORKLOAD_PROVIDER_ARN: Provider(workload, (WORKLOAD_AUDIENCE, OIDC_AUDIENCE, OIDC_CLIENT_ID)),
            },
            roles={**{role_arn(profile): role for profile in profiles}, **_FURTHER_ROLES},
            access_keys={ACCESS_KEY_ID: AccessKey(ACCESS_KEY_SECRET, f"acs:ram::{ACCOUNT}:user/demo")},
            managed_roles={MANAGED_ROLE_ARN: ManagedRole((CLIENT_ID, OIDC_CLIENT_ID))},
            issuer=issuer,
            token_seconds=token_seconds,
            session_seconds=session_seconds,
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The world in a JSON file. Raises `WorldError`."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except OSError as error:
            raise WorldError(f"world file {path}: {error.strerror}; give a readable file or none at all") from error
        except WorldError as error:
            raise WorldError(f"world file {path}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The world that `to_json` wrote, or a person. Raises `WorldError`."""
        try:
            return decode(cls, json.loads(text))  # type: ignore[no-any-return]
        except json.JSONDecodeError as error:
            raise WorldError(f"line {error.lineno}: not JSON ({error.msg}); correct it there") from error
        except ValueError as error:
            raise WorldError(str(error)) from error

    def to_json(self) -> str:
        """The whole world, secrets included."""
        return json.dumps(encode(self), indent=2)

    def redacted(self) -> Self:
        """The same world without the secrets' values."""
        return replace(
            self,
            clients={name: _redacted(client) for name, client in self.clients.items()},
            access_keys={name: replace(key, secret="***") for name, key in self.access_keys.items()},  # noqa: S106
        )


def _redacted(client: Client) -> Client:
    return replace(client, secrets=tuple(replace(secret, value="***") for secret in client.secrets))


def issuer_of(world: World, url: str) -> str:
    """The `iss` of a token that was asked of `url`."""
    if world.issuer_mode == "static":
        return world.issuer
    asked, issuer = urlsplit(url), urlsplit(world.issuer)
    return f"{asked.scheme}://{asked.netloc}{issuer.path}"


def workload_issuer(world: World) -> str:
    """The second issuer, on the same host."""
    return _workload_issuer(world.issuer)


def _workload_issuer(issuer: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/workload"


def _trust_policy(issuer: str) -> dict[str, Any]:
    """IDaaS's client, and the workloads and clients of the second issuer."""
    own = {"StringEquals": {"oidc:iss": [issuer], "oidc:aud": [AUDIENCE], "oidc:sub": [CLIENT_ID, WORKLOAD_SUBJECT]}}
    audiences = [WORKLOAD_AUDIENCE, OIDC_AUDIENCE, OIDC_CLIENT_ID]
    other = {
        "StringEquals": {"oidc:iss": [_workload_issuer(issuer)], "oidc:aud": audiences},
        "StringLike": {"oidc:sub": ["system:serviceaccount:demo:*", OIDC_CLIENT_ID]},
    }
    return _policy(
        ({"Federated": PROVIDER_ARN}, own),
        ({"Federated": WORKLOAD_PROVIDER_ARN}, other),
    )


def _policy(*allowed: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    statements = [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
        for principal, condition in allowed
    ]
    return {"Version": "1", "Statement": statements}


def _client(workload: str) -> Client:
    return Client(
        grants={AUDIENCE: _SCOPES, PAM_AUDIENCE: _PAM_SCOPES},
        secrets=(Secret(CLIENT_SECRET),),
        federated={
            FEDERATED_PKCS7: Federated("PKCS7", subject=INSTANCE),
            FEDERATED_OIDC: Federated("OIDC", "system:serviceaccount:demo:*", workload, (WORKLOAD_AUDIENCE,)),
            FEDERATED_PCA: Federated("PCA", subject=CLIENT_ID),
        },
    )


_SCOPES, _PAM_SCOPES = ("read", "write"), ("cloud_account_role:obtain_access_credential",)
_OIDC_CLIENT = Client(
    grants={OIDC_AUDIENCE: ()},
    methods=("CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT", "TLS_CLIENT_AUTH"),
    secrets=(Secret(OIDC_CLIENT_SECRET),),
    certificate_name=OIDC_CLIENT_ID,
    server="workload",
)
_ACCOUNT_ROOT = {"RAM": [f"acs:ram::{ACCOUNT}:root"]}
_FURTHER_ROLES = {
    CHAINED_ROLE_ARN: Role(_policy((_ACCOUNT_ROOT, {}))),
    EXTERNAL_ROLE_ARN: Role(_policy((_ACCOUNT_ROOT, {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID]}}))),
}
