"""Why no complete answer arrived, in words: the cause and the cure for that cause.

Causes are read from error numbers, TLS verification codes and exception types, never from another library's text.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

from ..core.text import quoted

_CONNECT = {
    errno.ECONNREFUSED: "connection refused; does the server run, is the port right?",
    errno.EHOSTUNREACH: "no route to that host; check routes and firewalls",
    errno.ENETUNREACH: "this machine has no route to that network; check its network",
    errno.EACCES: "a firewall or network policy of this machine prohibits it",
    errno.EPERM: "a firewall or network policy of this machine prohibits it",
    errno.ECONNRESET: "the connection was reset; does something in between refuse it?",
    errno.ETIMEDOUT: "no answer to the connection attempt; check routes and firewalls",
}

_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""X509_V_ERR_* of OpenSSL (openssl-verification-options)."""

_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""No issuer, or a self-signed certificate."""


def describe(error: Exception, host: str, proxy: str | None = None) -> str:
    """Return why the request to `host` failed. `proxy`: host and port of the proxy in between."""
    words = _words(error, host)
    return f"{words} (through the proxy {proxy})" if proxy else words


def _words(error: Exception, host: str) -> str:
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refused: {quoted(str(error))}"
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "could not connect in time; check routes and firewalls"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ProtocolError):
        return f"not an HTTP answer ({type(error).__name__})"  # its text quotes what the server sent
    for cause in _causes(error):
        found = _known(cause, host)
        if found is not None:
            return f"could not connect: {found}" if isinstance(error, httpx.ConnectError) else found
    return (
        f"could not connect ({type(error).__name__})" if isinstance(error, httpx.ConnectError) else type(error).__name__
    )


def _known(error: BaseException, host: str) -> str | None:
    """Return what one exception says by its number or code, or None."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error)
    if isinstance(error, ssl.SSLError):
        if error.reason == "WRONG_VERSION_NUMBER":
            return "the server does not speak TLS; is the port right, and is it https?"
        return f"TLS failed: {error.reason or 'no reason given'}"
    if isinstance(error, socket.gaierror):
        return f"the name {host} could not be resolved (DNS); check the name and this machine's resolver"
    if isinstance(error, OSError) and error.errno in _CONNECT:
        return _CONNECT[error.errno]
    return None


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the server's certificate has expired; renew it there, or set this machine's clock"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet; set this machine's clock"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return "the server's certificate is for another name; use a name that the certificate has"
    if code in _UNKNOWN_CA:
        return "the server's certificate is not from a trusted CA; name its CA with tls.caFile"
    return f"the server's certificate was rejected: {quoted(error.verify_message)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions behind `error`, the members of a group one by one."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, BaseExceptionGroup):
            pending.extend(found.exceptions)
        pending.extend((found.__cause__, found.__context__))
