"""PCA: an assertion signed with the key of an X.509 certificate. The certificate is sent with the assertion."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from ...core.base import ProofFile
from ...core.checks import Check, check, key_paths
from ...core.errors import ConfigError
from ...core.record import Record
from ...core.values import Secret
from ...system import secrets
from ...system.disk import Disk
from ..client_auth import Proof
from ..context import TokenSource
from .federated import federated_fields
from .keys import PrivateKeyMethod
from .method import (
    ClientFacts,
    ClientParts,
    DeployEnvironment,
    FederatedCredential,
    IdentityType,
    federated_credential,
)
from .private_key_jwt import PrivateKeyJwt, being_replaced, signer

X509_JWT_BEARER = "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer"

_CERTIFICATE = ("client_x509_certificate", "client_x509_certificate_file")
_CHAIN = ("x509_cert_chains", "x509_cert_chains_file")


class Pca(Record, frozen=True):
    """An assertion signed with the key of a certificate. Every proof calls `expires` with the certificate's end."""

    HIDDEN = frozenset({"disk"})

    credential_name: str
    jwt: PrivateKeyJwt
    certificate: Secret
    chain: Secret
    place: str
    expires: Callable[[float], None]
    disk: Disk

    async def prove(self, endpoint: str) -> Proof:
        texts = await self._read(self.certificate), await self._read(self.chain)
        leaf, chain = await asyncio.to_thread(self._certificates, *texts, await self._read(self.jwt.key))
        fields = federated_fields(self.credential_name, X509_JWT_BEARER, await self.jwt.assertion(endpoint))
        return Proof(fields={**fields, "client_x509": leaf, "client_x509_chain": chain})

    async def _read(self, secret: Secret) -> str:
        return await secrets.read(secret, self.disk)

    def _certificates(self, certificate: str, chain: str, key_text: str) -> tuple[str, str]:
        """
        Return the certificate and its chain as PEM, and report the certificate's end.

        Nothing else of the files is sent: some hold the private key, too. Raises Unreachable if the key does not belong
        to the certificate.
        """
        from cryptography.hazmat.primitives.serialization import Encoding

        from ...upstream.keys import certificates, key_forms

        password = self.jwt.password() if self.jwt.password else None
        at_key, at_leaf, at_chain = (
            secrets.origin_of(each, self.place) for each in (self.jwt.key, self.certificate, self.chain)
        )
        key = key_forms.load_private_key(key_text, password, at_key, key_id=self.jwt.key_id, needless_password=True)
        leaf = certificates.load_certificate(certificate, at_leaf, password=password, key=key)
        if not certificates.belongs(leaf, key):
            raise being_replaced(at_key, at_leaf)
        self.expires(leaf.not_valid_after_utc.timestamp())
        pem = leaf.public_bytes(Encoding.PEM).decode()
        return pem, certificates.certificate_chain(chain, password, at_chain)


class IdaasPca(PrivateKeyMethod, tag_field="authnMethod", tag="PCA", frozen=True, kw_only=True):
    """An X.509 certificate of a private CA that the application trusts."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None
    application_federated_credential_name: FederatedCredential = None
    client_x509_certificate: Annotated[
        str | None, Meta(description="The client's certificate as PEM text. It is not a secret.")
    ] = None
    client_x509_certificate_file: Annotated[
        ProofFile | None,
        Meta(
            description="File that holds the client's certificate, read at every token request: PEM, DER or PKCS#12, "
            "also as base64."
        ),
    ] = None
    x509_cert_chains: Annotated[
        str | None, Meta(description="The intermediate certificates as PEM text, one block after the other.")
    ] = None
    x509_cert_chains_file: Annotated[
        ProofFile | None,
        Meta(
            description="File that holds the intermediate certificates, read at every token request, in the same forms."
        ),
    ] = None

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield from super().checks(place, facts)
        yield from federated_credential(self, self.application_federated_credential_name, place)
        leaf, chain = self._certificate_places(place)
        yield check(self.certificate, place, needs=leaf)
        yield check(self.chain, place, needs=chain)

    def read_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        leaf, chain = self._certificate_places(place)
        yield from self.key_checks(place, environ, lambda: self.certificate(place), leaf)
        password = self.password(place, environ)
        yield check(lambda: self._check_chain(place, password), needs=chain)

    def _check_chain(self, place: str, password: Secret | None) -> None:
        from ...upstream.keys import certificates

        chain = self.chain(place)
        certificates.certificate_chain(chain(), password() if password else None, secrets.origin_of(chain, place))

    def _certificate_places(self, place: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        leaf, chain = (key_paths(place, *map(self.key, names)) for names in (_CERTIFICATE, _CHAIN))
        return leaf, chain

    def certificate(self, place: str) -> Secret:
        """Return the reader of the certificate. Raises ConfigError unless exactly one key is set."""
        return self._text_or_file(*_CERTIFICATE, place)

    def chain(self, place: str) -> Secret:
        """Return the reader of the intermediate certificates. Raises ConfigError unless exactly one key is set."""
        return self._text_or_file(*_CHAIN, place)

    def _text_or_file(self, text_field: str, file_field: str, place: str) -> Secret:
        text, path = getattr(self, text_field), getattr(self, file_field)
        text_key, file_key = self.key(text_field), self.key(file_field)
        if text and path:
            raise ConfigError(f"{place}: {text_key} and {file_key} are both set", cure="keep one", error_code="IDS-113")
        if path:
            return secrets.from_file(path, f"{place}.{file_key}", binary=True)
        if text:
            return secrets.PlainText(text, f"{place}.{text_key}")
        raise ConfigError(f"{place}: {text_key} or {file_key} is required", error_code="IDS-106")

    def build(self, parts: ClientParts) -> TokenSource:
        # No Rotating here: the previous key would not fit the present certificate.
        key = self.private_key(parts.place, parts.context.environ)
        auth = Pca(
            str(self.application_federated_credential_name),
            replace(signer(self, parts, key), beside_certificate=True),
            self.certificate(parts.place),
            self.chain(parts.place),
            parts.place,
            lambda end: parts.reporter.expires("certificate", end),
            parts.context.disk,
        )
        return parts.token_endpoint_source(auth)
