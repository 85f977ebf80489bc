"""PRIVATE_KEY_JWT, private_key_jwt: an assertion signed with a private key (RFC 7523 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from ...core.base import ProofFile
from ...core.checks import Check, fails
from ...core.errors import Mistake, Unreachable
from ...core.record import Record
from ...core.values import Now, Secret
from ...system import secrets
from ...system.disk import Disk
from ...system.secrets import Rotating, read
from ..client_auth import (
    IDAAS_STYLE,
    ISSUED_BEFORE,
    LONGEST_LIFE,
    AssertionStyle,
    Proof,
    assertion_claims,
    jwt_bearer,
    sign,
)
from ..context import TokenSource
from .keys import PrivateKeyMethod
from .method import ClientFacts, ClientParts, DeployEnvironment, IdentityType

if TYPE_CHECKING:
    from ...upstream.keys.key_forms import PrivateKey

AssertionAudience = Annotated[
    Literal["tokenEndpoint", "issuer"],
    Meta(description="`aud` of the assertion, as the provider requires it."),
]
AssertionLifetime = Annotated[
    int,
    Meta(
        ge=60,
        le=LONGEST_LIFE,
        description="Seconds from `iat` to `exp` of the assertion. `iat` is 30 s before the time of the request.",
    ),
]


class PrivateKeyJwt(Record, frozen=True):
    """
    An assertion signed with a private key, whose public half is registered with the application.

    `supported`: the algorithms that the server says it supports; None: the size of the key selects the algorithm, as in
    the IDaaS SDKs. `certificate`: its thumbprint names the key (`x5t#S256`, RFC 7515 4.1.8). Every proof calls
    `expires` with the certificate's end. `beside_certificate`: `password` may be that of a certificate alone.
    """

    HIDDEN = frozenset({"disk"})

    client_id: str
    key: Secret
    password: Secret | None
    algorithm: str | None
    key_id: str | None
    place: str
    now: Now
    new_id: Callable[[], str]
    style: AssertionStyle = IDAAS_STYLE
    supported: Callable[[], Sequence[str]] | None = None
    certificate: Secret | None = None
    beside_certificate: bool = False
    expires: Callable[[float], None] = lambda _end: None
    disk: Disk = field(default_factory=Disk)

    async def prove(self, endpoint: str) -> Proof:
        return jwt_bearer(await self.assertion(endpoint))

    async def assertion(self, endpoint: str) -> str:
        """Return a signed assertion. Raises ConfigError if the key is missing or unusable."""
        claims = assertion_claims(self.client_id, endpoint, now=self.now(), jti=self.new_id(), style=self.style)
        key = await read(self.key, self.disk)
        password = await read(self.password, self.disk) if self.password else None
        certificate = await read(self.certificate, self.disk) if self.certificate else None
        return await asyncio.to_thread(self._sign, claims, key, password, certificate)

    def _sign(self, claims: Mapping[str, Any], text: str, password: str | None, certificate: str | None) -> str:
        # Imported here, because cryptography takes 8 MiB, and profiles with a plain secret never need it.
        from ...upstream.keys import key_forms
        from .. import private_key

        # The password may belong to a certificate in a PKCS#12. The key may have no password.
        needless = certificate is not None or self.beside_certificate
        where, key_id = secrets.origin_of(self.key, self.place), self.key_id or None
        key = key_forms.load_private_key(text, password, where, key_id=key_id, needless_password=needless)
        # The IDaaS SDKs read only the key from its file.
        hints = key_forms.hints(text, key_id) if self.supported is not None else key_forms.Hints()
        if self.algorithm is not None:
            private_key.check_algorithm(self.algorithm, key, self.place)
            algorithm = self.algorithm
        elif self.supported is None:
            algorithm = private_key.algorithm_for(key, where)
        else:
            algorithm = private_key.standard_algorithm(key, hints, self.supported(), where)
        headers = {"kid": self._kid(hints.key_id), "x5t#S256": self._thumbprint(certificate, key, password)}
        return sign(claims, key, algorithm, **headers)

    def _kid(self, own: str | None) -> str | None:
        """
        Return the assertion's `kid`: the configured one, else the key's `own`. An empty text stands for none.

        A provider with several keys of a client needs the `kid` (OpenID Connect Core 10.1), and refuses one that it
        does not know. With a certificate, the thumbprint names the key.
        """
        return own if self.key_id is None and self.certificate is None else self.key_id

    def _thumbprint(self, text: str | None, key: PrivateKey, password: str | None) -> str | None:
        if text is None or self.certificate is None:
            return None
        from ...upstream.keys import certificates
        from .. import private_key

        where = secrets.origin_of(self.certificate, self.place)
        certificate = certificates.load_certificate(text, where, password=password, key=key)
        if not certificates.belongs(certificate, key):
            raise being_replaced(secrets.origin_of(self.key, self.place), where)
        self.expires(certificate.not_valid_after_utc.timestamp())
        return private_key.thumbprint(certificate)


class IdaasPrivateKeyJwt(PrivateKeyMethod, tag_field="authnMethod", tag="PRIVATE_KEY_JWT", frozen=True, kw_only=True):
    """An assertion signed with a private key."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None

    def build(self, parts: ClientParts) -> TokenSource:
        key = Rotating(self.private_key(parts.place, parts.context.environ))
        return parts.token_endpoint_source(signer(self, parts, key), key)


