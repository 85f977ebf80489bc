"""The certificate of the webhook: replaced without a restart, and kept where the new one is unusable."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from app.core.errors import ConfigError, NotThereYet
from app.webhook.serving.certificates import Certificates, require

HOST = "idaas-sidecar-webhook.idaas-sidecar.svc"


def write(directory: Path, authority: trustme.CA) -> int:
    """Write a new certificate and return its serial number."""
    issued = authority.issue_cert(HOST)
    issued.private_key_pem.write_to_path(str(directory / "tls.key"))
    issued.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


def presented(certificates: Certificates, authority: trustme.CA, name: str | None = HOST) -> int:
    """Return the serial number of the certificate that a client sees."""
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.check_hostname = name is not None
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with certificates.context.wrap_socket(ours, server_side=True):
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(theirs, server_hostname=name) as connection:
        seen = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    thread.join()
    return seen.serial_number


def test_replaced_without_a_restart(tmp_path: Path) -> None:
    """Handshakes after a change present the new certificate, also to clients that send no name."""
    authority, replaced = trustme.CA(), list[str]()
    first = write(tmp_path, authority)
    certificates = Certificates(str(tmp_path), pytest.fail, replaced.append)
    assert presented(certificates, authority) == first

    second = write(tmp_path, authority)
    certificates.refresh()
    certificates.refresh()

    assert presented(certificates, authority) == second
    assert presented(certificates, authority, None) == second
    assert replaced == [certificates.not_after]


def test_an_unusable_pair_is_not_used(tmp_path: Path) -> None:
    """A key of another certificate is reported, the one in use stays, and the next look tries again."""
    authority, refused = trustme.CA(), list[str]()
    first = write(tmp_path, authority)
    certificates = Certificates(str(tmp_path), refused.append, lambda _: None)

    second = authority.issue_cert(HOST)
    second.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    certificates.refresh()
    assert refused
    assert presented(certificates, authority) == first

    second.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    certificates.refresh()
    assert presented(certificates, authority) != first


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_required_files(name: str, tmp_path: Path) -> None:
    """A missing or empty certificate or key may still be written. An unusable one is a mistake."""
    write(tmp_path, trustme.CA())
    require(str(tmp_path))
    (tmp_path / name).write_text("x")
    require(str(tmp_path))

    (tmp_path / name).write_text(" ")
    with pytest.raises(NotThereYet, match=f"{name}: empty"):
        require(str(tmp_path))
    (tmp_path / name).unlink()
    with pytest.raises(NotThereYet, match=f"{name}: no such file"):
        require(str(tmp_path))


def test_a_missing_certificate_is_bad_configuration(tmp_path: Path) -> None:
    """The first certificate must be usable: the message names the file."""
    with pytest.raises(ConfigError, match="cannot be used: No such file"):
        Certificates(str(tmp_path), pytest.fail, pytest.fail)
