"""Configuration keys that several methods share: names and paths of the client secret or private key, never secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from ...core.base import ProofFile
from ...core.checks import Check, check, key_paths
from ...core.errors import ConfigError
from ...core.values import Secret
from ...system import secrets
from .method import ClientFacts, Method

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class ClientSecretMethod(Method, frozen=True, kw_only=True):
    """A method with a client secret."""

    client_secret_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the client secret, read at every token request."),
    ] = None
    client_secret_file: Annotated[
        ProofFile | None,
        Meta(description="File that holds the client secret, read at every token request. White space is trimmed."),
    ] = None

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield check(self.secret, place, {}, needs=self._secret_places(place))

    def read_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        yield check(lambda: self.secret(place, environ)(), needs=self._secret_places(place))

    def _secret_places(self, place: str) -> tuple[str, ...]:
        return key_paths(place, self.key("client_secret_env_var_name"), self.key("client_secret_file"))

    def secret(self, place: str, environ: Mapping[str, str]) -> Secret:
        """Return the reader of the client secret. Raises ConfigError unless exactly one key is set."""
        return secrets.one_of(
            environ,
            name=self.client_secret_env_var_name,
            path=self.client_secret_file,
            place=place,
            keys=(self.key("client_secret_env_var_name"), self.key("client_secret_file")),
            printable=True,
        )


class PrivateKeyMethod(Method, frozen=True, kw_only=True):
    """A method with a private key."""

    private_key_env_var_name: Annotated[
        str | None,
        Meta(
            description="Environment variable that holds the private key: PEM, JWK, or PEM, DER or PKCS#12 as base64."
        ),
    ] = None
    private_key_file: Annotated[
        ProofFile | None,
        Meta(
            description="File that holds the private key, read at every token request: PEM, DER, JWK or PKCS#12, "
            "also as base64."
        ),
    ] = None
    private_key_password_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the password of an encrypted private key."),
    ] = None
    algorithm: Annotated[
        Algorithm | None,
        Meta(
            description="Signature algorithm of the assertion. null: with IDaaS by the size of the key, as the SDKs; "
            "else the `alg` of a JWK, or RS256 for an RSA key, unless the discovery document names others."
        ),
    ] = None
    key_id: Annotated[
        str | None,
        Meta(
            description="`kid` header of the assertion; of a JWK set, the key with this `kid` signs. "
            "null: the first private key that signs, and its own `kid`; with IDaaS no `kid`, as in the SDKs. "
            "An empty text: no `kid`."
        ),
    ] = None

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        yield check(self.private_key, place, {}, needs=self._key_places(place))
        if self.private_key_password_env_var_name:
            field = f"{place}.{self.key('private_key_password_env_var_name')}"
            yield check(secrets.check_name, self.private_key_password_env_var_name, field)

    def read_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        yield from self.key_checks(place, environ)

    def _key_places(self, place: str) -> tuple[str, ...]:
        return key_paths(place, self.key("private_key_env_var_name"), self.key("private_key_file"))

    def key_checks(
        self,
        place: str,
        environ: Mapping[str, str],
        certificate: Callable[[], Secret] | None = None,
        certificate_keys: tuple[str, ...] = (),
        *,
        standard: bool = False,
    ) -> Iterator[Check]:
        """
        Yield the checks that the key can be loaded, fits the algorithm, and is that of the certificate.

        `certificate` returns the certificate's reader, and `certificate_keys` are the places that name it. `standard`:
        for an OpenID provider, which accepts more kinds of keys than IDaaS.
        """
        keys = self._key_places(place)
        yield check(lambda: self.private_key(place, environ)(), needs=keys)
        password = self.password(place, environ)
        if password is not None:
            yield check(password)
        if certificate is not None:
            yield check(lambda: certificate()(), needs=certificate_keys)
        others = key_paths(place, self.key("private_key_password_env_var_name"), self.key("algorithm"))
        yield check(self._fit, place, environ, certificate, standard, needs=(*keys, *others, *certificate_keys))

    def _fit(
        self, place: str, environ: Mapping[str, str], certificate: Callable[[], Secret] | None, standard: bool
    ) -> None:
        """Raise ConfigError unless key, password, algorithm and certificate belong together."""
        secret, reader = self.private_key(place, environ), self.password(place, environ)
        text, password, where = secret(), reader() if reader else None, secrets.origin_of(secret, place)

        # Imported here, because cryptography takes 8 MiB, and only methods that sign with a key need it.
        from ...upstream.keys import certificates, key_forms
        from .. import private_key

        key = key_forms.load_private_key(
            text, password, where, key_id=self.key_id or None, needless_password=certificate is not None
        )
        if self.algorithm is not None:
            private_key.check_algorithm(self.algorithm, key, place)
        if standard:
            private_key.fitting_algorithms(key, where)
        else:
            private_key.algorithm_for(key, where)
        if certificate is not None:
            found = certificate()
            at_leaf = secrets.origin_of(found, place)
            leaf = certificates.load_certificate(found(), at_leaf, password=password, key=key)
            if not certificates.belongs(leaf, key):
                raise ConfigError(
                    f"{where}: the private key does not belong to the certificate in {at_leaf}",
                    cure="name the key of this certificate, or the certificate of this key",
                    error_code="IDS-115",
                )

    def private_key(self, place: str, environ: Mapping[str, str]) -> Secret:
        """Return the reader of the private key's text. Raises ConfigError unless exactly one key is set."""
        return secrets.one_of(
            environ,
            name=self.private_key_env_var_name,
            path=self.private_key_file,
            place=place,
            keys=(self.key("private_key_env_var_name"), self.key("private_key_file")),
            binary=True,
        )

    def password(self, place: str, environ: Mapping[str, str]) -> Secret | None:
        """Return the reader of the private key's password, or None if no password is configured."""
        name = self.private_key_password_env_var_name
        field = self.key("private_key_password_env_var_name")
        return secrets.from_environment(environ, name, f"{place}.{field}") if name else None
