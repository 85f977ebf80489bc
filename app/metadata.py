"""ECS metadata session tokens: an expiry and its HMAC. Nothing is stored, so a flood of PUTs costs no memory."""

from __future__ import annotations

import hmac
import math
import re

from .model import Now
from .secrets import same

LONGEST_TTL = 21_600
"""Seconds (the real service's range is 1 to 21 600)."""

TTL_HEADER = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = b"x-aliyun-ecs-metadata-token"

_TTL = re.compile(rb"[0-9]{1,5}")
_TOKEN = re.compile(rb"([0-9]{1,12})\.[0-9a-f]{64}")


class SessionTokens:
    """Makes and checks tokens with a key of this process: a token of another instance is no token here."""

    def __init__(self, key: bytes, now: Now) -> None:
        self._key = key
        self._now = now

    def issue(self, ttl: int) -> bytes:
        """A token for `ttl` seconds: one line of visible ASCII, 75 characters."""
        return self._sealed(math.ceil(self._now() + ttl))

    def valid(self, token: bytes) -> bool:
        """Whether `token` was issued here and has not expired."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return False
        expiry = int(match[1])
        return same(token, self._sealed(expiry)) and expiry > self._now()

    def _sealed(self, expiry: int) -> bytes:
        text = b"%d" % expiry
        return text + b"." + hmac.digest(self._key, b"metadata-token " + text, "sha256").hex().encode()


def ttl_of(values: list[bytes]) -> int | None:
    """The one TTL header's value if it is 1 to 21 600 in plain ASCII digits; white space around it is no part of it."""
    if len(values) != 1:
        return None
    text = values[0].strip(b" \t")
    if not _TTL.fullmatch(text) or not 1 <= int(text) <= LONGEST_TTL:
        return None
    return int(text)
