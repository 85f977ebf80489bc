"""A certification authority that signs one certificate, for loopback, and is forgotten."""

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
_LIFE = timedelta(days=90)


def server_context(directory: Path, clients: str | None = None) -> ssl.SSLContext:
    """
    A TLS context for 127.0.0.1, localhost and ::1, whose CA certificate is then in `directory` as
    `emulator-ca.pem`.

    `clients` is the CA, PEM, of certificates that clients may show; None asks for none.

    No private key stays on disk; the CA's is gone when this returns.
    """
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca = _authority(ca_key)
    leaf = _leaf(key, ca, ca_key)
    (directory / CA_FILE).write_bytes(ca.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + leaf.public_bytes(Encoding.PEM)
    context = _context(pem)
    if clients is not None:
        context.load_verify_locations(cadata=clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _context(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # OpenSSL is reached through a file only. NamedTemporaryFile makes it with mode 0600 and removes it.
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _authority(key: EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("idaas-sidecar emulator CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    extensions = (_usage(signs_certificates=True), identifier)
    return _signed(name, key, name, key, x509.BasicConstraints(ca=True, path_length=0), extensions)


def _leaf(key: EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: EllipticCurvePrivateKey) -> x509.Certificate:
    addresses = [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", "::1")]
    extensions = (
        _usage(signs_certificates=False),
        x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
    )
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    return _signed(_name("localhost"), key, ca.subject, ca_key, constraints, extensions)


def _signed(
    subject: x509.Name,
    key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    constraints: x509.BasicConstraints,
    extensions: Sequence[x509.ExtensionType],
) -> x509.Certificate:
    # The machine's clock and not the emulator's: this is what TLS clients go by. A day of leeway for theirs.
    today = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + _LIFE)
        .add_extension(constraints, critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage))
    return builder.sign(issuer_key, SHA256())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
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
