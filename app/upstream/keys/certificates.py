"""Loads certificates in all common forms, for signatures and for TLS."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from ...core.errors import ConfigError
from . import encodings, key_derivation
from .key_derivation import TooManyRounds

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_CERTIFICATES = re.compile(r"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----")
"""The beginning of a block. It has few labels, so that a text of beginnings without ends is read in linear time."""

_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def load_certificate(
    text: str, place: str, *, password: str | None = None, key: PrivateKeyTypes | None = None
) -> x509.Certificate:
    """Return the first certificate of `certificate_chain`. Raises ConfigError, which does not quote the text."""
    chain = certificate_chain(text, password, place, key=key)
    try:
        return x509.load_pem_x509_certificate(chain.encode())
    except ValueError:
        raise _no_certificate(place) from None


def certificate_chain(text: str, password: str | None, place: str, *, key: PrivateKeyTypes | None = None) -> str:
    """
    Return the certificates in `text` as PEM, in their order: those of a PEM, or base64 of a PEM, DER or PKCS#12.

    The certificate of `key`, or of a PKCS#12's key, is the first, and those of its issuers follow. `password`: for
    a PKCS#12; other files ignore it. Raises ConfigError; the text is not quoted.
    """
    try:
        found = _chain(encodings.plain(text), password.encode() if password else None)
        if key is not None:
            found = _leaf_first(found, key)
    except TooManyRounds as error:
        raise error.at(place) from None
    except (ValueError, UnsupportedAlgorithm):
        found = ""
    if not found:
        raise _no_certificate(place)
    return found


def belongs(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Return whether `certificate` belongs to `key`."""
    return certificate.public_key() == key.public_key()


def _no_certificate(place: str) -> ConfigError:
    return ConfigError(
        f"{place}: no usable certificate, neither PEM ({_CERTIFICATE}) nor DER, nor a PKCS#12 with the key's password",
        cure="write the certificate there in one of these forms",
        error_code="IDS-115",
    )


def _leaf_first(chain: str, key: PrivateKeyTypes) -> str:
    """Return the chain from the certificate of `key`, if any, to its last issuer: some tools write the CA first."""
    found = x509.load_pem_x509_certificates(chain.encode())
    leaf = next((each for each in found if belongs(each, key)), found[0])
    others = [each for each in found if each is not leaf]
    return chain if leaf is found[0] else "".join(map(_pem, _in_order(leaf, others)))


def _chain(text: str, password: bytes | None) -> str:
    blocks = "".join(_block(label, body) for label, body in encodings.blocks(_CERTIFICATES, text))
    if blocks or "-----BEGIN " in text:
        return blocks
    raw = encodings.decode(text)
    if b"-----BEGIN " in raw:
        return _chain(encodings.plain(raw.decode("ascii")), password)
    if not encodings.PKCS12.match(raw):
        return _pem(x509.load_der_x509_certificate(raw))
    try:
        _, leaf, others = key_derivation.once(load_key_and_certificates, raw, password)
    except ValueError:
        if password is None:
            raise
        _, leaf, others = key_derivation.once(load_key_and_certificates, raw, None)
    return "".join(map(_pem, _in_order(leaf, others))) if leaf is not None else ""


def _block(label: str, body: str) -> str:
    """Return a block without the trusted uses that OpenSSL's `-trustout` writes after the certificate."""
    if label != "TRUSTED CERTIFICATE":
        return encodings.block(label, body)
    raw = encodings.decode(body)
    return encodings.block("CERTIFICATE", base64.b64encode(raw[: encodings.der_value(raw).stop]).decode())


def _in_order(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates from the leaf to its last issuer; a PKCS#12 has them in any order."""
    chain, left = [leaf], list(others)
    while issuer := next((each for each in left if each.subject == chain[-1].issuer), None):
        chain.append(issuer)
        left.remove(issuer)
    return chain + left


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
