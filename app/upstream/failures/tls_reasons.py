"""Describes in words why a TLS handshake failed, from OpenSSL's reasons and verification codes."""

from __future__ import annotations

import ssl

from ...core.errors import Reason
from ...core.text import quoted

_EXPIRED, _NOT_YET_VALID, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""X509_V_ERR_* of OpenSSL (openssl-verification-options)."""

_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_* for a missing issuer or a self-signed certificate."""

_WANTS = "correct the port; if the server requires a client certificate, name one with connection.certificateFile"
_ANOTHER = "name a certificate that the server accepts with connection.certificateFile"

_VERSIONS = "enable TLS 1.2 or 1.3 on the server"
_CIPHERS = "enable a cipher of TLS 1.3, or one with ECDHE and AES-GCM, on the server"
_CHANGED = ("receives other bytes than were sent", "look for a device in between that changes TLS")

_ENDED = "UNEXPECTED_EOF_WHILE_READING"

_TLS = {
    "WRONG_VERSION_NUMBER": ("does not speak TLS", "correct scheme and port of the URL"),
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
    "TLSV1_ALERT_PROTOCOL_VERSION": ("speaks no version of TLS that is allowed here", _VERSIONS),
    "UNSUPPORTED_PROTOCOL": ("speaks no version of TLS that is allowed here", _VERSIONS),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "ends the TLS handshake: no cipher or version in common, or it requires a client certificate",
        _WANTS,
    ),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": ("ends the TLS handshake: it accepts no cipher of this machine", _CIPHERS),
    "TLSV1_UNRECOGNIZED_NAME": ("has no certificate for that name", "use a name that the certificate has"),
    "TLSV1_ALERT_INTERNAL_ERROR": (
        "ends the TLS handshake with an error of its own",
        "look at the server's log; some servers send this alert for an unknown host name",
    ),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": (
        "says that the client certificate is revoked",
        "replace the client certificate",
    ),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": ("refuses the client certificate", _ANOTHER),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": ("refuses the client certificate", _ANOTHER),
    "TLSV1_ALERT_DECRYPT_ERROR": ("refuses the client certificate", _ANOTHER),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": ("does not offer HTTP/1.1 on that port", "use a port with HTTP/1.1"),
    "SSLV3_ALERT_BAD_RECORD_MAC": _CHANGED,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": ("sends bytes that were changed on the way", _CHANGED[1]),
    "TLSV1_ALERT_ACCESS_DENIED": ("refuses the client certificate", _ANOTHER),
    _ENDED: ("ends the TLS handshake without a reason", _WANTS),
}
"""Cause and cure by OpenSSL's reason. The cause describes what the server does."""

_OTHER_ALERT = "look at the server's log, and request the URL with `curl -v`"
_OTHER_FAILURE = "show what answers there with `openssl s_client -connect HOST:PORT`"


def tls_reason(error: ssl.SSLError, server: str, name: str) -> Reason:
    """Return why TLS with `server` failed. `name`: the name that its certificate must have; empty if unknown."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, server, name)
    reason = error.reason or _ENDED  # OpenSSL has no reason where the other side just closes
    if reason in _TLS:
        said, cure = _TLS[reason]
        return Reason(f"{server} {said}", cure)
    # OpenSSL's names of received alerts begin with SSLV3_ or TLSV1_, whatever the version.
    if reason.startswith(("SSLV3_", "TLSV1_", "TLSV13_")):
        return Reason(f"{server} ends the TLS handshake: {quoted(reason)}", _OTHER_ALERT)
    return Reason(f"TLS with {server} failed: {quoted(reason)}", _OTHER_FAILURE)


def _certificate(error: ssl.SSLCertVerificationError, server: str, name: str) -> Reason:
    code, certificate = error.verify_code, f"{server}'s certificate"
    if code == _EXPIRED:
        return Reason(f"{certificate} has expired", "set this machine's clock, or renew the certificate on the server")
    if code == _NOT_YET_VALID:
        return Reason(f"{certificate} is not valid yet", "set this machine's clock")
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        wanted = f"not for {name}" if name else "for another name"
        return Reason(f"{certificate} is {wanted}", "use a name that the certificate has")
    if code in _UNKNOWN_CA:
        return Reason(f"{certificate} is not from a trusted CA", "name its CA with tls.caFile")
    return Reason(
        f"{certificate} was rejected: {quoted(error.verify_message)}", "replace the certificate on the server"
    )
