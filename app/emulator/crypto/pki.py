"""Certification authorities of the emulated world: one issues workload certificates, one signs for ECS instances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A leaf, its intermediates without the root, and the leaf's private key, all PEM."""

    leaf_pem: str
    chain_pem: str
    key_pem: str = field(repr=False)


class Authority:
    """A certification authority: a root, and an intermediate that signs leaves. Keys are generated on first use."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._now = now

    @cached_property
    def _keys(self) -> tuple[EllipticCurvePrivateKey, EllipticCurvePrivateKey]:
        """The private keys of the root and of the intermediate."""
        return generate_private_key(SECP256R1()), generate_private_key(SECP256R1())

    @cached_property
    def root(self) -> x509.Certificate:
        """The root certificate, which relying parties trust."""
        key = self._keys[0]
        return self._certificate(f"{self._name} root", key, f"{self._name} root", key, path_length=1, days=3650)

    @cached_property
    def intermediate(self) -> x509.Certificate:
        """The certificate of the key that signs leaves."""
        root_key, key = self._keys
        return self._certificate(
            f"{self._name} intermediate", key, f"{self._name} root", root_key, path_length=0, days=1825
        )

    def issue(
        self, common_name: str, *, server: bool = False, days: float = 30, starts_in_days: float = -1
    ) -> IssuedCertificate:
        """
        Return a new leaf certificate with its key.

        It is valid from `starts_in_days` days from now, for `days` + 1 days: with the default start, it expires
        `days` days from now. A client certificate by default; with `server`, a server certificate for 127.0.0.1.
        """
        key = generate_private_key(SECP256R1())
        issuer = f"{self._name} intermediate"
        leaf = self._certificate(
            common_name,
            key,
            issuer,
            self._keys[1],
            path_length=None,
            days=days,
            starts_in_days=starts_in_days,
            server=server,
        )
        private_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return IssuedCertificate(pem(leaf), pem(self.intermediate), private_key.decode())

    def _certificate(
        self,
        subject: str,
        key: EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: EllipticCurvePrivateKey,
        *,
        path_length: int | None,
        days: float,
        starts_in_days: float = -1,
        server: bool = False,
    ) -> x509.Certificate:
        """Return a signed certificate; a `path_length` of None makes a leaf, a number a certification authority."""
        not_before = datetime.fromtimestamp(self._now(), UTC) + timedelta(days=starts_in_days)
        builder = (
            x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key(), x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_before + timedelta(days=days + 1))
            .add_extension(x509.BasicConstraints(path_length is not None, path_length), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if path_length is None:
            usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(issuer_key, SHA256())


def pem(certificate: x509.Certificate) -> str:
    """Return the certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def is_valid_chain(
    leaf: x509.Certificate, chain: Sequence[x509.Certificate], root: x509.Certificate, at: float
) -> bool:
    """
    Return whether `chain` leads from `leaf` to `root`.

    Each certificate must be valid at `at` (Unix seconds) and, except for the leaf, be a certification authority.
    """
    moment = datetime.fromtimestamp(at, UTC)
    path = (leaf, *chain, root)
    all_current = all(each.not_valid_before_utc <= moment < each.not_valid_after_utc for each in path)
    all_authorities = all(_is_authority(each) for each in path[1:])
    return all_current and all_authorities and all(map(_is_issued_by, path, path[1:]))


def common_name(certificate: x509.Certificate) -> str:
    """Return the subject's common name, or an empty string."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # ValueError, TypeError or InvalidSignature: not issued by it
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
