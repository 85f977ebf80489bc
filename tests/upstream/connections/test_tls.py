"""What a connection trusts and presents, and the message where one of its files cannot be used."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import Any

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
from app.system.probe import probe
from app.upstream.connections.tls import Trust
from app.upstream.keys.certificates import certificate_chain
from app.upstream.keys.client_certificate import ClientCertificate, certificate_end, client_certificate

PLACE = "exchange.connection"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A CA of this module."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Path:
    """A directory with a CA, two certificates with their keys, and files that are neither."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("client", "other"):
        issued = authority.issue_cert(f"{name}.example.com")
        key = issued.private_key_pem.bytes()
        leaf = issued.cert_chain_pems[0].bytes()
        (tmp_path / f"{name}.crt").write_bytes(leaf)
        (tmp_path / f"{name}.key").write_bytes(key)
        (tmp_path / f"{name}.both").write_bytes(key + leaf)
        encrypted = load_pem_private_key(key, None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-key")
        )
        (tmp_path / f"{name}.encrypted").write_bytes(encrypted)
    (tmp_path / "text").write_text("words")
    (tmp_path / "oct.jwk").write_text('{"kty": "oct", "k": "c2VjcmV0"}')
    (tmp_path / "empty").touch(mode=0o600)
    (tmp_path / "large").write_bytes(b"x" * 1_048_577)
    return tmp_path


def trust(files: Path, ca: str | None = None, environ: dict[str, str] | None = None, **changes: Any) -> Trust:
    """Return the trust of a connection with a CA file."""
    return Trust(str(files / ca) if ca else None, "tls.caFile", environ or {}, **changes)


def client(files: Path, certificate: str, key: str | None, password: str | None = None) -> ClientCertificate:
    """Return a client certificate by the names of its files."""
    return ClientCertificate(
        str(files / certificate),
        str(files / key) if key else None,
        (lambda: password) if password is not None else None,
        f"{PLACE}.certificateFile",
        f"{PLACE}.privateKeyFile" if key else f"{PLACE}.certificateFile",
    )


def presenting(files: Path, certificate: str, key: str | None, password: str | None = None) -> Trust:
    """Return the trust of a connection with a client certificate."""
    return trust(files, "ca.pem", client=client(files, certificate, key, password))


def subjects(context: ssl.SSLContext) -> set[str]:
    """Return the names of the CAs that a context trusts."""
    return {str(found["subject"]) for found in context.get_ca_certs()}


def test_named_authority_is_trusted_alone(files: Path) -> None:
    """The CAs of the file replace those of the system, and the server's name is verified."""
    context = trust(files, "ca.pem").context()

    assert len(subjects(context)) == 1
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("form", ["DER", "base64 of PEM", "base64 of DER", "lines of base64"])
def test_forms_of_an_authority(form: str, files: Path) -> None:
    """A CA is read as directories export it and as Secrets hold it."""
    pem = (files / "ca.pem").read_bytes()
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    forms = {"DER": der, "base64 of PEM": base64.b64encode(pem), "base64 of DER": base64.b64encode(der)}
    (files / "form").write_bytes({**forms, "lines of base64": base64.encodebytes(der)}[form])

    assert subjects(trust(files, "form").context()) == subjects(trust(files, "ca.pem").context())


def test_certificate_behind_its_authority(files: Path) -> None:
    """A bundle whose CA is before the client's certificate is presented in the order that TLS requires."""
    (files / "reversed").write_bytes((files / "ca.pem").read_bytes() + (files / "client.crt").read_bytes())
    found = client(files, "reversed", "client.key")
    end = x509.load_pem_x509_certificate((files / "client.crt").read_bytes()).not_valid_after_utc.timestamp()

    assert trust(files, "ca.pem", client=found).context()
    assert certificate_end(found) == end


