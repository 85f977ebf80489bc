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
from ..connections.bounded import Ended, NoHttp, Stopped
from ..connections.connect import Attempt, NotConnected, NotSecured, causes
from ..connections.resolver import NameNotResolved
from ..connections.transport import ProxyInBetween
from ..redaction import redacted
from .tls_reasons import tls_reason

E = TypeVar("E", bound=BaseException)

_PROHIBITED = ("a firewall, network policy or route of this machine prohibits it", "")
_NO_LISTENER = "correct host and port of the URL, or start the server"
_NO_PROXY_THERE = "correct the proxy's host and port, or start the proxy"
_ALLOW = "allow this machine to reach the host on that port, or configure a proxy or the VPC endpoint"
_NO_MEMORY = ("this machine or container has no memory left for a connection", "raise the memory limit")

_CONNECT = {
    errno.ECONNREFUSED: ("connection refused", _NO_LISTENER),
    errno.EHOSTUNREACH: ("no route to that host", _ALLOW),
    errno.ENETUNREACH: ("this machine has no route to that network", "add a route"),
    errno.ENETDOWN: ("the network interface is down", "repair this machine's network"),
    errno.EACCES: _PROHIBITED,
    errno.EPERM: _PROHIBITED,
    errno.EINVAL: _PROHIBITED,  # a route of type blackhole
    errno.EADDRNOTAVAIL: (
        "this machine has no address, or no free port, to connect from",
        "add an address of that family, or widen net.ipv4.ip_local_port_range",
    ),
    errno.EAFNOSUPPORT: (
        "this machine has no network of that family (IPv4 or IPv6)",
        "use an address of the other family",
    ),
    errno.ECONNRESET: ("the connection was reset by the host or something in between", _ALLOW),
    errno.ECONNABORTED: ("this machine aborted the connection", _ALLOW),
    errno.EHOSTDOWN: ("that host is down", _ALLOW),
    errno.ENONET: ("this machine is not on the network", "repair this machine's network"),
    errno.ETIMEDOUT: ("no answer to the connection attempt", _ALLOW),
    errno.EMFILE: ("this process has too many open files", "raise the limit of open files"),
    errno.ENFILE: ("this machine has too many open files", "raise fs.file-max, or end the program that holds them"),
    errno.ENOBUFS: _NO_MEMORY,
    errno.ENOMEM: _NO_MEMORY,
}
"""Cause and cure by errno. An empty cure means that the errors index has the cure."""

_CUTS = "look for a firewall, proxy or load balancer in between that cuts connections"
_FILTERED = "correct /etc/hosts, allow the name in a DNS filter that blocks it, or start the server here"
_INSPECTED = "allow the host in the firewall or proxy in between, which inspects the handshake"
_SILENT_HANDSHAKE = (
    "correct the port; if other large requests hang, too, lower the MTU of this machine's network interface"
)

_SILENT = "no answer from DNS"
_RESOLVER = "correct the nameserver in /etc/resolv.conf, or allow port 53 (UDP and TCP) in the network policy"

_NOT_A_PROXY = frozenset({"400", "404", "405", "501"})
"""How a web server without CONNECT answers."""

_PHRASES = {str(status.value): status.phrase for status in HTTPStatus}
"""The standard reason phrase by status."""

MOST_ADDRESSES = 4
"""The most addresses that a message names."""


def describe(error: Exception, host: str, proxy: ProxyInBetween | None = None) -> Reason:
    """Return why the request to `host` failed. `proxy`: the proxy in between."""
    if proxy is None:
        return _words(error, "the server", f"the name {host}")
    if isinstance(error, httpx.ProxyError):
        return _refusal(str(error), host, proxy)
    if proxy.passed:
        found = _words(error, "the server", f"the name {host}")
        return Reason(f"{found.cause} (through the proxy {proxy.address})", found.cure)
    found = _words(error, f"the proxy {proxy.address}", f"the name of the proxy, {proxy.address.rpartition(':')[0]},")
    return Reason(found.cause, found.cure.replace(_NO_LISTENER, _NO_PROXY_THERE))


def _refusal(answer: str, host: str, proxy: ProxyInBetween) -> Reason:
    """Return the reason for a proxy's refusal. `answer`: its status and reason phrase, which may quote the login."""
    status, _, phrase = answer.partition(" ")
    # A standard reason phrase or a three-digit status reveals nothing about a login that consists of the same text.
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
    # NO_PROXY applies only to proxies from the environment.
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
        cause = f"could not connect: {server} accepts connections, but does not answer the TLS handshake in time"
        return Reason(cause, _SILENT_HANDSHAKE)
    ended = _cause(error, Ended)
    if ended is not None and not any(isinstance(found, ssl.SSLError) and not _waits(found) for found in causes(error)):
        return _ended(ended, server)
    if (found := _by_number(error, server)) is not None:
        return found.at("could not connect") if isinstance(error, httpx.ConnectError) else found
    if handshake is not None:
        return Reason(f"could not connect: {server} accepts connections, but ended the TLS handshake")
    return _by_type(error, server)


