"""The client certificate that a connection presents: its forms, its key, and the message for an unusable file."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.core.connection import Connection
from app.core.errors import ConfigError, NotThereYet
from app.upstream.keys.certificates import certificate_chain
from app.upstream.keys.client_certificate import ClientCertificate, certificate_end, client_certificate

from ...descriptors import opened
from .trusts import PLACE, client, presenting, trust


@pytest.mark.parametrize(
    ("certificate", "key", "password"),
    [
        ("client.crt", "client.key", None),
        ("client.both", None, None),
        ("client.crt", "client.encrypted", "of-key"),
        ("client.crt", "client.key", "not needed"),
    ],
)
def test_client_certificate_is_presented(certificate: str, key: str | None, password: str | None, files: Path) -> None:
    """The certificate and its key are in two files or in one, and the key may be encrypted."""
    assert presenting(files, certificate, key, password).context()


def forms(files: Path) -> dict[str, tuple[bytes, bytes | None, str | None]]:
    """Return certificate, key and password in the forms in which tools write them; key None: one file has both."""
    certificate, key = (files / "client.crt").read_bytes(), (files / "client.key").read_bytes()
    chain = x509.load_pem_x509_certificates(certificate + (files / "ca.pem").read_bytes())
    private = load_pem_private_key(key, None)
    assert isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey)
    der = chain[0].public_bytes(Encoding.DER)

    def bundle(password: bytes | None) -> bytes:
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return serialize_key_and_certificates(b"a", private, chain[0], chain[1:], encryption)

    jwk = ECAlgorithm.to_jwk(private) if isinstance(private, EllipticCurvePrivateKey) else RSAAlgorithm.to_jwk(private)
    return {
        "DER": (der, private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), None),
        "base64 of DER": (base64.encodebytes(der), key, None),
        "base64 of PEM": (base64.b64encode(certificate), base64.b64encode(key), None),
        "PKCS#12": (bundle(b"of-key"), None, "of-key"),
        "PKCS#12 as base64": (base64.encodebytes(bundle(b"of-key")), None, "of-key"),
        "PKCS#12 without password": (bundle(None), None, None),
        "JWK": (certificate, jwk.encode(), None),
        "BOM and CRLF": (b"\xef\xbb\xbf" + certificate.replace(b"\n", b"\r\n"), key.replace(b"\n", b"\r\n"), None),
        "one line": (certificate.replace(b"\n", b"\\n"), key.replace(b"\n", b" "), None),
        "text before": (b"subject=CN = client\n" + certificate, b"Bag Attributes\n    localKeyID: 01\n" + key, None),
    }


FORMS = (
    "DER",
    "base64 of DER",
    "base64 of PEM",
    "PKCS#12",
    "PKCS#12 as base64",
    "PKCS#12 without password",
    "JWK",
    "BOM and CRLF",
    "one line",
    "text before",
)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_client_certificate(form: str, files: Path) -> None:
    """Certificate and key are read in every form in which an assertion's key is read."""
    certificate, key, password = forms(files)[form]
    (files / "form.crt").write_bytes(certificate)
    (files / "form.crt").chmod(0o600)
    if key is not None:
        (files / "form.key").write_bytes(key)
        (files / "form.key").chmod(0o600)
    found = client(files, "form.crt", "form.key" if key is not None else None, password)
    end = x509.load_pem_x509_certificate((files / "client.crt").read_bytes()).not_valid_after_utc.timestamp()

    assert trust(files, "ca.pem", client=found).context()
    assert certificate_end(found) == end


def test_chain_of_a_bundle_is_in_order(files: Path) -> None:
    """A PKCS#12 has its certificates in any order; they are presented from the leaf to its last issuer."""
    root = trustme.CA()
    middle = root.create_child_ca()
    lowest = middle.create_child_ca()
    issued = lowest.issue_cert("client.example.com")
    wanted = [x509.load_pem_x509_certificate(pem.bytes()) for pem in (*issued.cert_chain_pems, root.cert_pem)]
    private = load_pem_private_key(issued.private_key_pem.bytes(), None)
    assert isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey)
    others = [wanted[3], wanted[1], wanted[2]]
    bundle = serialize_key_and_certificates(b"a", private, wanted[0], others, NoEncryption())

    chain = certificate_chain(base64.b64encode(bundle).decode(), None, PLACE)

    assert x509.load_pem_x509_certificates(chain.encode()) == wanted


