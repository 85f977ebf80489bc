"""
Verify federated client authentication.

A third party vouches for the client: ECS signs an instance's identity document (PKCS7), a cluster signs a token (OIDC),
a CA issues a certificate (PCA).
"""

import json
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ..crypto.jws import VerificationKey, verify_signature
from ..crypto.pkcs7 import parse, verified_signer
from ..crypto.pki import Authority, common_name, is_valid_chain
from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError
from ..world.entities import Client, FederatedCredential
from ..world.trust_policy import string_like
from .assertion import CLOCK_SKEW, check_claims, rejected, require
from .assertion import parse as parse_assertion


def federated_credential(request: Request, client: Client, kind: str) -> FederatedCredential:
    """Return the client's federated credential of `kind` that the request names. Raises `RefusedError`."""
    name = request.form.get("application_federated_credential_name", "")
    if not name:
        raise RefusedError("invalid_request", "application_federated_credential_name is missing.")
    credential = client.federated.get(name)
    if credential is None or credential.kind != kind:
        raise rejected("the client has no federated credential of that name and kind")
    return credential


def check_oidc(
    assertion: str, credential: FederatedCredential, request: Request, keys: Iterable[VerificationKey]
) -> None:
    """Check the token of an external issuer whose public keys are `keys`. Raises `RefusedError`."""
    token = parse_assertion(assertion)
    require(
        (verify_signature(token, keys), "the token's signature is wrong"),
        (token.claims.get("iss") == credential.issuer, "the token is from another issuer"),
        (not set(credential.audiences).isdisjoint(token.audiences), "the token is for another audience"),
        (request.now < token.number("exp"), "the token has expired"),
        (token.number("iat") <= request.now + CLOCK_SKEW, "the token is from the future"),
        (string_like(credential.subject, str(token.claims.get("sub"))), "the trust condition does not hold"),
    )


def check_pca(
    assertion: str, credential: FederatedCredential, request: Request, authority: Authority, used_ids: ReplayCache
) -> None:
    """Check a certificate that `authority` issued, and an assertion signed by its key. Raises `RefusedError`."""
    leaf = _certificates(request.form.get("client_x509", ""), "client_x509")[0]
    chain = _certificates(request.form.get("client_x509_chain", ""), "client_x509_chain")
    token = parse_assertion(assertion)
    require(
        (
            is_valid_chain(leaf, chain, authority.root, request.now),
            "the certificate does not lead to a registered CA",
        ),
        (string_like(credential.subject, common_name(leaf)), "the certificate's subject is not allowed"),
        (verify_signature(token, _public_keys(leaf)), "the assertion is not signed with the certificate's key"),
    )
    check_claims(token, request.form.get("client_id", ""), request, used_ids)


def check_pkcs7(assertion: str, credential: FederatedCredential, request: Request, authority: Authority) -> None:
    """Check the identity document of an ECS instance, signed under `authority`. Raises `RefusedError`."""
    try:
        signed = parse(assertion)
        signer = verified_signer(signed)
        document = _json_object(signed.content)
        audience = _json_object(str(document.get("audience")).encode())
    except (ValueError, StopIteration, IndexError, UnsupportedAlgorithm):
        raise rejected("the document is not PKCS#7") from None
    signed_at = audience.get("signingTime")
    chain = [certificate for certificate in signed.certificates if certificate != signer]
    require(
        (
            signer is not None and is_valid_chain(signer, chain, authority.root, request.now),
            "the document is not signed by ECS",
        ),
        (audience.get("aud") == request.world.instance_id, "the document is for another audience"),
        (isinstance(signed_at, int) and signed_at <= request.now + CLOCK_SKEW, "the document is from the future"),
        (
            isinstance(signed_at, int) and request.now <= signed_at + credential.effective_seconds,
            "the document is too old",
        ),
        (string_like(credential.subject, str(document.get("instance-id"))), "the instance is not allowed"),
    )


def _certificates(text: str, field: str) -> list[x509.Certificate]:
    if not text:
        raise RefusedError("invalid_request", f"{field} is missing.")
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise RefusedError("invalid_request", f"{field} is not PEM.") from None


def _public_keys(certificate: x509.Certificate) -> list[VerificationKey]:
    key = certificate.public_key()
    return [key] if isinstance(key, VerificationKey) else []


def _json_object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
