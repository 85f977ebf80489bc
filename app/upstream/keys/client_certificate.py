"""The client certificate of mutual TLS, and its private key."""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...core.connection import Connection
from ...core.errors import ConfigError, NotThereYet
from ...core.record import Record
from ...core.values import Secret
from ...system import secrets
from . import named_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

LARGEST = 1_048_576
"""The most bytes of the file with the certificate, and of the file with the key."""


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


def present(client: ClientCertificate, context: ssl.SSLContext) -> None:
    """Load the certificate and its key, in any form that `key_forms` reads. Raises ConfigError or NotThereYet."""
    key_file = client.key_file or client.file
    key_text = _read(key_file, client.key_place, secret=True)
    text = _read(client.file, client.place, secret=False)
    try:
        key = _key(client, key_text, f"{client.key_place}: {key_file}")
        chain = _chain(client, text, key)
    except ConfigError:
        if client.password is not None:
            client.password()  # raises if the variable is not set. Not called earlier: a plain key needs no password
        raise
    with _file_in_memory(chain.encode() + _pkcs8(key)) as path:
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            raise ConfigError(
                f"{client.place}: {client.file}: no usable certificate with its key: {_mismatch(error)}",
                error_code="IDS-115",
            ) from None


def _chain(client: ClientCertificate, text: str, key: PrivateKeyTypes | None = None) -> str:
    """Return the certificates of the client's file as PEM, that of `key` first. Raises ConfigError."""
    from .certificates import certificate_chain  # 8 MiB: only for a client certificate

    return certificate_chain(text, _password(client), f"{client.place}: {client.file}", key=key)


def _key(client: ClientCertificate, text: str, place: str) -> PrivateKeyTypes:
    """Return the private key. Raises ConfigError."""
    from .key_forms import load_any_key

    key = load_any_key(text, _password(client), place, needless_password=True)
    if not hasattr(key, "private_bytes"):  # the bytes of a JWK of the kind `oct`
        raise ConfigError(f"{place}: a symmetric key", cure="name the private key", error_code="IDS-115")
    return key


def _pkcs8(key: PrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _password(client: ClientCertificate) -> str | None:
    """Return the password; None where none is configured, or its variable is not set."""
    try:
        return client.password() if client.password is not None else None
    except ConfigError:
        return None


def _read(path: str, place: str, *, secret: bool) -> str:
    """Return the text of a file, or its bytes as base64. Raises NotThereYet or ConfigError. `secret`: a private key."""
    raw = named_files.read(path, place, LARGEST, secret=secret)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


@contextlib.contextmanager
def _file_in_memory(content: bytes) -> Iterator[str]:
    """
    Yield the path of a file with `content`, because OpenSSL's interface in Python loads a key from a file alone.

    On Linux with /proc the content is never on a disk. Elsewhere the file is a temporary one of this user.
    """
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with os.fdopen(os.memfd_create("client-certificate"), "wb", buffering=0) as file:
            file.write(content)
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        file.write(content)
        yield file.name


def _mismatch(error: ssl.SSLError) -> str:
    """Return why OpenSSL does not use a certificate with its key."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return error.reason or "the certificate or the key is damaged"


def certificate_end(client: ClientCertificate) -> float | None:
    """Return when the certificate that the client presents expires; None if none can be read."""
    from cryptography import x509

    try:
        text = _read(client.file, client.place, secret=False)
        key_file = client.key_file or client.file
        key = _key(client, _read(key_file, client.key_place, secret=True), client.key_place)
        chain = _chain(client, text, key)
        return x509.load_pem_x509_certificate(chain.encode()).not_valid_after_utc.timestamp()
    except (ConfigError, NotThereYet, ValueError):
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
