"""ECS metadata session tokens: an expiry and its HMAC. Nothing is stored, so a flood of PUTs costs no memory."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from .model import Now
from .secrets import same

LONGEST_TTL = 21_600
"""Seconds (the real service's range is 1 to 21 600)."""

TTL_HEADER = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = b"x-aliyun-ecs-metadata-token"

_TTL = re.compile(rb"[0-9]{1,5}")


class SessionTokens:
    """Makes and checks tokens with a key of this process: a token of another instance is no token here."""

    def __init__(self, key: bytes, now: Now) -> None:
        self._key = key
        self._now = now

    def issue(self, ttl: int) -> bytes:
        """A token for `ttl` seconds: one line of URL-safe ASCII, 54 characters."""
        expiry = int(self._now() + ttl).to_bytes(8, "big")
        return base64.urlsafe_b64encode(expiry + self._seal(expiry)).rstrip(b"=")

    def valid(self, token: bytes) -> bool:
        """Whether `token` was issued here and has not expired."""
        try:
            raw = base64.b64decode(token + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        return len(raw) == 40 and same(raw[8:], self._seal(raw[:8])) and int.from_bytes(raw[:8], "big") > self._now()

    def _seal(self, expiry: bytes) -> bytes:
        return hmac.digest(self._key, b"metadata-token\0" + expiry, hashlib.sha256)


def ttl_of(values: list[bytes]) -> int | None:
    """The one TTL header's value if it is 1 to 21 600 in plain ASCII digits; white space around it is no part of it."""
    if len(values) != 1:
        return None
    text = values[0].strip(b" \t")
    if not _TTL.fullmatch(text) or not 1 <= int(text) <= LONGEST_TTL:
        return None
    return int(text)
