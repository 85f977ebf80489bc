"""Proofs that others vouch for: an instance's document (PKCS7), a cluster's token (OIDC), a CA's leaf (PCA)."""

import json
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ..crypto.jws import VerifyKey, signed_with_one_of
from ..crypto.nonces import SeenOnce
from ..crypto.pkcs7 import parse, signer_of
from ..crypto.pki import Authority, common_name, trusted
from ..http.request import Asked
from ..http.response import RefusedError
from ..world.trust_policy import like
from ..world.world import Client, Federated
from .assertion import CLOCK_LEEWAY, check_claims
from .assertion import parse as parse_assertion


def credential(asked: Asked, client: Client, kind: str) -> Federated:
    """The client's federated credential that the request names. Raises `RefusedError`."""
    name = asked.form.get("application_federated_credential_name", "")
    if not name:
        raise RefusedError("invalid_request", "application_federated_credential_name is missing.")
    found = client.federated.get(name)
    if found is None or found.kind != kind:
        raise _refused("there is no such federated credential of that kind")
    return found


def check_token(text: str, known: Federated, asked: Asked, keys: Iterable[VerifyKey]) -> None:
    """An external issuer's token. Raises `RefusedError`."""
    token = parse_assertion(text)
    rules = (
        (signed_with_one_of(token, keys), "the token's signature is wrong"),
        (token.claims.get("iss") == known.issuer, "the token is another issuer's"),
        (not set(known.audiences).isdisjoint(token.audiences), "the token is for another audience"),
        (asked.at < token.number("exp"), "the token has expired"),
        (token.number("iat") <= asked.at + CLOCK_LEEWAY, "the token is from the future"),
        (like(known.subject, str(token.claims.get("sub"))), "the trust condition does not hold"),
    )
    _require(rules)


def check_certificate(text: str, known: Federated, asked: Asked, authority: Authority, seen: SeenOnce) -> None:
    """A leaf that a registered CA issued, and the assertion that its key signed. Raises `RefusedError`."""
    leaf = _certificates(asked.form.get("client_x509", ""), "client_x509")[0]
    chain = _certificates(asked.form.get("client_x509_chain", ""), "client_x509_chain")
    token = parse_assertion(text)
    rules = (
        (trusted(leaf, chain, authority.root, asked.at), "the certificate does not lead to a registered CA"),
        (like(known.subject, common_name(leaf)), "the certificate's subject is not allowed"),
        (signed_with_one_of(token, _keys(leaf)), "the assertion is not signed with the certificate's key"),
    )
    _require(rules)
    check_claims(token, asked.form.get("client_id", ""), asked, seen)


def check_document(text: str, known: Federated, asked: Asked, authority: Authority) -> None:
    """An ECS instance's signed identity document. Raises `RefusedError`."""
    try:
        signed = parse(text)
        signer = signer_of(signed)
        document = _object(signed.content)
        audience = _object(str(document.get("audience")).encode())
    except (ValueError, StopIteration, IndexError, UnsupportedAlgorithm):
        raise _refused("the document is not PKCS#7") from None
    at = audience.get("signingTime")
    rules = (
        (
            signer is not None and _of_ecs(signer, signed.certificates, authority, asked.at),
            "the signature is not ours",
        ),
        (audience.get("aud") == asked.world.instance_id, "the document is for another audience"),
        (isinstance(at, int) and at <= asked.at + CLOCK_LEEWAY, "the document is from the future"),
        (isinstance(at, int) and asked.at <= at + known.effective_seconds, "the document is too old"),
        (like(known.subject, str(document.get("instance-id"))), "the instance is not allowed"),
    )
    _require(rules)


def _of_ecs(signer: x509.Certificate, found: Iterable[x509.Certificate], authority: Authority, at: float) -> bool:
    return trusted(signer, [each for each in found if each != signer], authority.root, at)


def _certificates(text: str, field: str) -> list[x509.Certificate]:
    if not text:
        raise RefusedError("invalid_request", f"{field} is missing.")
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise RefusedError("invalid_request", f"{field} is not PEM.") from None


def _keys(leaf: x509.Certificate) -> list[VerifyKey]:
    key = leaf.public_key()
    return [key] if isinstance(key, VerifyKey) else []


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _require(rules: Iterable[tuple[bool, str]]) -> None:
    for holds, otherwise in rules:
        if not holds:
            raise _refused(otherwise)


def _refused(why: str) -> RefusedError:
    return RefusedError("invalid_client", f"The client assertion was refused: {why}.")
