"""
The certificates that a server presents, and the fingerprint that RAM registers.

RAM's rule: SHA-1 of the last certificate that the server presents, as `openssl s_client -showcerts` shows it. Most
servers leave out their root. The last certificate is then an intermediate, and the root from this machine's trust store
is reported, too.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from ..core.errors import ConfigError, Unreachable
from .ca_file import trusting

TIMEOUT_SECONDS = 10.0


class UnreadableCertificate(ValueError):
    """A certificate that OpenSSL accepts, but whose members violate the encoding of RFC 5280."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of a chain. `sha1` is its fingerprint as RAM writes it: 40 hexadecimal digits."""

    subject: str
    issuer: str
    sha1: str
    not_after: str

    @property
    def is_root(self) -> bool:
        """Whether the certificate names itself as its issuer."""
        return self.subject == self.issuer


@dataclass(frozen=True, slots=True)
class Chain:
    """
    The certificates that the server at `host` and `port` presents, leaf first.

    `trusted_root` is the trusted root of this machine for the chain. If there is none, `untrusted` has the reason.
    """

    host: str
    port: int
    presented: tuple[Certificate, ...]
    trusted_root: Certificate | None = None
    untrusted: str | None = None

    @property
    def fingerprint(self) -> str:
        """The fingerprint by RAM's rule."""
        return self.presented[-1].sha1

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints to register: by RAM's rule, and of the trusted root if the server does not present it."""
        root = self.trusted_root
        extra = (root.sha1,) if root is not None and not self.presented[-1].is_root else ()
        return tuple(dict.fromkeys((self.fingerprint, *extra)))

    @property
    def notes(self) -> tuple[str, ...]:
        """Advice, as sentences, on the values to compare before the fingerprint is registered."""
        found = []
        if not self.presented[-1].is_root:
            root = f"; the root that this machine trusts is {self.trusted_root.subject!r}" if self.trusted_root else ""
            found.append(
                f"{self.host} does not present its root certificate, but {self.presented[-1].subject!r} as the last"
                f"{root}; compare with the button Get Fingerprint of the RAM console"
            )
        if self.untrusted is not None:
            found.append(
                f"this machine does not trust the certificate of {self.host} ({self.untrusted}); compare the "
                "fingerprint with one that the operator of the issuer names"
            )
        return tuple(found)


def endpoint(url: str) -> tuple[str, int]:
    """Return host and port of an https URL or a bare host. Raises ConfigError."""
    try:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        host, port = parts.hostname, parts.port or 443
    except ValueError as error:
        raise ConfigError(f"{url!r}: not a URL: {error}", error_code="IDS-112") from None
    if parts.scheme != "https" or not host:
        raise ConfigError(
            f"{url!r}: must be an https URL, such as https://example.aliyunidaas.com", error_code="IDS-112"
        )
    return host, port


def presented(url: str, ca_file: str | None = None, timeout: float = TIMEOUT_SECONDS, *, otherwise: str = "") -> Chain:
    """
    Return the chain that the server of `url` presents. Connects directly, because a proxy may present its own chain.

    `ca_file` is a bundle that replaces the system's CAs. `otherwise`: what the caller can do without the chain, for
    the cure. Raises Unreachable, and ConfigError for an invalid URL.
    """
    host, port = endpoint(url)
    context = trusting(ca_file)
    try:
        try:
            certificates, root = _handshake(host, port, context, timeout)
            return Chain(host, port, certificates, root)
        except ssl.SSLCertVerificationError as error:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            certificates, _ = _handshake(host, port, context, timeout)
            return Chain(host, port, certificates, untrusted=error.verify_message)
    except UnicodeError:
        raise ConfigError(f"{url!r}: not a host name", error_code="IDS-112") from None
    except UnreadableCertificate:
        raise Unreachable(
            f"{host}:{port}: presents a certificate that cannot be read; its operator must replace it"
        ) from None
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error) or "the connection broke off"
        raise Unreachable(
            f"{host}:{port}: {reason}",
            cure=", or ".join(filter(None, ("run this command where the issuer can be reached", otherwise))),
        ) from None


def from_pem(text: str, place: str) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM file in their order. Raises ConfigError."""
    from cryptography import x509  # only this command needs it

    try:
        return tuple(certificate(each.public_bytes(_der())) for each in x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        raise ConfigError(
            f"{place}: no PEM certificate in it",
            cure="give the chain that the server will present",
            error_code="IDS-115",
        ) from None


def certificate(der: bytes) -> Certificate:
    """Return the members of a certificate in DER form. Raises UnreadableCertificate."""
    from cryptography import x509  # only this command needs it

    digest = hashlib.sha1(der, usedforsecurity=False).hexdigest()
    try:
        parsed = x509.load_der_x509_certificate(der)
        expires = parsed.not_valid_after_utc.strftime("%Y-%m-%d")
        return Certificate(parsed.subject.rfc4514_string(), parsed.issuer.rfc4514_string(), digest, expires)
    except (ValueError, OverflowError):
        raise UnreadableCertificate from None


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def _handshake(
    host: str, port: int, context: ssl.SSLContext, timeout: float
) -> tuple[tuple[Certificate, ...], Certificate | None]:
    """Return the presented certificates, and the trusted root if `context` verifies them."""
    with (
        socket.create_connection((host, port), timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        shown = [certificate(each) for each in _chain(connection, "get_unverified_chain")]
        verifies = context.verify_mode != ssl.CERT_NONE
        verified = _chain(connection, "get_verified_chain") if verifies else ()
        return tuple(shown), certificate(verified[-1]) if verified else None


def _chain(connection: ssl.SSLSocket, name: str) -> Sequence[bytes]:
    """Return a chain of the connection as DER. The method `name` is public since Python 3.13, and private before."""
    if sys.version_info >= (3, 13):
        return cast("Sequence[bytes]", getattr(connection, name)())
    private: Any = connection._sslobj  # type: ignore[attr-defined]
    return [each.public_bytes(2) for each in getattr(private, name)()]  # 2 selects DER