@pytest.mark.parametrize("without_memory", [True, False])
def test_key_is_not_left_on_the_disk(without_memory: bool, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that OpenSSL loads is in memory; where the system has no such files, the temporary one is removed."""
    temporary = files / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    if without_memory:
        monkeypatch.delattr(os, "memfd_create")

    assert presenting(files, "client.crt", "client.encrypted", "of-key").context()
    assert not list(temporary.iterdir())
    assert opened("/memfd:", str(files)) == []


@pytest.mark.parametrize(
    ("certificate", "key", "password", "message"),
    [
        ("missing", "client.key", None, "missing: no such file"),
        ("client.crt", "missing", None, "missing: no such file"),
        ("missing", None, None, "missing: no such file"),
        ("empty", "client.key", None, "empty: empty"),
        ("client.crt", "empty", None, "empty: empty"),
        ("client.crt", "large", None, "large: larger than 1048576 bytes, so it is the wrong file"),
        (
            "client.crt",
            "other.key",
            None,
            "client.crt: no usable certificate with its key: the key does not belong to the certificate",
        ),
        (
            "text",
            "client.key",
            None,
            "text: no usable certificate, neither PEM (-----BEGIN CERTIFICATE-----) nor DER, nor a PKCS#12 with the "
            "key's password; write the certificate there in one of these forms",
        ),
        (
            "client.crt",
            "client.encrypted",
            None,
            "client.encrypted: no usable private key: it is encrypted; name its password with "
            "privateKeyPasswordEnvVarName",
        ),
        ("client.crt", "oct.jwk", None, "oct.jwk: a symmetric key; name the private key"),
        (
            "client.crt",
            "client.encrypted",
            "x" * 2000,
            "client.encrypted: no usable private key: the password is wrong, or the key damaged",
        ),
    ],
)
def test_unusable_client_certificate_is_refused(
    certificate: str, key: str | None, password: str | None, message: str, files: Path
) -> None:
    """A certificate or key that cannot be used is an error with its key, its file and the reason."""
    with pytest.raises(NotThereYet if message.endswith(("no such file", ": empty")) else ConfigError) as caught:
        presenting(files, certificate, key, password).context()

    keys = ("missing", "empty", "large", "oct.jwk", "client.encrypted")
    of_the_key = message.startswith(keys) and certificate == "client.crt"
    assert str(caught.value) == f"{PLACE}.{'privateKeyFile' if of_the_key else 'certificateFile'}: {files}/{message}"


@pytest.mark.parametrize(("certificate", "key"), [("client.crt", "client.key"), ("client.both", None)])
def test_key_that_others_can_read_is_refused(certificate: str, key: str | None, files: Path) -> None:
    """The file with the private key must be private to this user."""
    exposed = files / (key or certificate)
    exposed.chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        presenting(files, certificate, key).context()

    assert str(caught.value).startswith(f"{PLACE}.{'privateKeyFile' if key else 'certificateFile'}: {exposed}: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_unreadable_certificate_is_refused(files: Path) -> None:
    """A certificate that this user cannot read is an error with the user's id."""
    (files / "client.crt").chmod(0)
    with pytest.raises(ConfigError) as caught:
        presenting(files, "client.crt", "client.key").context()

    assert str(caught.value) == (
        f"{PLACE}.certificateFile: {files}/client.crt: not readable by this user (uid {os.getuid()}); change its "
        "owner or mode"
    )


def test_end_of_a_certificate(files: Path) -> None:
    """The end of the first certificate of a file is known; of a file without one it is not."""
    end = x509.load_pem_x509_certificate((files / "client.crt").read_bytes()).not_valid_after_utc.timestamp()

    assert certificate_end(client(files, "client.crt", "client.key")) == end
    assert certificate_end(client(files, "text", "client.key")) is None
    assert certificate_end(client(files, "missing", "client.key")) is None


def test_client_certificate_of_a_connection() -> None:
    """A connection names the certificate's file, the key's file and the variable with the password of the key."""
    connection = Connection(certificate_file="a", private_key_file="b", private_key_password_env_var_name="PASSWORD")
    found = client_certificate(connection, PLACE, {"PASSWORD": "of-key"})

    assert found is not None
    assert (found.file, found.key_file) == ("a", "b")
    assert (found.place, found.key_place) == (f"{PLACE}.certificateFile", f"{PLACE}.privateKeyFile")
    assert found.password is not None
    assert found.password() == "of-key"
    missing = client_certificate(connection, PLACE, {})
    assert missing is not None
    assert missing.password is not None
    with pytest.raises(ConfigError, match=rf"^{PLACE}\.privateKeyPasswordEnvVarName: "):
        missing.password()


def test_connection_without_a_client_certificate() -> None:
    """Without a certificate nothing is presented, and a key alone is an error."""
    assert client_certificate(Connection(), PLACE, {}) is None
    only_certificate = client_certificate(Connection(certificate_file="a"), PLACE, {})
    assert only_certificate == ClientCertificate("a", None, None, *[f"{PLACE}.certificateFile"] * 2)
    with pytest.raises(ConfigError) as caught:
        client_certificate(Connection(private_key_file="b"), PLACE, {})
    assert str(caught.value) == f"{PLACE}.privateKeyFile: needs certificateFile beside it"
