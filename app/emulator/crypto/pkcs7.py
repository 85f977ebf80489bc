"""PKCS#7 SignedData (RFC 5652) as ECS signs its instance identity documents: made, taken apart, checked."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from .pki import IssuedCertificate

_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SEQUENCE, _SET, _OCTETS, _OID = 0x30, 0x31, 0x04, 0x06
_FIRST = 0xA0


@dataclass(frozen=True, slots=True)
class Signed:
    """Signed content and the certificates that came with it."""

    content: bytes
    certificates: Sequence[x509.Certificate]
    attributes: bytes
    signature: bytes


def sign(content: bytes, signer: IssuedCertificate) -> str:
    """The base64 of SignedData over `content`, with the signer's certificate and chain inside."""
    leaf = x509.load_pem_x509_certificate(signer.leaf_pem.encode())
    key = load_pem_private_key(signer.key_pem.encode(), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(leaf, key, SHA256())  # type: ignore[arg-type]
    for certificate in x509.load_pem_x509_certificates(signer.chain_pem.encode()):
        builder = builder.add_certificate(certificate)
    return base64.encodebytes(builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])).decode()


def parse(text: str) -> Signed:
    """SignedData in base64, with or without line breaks. Raises ValueError; nothing is verified yet."""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    whole = _parts(_only(der, _SEQUENCE))
    _, data = next(whole), next(whole)
    signed = list(_parts(_only(data[1], _SEQUENCE)))
    encapsulated = list(_parts(signed[2][1]))
    (signer,) = _parts(signed[-1][1])
    info = list(_parts(signer[1]))
    attributes = next((value for tag, value in info if tag == _FIRST), None)
    signatures = [value for tag, value in info if tag == _OCTETS]
    if attributes is None or not signatures or len(encapsulated) < 2:
        raise ValueError("no signed attributes, signature or content")
    content = _only(encapsulated[1][1], _OCTETS)
    return Signed(content, pkcs7.load_der_pkcs7_certificates(der), attributes, signatures[-1])


def signer_of(signed: Signed) -> x509.Certificate | None:
    """The certificate whose key signed the content, if one did."""
    if not hmac.compare_digest(_digest_in(signed.attributes), hashlib.sha256(signed.content).digest()):
        return None
    # RFC 5652 5.4: what is signed is the attributes as a SET, not under the tag they travel with.
    text = bytes([_SET]) + _length(len(signed.attributes)) + signed.attributes
    return next((each for each in signed.certificates if _verifies(each, signed.signature, text)), None)


def _verifies(certificate: x509.Certificate, signature: bytes, text: bytes) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, text, ECDSA(SHA256()))
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, text, PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _digest_in(attributes: bytes) -> bytes:
    for _, attribute in _parts(attributes):
        (_, name), (_, values) = _parts(attribute)
        if name == _MESSAGE_DIGEST:
            return _only(values, _OCTETS)
    return b""


def _only(der: bytes, tag: int) -> bytes:
    """The value of the one element of `der`, which must have `tag`."""
    ((found, value),) = _parts(der)
    if found != tag:
        raise ValueError("not SignedData")
    return value


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a DER sequence's value: tag and value each."""
    at = 0
    while at < len(der):
        tag, size, start = der[at], *_size(der, at + 1)
        if start + size > len(der):
            raise ValueError("cut off")
        yield tag, der[start : start + size]
        at = start + size


def _size(der: bytes, at: int) -> tuple[int, int]:
    """The length written at `at`, and where what follows it begins."""
    if at >= len(der):
        raise ValueError("cut off")
    first = der[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    return int.from_bytes(der[at + 1 : at + 1 + count]), at + 1 + count


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([0x80 | len(octets)]) + octets
