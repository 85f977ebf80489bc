"""The TLS trust and the client certificate of one connection. Files that have changed are read again."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from ..core.connection import Connection
from ..core.errors import ConfigError, NotThereYet
from ..core.record import Record
from ..core.values import Secret
from ..system import files, secrets

LARGEST_KEY = 1_048_576
"""The most bytes of the file with the client's certificate and key."""


class ClientCertificate(Record, frozen=True):
    """
    The client certificate of mutual TLS. If `key_file` is None, `file` contains the key, too.

    `place` and `key_place`: the configuration keys that name the two files.
    """

    file: str
    key_file: str | None
    password: Secret | None
    place: str
    key_place: str


class Trust(Record, frozen=True):
    """
    The CAs that a connection trusts, and the client certificate that it presents.

    CAs come from `ca_file`, else from $SSL_CERT_FILE, else from the system's store, else from certifi.
    """

    HIDDEN = frozenset({"environ"})

    ca_file: str | None
    place: str
    environ: Mapping[str, str]
    verify: bool = True
    client: ClientCertificate | None = None

    def named(self) -> tuple[tuple[str, str], ...]:
        """Return the files that `context` reads, each with the configuration key that names it before it."""
        found = [(self.place, self.ca_file)]
        if self.client is not None:
            found += [(self.client.place, self.client.file), (self.client.key_place, self.client.key_file)]
        return tuple((place, path) for place, path in found if path)

    def context(self) -> ssl.SSLContext:
        """Return a new context, which takes 20 to 60 ms. Raises ConfigError or NotThereYet for a named file."""
        context = self._verifying() if self.verify else _unverified()
        if self.client is not None:
            _present(self.client, context)
        return context

    def _verifying(self) -> ssl.SSLContext:
        named = self.ca_file or self.environ.get("SSL_CERT_FILE")
        place = self.place if self.ca_file else "SSL_CERT_FILE"
        if not named:
            paths = ssl.get_default_verify_paths()
            if paths.cafile or paths.capath:
                return ssl.create_default_context()
            import certifi  # only a system without a store needs it

            return ssl.create_default_context(cafile=certifi.where())
        try:
            return ssl.create_default_context(cafile=named)
        except FileNotFoundError:
            raise NotThereYet(f"{place}: {named}: no such file") from None
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"{place}: {named}: no usable PEM bundle: {error.strerror or error}", error_code="IDS-115"
            ) from None


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _present(client: ClientCertificate, context: ssl.SSLContext) -> None:
    key_file = client.key_file or client.file
    try:
        files.read_secret(key_file, LARGEST_KEY)
    except files.Absent as why:
        raise NotThereYet(why.at(f"{client.key_place}: {key_file}")) from None
    except files.Unreadable as why:
        raise ConfigError(why.at(f"{client.key_place}: {key_file}"), error_code="IDS-115") from None
    # Without a password, OpenSSL would ask for one at the terminal. With an empty password, it fails instead.
    password = client.password or (lambda: "")
    try:
        context.load_cert_chain(client.file, client.key_file, password)
    except FileNotFoundError:
        raise NotThereYet(f"{client.place}: {client.file}: no such file") from None
    except PermissionError:
        raise ConfigError(
            f"{client.place}: {client.file}: not readable by this user (uid {os.getuid()})", error_code="IDS-115"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{client.place}: {client.file}: no usable certificate with its key: {_mismatch(client.file, error)}",
            error_code="IDS-115",
        ) from None


def _mismatch(certificate_file: str, error: Exception) -> str:
    """Return why a certificate cannot be used with its key. OpenSSL gives no reason for most errors of a PEM file."""
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if certificate_end(certificate_file) is None:
        return "it holds no PEM certificate"
    return reason or "the password is wrong or missing, or the key is not PEM"


def certificate_end(path: str) -> float | None:
    """Return when the first certificate in the PEM file at `path` expires; None if no certificate can be read."""
    from cryptography import x509  # takes 8 MiB: imported only for a client certificate

    try:
        found = x509.load_pem_x509_certificate(files.read(path, LARGEST_KEY))
        return found.not_valid_after_utc.timestamp()
    except (files.Unreadable, ValueError):
        return None


def client_certificate(connection: Connection, place: str, environ: Mapping[str, str]) -> ClientCertificate | None:
    """Return the client certificate of a connection, or None. Raises ConfigError for a key without a certificate."""
    if connection.certificate_file is None:
        if connection.private_key_file is not None:
            raise ConfigError(f"{place}.privateKeyFile: needs certificateFile beside it", error_code="IDS-106")
        return None
    password = connection.private_key_password_env_var_name
    return ClientCertificate(
        connection.certificate_file,
        connection.private_key_file,
        secrets.from_environment(environ, password, f"{place}.privateKeyPasswordEnvVarName") if password else None,
        f"{place}.certificateFile",
        f"{place}.{'privateKeyFile' if connection.private_key_file else 'certificateFile'}",
    )
