"""Two certification authorities of the emulated world: one for workloads, one that signs for ECS instances."""

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
    """A leaf, the intermediates up to but without the root, and the leaf's private key; all PEM."""

    leaf_pem: str
    chain_pem: str
    key_pem: str = field(repr=False)


class Authority:
    """A root and an intermediate that signs leaves. Keys are made when first needed."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._now = now

    @cached_property
    def _keys(self) -> tuple[EllipticCurvePrivateKey, EllipticCurvePrivateKey]:
        return generate_private_key(SECP256R1()), generate_private_key(SECP256R1())

    @cached_property
    def root(self) -> x509.Certificate:
        """The root, which a world registers as trusted."""
        key = self._keys[0]
        return self._signed(f"{self._name} root", key, f"{self._name} root", key, authority=1, days=3650)

    @cached_property
    def intermediate(self) -> x509.Certificate:
        """What signs leaves."""
        root_key, key = self._keys
        return self._signed(f"{self._name} intermediate", key, f"{self._name} root", root_key, authority=0, days=1825)

    def issue(
        self, common_name: str, *, server: bool = False, days: float = 30, since: float = -1
    ) -> IssuedCertificate:
        """A leaf, valid from `since` days from now for `days` days; a server's is one for loopback."""
        own = generate_private_key(SECP256R1())
        issuer = f"{self._name} intermediate"
        leaf = self._signed(
            common_name, own, issuer, self._keys[1], authority=None, days=days, since=since, server=server
        )
        private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return IssuedCertificate(pem(leaf), pem(self.intermediate), private.decode())

    def _signed(
        self,
        subject: str,
        key: EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: EllipticCurvePrivateKey,
        *,
        authority: int | None,
        days: float,
        since: float = -1,
        server: bool = False,
    ) -> x509.Certificate:
        begin = datetime.fromtimestamp(self._now(), UTC) + timedelta(days=since)
        builder = (
            x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days + 1))
            .add_extension(x509.BasicConstraints(authority is not None, authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if authority is None:
            usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(issuer_key, SHA256())


def pem(certificate: x509.Certificate) -> str:
    """The certificate as PEM text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def trusted(leaf: x509.Certificate, chain: Sequence[x509.Certificate], root: x509.Certificate, at: float) -> bool:
    """Whether `chain` leads from `leaf` to `root`, each valid at `at`, each but the leaf an authority."""
    moment = datetime.fromtimestamp(at, UTC)
    path = (leaf, *chain, root)
    in_time = all(each.not_valid_before_utc <= moment < each.not_valid_after_utc for each in path)
    authorities = all(_is_authority(each) for each in path[1:])
    return in_time and authorities and all(map(_issued_by, path, path[1:]))


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or nothing."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # ValueError, TypeError or InvalidSignature: each is a no
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
