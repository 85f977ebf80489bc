"""What people read about a request that failed: the reason and its remedy, and nothing of another library's text."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import httpx
import pytest

from app.upstream.connections.connect import Attempt, NotConnected
from app.upstream.connections.resolver import NameNotResolved
from app.upstream.connections.transport import ProxyInBetween
from app.upstream.failures.reasons import describe

HOST = "login.example.com"


def caused(error: Exception, *causes: BaseException) -> Exception:
    """Return an error with a chain of causes."""
    current: BaseException = error
    for cause in causes:
        current.__cause__ = cause
        current = cause
    return error


def in_context(error: Exception, context: BaseException) -> Exception:
    """Return an error that was raised while another one was handled."""
    error.__context__ = context
    return error


def tls(reason: str | None) -> ssl.SSLError:
    """Return a TLS error with OpenSSL's reason."""
    error = ssl.SSLError(1, "words of OpenSSL")
    error.reason = reason  # type: ignore[assignment]
    return error


def certificate(code: int, message: str = "words of OpenSSL") -> ssl.SSLCertVerificationError:
    """Return the error of a certificate that was rejected."""
    error = ssl.SSLCertVerificationError(1, "words")
    error.verify_code, error.verify_message = code, message
    return error


WANTS = "correct the port; if the server requires a client certificate, name one with connection.certificateFile"
ALLOW = "allow this machine to reach the host on that port, or configure a proxy or the VPC endpoint"
CONNECT = [
    (errno.ECONNREFUSED, "connection refused; correct host and port of the URL, or start the server"),
    (errno.EHOSTUNREACH, f"no route to that host; {ALLOW}"),
    (errno.ENETUNREACH, "this machine has no route to that network; add a route"),
    (errno.EACCES, "a firewall, network policy or route of this machine prohibits it"),
    (errno.EPERM, "a firewall, network policy or route of this machine prohibits it"),
    (errno.ECONNRESET, f"the connection was reset by the host or something in between; {ALLOW}"),
    (
        errno.EADDRNOTAVAIL,
        "this machine has no address, or no free port, to connect from; add an address of that "
        "family, or widen net.ipv4.ip_local_port_range",
    ),
    (
        errno.EAFNOSUPPORT,
        "this machine has no network of that family (IPv4 or IPv6); use an address of the other family",
    ),
    (errno.EMFILE, "this process has too many open files; raise the limit of open files"),
    (errno.ENFILE, "this machine has too many open files; raise fs.file-max, or end the program that holds them"),
    (errno.ENETDOWN, "the network interface is down; repair this machine's network"),
    (errno.ENOBUFS, "this machine or container has no memory left for a connection; raise the memory limit"),
    (errno.ETIMEDOUT, f"no answer to the connection attempt; {ALLOW}"),
]
TLS = [
    (tls("WRONG_VERSION_NUMBER"), "the server does not speak TLS; correct scheme and port of the URL"),
    (
        tls("UNSUPPORTED_PROTOCOL"),
        "the server speaks no version of TLS that is allowed here; enable TLS 1.2 or 1.3 on the server",
    ),
    (
        tls("SSLV3_ALERT_UNEXPECTED_MESSAGE"),
        "the server ends the TLS handshake: SSLV3_ALERT_UNEXPECTED_MESSAGE; look at the server's log, and request the "
        "URL with `curl -v`",
    ),
    (
        tls("SSLV3_ALERT_BAD_RECORD_MAC"),
        "the server receives other bytes than were sent; look for a device in between that changes TLS",
    ),
    (
        tls(None),
        f"the server ends the TLS handshake without a reason; {WANTS}",
    ),
    (
        tls("SSLV3_ALERT_HANDSHAKE_FAILURE"),
        "the server ends the TLS handshake: no cipher or version in common, or it requires a client certificate; "
        f"{WANTS}",
    ),
    (tls("UNEXPECTED_EOF_WHILE_READING"), f"the server ends the TLS handshake without a reason; {WANTS}"),
    (
        tls("TLSV1_UNRECOGNIZED_NAME"),
        "the server has no certificate for that name; use a name that the certificate has",
    ),
    (
        tls("SSLV3_ALERT_CERTIFICATE_UNKNOWN"),
        "the server refuses the client certificate; name a certificate that the server accepts with "
        "connection.certificateFile",
    ),
    (
        certificate(10),
        "the server's certificate has expired; set this machine's clock, or renew the certificate on the server",
    ),
    (certificate(9), "the server's certificate is not valid yet; set this machine's clock"),
    (certificate(62), "the server's certificate is for another name; use a name that the certificate has"),
    (certificate(64), "the server's certificate is for another name; use a name that the certificate has"),
    *[
        (certificate(code), "the server's certificate is not from a trusted CA; name its CA with tls.caFile")
        for code in (2, 18, 19, 20, 21)
    ],
    (
        certificate(28, "CA\nrejected"),
        "the server's certificate was rejected: CA rejected; replace the certificate on the server",
    ),
]


