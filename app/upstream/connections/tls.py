"""The TLS of one connection: the CAs that it trusts, and the client certificate that it presents."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Mapping

from ...core.errors import ConfigError, NotThereYet
from ...core.record import Record
from ..keys import ca_bundle
from ..keys.client_certificate import ClientCertificate, present

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""The name of a certificate in a directory of CAs, as `openssl rehash` makes it. OpenSSL reads no other file."""


class Trust(Record, frozen=True):
    """
    The CAs that a connection trusts, and the client certificate that it presents.

    CAs come from `ca_file`, else from $SSL_CERT_FILE, else from the system's store, else from certifi. The directories
    of $SSL_CERT_DIR belong to the system's store. OpenSSL would read them in each handshake, on the event loop. A new
    context reads them once, and a change of a directory leads to a new context.
    """

    HIDDEN = frozenset({"environ"})

    ca_file: str | None
    place: str
    environ: Mapping[str, str]
    verify: bool = True
    client: ClientCertificate | None = None

    def named(self) -> tuple[tuple[str, str], ...]:
        """Return what `context` reads: files and directories, each with the key that names it before it."""
        found = [(self.place, self.ca_file), *(("SSL_CERT_DIR", directory) for directory in self._directories())]
        if self.client is not None:
            found += [(self.client.place, self.client.file), (self.client.key_place, self.client.key_file)]
        return tuple((place, path) for place, path in found if path)

    def context(self) -> ssl.SSLContext:
        """Return a new context, which takes 20 to 60 ms. Raises ConfigError or NotThereYet for a named file."""
        context = self._verifying() if self.verify else _unverified()
        if self.client is not None:
            present(self.client, context)
        return context

    def _verifying(self) -> ssl.SSLContext:
        named = self.ca_file or self.environ.get("SSL_CERT_FILE")
        return _of_file(named, self.place if self.ca_file else "SSL_CERT_FILE") if named else self._of_system()

    def _of_system(self) -> ssl.SSLContext:
        paths = ssl.get_default_verify_paths()
        directories = [directory for directory in self._directories() if os.path.isdir(directory)]
        if directories:
            return _of_directories(directories, paths.cafile)
        if paths.cafile or paths.capath:
            return ssl.create_default_context()
        import certifi  # only a system without a store needs it

        return ssl.create_default_context(cafile=certifi.where())

    def _directories(self) -> list[str]:
        """Return the directories of $SSL_CERT_DIR, where they count."""
        if not self.verify or self.ca_file or self.environ.get("SSL_CERT_FILE"):
            return []
        return [name for name in self.environ.get("SSL_CERT_DIR", "").split(os.pathsep) if name]


def _of_file(named: str, place: str) -> ssl.SSLContext:
    try:
        return ca_bundle.context(named)
    except FileNotFoundError:
        raise NotThereYet(f"{place}: {named}: no such file") from None
    except (OSError, ssl.SSLError) as error:
        if os.path.isfile(named) and not os.path.getsize(named):
            raise NotThereYet(f"{place}: {named}: empty") from None
        raise ConfigError(
            f"{place}: {named}: no usable CA certificates: {error.strerror or error}", error_code="IDS-115"
        ) from None


def _of_directories(directories: list[str], file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the system's file, if any, and the certificates of the directories."""
    named = []
    for directory in directories:
        with contextlib.suppress(OSError):  # OpenSSL passes over a directory that it cannot read, too
            names = sorted(filter(_HASHED.fullmatch, os.listdir(directory)))
            named += [os.path.join(directory, name) for name in names]
    context: ssl.SSLContext | None = None
    for path in ([file] if file else []) + named:
        try:
            if context is None:
                context = ssl.create_default_context(cafile=path)
            else:
                context.load_verify_locations(path)
        except (OSError, ssl.SSLError):  # OpenSSL also skips such a file
            continue
    if context is None:
        raise NotThereYet(f"SSL_CERT_DIR: {os.pathsep.join(directories)}: no certificate with the name of its hash")
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no CAs: OpenSSL would search them for the issuer
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
