"""TLS trust and the client's certificate for one leg, read from files again when these have changed."""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from ..core.base import Connection
from ..core.model import ConfigError, Secret
from ..system import files, secrets

LARGEST_KEY = 1_048_576
"""Bytes of the file with the client's certificate and key."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate we show (mutual TLS); `key_file` None: the key stands in `file` too."""

    file: str
    key_file: str | None
    password: Secret | None
    place: str


@dataclass(frozen=True, slots=True)
class Trust:
    """
    What a leg believes and shows: `ca_file`, else $SSL_CERT_FILE, else the system's store, else certifi's.

    `version` changes when a file that `context` would read has: a rotated certificate needs no restart.
    """

    ca_file: str | None
    place: str
    environ: Mapping[str, str] = field(repr=False)
    verify: bool = True
    client: ClientCertificate | None = None

    def version(self) -> Hashable:
        """The state of the files behind `context`; a few system calls."""
        client = (self.client.file, self.client.key_file) if self.client else ()
        return tuple(_stamp(path) for path in (self.ca_file, *client) if path)

    def context(self) -> ssl.SSLContext:
        """A new context; 20 to 60 ms. Raises ConfigError where a named file cannot be used."""
        context = self._believing() if self.verify else _believing_anybody()
        if self.client is not None:
            _show(self.client, context)
        return context

    def _believing(self) -> ssl.SSLContext:
        named = self.ca_file or self.environ.get("SSL_CERT_FILE")
        place = self.place if self.ca_file else "SSL_CERT_FILE"
        if not named:
            paths = ssl.get_default_verify_paths()
            if paths.cafile or paths.capath:
                return ssl.create_default_context()
            import certifi  # a system without a store of its own

            return ssl.create_default_context(cafile=certifi.where())
        try:
            return ssl.create_default_context(cafile=named)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{place}: {named}: no usable PEM bundle: {error.strerror or error}") from None


def _believing_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _show(client: ClientCertificate, context: ssl.SSLContext) -> None:
    holds_the_key = client.key_file or client.file
    try:
        files.read_secret(holds_the_key, LARGEST_KEY)
    except files.Unreadable as why:
        raise ConfigError(f"{client.place}: {holds_the_key}: {why}") from None
    # Without a password to give, OpenSSL would ask the terminal for one: an empty answer is a failure instead.
    password = client.password or (lambda: "")
    try:
        context.load_cert_chain(client.file, client.key_file, password)
    except FileNotFoundError:
        missing = next((path for path in (client.file, client.key_file) if path and not os.path.exists(path)), "")
        raise ConfigError(f"{client.place}: {missing or client.file}: no such file") from None
    except PermissionError:
        raise ConfigError(f"{client.place}: {client.file}: not readable by this user (uid {os.getuid()})") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or "the password is wrong or missing"
        known = {"KEY_VALUES_MISMATCH": "the key is not the certificate's", "NO_START_LINE": "no PEM in it"}
        raise ConfigError(
            f"{client.place}: {client.file}: no usable certificate with its key: {known.get(reason, reason)}"
        ) from None


def _stamp(path: str) -> Hashable:
    try:
        found = os.stat(path)
    except OSError:
        return (path, None)
    return (path, found.st_mtime_ns, found.st_size, found.st_ino)


def certificate_end(path: str) -> float | None:
    """When the first certificate in the PEM file at `path` ends; None where there is none to be read."""
    from cryptography import x509  # 8 MiB: only for those who show one

    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificate(file.read()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def client_certificate(connection: Connection, place: str, environ: Mapping[str, str]) -> ClientCertificate | None:
    """What mutual TLS shows, where that is configured."""
    if connection.certificate_file is None:
        if connection.private_key_file is not None:
            raise ConfigError(f"{place}.privateKeyFile: needs certificateFile beside it")
        return None
    password = connection.private_key_password_env_var_name
    return ClientCertificate(
        connection.certificate_file,
        connection.private_key_file,
        secrets.from_environment(environ, password, f"{place}.privateKeyPasswordEnvVarName") if password else None,
        f"{place}.certificateFile",
    )
