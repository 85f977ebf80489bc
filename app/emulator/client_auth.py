"""
How a client proves itself to the token endpoint.

A finder looks at the request for one kind of proof and returns None where there is none; a verifier, named
like the method in the world, judges it. A new method is one of each.
"""

import base64
import hmac
from dataclasses import dataclass, field

from .answer import RefusedError
from .asked import Asked
from .assertion import check_claims, parse
from .jws import signed_with_one_of, signed_with_secret
from .once import SeenOnce
from .world import Client

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client showed: who it says it is, and the secret or assertion that is to prove it."""

    method: str
    client_id: str
    value: str = field(repr=False)


def authenticate(asked: Asked, seen: SeenOnce) -> str:
    """The client id that `asked` proves. Raises `RefusedError`; an unknown client and a wrong secret look the same."""
    proof = _only_proof(asked)
    client = asked.world.clients.get(proof.client_id)
    if client is None or proof.method not in client.methods:
        raise RefusedError("invalid_client", "Client authentication failed.")
    if asked.form.get("client_id", proof.client_id) != proof.client_id:
        raise RefusedError("invalid_client", "The client_id of the form is not the one of the Authorization header.")
    _VERIFIERS[proof.method](proof, client, asked, seen)
    return proof.client_id


def _only_proof(asked: Asked) -> Proof:
    proofs = [proof for find in (_basic, _post, _jwt) if (proof := find(asked))]
    if len(proofs) > 1:
        raise RefusedError("invalid_request", "More than one client authentication method was used.")
    if not proofs:
        raise RefusedError("invalid_client", "No client authentication was found in the request.")
    return proofs[0]


def _basic(asked: Asked) -> Proof | None:
    scheme, _, value = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        # Nothing is form-decoded here: the real clients do not encode before base64, though RFC 6749 says so.
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise RefusedError(
            "invalid_client", "The Authorization header is not base64 of client_id:client_secret."
        ) from None
    return Proof("CLIENT_SECRET_BASIC", client_id, secret)


def _post(asked: Asked) -> Proof | None:
    if "client_secret" not in asked.form:
        return None
    return Proof("CLIENT_SECRET_POST", asked.form.get("client_id", ""), asked.form["client_secret"])


def _jwt(asked: Asked) -> Proof | None:
    if "client_assertion" not in asked.form:
        return None
    if asked.form.get("client_assertion_type") != JWT_BEARER:
        raise RefusedError("invalid_client", "This client_assertion_type is not known here.")
    text = asked.form["client_assertion"]
    by_secret = parse(text).algorithm == "HS256"
    method = "CLIENT_SECRET_JWT" if by_secret else "PRIVATE_KEY_JWT"
    return Proof(method, asked.form.get("client_id", ""), text)


def _check_secret(proof: Proof, client: Client, asked: Asked, seen: SeenOnce) -> None:
    if not any(hmac.compare_digest(proof.value.encode(), known.encode()) for known in client.active_secrets(asked.at)):
        raise RefusedError("invalid_client", "Client authentication failed.")


def _check_secret_jwt(proof: Proof, client: Client, asked: Asked, seen: SeenOnce) -> None:
    token = parse(proof.value)
    if not any(signed_with_secret(token, secret) for secret in client.active_secrets(asked.at)):
        raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
    check_claims(token, proof.client_id, asked, seen)


def _check_private_key_jwt(proof: Proof, client: Client, asked: Asked, seen: SeenOnce) -> None:
    token = parse(proof.value)
    if not signed_with_one_of(token, client.keys_for(token.header.get("kid"))):
        raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
    check_claims(token, proof.client_id, asked, seen)


_VERIFIERS = {
    "CLIENT_SECRET_BASIC": _check_secret,
    "CLIENT_SECRET_POST": _check_secret,
    "CLIENT_SECRET_JWT": _check_secret_jwt,
    "PRIVATE_KEY_JWT": _check_private_key_jwt,
}
