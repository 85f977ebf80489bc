"""TLS for loopback: a temporary certification authority signs one server certificate, then its key is discarded."""

import hashlib
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_FILE = "emulator-ca.pem"
_LIFETIME = timedelta(days=90)


def server_context(directory: Path, client_ca: str | None = None) -> ssl.SSLContext:
    """
    Return a TLS server context for 127.0.0.1, localhost and ::1; write its CA certificate to `emulator-ca.pem`.

    The file is written into `directory`. No private key stays on disk, and the CA's key is discarded on return.

    `client_ca` is PEM: the CA whose client certificates are verified. Clients may connect without a certificate.
    With None, no client certificate is requested.
    """
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca = _ca_certificate(ca_key)
    leaf = _server_certificate(key, ca, ca_key)
    (directory / CA_FILE).write_bytes(ca.public_bytes(Encoding.PEM))
    # The root is presented too, so that its fingerprint can be computed by RAM's rule from the connection alone.
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem += leaf.public_bytes(Encoding.PEM) + ca.public_bytes(Encoding.PEM)
    context = _context(pem)
    if client_ca is not None:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def ca_fingerprint(directory: Path) -> str:
    """Return the SHA-1 fingerprint of the CA certificate that `server_context` wrote, as RAM writes it."""
    certificate = x509.load_pem_x509_certificate((directory / CA_FILE).read_bytes())
    return hashlib.sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest()


def _context(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # `ssl` loads a private key from a file only. NamedTemporaryFile creates it with mode 0600 and removes it.
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _ca_certificate(key: EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("idaas-sidecar emulator CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    extensions = (_key_usage(signs_certificates=True), identifier)
    return _certificate(name, key, name, key, x509.BasicConstraints(ca=True, path_length=0), extensions)


def _server_certificate(
    key: EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    addresses = [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", "::1")]
    extensions = (
        _key_usage(signs_certificates=False),
        x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
    )
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    return _certificate(_name("localhost"), key, ca.subject, ca_key, constraints, extensions)


def _certificate(
    subject: x509.Name,
    key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    constraints: x509.BasicConstraints,
    extensions: Sequence[x509.ExtensionType],
) -> x509.Certificate:
    # TLS clients check validity by the machine's clock, so the emulator's clock is not used here. One day of leeway
    # covers a client whose clock is behind.
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(constraints, critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage))
    return builder.sign(issuer_key, SHA256())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