@pytest.mark.parametrize(("number", "words"), CONNECT)
def test_connection_error_is_described_by_its_number(number: int, words: str) -> None:
    """A connection that fails is described by its error number, with what to check."""
    error = OSError(number, "words of the system")

    assert describe(caused(httpx.ConnectError("words"), error), HOST) == f"could not connect: {words}"
    assert describe(caused(httpx.ReadError("words"), error), HOST) == words


@pytest.mark.parametrize(("error", "words"), TLS, ids=lambda value: str(value)[:60])
def test_tls_error_is_described_by_its_code(error: Exception, words: str) -> None:
    """A TLS connection that fails is described by its reason or verification code, with what to do."""
    assert describe(caused(httpx.ConnectError("words"), error), HOST) == f"could not connect: {words}"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout("words"), f"could not connect in time; {ALLOW}"),
        (httpx.PoolTimeout("words"), f"could not connect in time; {ALLOW}"),
        (httpx.ReadTimeout("words"), "no answer in time"),
        (httpx.WriteTimeout("words"), "no answer in time"),
        (caused(httpx.ReadTimeout("words"), ssl.SSLWantReadError(2, "words")), "no answer in time"),
        (httpx.RemoteProtocolError("what the server sent"), "the server's answer is not valid HTTP"),
        (httpx.ConnectError("words"), "could not connect"),
        (httpx.ReadError("words"), "the connection broke off"),
        (OSError(errno.ENOSPC, "words"), "No space left on device"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_other_failures_are_described_by_their_type(error: Exception, words: str) -> None:
    """Any other failure is described by its type or number, without a name of this program's language."""
    assert describe(error, HOST) == words


REFUSED = OSError(errno.ECONNREFUSED, "words")
WORDS = "could not connect: connection refused; correct host and port of the URL, or start the server"


@pytest.mark.parametrize(
    "error",
    [
        caused(httpx.ConnectError(""), ValueError(), REFUSED),
        in_context(httpx.ConnectError(""), REFUSED),
        caused(httpx.ConnectError(""), ExceptionGroup("", [ValueError(), REFUSED])),
        caused(httpx.ConnectError(""), ExceptionGroup("", [caused(ValueError(), REFUSED)])),
        in_context(caused(httpx.ConnectError(""), REFUSED), tls("UNSUPPORTED_PROTOCOL")),
    ],
    ids=["cause of a cause", "context", "member of a group", "cause of a member", "cause before context"],
)
def test_first_known_cause_is_described(error: Exception) -> None:
    """The causes behind an error are searched, and the members of a group one by one."""
    assert describe(error, HOST) == WORDS


def test_circle_of_causes_is_searched_once() -> None:
    """Errors that are each other's causes end the search."""
    error, other = httpx.ConnectError(""), ValueError()
    caused(error, other, error)

    assert describe(error, HOST) == "could not connect"


NO_CONNECT = "it does not act as a proxy; correct the proxy's address, or permit CONNECT there"


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        ("407 Proxy\nAuthentication Required", "give its user name and password in the proxy's URL"),
        ("502 Bad Gateway", f"it cannot reach {HOST}; repair the proxy's network or its DNS"),
        ("403 Forbidden", f"allow {HOST} in the proxy, or set connection.proxy to none if it can be reached directly"),
        ("302 Found", NO_CONNECT),
        ("405 Method Not Allowed", NO_CONNECT),
        ("501 Not Implemented", NO_CONNECT),
        ("429 Too Many Requests", "raise its limit of requests"),
    ],
)
def test_refusal_of_a_proxy_is_repeated(answer: str, cure: str) -> None:
    """The words of a proxy that refuses are repeated in one line, with the cure."""
    words = describe(httpx.ProxyError(answer), HOST, ProxyInBetween("proxy:8080"))

    assert words == f"the proxy proxy:8080 refused: {' '.join(answer.split())}; {cure}"


