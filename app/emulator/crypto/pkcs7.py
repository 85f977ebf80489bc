"""PKCS#7 SignedData (RFC 5652), as ECS signs instance identity documents: create, parse, verify."""

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

_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")  # 1.2.840.113549.1.9.4
_SEQUENCE, _SET, _OCTET_STRING = 0x30, 0x31, 0x04
_SIGNED_ATTRIBUTES = 0xA0  # [0] of SignerInfo


@dataclass(frozen=True, slots=True)
class SignedData:
    """The content, the certificates sent with it, and the DER value of the signed attributes with its signature."""

    content: bytes
    certificates: Sequence[x509.Certificate]
    attributes: bytes
    signature: bytes


def sign(content: bytes, signer: IssuedCertificate) -> str:
    """Return base64 SignedData over `content` that contains the signer's certificate and chain."""
    leaf = x509.load_pem_x509_certificate(signer.leaf_pem.encode())
    key = load_pem_private_key(signer.key_pem.encode(), None)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(leaf, key, SHA256())  # type: ignore[arg-type]
    for certificate in x509.load_pem_x509_certificates(signer.chain_pem.encode()):
        builder = builder.add_certificate(certificate)
    return base64.encodebytes(builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])).decode()


def parse(text: str) -> SignedData:
    """Return the SignedData in base64 `text`, line breaks allowed. Verifies nothing. Raises ValueError."""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    content_info = _elements(_single_value(der, _SEQUENCE))
    _, explicit = next(content_info), next(content_info)
    signed_data = list(_elements(_single_value(explicit[1], _SEQUENCE)))
    encapsulated = list(_elements(signed_data[2][1]))
    (signer_info,) = _elements(signed_data[-1][1])
    members = list(_elements(signer_info[1]))
    attributes = next((value for tag, value in members if tag == _SIGNED_ATTRIBUTES), None)
    signatures = [value for tag, value in members if tag == _OCTET_STRING]
    if attributes is None or not signatures or len(encapsulated) < 2:
        raise ValueError("no signed attributes, signature or content")
    content = _single_value(encapsulated[1][1], _OCTET_STRING)
    return SignedData(content, pkcs7.load_der_pkcs7_certificates(der), attributes, signatures[-1])


def verified_signer(signed: SignedData) -> x509.Certificate | None:
    """Return the enclosed certificate whose key signed the content, or None. The certificate is not verified."""
    if not hmac.compare_digest(_message_digest(signed.attributes), hashlib.sha256(signed.content).digest()):
        return None
    # RFC 5652 5.4: the signature is over the attributes encoded as a SET, not under the tag [0] of the message.
    signed_bytes = bytes([_SET]) + _encoded_length(len(signed.attributes)) + signed.attributes
    return next((each for each in signed.certificates if _verify(each, signed.signature, signed_bytes)), None)


def _verify(certificate: x509.Certificate, signature: bytes, signed_bytes: bytes) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, signed_bytes, ECDSA(SHA256()))
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, signed_bytes, PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _message_digest(attributes: bytes) -> bytes:
    for _, attribute in _elements(attributes):
        (_, identifier), (_, values) = _elements(attribute)
        if identifier == _MESSAGE_DIGEST:
            return _single_value(values, _OCTET_STRING)
    return b""


def _single_value(der: bytes, tag: int) -> bytes:
    """Return the value of the only element in `der`. Raises ValueError if its tag is not `tag`."""
    ((found, value),) = _elements(der)
    if found != tag:
        raise ValueError("not SignedData")
    return value


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each DER element in `der`. Raises ValueError if the last one is incomplete."""
    position = 0
    while position < len(der):
        tag, length, start = der[position], *_read_length(der, position + 1)
        if start + length > len(der):
            raise ValueError("truncated")
        yield tag, der[start : start + length]
        position = start + length


def _read_length(der: bytes, position: int) -> tuple[int, int]:
    """Return the DER length at `position`, and the position of the value after it."""
    if position >= len(der):
        raise ValueError("truncated")
    first = der[position]
    if first < 0x80:
        return first, position + 1
    count = first & 0x7F
    return int.from_bytes(der[position + 1 : position + 1 + count]), position + 1 + count


def _encoded_length(length: int) -> bytes:
    if length < 0x80:
        return bytes([length])
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x80 | len(octets)]) + octets