class OAuthPrivateKeyJwt(PrivateKeyMethod, tag_field="method", tag="private_key_jwt", frozen=True, kw_only=True):
    """An assertion signed with a private key."""

    certificate_file: Annotated[
        ProofFile | None,
        Meta(
            description="File that holds the key's certificate, as PEM, DER or PKCS#12, also as base64. The "
            "assertion then names the certificate (`x5t#S256`), as Entra requires it."
        ),
    ] = None
    assertion_audience: AssertionAudience = "tokenEndpoint"
    assertion_lifetime_seconds: AssertionLifetime = LONGEST_LIFE

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield from super().checks(place, facts)
        yield from audience_checks(self.assertion_audience, facts)

    def read_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        certificate = self.certificate(place)
        found = None if certificate is None else lambda: certificate
        yield from self.key_checks(place, environ, found, standard=True)

    def certificate(self, place: str) -> Secret | None:
        """Return the reader of the certificate, or None if no certificate is configured."""
        path = self.certificate_file
        key = f"{place}.{self.key('certificate_file')}"
        return secrets.from_file(path, key, binary=True) if path else None

    def build(self, parts: ClientParts) -> TokenSource:
        key: Secret = self.private_key(parts.place, parts.context.environ)
        certificate = self.certificate(parts.place)
        # Rotating only without a certificate: the previous key would not fit the present certificate.
        rotating = Rotating(key) if certificate is None else None
        auth = replace(
            signer(self, parts, rotating or key),
            style=style_of(self.assertion_audience, self.assertion_lifetime_seconds, parts.facts),
            supported=parts.signing_algorithms,
            certificate=certificate,
            expires=lambda end: parts.reporter.expires("certificate", end),
        )
        return parts.token_endpoint_source(auth, rotating)


def being_replaced(key: str, certificate: str) -> Unreachable:
    """
    Return the error of a key that does not belong to its certificate. Each is named by its origin.

    Key and certificate are two files: during every rotation, one is new and the other old for a moment.
    """
    return Unreachable(
        f"{key}: the private key does not belong to the certificate in {certificate}",
        cure="write the key and the certificate of one pair; during a rotation, the sidecar tries again",
        error_code="IDS-115",
    )


def signer(method: PrivateKeyMethod, parts: ClientParts, key: Secret) -> PrivateKeyJwt:
    """Return the signer of the client's assertions with `key`, in IDaaS's style."""
    return PrivateKeyJwt(
        parts.facts.client_id,
        key=key,
        password=method.password(parts.place, parts.context.environ),
        algorithm=method.algorithm,
        key_id=method.key_id,
        place=parts.place,
        now=parts.context.now,
        new_id=parts.context.new_id,
        disk=parts.context.disk,
    )


def audience_checks(configured: str, facts: ClientFacts) -> Iterator[Check]:
    """Yield a failing check where the issuer is to be the audience and is not known."""
    if configured == "issuer" and not facts.issuer:
        place = f"{facts.place}.issuer"
        # An issuer that is required in any case is one mistake.
        yield fails(Mistake(f"{place}: required where assertionAudience is issuer", "IDS-106"), place)


def style_of(audience: str, seconds: int, facts: ClientFacts) -> AssertionStyle:
    """Return the style of assertions for an OpenID provider. `audience`: `tokenEndpoint` or `issuer`."""
    return AssertionStyle(seconds, ISSUED_BEFORE, facts.issuer if audience == "issuer" else None)
