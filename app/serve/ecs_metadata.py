"""The ECS metadata service's own words: session tokens, and what is configured to be said of the machine.

A token is an expiry and its HMAC: nothing is stored, so a flood of PUTs costs no memory.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Mapping

from ..core.model import Now
from ..system.secrets import same
from .responses import TEXT, Reply, reply

LONGEST_TTL = 21_600
"""Seconds (the real service's range is 1 to 21 600)."""

VALUES = b"/latest/meta-data/"
DOCUMENT = b"/latest/dynamic/instance-identity/document"

TTL_HEADER = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = b"x-aliyun-ecs-metadata-token"

_TTL = re.compile(rb"[0-9]{1,5}")
_TOKEN = re.compile(rb"([0-9]{1,12})\.[0-9a-f]{64}")


class SessionTokens:
    """Makes and checks tokens with a key of this process: a token of another instance is no token here."""

    def __init__(self, key: bytes, now: Now) -> None:
        self._key = key
        self._now = now

    def rekey(self, key: bytes) -> None:
        """Goes on with another key: tokens that were made with that one are good, those of until now are not."""
        self._key = key

    def issue(self, ttl: int) -> bytes:
        """A token for `ttl` seconds: one line of visible ASCII, 75 characters."""
        return self._sealed(math.ceil(self._now() + ttl))

    def valid(self, token: bytes) -> bool:
        """Whether `token` was issued here and has not expired."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return False
        expiry = int(match[1])
        # The upper bound: where the key outlives a boot and the clock begins anew with it, no token may live on.
        return same(token, self._sealed(expiry)) and 0 < expiry - self._now() <= LONGEST_TTL + 1

    def _sealed(self, expiry: int) -> bytes:
        text = b"%d" % expiry
        return text + b"." + hmac.digest(self._key, b"metadata-token " + text, "sha256").hex().encode()


class MetadataValues:
    """
    What is configured to be said of the machine: `values` below /latest/meta-data/, and a document made of them.

    Answers are bytes made once. Without a value nothing is answered, not even the list of them.
    """

    def __init__(self, values: Mapping[str, str], *, document: bool = False) -> None:
        self._values = {VALUES + name.encode(): reply(200, text.encode(), TEXT) for name, text in values.items()}
        if values:
            # The real service lists what there is; iLogtail asks for the list to learn whether it is on ECS.
            names = sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in values} | {"ram/"})
            self._values |= dict.fromkeys(
                (VALUES, VALUES.removesuffix(b"/")), reply(200, "\n".join(names).encode(), TEXT)
            )
        if document:
            said = {name: text for name, text in values.items() if "/" not in name}
            self._values[DOCUMENT] = reply(200, json.dumps(said).encode())

    def reply(self, path: bytes) -> Reply | None:
        """The answer to a GET of `path`, or None. As on ECS, only the names themselves mind their case."""
        start = len(VALUES)
        return self._values.get(path[:start].lower() + path[start:])


def ttl_of(values: list[bytes]) -> int | None:
    """The one TTL header's value if it is 1 to 21 600 in plain ASCII digits; white space around it is no part of it."""
    if len(values) != 1:
        return None
    text = values[0].strip(b" \t")
    if not _TTL.fullmatch(text) or not 1 <= int(text) <= LONGEST_TTL:
        return None
    return int(text)
