"""The algorithm that each private key signs with, and the name that its certificate gives it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from ..core.errors import ConfigError
from ..upstream.keys.key_forms import Hints, PrivateKey

_RSA_ALGORITHMS = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
SMALLEST_RSA = 2048
"""The minimum size in bits of an RSA key (RFC 7518 3.3 and 3.5). OpenID providers refuse smaller ones."""

_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def algorithm_for(key: PrivateKey, place: str) -> str:
    """
    Return RS256, RS384 or RS512 by the modulus, or ES256, ES384 or ES512 by the curve, as in the IDaaS SDKs.

    Raises ConfigError for a key that IDaaS does not accept.
    """
    if isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{place}: neither an RSA nor an EC key; IDaaS takes no other", error_code="IDS-115")
    if isinstance(key, RSAPrivateKey):
        return "RS256" if key.key_size <= 2048 else "RS384" if key.key_size <= 3072 else "RS512"
    return _ec_algorithm(key, place)


def fitting_algorithms(key: PrivateKey, place: str) -> tuple[str, ...]:
    """Return the algorithms that `key` can sign with, the most widely accepted first. Raises ConfigError."""
    if isinstance(key, RSAPrivateKey):
        if key.key_size < SMALLEST_RSA:
            raise ConfigError(
                f"{place}: an RSA key of {key.key_size} bits; the algorithms of JWT need {SMALLEST_RSA} or more",
                cure=f"register a new key: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{SMALLEST_RSA}",
                error_code="IDS-115",
            )
        return _RSA_ALGORITHMS
    return ("EdDSA",) if isinstance(key, Ed25519PrivateKey) else (_ec_algorithm(key, place),)


def standard_algorithm(key: PrivateKey, hints: Hints, supported: Sequence[str], place: str) -> str:
    """
    Return the algorithm that the key's own form names, else the key's first algorithm that the server supports.

    Return the key's first algorithm if the server names none of the key's algorithms.
    """
    fitting = fitting_algorithms(key, place)
    if hints.algorithm in fitting:
        return hints.algorithm
    if hints.pss:
        fitting = tuple(name for name in fitting if name.startswith("PS"))
    return next((name for name in fitting if name in supported), fitting[0])


def _ec_algorithm(key: EllipticCurvePrivateKey, place: str) -> str:
    algorithm = _EC_ALGORITHMS.get(key.curve.name)
    if algorithm is None:
        raise ConfigError(f"{place}: the curve {key.curve.name} is none of P-256, P-384, P-521", error_code="IDS-115")
    return algorithm


def check_algorithm(algorithm: str, key: PrivateKey, place: str) -> None:
    """Raise ConfigError if `key` cannot sign with `algorithm`."""
    fitting = fitting_algorithms(key, place)
    if algorithm not in fitting:
        raise ConfigError(
            f"{place}.algorithm: {algorithm} does not fit the key, whose own is {fitting[0]}", error_code="IDS-115"
        )


def thumbprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's DER as base64url without padding (`x5t#S256`)."""
    return base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()
