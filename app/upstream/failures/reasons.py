"""Describes in words why no complete answer arrived: the cause and its cure.

Causes are read from error numbers, TLS verification codes and exception types, never from another library's text.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from http import HTTPStatus
from typing import TypeVar

import httpx

from ...core.errors import Reason
from ...core.text import quoted
from ..connections.connect import Attempt, NotConnected, NotSecured, causes
from ..connections.resolver import NameNotResolved
from ..connections.transport import ProxyInBetween
from ..redaction import redacted

E = TypeVar("E", bound=BaseException)

_PROHIBITED = ("a firewall, network policy or route of this machine prohibits it", "")
_ALLOW = "allow this machine to reach the host on that port, or configure a proxy or the VPC endpoint"

_CONNECT = {
    errno.ECONNREFUSED: ("connection refused; does the server run, is the port right?", ""),
    errno.EHOSTUNREACH: ("no route to that host", _ALLOW),
    errno.ENETUNREACH: ("this machine has no route to that network", "add a route"),
    errno.ENETDOWN: ("the network interface is down", "repair this machine's network"),
    errno.EACCES: _PROHIBITED,
    errno.EPERM: _PROHIBITED,
    errno.EINVAL: _PROHIBITED,  # a route of type blackhole
    errno.EADDRNOTAVAIL: ("this machine has no address, or no free port, to connect from", ""),
    errno.ECONNRESET: ("the connection was reset; does something in between refuse it?", ""),
    errno.ETIMEDOUT: ("no answer to the connection attempt", _ALLOW),
    errno.EMFILE: ("this process has too many open files", "raise the limit of open files"),
    errno.ENFILE: ("this machine has too many open files", ""),
}
"""Cause and cure by errno. An empty cure means that the errors index has the cure."""

_SILENT = "no answer from DNS"
_RESOLVER = "correct the nameserver in /etc/resolv.conf, or allow port 53 (UDP and TCP) in the network policy"

_NOT_A_PROXY = frozenset({"400", "404", "405", "501"})
"""How a web server without CONNECT answers."""

_PHRASES = {str(status.value): status.phrase for status in HTTPStatus}
"""The standard reason phrase by status."""

MOST_ADDRESSES = 4
"""The most addresses that a message names."""

_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""X509_V_ERR_* of OpenSSL (openssl-verification-options)."""

_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_* for a missing issuer or a self-signed certificate."""

_WANTS = "is the port right? Where the server requires a client certificate, name one with connection.certificateFile"
_ANOTHER = "name a certificate that the server accepts with connection.certificateFile"

_ENDED = "UNEXPECTED_EOF_WHILE_READING"

_TLS = {
    "WRONG_VERSION_NUMBER": ("does not speak TLS; is the port right, and is it https?", ""),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "requires a client certificate",
        "name one with connection.certificateFile",
    ),
    "TLSV1_ALERT_UNKNOWN_CA": ("does not trust the CA of the client certificate", _ANOTHER),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": (
        "says that the client certificate has expired",
        "replace the client certificate",
    ),
    "SSLV3_ALERT_BAD_CERTIFICATE": ("refuses the client certificate", _ANOTHER),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("speaks no version of TLS that is allowed here", ""),
    "UNSUPPORTED_PROTOCOL": ("speaks no version of TLS that is allowed here", ""),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "ends the TLS handshake: no cipher or version in common, or it requires a client certificate",
        _WANTS,
    ),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": ("ends the TLS handshake: it accepts no cipher of this machine", ""),
    "TLSV1_UNRECOGNIZED_NAME": ("has no certificate for that name", "use a name that the certificate has"),
    "TLSV1_ALERT_INTERNAL_ERROR": (
        "ends the TLS handshake with an error of its own",
        "look at the server's log; some servers answer so to a name that they do not have",
    ),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (
        "says that the client certificate is revoked",
        "replace the client certificate",
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("refuses the client certificate", _ANOTHER),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": ("refuses the client certificate", _ANOTHER),
    "TLSV1_ALERT_DECRYPT_ERROR": ("refuses the client certificate", _ANOTHER),
    "TLSV1_ALERT_ACCESS_DENIED": ("refuses the client certificate", _ANOTHER),
    _ENDED: ("ends the TLS handshake without a reason", _WANTS),
}
"""Cause and cure by OpenSSL's reason. The cause describes what the server does."""


def describe(error: Exception, host: str, proxy: ProxyInBetween | None = None) -> Reason:
    """Return why the request to `host` failed. `proxy`: the proxy in between."""
    if proxy is None:
        return _words(error, "the server", f"the name {host}")
    if isinstance(error, httpx.ProxyError):
        return _refusal(str(error), host, proxy)
    if proxy.passed:
        found = _words(error, "the server", f"the name {host}")
        return Reason(f"{found.cause} (through the proxy {proxy.address})", found.cure)
    return _words(error, f"the proxy {proxy.address}", f"the name of the proxy, {proxy.address.rpartition(':')[0]},")


def _refusal(answer: str, host: str, proxy: ProxyInBetween) -> Reason:
    """Return the reason for a proxy's refusal. `answer`: its status and reason phrase, which may quote the login."""
    status, _, phrase = answer.partition(" ")
    # The standard's own words tell nothing about a login that consists of them, and so does a status of three digits.
    said = phrase if phrase == _PHRASES.get(status) else quoted(redacted(phrase, proxy.login))
    cause = f"the proxy {proxy.address} refused: {status} {said}".rstrip()
    if status == "407":
        verb = "correct the" if proxy.login else "give its"
        return Reason(cause, f"{verb} user name and password in the proxy's URL")
    if status == "429":
        return Reason(cause, "raise its limit of requests")
    if status.startswith("3") or status in _NOT_A_PROXY:
        return Reason(f"{cause}; it does not act as a proxy", "correct the proxy's address, or permit CONNECT there")
    if status.startswith("5"):
        return Reason(f"{cause}; it cannot reach {host}", "repair the proxy's network or its DNS")
    # NO_PROXY holds for the proxies of the environment alone.
    bypass = "set connection.proxy to none" if proxy.place == "proxy" else "list it in NO_PROXY"
    return Reason(cause, f"allow {host} in the proxy, or {bypass} if it can be reached directly")


