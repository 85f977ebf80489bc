"""What a connection trusts, and the message if one of its files cannot be used."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from app.core.errors import ConfigError, NotThereYet
from app.system.probe import probe
from app.upstream.connections.tls import Trust
from app.upstream.keys.client_certificate import certificate_end

from .trusts import client, presenting, trust


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
    """If neither SSL_CERT_DIR nor the system's file has a certificate, NotThereYet is raised: one may appear later."""
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
