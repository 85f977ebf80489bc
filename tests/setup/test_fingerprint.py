"""Fingerprints: the chain that a real TLS server presents, compared with what openssl says."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from app import cli
from app.core.errors import ConfigError, Unreachable
from app.setup import fingerprint
from app.setup.fingerprint import UnreadableCertificate, certificate
from app.setup.rotation import Rotation, normalised

from ..ports import unused_port
from ..wrong_types import ESCAPES, prints

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
A, B, C = "a" * 40, "b" * 40, "c" * 40


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Serve TLS handshakes on loopback and yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(1)
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def server_context(*chain: str, key: bytes, tmp_path: Path) -> ssl.SSLContext:
    """Return a server context that presents these PEM certificates."""
    path = tmp_path / "server.pem"
    path.write_bytes(key + "".join(chain).encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[bool], object]:
    """Run a server behind an intermediate, which presents its root or not. `ca.pem` has the root."""
    root = trustme.CA(organization_name="root")
    intermediate = root.create_child_ca()
    leaf = intermediate.issue_cert("localhost", "127.0.0.1")
    root.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    chain = [each.bytes().decode() for each in leaf.cert_chain_pems]

    def running(with_root: bool) -> object:
        shown = [*chain, root.cert_pem.bytes().decode()] if with_root else chain
        return tls_server(server_context(*shown, key=leaf.private_key_pem.bytes(), tmp_path=tmp_path))

    return running


def openssl_fingerprint(port: int) -> str:
    """Return what RAM's documentation computes: the SHA-1 fingerprint of the last certificate that openssl shows."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl: apt-get install openssl")
    shown = subprocess.run(
        ["openssl", "s_client", "-servername", "localhost", "-showcerts", "-connect", f"127.0.0.1:{port}"],
        input="", capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    last = PEM.findall(shown)[-1]
    line = subprocess.run(
        ["openssl", "x509", "-fingerprint", "-sha1", "-noout"], input=last, capture_output=True, text=True, timeout=300
    ).stdout
    return normalised(line.partition("=")[2])


@pytest.mark.parametrize("with_root", [True, False])
def test_the_fingerprint_is_that_of_openssl(serve, tmp_path, with_root):
    """The fingerprint is that of the last certificate that openssl shows, with and without the root in the chain."""
    with serve(with_root) as port:
        chain = fingerprint.presented(f"https://localhost:{port}/issuer", str(tmp_path / "ca.pem"))
        expected = openssl_fingerprint(port)

    assert chain.fingerprint == expected
    assert chain.untrusted is None
    assert len(chain.presented) == (3 if with_root else 2)


def test_without_the_root_both_fingerprints_are_registered(serve, tmp_path):
    """A server that does not present its root yields the last certificate's and the trusted root's fingerprint."""
    root = fingerprint.from_pem((tmp_path / "ca.pem").read_text(), "ca.pem")[0]
    with serve(False) as port:
        chain = fingerprint.presented(f"https://localhost:{port}", str(tmp_path / "ca.pem"))

    assert chain.fingerprints == (chain.presented[-1].sha1, root.sha1)
    assert "does not present its root certificate" in chain.notes[0]
    assert "Get Fingerprint" in chain.notes[0]


def test_an_untrusted_chain_is_shown_with_a_warning(serve):
    """A chain that this machine does not trust has a fingerprint, and a note to compare it."""
    with serve(True) as port:
        chain = fingerprint.presented(f"https://localhost:{port}", None)

    assert len(chain.fingerprints) == 1
    assert "does not trust the certificate of localhost (self-signed certificate" in chain.notes[0]


def test_a_missing_ca_file_is_named(tmp_path):
    """The message does not say which key or variable names the file: both may."""
    missing = str(tmp_path / "ca.pem")

    with pytest.raises(ConfigError, match=rf"^the CA file {missing}: No such file or directory$"):
        fingerprint.presented("https://127.0.0.1:1", missing)


def test_an_unreachable_server_is_one_line():
    """No listener: Unreachable, with host, port and the cure."""
    port = unused_port()

    with pytest.raises(Unreachable, match=rf"127.0.0.1:{port}: Connection refused; run this .* reached$"):
        fingerprint.presented(f"https://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x", ("a.example", 443)),
        ("a.example", ("a.example", 443)),
        ("a.example:8443", ("a.example", 8443)),
        ("https://[::1]:1", ("::1", 1)),
    ],
)
def test_hosts_and_ports_of_urls(url, expected):
    """The endpoint is read from a URL or a bare host."""
    assert fingerprint.endpoint(url) == expected