def _waits(error: BaseException) -> bool:
    """Return whether an error of TLS is not a failure: TLS waits for the other side."""
    return isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError)


def _ended(ended: Ended, server: str) -> Reason:
    """Return who ended the connection, and when."""
    number = next((found.errno for found in causes(ended) if isinstance(found, OSError) and found.errno), None)
    if number is None:
        how = f"{server} closed the connection"
    elif number in (errno.ECONNRESET, errno.EPIPE):
        how = f"the connection to {server} was reset"
    else:
        how = f"the connection to {server} broke off ({os.strerror(number)})"
    if ended.begun:
        return Reason(f"{how} in the middle of the answer", _CUTS)
    # A port that speaks TLS may close a request in clear without a word.
    cure = f"begin the URL with https:// if the port speaks TLS; else {_CUTS}" if ended.clear else _CUTS
    return Reason(f"{how} before an answer", cure)


def _by_type(error: Exception, server: str) -> Reason:
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Reason("could not connect in time", _ALLOW)
    if _cause(error, Stopped) is not None:
        return Reason(f"{server} stopped in the middle of its answer", _CUTS)
    if isinstance(error, httpx.TimeoutException):
        return Reason("no answer in time" if server == "the server" else f"no answer in time from {server}")
    if (other := _cause(error, NoHttp)) is not None:
        if other.tls:
            return Reason(f"{server} answers in TLS to a request in clear", "begin its URL with https://")
        return Reason(f"{server} does not speak HTTP", "correct host and port of its URL")
    if isinstance(error, httpx.ProtocolError):
        # The exception's text is not shown, because it quotes bytes from the server.
        return Reason(f"{server}'s answer is not valid HTTP")
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
    if error.code in _CONNECT:  # an errno is positive, an EAI_* number of glibc and musl is not
        cause, cure = _CONNECT[error.code]
        return f"was not looked up (DNS): {cause}", cure
    if error.code == socket.EAI_AGAIN:
        # A resolver that is silent ends at the time limit, so this one is not there, or says SERVFAIL or REFUSED.
        return "could not be resolved: DNS is not reachable, or its answer is a failure (SERVFAIL, REFUSED)", _RESOLVER
    return (
        "could not be resolved: DNS answers with an error",
        "correct the host name, or the nameserver in /etc/resolv.conf",
    )


def _unconnected(error: NotConnected) -> tuple[str, str]:
    """Return the addresses that were tried with their causes, and all cures. A common cause is named once."""
    by_cause: dict[str, list[str]] = {}
    cures: dict[str, None] = {}
    shown = error.attempts[:MOST_ADDRESSES]
    for attempt in shown:
        cause, cure = _attempt(attempt, error.seconds)
        by_cause.setdefault(cause, []).append(attempt.address)
        cures[cure] = None
    causes = ", and to ".join(f"{' or '.join(addresses)}: {cause}" for cause, addresses in by_cause.items())
    others = len(error.attempts) - len(shown)
    return f"{causes}{f' ({others} more addresses failed)' if others else ''}", ", and ".join(filter(None, cures))


def _attempt(attempt: Attempt, seconds: float | None) -> tuple[str, str]:
    if attempt.misled and attempt.number == errno.ECONNREFUSED:
        return "connection refused; the address is this machine's own, from DNS or /etc/hosts", _FILTERED
    if attempt.number is None:
        return f"no answer within {seconds or 0:g} s", _ALLOW
    if attempt.number not in (errno.EACCES, errno.EPERM) and attempt.address.lower().startswith("[fe80:"):
        return "a link-local address needs an interface, which no URL can name", "use another address of the server"
    if attempt.number in _CONNECT:
        return _CONNECT[attempt.number]
    return os.strerror(attempt.number) if attempt.number else "it failed without an error number", ""


def _by_number(error: Exception, server: str) -> Reason | None:
    """Return the reason for the first exception behind `error` with a known number or code, or None."""
    handshake = _cause(error, NotSecured)
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError) and not _waits(cause):
            return tls_reason(cause, server, handshake.name if handshake is not None else "")
        if isinstance(cause, OSError) and cause.errno == errno.ECONNRESET and handshake is not None:
            return Reason(f"{server} accepts connections, but this one was reset in the TLS handshake", _INSPECTED)
        if isinstance(cause, OSError) and cause.errno in _CONNECT:
            return Reason(*_CONNECT[cause.errno])
    return None


def _cause(error: BaseException, kind: type[E]) -> E | None:
    return next((found for found in causes(error) if isinstance(found, kind)), None)
