"""Names files and keys that people take for the private key that signs, each with what to do."""

from __future__ import annotations

from ...core.errors import Reason

_NAME_KEY = "name the private key"


class NotTheKey(ValueError):
    """A text without the private key that signs. `reason`: what it is instead, and the cure."""

    def __init__(self, reason: Reason) -> None:
        super().__init__()
        self.reason = reason


PUBLIC_KEY = Reason("a public key", _NAME_KEY)

_TEXTS = (
    (
        "PuTTY-User-Key-File-",
        "a key of PuTTY",
        "convert a copy with: puttygen KEY_FILE -O private-openssh -o KEY.pem",
    ),
    ("-----BEGIN PGP ", "an OpenPGP key, which signs no assertion", _NAME_KEY),
    ("AGE-SECRET-KEY-", "a key of age, which signs no assertion", _NAME_KEY),
    ("-----BEGIN CERTIFICATE REQUEST-----", "a certificate request", _NAME_KEY),
    ("-----BEGIN CERTIFICATE-----", "a certificate without its key", _NAME_KEY),
    ("ssh-", "a public key of OpenSSH", _NAME_KEY),
)

_KEYSTORE = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""The beginnings of JKS and JCEKS."""


def kind_of_text(text: str) -> Reason | None:
    """Return what a text is that is no private key, with the cure; None for an unknown one."""
    return next((Reason(what, cure) for mark, what, cure in _TEXTS if text.lstrip().startswith(mark)), None)


def kind_of_bytes(raw: bytes) -> Reason | None:
    """Return what binary content is that is no private key, with the cure; None for unknown content."""
    if not raw.startswith(_KEYSTORE):
        return None
    return Reason(
        "a Java keystore",
        "convert a copy with: keytool -importkeystore -srckeystore KEY_FILE -destkeystore KEY.p12 "
        "-deststoretype PKCS12",
    )