@pytest.mark.parametrize("url", ["http://a.example", "https://", "https://a:b"])
def test_a_url_that_is_none(url):
    """Only https URLs have a certificate."""
    with pytest.raises(ConfigError):
        fingerprint.endpoint(url)


def test_a_rotation_adds_waits_and_removes():
    """Before a rotation the new fingerprint is registered, a day passes, and the old one is removed last."""
    state = Rotation(registered=(A,), presented=(A,), upcoming=(B,))

    assert state.mistake is None
    assert [step.partition(":")[0] for step in state.steps("idaas")] == [
        "register the new fingerprint",
        "wait at least one day (24 hours), then let the server present the new chain",
        "check that the sidecar obtains credentials",
        "remove the old fingerprint",
    ]
    assert list(state.rows()) == [(A, "yes", "yes", "-"), (B, "-", "-", "yes")]
    assert Rotation((), (A,), (B,)).steps("idaas") == state.steps("idaas")


def test_the_presented_fingerprint_is_not_removed_before_the_change() -> None:
    """With both fingerprints registered, the change of the chain precedes the removal of the old fingerprint."""
    steps = [step.partition(" ")[0] for step in Rotation((A, B), (A,), (B,)).steps()]

    assert steps == ["wait", "check", "remove"]
    assert "unless the server will present its chain" in Rotation((A, B), (A,)).steps()[-1]
    assert [step.partition(" ")[0] for step in Rotation((A, B), (B,), (B,)).steps()] == ["check", "remove"]


@pytest.mark.parametrize(
    ("registered", "presented", "works", "steps"),
    [
        ((A,), (A,), True, 0),
        ((A, B), (A,), True, 2),
        ((A,), (B,), False, 3),
        ((A,), (B, C), False, 3),
        ((B,), (A, B), True, 0),
        ((), (A,), True, 0),
    ],
)
def test_the_state_of_the_fingerprints(registered, presented, works, steps):
    """STS accepts the server if one presented fingerprint is registered; the steps lead there."""
    state = Rotation(registered, presented)

    assert (state.mistake is None, len(state.steps())) == (works, steps)


def test_fingerprints_are_normalised():
    """A fingerprint as openssl and the console print it is written as RAM writes it."""
    assert normalised(" 90:2E:F2\n") == "902ef2"


def test_names_of_a_certificate_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's names cannot command the terminal, and cannot add a line such as another fingerprint."""
    forged = f"a{ESCAPES}\nFingerprint for RAM: {A[:20]}"
    leaf = trustme.CA().issue_cert("127.0.0.1", common_name=forged)
    chain = [each.bytes().decode() for each in leaf.cert_chain_pems]
    with tls_server(server_context(*chain, key=leaf.private_key_pem.bytes(), tmp_path=tmp_path)) as port:
        assert cli.main(["setup", "fingerprint", f"https://127.0.0.1:{port}"], {}) == 0

    shown = capsys.readouterr().out
    assert prints(shown)
    assert "a\\x1b[31m" in shown
    assert f"\nFingerprint for RAM: {A[:20]}" not in shown


@pytest.mark.parametrize("url", ["https://a..b", f"https://{'a' * 70}", "https://xn--\udc80", "https://[::1"])
@pytest.mark.parametrize("command", [("fingerprint",), ("cluster",)])
def test_urls_without_a_host_name(url: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that cannot name a host is bad usage, or a name that does not exist."""
    assert cli.main(["setup", *command, url], {}) in (2, 4)
    assert "internal error" not in capsys.readouterr().err


def test_a_certificate_that_cannot_be_read() -> None:
    """Bytes that are no certificate are an error of the server."""
    with pytest.raises(UnreadableCertificate):
        certificate(b"0")
