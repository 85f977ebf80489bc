"""The TLS context of the webhook, whose certificate is replaced without a restart.

cert-manager, or an upgrade of the chart, changes the Secret; kubelet then replaces the files of the volume.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ...core.errors import ConfigError, NotThereYet
from ...system import files
from ...system.probe import probe

LOOK_SECONDS = 5.0
"""Seconds between two checks of the files. kubelet needs up to a minute to bring a changed Secret to the node."""


LARGEST = 1_048_576
"""The most bytes of a certificate chain: the size limit of a Secret."""


def require(directory: str) -> None:
    """Raise NotThereYet if a file of `Certificates` is missing or empty: cert-manager or kubelet may write it soon."""
    for path in _paths(directory):
        try:
            raw = files.read(path, LARGEST)
        except files.Absent as why:
            raise NotThereYet(why.at(path)) from None
        except files.Unreadable:
            continue  # `Certificates` reports it with OpenSSL's reason
        if not raw.strip():
            raise NotThereYet(f"{path}: empty")


class Certificates:
    """
    The certificate chain and the key in `directory`: tls.crt and tls.key, as in a Secret of type kubernetes.io/tls.

    `context` is for the listener. Each handshake uses the certificate that was loaded last. Raises ConfigError if the
    first certificate cannot be loaded.
    """

    def __init__(self, directory: str, refused: Callable[[str], None], replaced: Callable[[str], None]) -> None:
        self._certificate, self._key = _paths(directory)
        self._refused = refused
        self._replaced = replaced
        self._stamps = self._stamp()
        try:
            self._current, self._expires_at = self._loaded()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{self._certificate}, tls.key: cannot be used: {_cause(error)}", error_code="IDS-128"
            ) from None
        self.context = _context()
        self.context.sni_callback = self._select

    @property
    def expires_at(self) -> float:
        """The expiry of the certificate in use, in Unix seconds."""
        return self._expires_at

    @property
    def not_after(self) -> str:
        """The expiry of the certificate in use as text for the log (RFC 3339)."""
        return datetime.fromtimestamp(self._expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def refresh(self) -> None:
        """
        Load changed files. Call it every LOOK_SECONDS, in a thread.

        A pair of certificate and key that cannot be used is reported, and the certificate in use stays. The two files
        are read one after the other, so a change in between also makes such a pair. The next call sees the whole
        change.
        """
        stamps = self._stamp()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._current, self._expires_at = self._loaded()
        except (OSError, ValueError) as error:
            self._stamps = ()  # makes the next call try again
            self._refused(_cause(error))
        else:
            self._replaced(self.not_after)

    def _stamp(self) -> tuple[object, ...]:
        return probe(self._certificate), probe(self._key)

    def _loaded(self) -> tuple[ssl.SSLContext, float]:
        """Return a context with the certificate in the file, and the certificate's expiry."""
        from cryptography import x509

        context = _context()
        context.load_cert_chain(self._certificate, self._key)
        certificate = x509.load_pem_x509_certificate(Path(self._certificate).read_bytes())
        return context, certificate.not_valid_after_utc.timestamp()

    def _select(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Give the handshake the current certificate. OpenSSL calls this also for clients that send no name."""
        connection.context = self._current


def _paths(directory: str) -> tuple[str, str]:
    return f"{directory}/tls.crt", f"{directory}/tls.key"


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _cause(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