def _words(error: Exception, server: str, name: str) -> Reason:
    """Return the reason. `server`: the side that did not answer. `name`: the host name that was looked up."""
    if (lookup := _cause(error, NameNotResolved)) is not None:
        cause, cure = _unresolved(lookup)
        return Reason(f"could not connect: {name} {cause}", cure)
    if (connection := _cause(error, NotConnected)) is not None:
        to = "" if server == "the server" else f"{server} at "
        cause, cure = _unconnected(connection)
        return Reason(f"could not connect to {to}{cause}", cure)
    handshake = _cause(error, NotSecured)
    if handshake is not None and handshake.timed_out:
        return Reason(f"could not connect: {server} accepts connections, but does not answer the TLS handshake in time")
    if (found := _by_number(error, server)) is not None:
        return found.at("could not connect") if isinstance(error, httpx.ConnectError) else found
    if handshake is not None:
        return Reason(f"could not connect: {server} accepts connections, but ended the TLS handshake")
    return _by_type(error, server)


def _by_type(error: Exception, server: str) -> Reason:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Reason("could not connect in time", _ALLOW)
    if isinstance(error, httpx.TimeoutException):
        return Reason("no answer in time" if server == "the server" else f"no answer in time from {server}")
    if isinstance(error, httpx.ProtocolError):
        # The exception's text is not shown, because it quotes bytes from the server.
        return Reason(f"{server} closed the connection, or did not answer in HTTP")
    if isinstance(error, httpx.ConnectError):
        return Reason("could not connect")
    number = error.errno if isinstance(error, OSError) else None
    return Reason(os.strerror(number) if number else "the connection broke off")


def _unresolved(error: NameNotResolved) -> tuple[str, str]:
    if error.code is None:
        return f"was not resolved within {error.seconds:g} s: {_SILENT}", _RESOLVER
    if error.code in (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY):
        return "does not exist in DNS", "correct the host name, or the nameserver of a private zone in /etc/resolv.conf"
    if error.code == socket.EAI_MEMORY:
        return "was not looked up (DNS): this machine has no thread or memory left for it", ""
    if error.code == socket.EAI_AGAIN:
        return f"could not be resolved: {_SILENT}", _RESOLVER
    return (
        "could not be resolved: DNS answers with an error",
        "correct the host name, or the nameserver in /etc/resolv.conf",
    )


def _unconnected(error: NotConnected) -> tuple[str, str]:
    """Return the addresses that were tried with their causes, and all cures. A common cause is named once."""
    by_cause: dict[str, list[str]] = {}
    cures: dict[str, None] = {}
    for attempt in error.attempts[:MOST_ADDRESSES]:
        cause, cure = _attempt(attempt, error.seconds)
        by_cause.setdefault(cause, []).append(attempt.address)
        cures[cure] = None
    causes = ", and to ".join(f"{' or '.join(addresses)}: {cause}" for cause, addresses in by_cause.items())
    return causes, ", and ".join(filter(None, cures))


def _attempt(attempt: Attempt, seconds: float | None) -> tuple[str, str]:
    if attempt.number is None:
        return f"no answer within {seconds or 0:g} s", _ALLOW
    if attempt.number not in (errno.EACCES, errno.EPERM) and attempt.address.lower().startswith("[fe80:"):
        return "a link-local address needs an interface, which no URL can name", "use another address of the server"
    if attempt.number in _CONNECT:
        return _CONNECT[attempt.number]
    return os.strerror(attempt.number) if attempt.number else "it failed without an error number", ""


def _by_number(error: Exception, server: str) -> Reason | None:
    """Return the reason for the first exception behind `error` with a known number or code, or None."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, server, _cause(error, NotSecured))
        if isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            continue  # not a failure: TLS waits for the other side
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or _ENDED  # OpenSSL has no reason where the other side just closes
            if reason in _TLS:
                said, cure = _TLS[reason]
                return Reason(f"{server} {said}", cure)
            return Reason(f"TLS failed: {quoted(reason)}")
        if isinstance(cause, OSError) and cause.errno in _CONNECT:
            return Reason(*_CONNECT[cause.errno])
    return None


def _certificate(error: ssl.SSLCertVerificationError, server: str, handshake: NotSecured | None) -> Reason:
    code, certificate = error.verify_code, f"{server}'s certificate"
    if code == _EXPIRED:
        return Reason(f"{certificate} has expired", "set this machine's clock, or renew the certificate on the server")
    if code == _NOT_YET_VALID:
        return Reason(f"{certificate} is not valid yet", "set this machine's clock")
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        wanted = f"not for {handshake.name}" if handshake is not None else "for another name"
        return Reason(f"{certificate} is {wanted}", "use a name that the certificate has")
    if code in _UNKNOWN_CA:
        return Reason(f"{certificate} is not from a trusted CA", "name its CA with tls.caFile")
    return Reason(f"{certificate} was rejected: {quoted(error.verify_message)}")


def _cause(error: BaseException, kind: type[E]) -> E | None:
    return next((found for found in causes(error) if isinstance(found, kind)), None)
