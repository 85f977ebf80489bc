"""
How a client proves itself to the token endpoint.

A finder looks at the request for one kind of proof and returns None where there is none; a verifier, named
like the method in the world, judges it. A new method is one of each.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

from ..crypto.jws import signed_with_one_of, signed_with_secret
from ..crypto.nonces import SeenOnce
from ..crypto.pki import Authority
from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked
from ..http.response import RefusedError
from ..world.world import Client
from .assertion import check_claims, parse
from .federation import check_certificate, check_document, check_token, credential

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FEDERATED = {
    "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer": "PKCS7",
    "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer": "OIDC",
    "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer": "PCA",
}
Server = Literal["idaas", "workload"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client showed: who it says it is, and the secret or assertion that is to prove it."""

    method: str
    client_id: str
    value: str = field(repr=False)


class Authentication:
    """Judges proofs. `workload_keys` sign the tokens of OIDC federation, the authorities what PCA and PKCS7 show."""

    def __init__(self, workload_keys: SigningKeys, workload_ca: Authority, ecs_ca: Authority) -> None:
        self._seen = SeenOnce()
        self._workload_keys = workload_keys
        self._workload_ca = workload_ca
        self._ecs_ca = ecs_ca
        self._verifiers: Mapping[str, Callable[[Proof, Client, Asked], None]] = {
            "CLIENT_SECRET_BASIC": _check_secret,
            "CLIENT_SECRET_POST": _check_secret,
            "CLIENT_SECRET_JWT": self._check_secret_jwt,
            "PRIVATE_KEY_JWT": self._check_private_key_jwt,
            "TLS_CLIENT_AUTH": _check_certificate_name,
            "OIDC": self._check_oidc,
            "PCA": self._check_pca,
            "PKCS7": self._check_pkcs7,
        }

    def client_id(self, asked: Asked, *, server: Server = "idaas") -> str:
        """The client id that `asked` proves. Raises `RefusedError`, alike for an unknown client and a wrong secret."""
        proof = _only_proof(asked, server)
        client = asked.world.clients.get(proof.client_id)
        if client is None or client.server != server or proof.method not in client.methods:
            raise RefusedError("invalid_client", "Client authentication failed.")
        if asked.form.get("client_id", proof.client_id) != proof.client_id:
            raise RefusedError(
                "invalid_client", "The client_id of the form is not the one of the Authorization header."
            )
        self._verifiers[proof.method](proof, client, asked)
        return proof.client_id

    def _check_secret_jwt(self, proof: Proof, client: Client, asked: Asked) -> None:
        token = parse(proof.value)
        if not any(signed_with_secret(token, secret) for secret in client.active_secrets(asked.at)):
            raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
        check_claims(token, proof.client_id, asked, self._seen)

    def _check_private_key_jwt(self, proof: Proof, client: Client, asked: Asked) -> None:
        token = parse(proof.value)
        if not signed_with_one_of(token, client.keys_for(token.header.get("kid"))):
            raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
        check_claims(token, proof.client_id, asked, self._seen)

    def _check_oidc(self, proof: Proof, client: Client, asked: Asked) -> None:
        keys = self._workload_keys.published.values()
        check_token(proof.value, credential(asked, client, "OIDC"), asked, keys)

    def _check_pca(self, proof: Proof, client: Client, asked: Asked) -> None:
        known = credential(asked, client, "PCA")
        check_certificate(proof.value, known, asked, self._workload_ca, self._seen)

    def _check_pkcs7(self, proof: Proof, client: Client, asked: Asked) -> None:
        check_document(proof.value, credential(asked, client, "PKCS7"), asked, self._ecs_ca)


def _only_proof(asked: Asked, server: Server) -> Proof:
    proofs = [proof for find in (_basic, _post, _assertion) if (proof := find(asked, server))]
    if len(proofs) > 1:
        raise RefusedError("invalid_request", "More than one client authentication method was used.")
    if not proofs and server == "workload" and asked.certificate is not None:
        return Proof("TLS_CLIENT_AUTH", asked.form.get("client_id", ""), asked.certificate)
    if not proofs:
        raise RefusedError("invalid_client", "No client authentication was found in the request.")
    return proofs[0]


def _basic(asked: Asked, server: Server) -> Proof | None:
    scheme, _, value = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise RefusedError(
            "invalid_client", "The Authorization header is not base64 of client_id:client_secret."
        ) from None
    # RFC 6749 2.3.1 form-encodes both; IDaaS decodes nothing, because its clients never encoded.
    decode = unquote_plus if server == "workload" else str
    return Proof("CLIENT_SECRET_BASIC", decode(client_id), decode(secret))


def _post(asked: Asked, _server: Server) -> Proof | None:
    if "client_secret" not in asked.form:
        return None
    return Proof("CLIENT_SECRET_POST", asked.form.get("client_id", ""), asked.form["client_secret"])


def _assertion(asked: Asked, server: Server) -> Proof | None:
    if "client_assertion" not in asked.form:
        return None
    kind, text = asked.form.get("client_assertion_type", ""), asked.form["client_assertion"]
    if kind == JWT_BEARER:
        method = "CLIENT_SECRET_JWT" if parse(text).algorithm == "HS256" else "PRIVATE_KEY_JWT"
    elif kind in _FEDERATED and server == "idaas":
        method = _FEDERATED[kind]
    else:
        raise RefusedError("invalid_client", "This client_assertion_type is not known here.")
    return Proof(method, asked.form.get("client_id", ""), text)


def _check_secret(proof: Proof, client: Client, asked: Asked) -> None:
    if not any(hmac.compare_digest(proof.value.encode(), known.encode()) for known in client.active_secrets(asked.at)):
        raise RefusedError("invalid_client", "Client authentication failed.")


def _check_certificate_name(proof: Proof, client: Client, asked: Asked) -> None:
    if proof.value != client.certificate_name:
        raise RefusedError("invalid_client", "The certificate's subject is not the registered one.")