def test_refusal_of_a_proxy_of_the_environment() -> None:
    """NO_PROXY is a cure for a proxy of the environment alone: a configured proxy is used for every server."""
    words = describe(httpx.ProxyError("403 Forbidden"), HOST, ProxyInBetween("proxy:8080", place="HTTPS_PROXY"))

    assert words.endswith(f"; allow {HOST} in the proxy, or list it in NO_PROXY if it can be reached directly")


def test_login_of_a_proxy_is_not_shown() -> None:
    """A proxy that quotes its login has it hidden; the cure of a login that it does not accept is another one."""
    error = httpx.ProxyError("407 no correct-horse, no dXNlcjpjb3JyZWN0LWhvcnNl")
    proxy = ProxyInBetween("proxy:8080", login=("correct-horse", "user:correct-horse"))

    words = describe(error, HOST, proxy)

    assert words == "the proxy proxy:8080 refused: 407 no [hidden], no [hidden]; " + (
        "correct the user name and password in the proxy's URL"
    )
    assert "horse" not in repr(proxy)


@pytest.mark.parametrize("number", [errno.EINVAL, socket.EAI_NONAME])
def test_link_local_address(number: int) -> None:
    """A link-local address without an interface is named as that, not as a firewall's work."""
    error = caused(httpx.ConnectError(""), NotConnected([Attempt("[fe80::1]:443", number)], 5.0))

    assert describe(error, HOST) == (
        "could not connect to [fe80::1]:443: a link-local address needs an interface, which no URL can name; "
        "use another address of the server"
    )


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (True, "no answer in time (through the proxy proxy:8080)"),
        (False, "no answer in time from the proxy proxy:8080"),
    ],
)
def test_proxy_is_named(passed: bool, words: str) -> None:
    """The proxy in between is named, because it may be the cause; it is, until it has connected to the server."""
    assert describe(httpx.ReadTimeout(""), HOST, ProxyInBetween("proxy:8080", passed)) == words


def test_name_of_a_proxy() -> None:
    """A proxy whose name does not exist is named as the proxy's, not the server's."""
    error = in_context(httpx.ConnectError(""), NameNotResolved("proxy.test", socket.EAI_NONAME, 5.0))

    assert describe(error, HOST, ProxyInBetween("proxy.test:3128")).startswith(
        "could not connect: the name of the proxy, proxy.test, does not exist in DNS; correct the host name"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "requires a client certificate; name one"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "speaks no version of TLS that is allowed here"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "refuses the client certificate; name a certificate"),
    ],
)
def test_tls_alert_is_described(reason: str, words: str) -> None:
    """The alerts about versions and certificates are described in words, without OpenSSL's name."""
    assert f"the server {words}" in describe(tls(reason), HOST)


@pytest.mark.parametrize("status", ["400", "404", "405", "501"])
def test_web_server_is_no_proxy(status: str) -> None:
    """A web server answers CONNECT with a status that says that it does not know the method or the path."""
    words = describe(httpx.ProxyError(f"{status} no"), HOST, ProxyInBetween("proxy:8080"))

    assert "it does not act as a proxy" in words


def test_other_number_of_an_attempt_has_the_words_of_the_system() -> None:
    """An errno without a description of our own has the system's description."""
    error = NotConnected([Attempt("192.0.2.1:443", errno.ENOTCONN)], None)

    assert os.strerror(errno.ENOTCONN) in describe(caused(httpx.ConnectError("x"), error), HOST)


def test_proxy_that_accepts_no_connection_is_named() -> None:
    """The message names the proxy, not only its address."""
    error = caused(httpx.ConnectError("x"), NotConnected([Attempt("192.0.2.1:8080", errno.ECONNREFUSED)], None))

    words = describe(error, HOST, ProxyInBetween("proxy:8080"))

    assert words == (
        "could not connect to the proxy proxy:8080 at 192.0.2.1:8080: connection refused; correct the proxy's host and "
        "port, or start the proxy"
    )
