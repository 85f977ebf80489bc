"""
What exists in the emulated cloud: clients and resource servers in IDaaS, OIDC providers and roles in RAM.

Everything is frozen; a test varies a world with `dataclasses.replace` and hands it to `emulator.world`. The
default world is built from this module's constants, which tests and `demo` may rely on:

    INSTANCE_ID  the IDaaS instance              CLIENT_ID, CLIENT_SECRET  its one machine client, every method allowed
    AUDIENCE     its one resource server         SCOPE                     asks for every scope granted there
    ACCOUNT      the Alibaba Cloud account       PROVIDER_ARN              the OIDC provider in it that trusts ISSUER
    ISSUER       unless another one is given     role_arn(profile)         that profile's role
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWKSet, PyJWKSetError

from .codec import decode, encode
from .jws import VerifyKey
from .trust import complaint as complaint_about

INSTANCE_ID = "idaas_demo"
CLIENT_ID = "app_demo"
CLIENT_SECRET = "demo-client-secret"  # noqa: S105 - opens nothing but the emulator
AUDIENCE = "api.demo.example"
SCOPE = f"{AUDIENCE}|.all"
ACCOUNT = "1234567890123456"
PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/idaas-demo"
ISSUER = "https://127.0.0.1:7143/api/v2/iauths_system/oauth2"

Method = Literal["CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT"]
METHODS: tuple[Method, ...] = ("CLIENT_SECRET_BASIC", "CLIENT_SECRET_POST", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT")


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
class Client:
    """An M2M client. `grants` maps an audience to the scope values the client was granted there."""

    grants: Mapping[str, tuple[str, ...]]
    methods: tuple[Method, ...] = METHODS
    secrets: tuple[Secret, ...] = ()
    public_keys: tuple[PublicKey, ...] = ()

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
    `calls_per_second`, when set, is the STS quota of each account.
    """

    clients: Mapping[str, Client]
    resource_servers: Mapping[str, ResourceServer]
    oidc_providers: Mapping[str, Provider]
    roles: Mapping[str, Role]
    issuer: str = ISSUER
    instance_id: str = INSTANCE_ID
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
        scopes = ("read", "write")
        return cls(
            clients={CLIENT_ID: Client(grants={AUDIENCE: scopes}, secrets=(Secret(CLIENT_SECRET),))},
            resource_servers={AUDIENCE: ResourceServer(scopes)},
            oidc_providers={PROVIDER_ARN: Provider(issuer, client_ids=(AUDIENCE,))},
            roles={role_arn(profile): role for profile in profiles},
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
        return replace(self, clients={name: _redacted(client) for name, client in self.clients.items()})


def _redacted(client: Client) -> Client:
    return replace(client, secrets=tuple(replace(secret, value="***") for secret in client.secrets))


def _trust_policy(issuer: str) -> dict[str, Any]:
    condition = {"oidc:iss": [issuer], "oidc:aud": [AUDIENCE], "oidc:sub": [CLIENT_ID]}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": {"StringEquals": condition},
    }
    return {"Version": "1", "Statement": [statement]}
