"""The stable code of a request without a complete answer, from the types and numbers that `reasons` reads, too."""

from __future__ import annotations

import errno
import socket
import ssl

import httpx

from ..connections.connect import NotConnected, NotSecured, causes
from ..connections.resolver import NameNotResolved
from ..connections.transport import ProxyInBetween

UNKNOWN_NAME, SILENT_DNS, REFUSED, NO_ROUTE = "IDS-201", "IDS-202", "IDS-203", "IDS-204"
PROXY, TIMEOUT, NOT_HTTP = "IDS-205", "IDS-206", "IDS-207"
CERTIFICATE_TIME, CERTIFICATE_NAME, CERTIFICATE_CA, TLS = "IDS-210", "IDS-211", "IDS-212", "IDS-213"

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})
_BY_VERIFICATION = {
    9: CERTIFICATE_TIME,
    10: CERTIFICATE_TIME,
    62: CERTIFICATE_NAME,
    64: CERTIFICATE_NAME,
    **dict.fromkeys((2, 18, 19, 20, 21), CERTIFICATE_CA),
}
"""Stable codes by X509_V_ERR_* of OpenSSL (openssl-verification-options)."""


def error_code(error: Exception, proxy: ProxyInBetween | None = None) -> str:
    """Return the entry of the errors index for the failure. `proxy`: the proxy in between."""
    if isinstance(error, httpx.ProxyError) or (proxy is not None and not proxy.passed):
        return PROXY
    for cause in causes(error):
        if (found := _of(cause)) is not None:
            return found
    return _of_type(error)


def _of(cause: BaseException) -> str | None:
    match cause:
        case NameNotResolved(code=code):
            return UNKNOWN_NAME if code in _NO_SUCH_NAME else SILENT_DNS
        case NotConnected(attempts=attempts):
            return REFUSED if any(each.number == errno.ECONNREFUSED for each in attempts) else NO_ROUTE
        case ssl.SSLCertVerificationError(verify_code=code):
            return _BY_VERIFICATION.get(code, TLS)
        case ssl.SSLWantReadError() | ssl.SSLWantWriteError():
            return None  # not a failure: TLS waits for the other side
        case ssl.SSLError():
            return TLS
        case OSError(errno=errno.ECONNREFUSED):
            return REFUSED
        case _:
            return None


def _of_type(error: Exception) -> str:
    if any(isinstance(cause, NotSecured) for cause in causes(error)):
        return TLS
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return NO_ROUTE
    if isinstance(error, httpx.TimeoutException):
        return TIMEOUT
    return NO_ROUTE if isinstance(error, httpx.ConnectError) else NOT_HTTP