@pytest.mark.parametrize("ca", ["ca.pem", None])
def test_authority_of_the_environment_comes_second(ca: str | None, files: Path, tmp_path: Path) -> None:
    """SSL_CERT_FILE is used if the configuration names no file."""
    trustme.CA(organization_name="second").cert_pem.write_to_path(str(tmp_path / "second.pem"))
    context = trust(files, ca, {"SSL_CERT_FILE": str(tmp_path / "second.pem")}).context()

    assert ("second" in str(subjects(context))) is (ca is None)


@pytest.mark.parametrize(
    ("file", "directory", "fewest", "most"),
    [("second.pem", "missing", 1, 1), ("missing", ".", 0, 0), ("missing", "missing", 50, 1000)],
    ids=["file", "directory", "neither"],
)
def test_authorities_of_certifi_replace_a_missing_store(
    file: str, directory: str, fewest: int, most: int, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's store is its file or its directory; without both, the CAs of certifi are trusted."""
    trustme.CA(organization_name="second").cert_pem.write_to_path(str(files / "second.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(files / file))  # read by OpenSSL, which knows no other environment
    monkeypatch.setenv("SSL_CERT_DIR", str(files / directory))

    assert fewest <= len(subjects(trust(files).context())) <= most


def hashed(authority: trustme.CA, directory: Path, name: str = "0a1b2c3d.0") -> Path:
    """Write a CA into a directory, under a name as `openssl rehash` makes it."""
    directory.mkdir(exist_ok=True)
    authority.cert_pem.write_to_path(str(directory / name))
    return directory


def test_directory_of_the_environment_is_read_once(authority: trustme.CA, files: Path) -> None:
    """The directories of SSL_CERT_DIR are read by the context: a handshake, on the event loop, reads no file."""
    first = hashed(authority, files / "first")
    second = hashed(trustme.CA(organization_name="second"), files / "second", "0a1b2c3d.12")
    (second / "00000000.0").write_text("words")
    hashed(trustme.CA(organization_name="unnamed"), second, "ca.pem")
    found = trust(files, environ={"SSL_CERT_DIR": f"{first}:{files / 'missing'}:{second}"})
    context = found.context()
    before = version(found)
    shutil.rmtree(first)

    assert "second" in str(subjects(context))
    assert "unnamed" not in str(subjects(context))
    assert handshake(context, authority)
    assert version(found) != before


def test_directory_adds_to_the_file_of_the_system(
    authority: trustme.CA, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates of SSL_CERT_DIR are trusted beside those of the system's file."""
    directory = hashed(trustme.CA(organization_name="second"), files / "second")
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "ca.pem"))  # OpenSSL's name of the system's file
    context = trust(files, environ={"SSL_CERT_DIR": str(directory)}).context()

    assert "second" in str(subjects(context))
    assert handshake(context, authority)


def test_directory_alone_is_trusted(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without a file, the certificates of SSL_CERT_DIR are trusted; messages name the variable."""
    directory = str(hashed(trustme.CA(organization_name="second"), files / "second"))
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "missing"))
    found = trust(files, environ={"SSL_CERT_DIR": directory})

    assert "second" in str(subjects(found.context()))
    assert found.named() == (("SSL_CERT_DIR", directory),)


def test_directory_without_a_certificate(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither SSL_CERT_DIR nor the system's file has a certificate, nothing is trusted, which may change."""
    (files / "hashed").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "missing"))  # OpenSSL's name of the system's file
    with pytest.raises(NotThereYet) as caught:
        trust(files, environ={"SSL_CERT_DIR": str(files / "hashed")}).context()

    assert str(caught.value) == f"SSL_CERT_DIR: {files}/hashed: no certificate with the name of its hash"


@pytest.mark.skipif(os.getuid() == 0, reason="root can read every directory")
def test_unreadable_directory_of_the_environment_is_passed_over(authority: trustme.CA, files: Path) -> None:
    """A directory of SSL_CERT_DIR that cannot be listed is skipped, as by OpenSSL; the other CAs are trusted."""
    good, closed = hashed(authority, files / "good"), files / "closed"
    closed.mkdir(0o000)
    context = trust(files, environ={"SSL_CERT_DIR": f"{closed}:{good}"}).context()

    assert handshake(context, authority)


@pytest.mark.parametrize(
    ("ca", "environ"), [("ca.pem", {}), (None, {"SSL_CERT_FILE": "ca.pem"})], ids=["caFile", "SSL_CERT_FILE"]
)
def test_directory_of_the_environment_comes_last(ca: str | None, environ: dict[str, str], files: Path) -> None:
    """SSL_CERT_DIR does not count beside a named file, nor without verification."""
    directory = str(hashed(trustme.CA(organization_name="third"), files / "third"))
    named = {name: str(files / value) for name, value in environ.items()} | {"SSL_CERT_DIR": directory}
    found = trust(files, ca, named)

    assert "third" not in str(subjects(found.context()))
    assert directory not in str(found.named())
    assert not trust(files, environ=named, verify=False).named()


def handshake(context: ssl.SSLContext, authority: trustme.CA) -> bool:
    """Return whether a client with `context` accepts a server with a certificate of `authority`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sts.example.com").configure_cert(server)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = context.wrap_bio(to_client, to_server, server_hostname="sts.example.com")
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client_side, server_side, client_side):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client_side.version() is not None


def test_repr_hides_the_environment(files: Path) -> None:
    """The repr has no environment, which may hold secrets."""
    assert "s3cr3t" not in repr(trust(files, environ={"IDAAS_SECRET": "s3cr3t"}))


def test_store_of_the_system_is_trusted_by_default(files: Path) -> None:
    """Without a file the connection verifies by the system's store, or by certifi's."""
    context = trust(files).context()

    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_verification_can_be_switched_off(files: Path) -> None:
    """Without verification neither the certificate nor its name matters, and no CA file is read."""
    context = trust(files, "missing", verify=False).context()

    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "no such file"), ("empty", "empty"), ("text", "no usable CA certificates: [X509: NO_CERTIFICATE_OR")],
)
@pytest.mark.parametrize("from_environment", [True, False])
def test_unusable_authority_is_refused(name: str, reason: str, from_environment: bool, files: Path) -> None:
    """A CA file that cannot be used is an error with the key or variable that names it."""
    path = str(files / name)
    broken = trust(files, None, {"SSL_CERT_FILE": path}) if from_environment else trust(files, name)
    with pytest.raises(ConfigError if name == "text" else NotThereYet) as caught:
        broken.context()

    place = "SSL_CERT_FILE" if from_environment else "tls.caFile"
    assert str(caught.value).startswith(f"{place}: {path}: {reason}")
    assert name != "text" or caught.value.error_code == "IDS-115"


def version(found: Trust) -> tuple[Any, ...]:
    """Return the state of the files behind a trust, as a transport compares it."""
    return tuple(probe(path) for _, path in found.named())


@pytest.mark.parametrize("changed", ["ca.pem", "client.crt", "client.key"])
def test_version_changes_with_each_file(changed: str, files: Path) -> None:
    """A new version of any file of a connection is noticed."""
    found = presenting(files, "client.crt", "client.key")
    before = version(found)
    assert version(found) == before
    (files / changed).write_bytes(b"another content")

    assert version(found) != before


def test_version_without_files(files: Path) -> None:
    """Without files there is one version; the key's file does not count if the key is in the certificate's file."""
    assert version(trust(files)) == ()
    both = version(presenting(files, "client.both", None))
    assert isinstance(both, tuple)
    assert len(both) == 2


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
    descriptors = set(os.listdir("/proc/self/fd"))

    assert presenting(files, "client.crt", "client.encrypted", "of-key").context()
    assert not list(temporary.iterdir())
    assert set(os.listdir("/proc/self/fd")) == descriptors


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
