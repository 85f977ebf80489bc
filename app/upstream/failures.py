"""Why no complete answer arrived, in words: the cause and the cure for that cause.

Causes are read from error numbers, TLS verification codes and exception types, never from another library's text.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TypeVar

import httpx

from ..core.text import quoted
from .connect import Attempt, NotConnected, NotSecured, causes
from .resolver import NameNotResolved
from .transport import ProxyInBetween

E = TypeVar("E", bound=BaseException)

_PROHIBITED = "a firewall, network policy or route of this machine prohibits it"

_CONNECT = {
    errno.ECONNREFUSED: "connection refused; does the server run, is the port right?",
    errno.EHOSTUNREACH: "no route to that host; check routes and firewalls",
    errno.ENETUNREACH: "this machine has no route to that network; check its network",
    errno.ENETDOWN: "the network interface is down; check this machine's network",
    errno.EACCES: _PROHIBITED,
    errno.EPERM: _PROHIBITED,
    errno.EINVAL: _PROHIBITED,  # a route of type blackhole
    errno.EADDRNOTAVAIL: "this machine has no address, or no free port, to connect from",
    errno.ECONNRESET: "the connection was reset; does something in between refuse it?",
    errno.ETIMEDOUT: "no answer to the connection attempt; check routes and firewalls",
    errno.EMFILE: "this process has too many open files; raise its limit",
    errno.ENFILE: "this machine has too many open files",
}

_SILENT = "no answer from DNS; check this machine's resolver (/etc/resolv.conf) and its network"

MOST_ADDRESSES = 4
"""Addresses that a message names."""

_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""X509_V_ERR_* of OpenSSL (openssl-verification-options)."""

_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""No issuer, or a self-signed certificate."""

_TLS = {
    "WRONG_VERSION_NUMBER": "{0} does not speak TLS; is the port right, and is it https?",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "{0} requires a client certificate; name it with connection.certificateFile",
    "TLSV1_ALERT_UNKNOWN_CA": "{0} does not trust the CA of the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "{0} says that the client certificate has expired; renew it",
    "SSLV3_ALERT_BAD_CERTIFICATE": "{0} refuses the client certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "{0} speaks no version of TLS that is allowed here",
    "UNSUPPORTED_PROTOCOL": "{0} speaks no version of TLS that is allowed here",
}
"""By OpenSSL's reason; {0} is the server."""


def describe(error: Exception, host: str, proxy: ProxyInBetween | None = None) -> str:
    """Return why the request to `host` failed. `proxy`: the proxy in between."""
    if proxy is None:
        return _words(error, "the server", f"the name {host}")
    if isinstance(error, httpx.ProxyError):
        return _refusal(quoted(str(error)), host, proxy.address)
    if proxy.passed:
        return f"{_words(error, 'the server', f'the name {host}')} (through the proxy {proxy.address})"
    return _words(error, f"the proxy {proxy.address}", f"the name of the proxy, {proxy.address.rpartition(':')[0]},")


def _refusal(answer: str, host: str, proxy: str) -> str:
    if answer.startswith("407"):
        cure = "give its user name and password in the proxy's URL"
    elif answer.startswith("5"):
        cure = f"it cannot reach {host}; check its network and its DNS"
    else:
        cure = f"allow {host} there, or list it in NO_PROXY if it can be reached directly"
    return f"the proxy {proxy} refused: {answer}; {cure}"


def _words(error: Exception, server: str, name: str) -> str:
    """Return the cause. `server` is the side that did not answer, `name` the name that was looked up."""
    if (lookup := _cause(error, NameNotResolved)) is not None:
        return f"could not connect: {name} {_unresolved(lookup)}"
    if (connection := _cause(error, NotConnected)) is not None:
        to = "" if server == "the server" else f"{server} at "
        return f"could not connect to {to}{_unconnected(connection)}"
    handshake = _cause(error, NotSecured)
    if handshake is not None and handshake.timed_out:
        return f"could not connect: {server} accepts connections, but does not answer the TLS handshake in time"
    if (found := _by_number(error, server)) is not None:
        return f"could not connect: {found}" if isinstance(error, httpx.ConnectError) else found
    if handshake is not None:
        return f"could not connect: {server} accepts connections, but ended the TLS handshake"
    return _by_type(error, server)


def _by_type(error: Exception, server: str) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "could not connect in time; check routes and firewalls"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time" if server == "the server" else f"no answer in time from {server}"
    if isinstance(error, httpx.ProtocolError):
        return f"{server} closed the connection, or did not answer in HTTP"  # the text quotes what the server sent
    if isinstance(error, httpx.ConnectError):
        return "could not connect"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else "the connection broke off"


def _unresolved(error: NameNotResolved) -> str:
    if error.code is None:
        return f"was not resolved within {error.seconds:g} s: {_SILENT}"
    if error.code in (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY):
        return "does not exist in DNS; check the name"
    if error.code == socket.EAI_MEMORY:
        return "was not looked up (DNS): this machine has no thread or memory left for it"
    if error.code == socket.EAI_AGAIN:
        return f"could not be resolved: {_SILENT}"
    return "could not be resolved: DNS answers with an error; check the name and this machine's resolver"


def _unconnected(error: NotConnected) -> str:
    """Return the addresses that were tried, with the cause of each; addresses with one cause stand together."""
    by_cause: dict[str, list[str]] = {}
    for attempt in error.attempts[:MOST_ADDRESSES]:
        by_cause.setdefault(_attempt(attempt, error.seconds), []).append(attempt.address)
    return ", and to ".join(f"{' or '.join(addresses)}: {cause}" for cause, addresses in by_cause.items())


def _attempt(attempt: Attempt, seconds: float | None) -> str:
    if attempt.number is None:
        return f"no answer within {seconds or 0:g} s; check routes and firewalls"
    if attempt.number in _CONNECT:
        return _CONNECT[attempt.number]
    return os.strerror(attempt.number) if attempt.number else "it failed without an error number"


def _by_number(error: Exception, server: str) -> str | None:
    """Return what the first exception behind `error` with a known number or code says, or None."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, server, _cause(error, NotSecured))
        if isinstance(cause, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            continue  # not a failure: TLS waits for the other side
        if isinstance(cause, ssl.SSLError):
            known = _TLS.get(cause.reason or "", "TLS failed: {1}")
            return known.format(server, quoted(cause.reason or "no reason given"))
        if isinstance(cause, OSError) and cause.errno in _CONNECT:
            return _CONNECT[cause.errno]
    return None


def _certificate(error: ssl.SSLCertVerificationError, server: str, handshake: NotSecured | None) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return f"{server}'s certificate has expired; renew it there, or set this machine's clock"
    if code == _NOT_YET_VALID:
        return f"{server}'s certificate is not valid yet; set this machine's clock"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        wanted = f"not for {handshake.name}" if handshake is not None else "for another name"
        return f"{server}'s certificate is {wanted}; use a name that the certificate has"
    if code in _UNKNOWN_CA:
        return f"{server}'s certificate is not from a trusted CA; name its CA with tls.caFile"
    return f"{server}'s certificate was rejected: {quoted(error.verify_message)}"


def _cause(error: BaseException, kind: type[E]) -> E | None:
    return next((found for found in causes(error) if isinstance(found, kind)), None)
