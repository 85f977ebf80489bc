"""
What exists in a world: clients and resource servers in IDaaS; OIDC providers, roles and access keys in RAM.

Everything is frozen. Field names in camelCase are the keys of a world file, so a renamed field breaks such files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWKSet, PyJWKSetError

from ..crypto.jws import VerificationKey
from . import ram_limits
from .trust_policy import validation_error

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
    "CLIENT_ASSERTION",
]
METHODS: tuple[Method, ...] = get_args(Method)[:-2]
"""The client authentication methods of IDaaS. Only the workload issuer supports the last two."""


TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name


class WorldError(ValueError):
    """A world is invalid. The message is one line: what is wrong, at which key path, and how to correct it."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret. `expires_at` is Unix seconds; None means that it never expires."""

    value: str = field(repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """
    A key registered for PRIVATE_KEY_JWT: RSA, EC or Ed25519, SPKI PEM.

    An assertion's `kid`, if any, must equal `key_id`.
    With a `thumbprint`, the key is known as that of a certificate: the assertion must have it as `x5t#S256`.
    """

    pem: str
    key_id: str | None = None
    thumbprint: str | None = None

    def __post_init__(self) -> None:
        try:
            is_usable = isinstance(self.key(), VerificationKey)
        except (ValueError, UnsupportedAlgorithm):
            is_usable = False
        if not is_usable:
            raise WorldError("pem: not an RSA, EC or Ed25519 public key, give SPKI PEM (-----BEGIN PUBLIC KEY-----)")

    def key(self) -> VerificationKey:
        """Return the loaded key."""
        return cast(VerificationKey, load_pem_public_key(self.pem.encode()))


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """
    A federated credential of a client: a third party vouches for the client.

    `subject` is a pattern for the token's `sub` (OIDC), the certificate's common name (PCA) or the instance id (PKCS7).
    `issuer` and `audiences` apply to OIDC; the keys are those of the `workload_issuer`. `effective_seconds` is the
    maximum age of an identity document (PKCS7).
    """

    kind: Literal["PKCS7", "OIDC", "PCA"]
    subject: str = "*"
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    effective_seconds: float = 3600


@dataclass(frozen=True, slots=True)
class Client:
    """
    A client of the authorization server named by `server`.

    `grants` maps an audience to the scope values granted to the client there. `federated` holds its federated
    credentials by name. `certificate_name` is the subject common name that TLS_CLIENT_AUTH requires,
    `assertion_subject` the subject of the foreign token that CLIENT_ASSERTION requires. `grant_types` are those that a
    client of IDaaS may use. The only grant of a client of Okta is the audience of the authorization server.
    """

    grants: Mapping[str, tuple[str, ...]]
    methods: tuple[Method, ...] = METHODS
    secrets: tuple[Secret, ...] = ()
    public_keys: tuple[PublicKey, ...] = ()
    federated: Mapping[str, FederatedCredential] = field(default_factory=dict)
    certificate_name: str | None = None
    assertion_subject: str | None = None
    grant_types: tuple[str, ...] = ("client_credentials", TOKEN_EXCHANGE)
    server: Literal["idaas", "workload", "okta"] = "idaas"

    def active_secrets(self, now: float) -> list[str]:
        """Return the secrets that have not expired. Two are active while one replaces the other."""
        return [secret.value for secret in self.secrets if secret.expires_at is None or now < secret.expires_at]

    def keys_for(self, key_id: str | None, thumbprint: str | None = None) -> list[VerificationKey]:
        """Return the public keys that may verify an assertion with this `kid` (None: without one) and `x5t#S256`."""
        keys = [key for key in self.public_keys if key_id in (None, key.key_id)]
        return [key.key() for key in keys if key.thumbprint in (None, thumbprint)]


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """
    The scope values that exist at a resource server. Its audience is its key in the world.

    Access tokens for an `opaque` one are not JWTs.
    """

    scopes: tuple[str, ...]
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class ManagedRole:
    """
    A RAM role that IDaaS manages.

    `clients` are the ids of the clients that may obtain its credentials. With `broken`, the cloud vendor rejects the
    credential of IDaaS itself.
    """

    clients: tuple[str, ...]
    max_session_duration: int = 3600
    vendor: Literal["alibaba_cloud", "aws", "tencent_cloud"] = "alibaba_cloud"
    broken: bool = False


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AccessKey of a RAM user. `may` lists the actions that the user is allowed."""

    secret: str = field(repr=False)
    user_arn: str
    may: tuple[str, ...] = ("sts:AssumeRole", "eiam:GenerateOauthToken", "ims:*", "ram:*")
    active: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """
    An OIDC provider in RAM.

    STS verifies signatures with `jwks`, a JWK set. If it is None, STS uses the emulator's own keys. So a world can
    also hold providers for issuers that the emulator does not emulate.

    `fingerprints` are SHA-1 fingerprints of root certificates. If it is None, STS accepts the certificate that the
    emulator presents. The other limits are those of RAM.
    """

    issuer_url: str
    client_ids: tuple[str, ...]
    issuance_limit_hours: int = 12
    jwks: Mapping[str, Any] | None = None
    fingerprints: tuple[str, ...] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        values = (self.issuer_url, self.client_ids, self.fingerprints, self.issuance_limit_hours, self.description)
        if error := ram_limits.provider_error(*values):
            raise WorldError(error)
        if self.jwks is None:
            return
        try:
            PyJWKSet.from_dict(dict(self.jwks))
        except PyJWKSetError:
            raise WorldError("jwks: no usable key in it, give a JWK set or leave it out") from None


@dataclass(frozen=True, slots=True)
class Role:
    """A RAM role. The trust policy is RAM's own JSON. `policies` are the names of the attached policies."""

    trust_policy: Mapping[str, Any]
    max_session_duration: int = 3600
    policies: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if error := validation_error(self.trust_policy):
            raise WorldError(f"trustPolicy: {error}")
        if not 3600 <= self.max_session_duration <= 43200:
            raise WorldError(f"maxSessionDuration: {self.max_session_duration} must be 3600 to 43200")
