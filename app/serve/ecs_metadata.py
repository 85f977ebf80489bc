"""The parts of the ECS metadata service that need no profile: session tokens and configured metadata values.

A session token is an expiry and its HMAC. Nothing is stored, so a flood of PUTs costs no memory.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping

from ..core.values import Now
from ..system.secrets import same
from .responses import TEXT, Response, response

LONGEST_TTL = 21_600
"""Seconds (the real service's range is 1 to 21 600)."""

VALUES = b"/latest/meta-data/"
DOCUMENT = b"/latest/dynamic/instance-identity/document"

TTL_HEADER = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = b"x-aliyun-ecs-metadata-token"

_TTL = re.compile(rb"[0-9]{1,5}")
_TOKEN = re.compile(rb"([0-9]{1,12})\.[0-9a-f]{64}")


class SessionTokens:
    """Issues and checks metadata session tokens with a key of this process. Tokens of other instances are invalid."""

    def __init__(self, key: bytes, now: Now) -> None:
        self._keys: tuple[bytes, ...] = (key,)
        self._now = now

    def replace_key(self, key: bytes) -> None:
        """Replace the signing key. Tokens signed with the new key are accepted; earlier tokens are rejected."""
        self._keys = (key,)

    def sign_with(self, key: bytes) -> None:
        """Sign new tokens with `key`. Tokens that were signed with an earlier key stay valid."""
        self._keys = (key, *(each for each in self._keys if each != key))

    def issue(self, ttl: int) -> bytes:
        """Return a token for `ttl` seconds: one line of 75 visible ASCII characters."""
        return self._signed(math.ceil(self._now() + ttl), self._keys[0])

    def expiry(self, token: bytes) -> float | None:
        """Return the instant, by the clock given, at which `token` expires; None for a token that is not valid now."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        expiry = int(match[1])
        # The upper bound rejects tokens of an earlier boot: the clock has restarted, but the key may be the same.
        if 0 < expiry - self._now() <= LONGEST_TTL + 1 and any(
            [same(token, self._signed(expiry, key)) for key in self._keys]
        ):
            return float(expiry)
        return None

    @staticmethod
    def _signed(expiry: int, key: bytes) -> bytes:
        text = b"%d" % expiry
        return text + b"." + hmac.digest(key, b"metadata-token " + text, "sha256").hex().encode()


class MetadataValues:
    """
    The configured `values` below /latest/meta-data/, and the instance identity document made of them.

    Responses are built once. If no value is configured, every path gets None, also the listing.
    """

    def __init__(self, values: Mapping[str, str], *, document: bool = False) -> None:
        self._values = {VALUES + name.encode(): response(200, text.encode(), TEXT) for name, text in values.items()}
        if values:
            # The real service lists what exists: iLogtail requests the list to learn whether it runs on ECS, and
            # cloud-init follows every directory of it.
            for directory, names in _listings([*values, "ram/security-credentials/"]).items():
                listing = response(200, "\n".join(sorted(names)).encode(), TEXT)
                for path in (VALUES + directory.encode(), (VALUES + directory.encode()).removesuffix(b"/")):
                    self._values.setdefault(path, listing)
        if document:
            members = {name: text for name, text in values.items() if "/" not in name}
            self._values[DOCUMENT] = response(200, json.dumps(members).encode())

    def response(self, path: bytes) -> Response | None:
        """Return the answer to a GET of `path`, or None. As on ECS, only the names are case-sensitive."""
        start = len(VALUES)
        return self._values.get(path[:start].lower() + path[start:])


def _listings(names: Iterable[str]) -> dict[str, set[str]]:
    """Return each directory above `names` with the names in it. A directory is empty, or ends with a slash."""
    found: dict[str, set[str]] = {}
    for name in names:
        directory = ""
        for part in re.findall("[^/]+/?", name):
            found.setdefault(directory, set()).add(part)
            directory += part
    return found


def ttl_of(values: list[bytes]) -> int | None:
    """
    Return the TTL in seconds; None unless the header occurs once, with a number from 1 to 21,600 in ASCII digits.

    White space around the number is ignored.
    """
    if len(values) != 1:
        return None
    text = values[0].strip(b" \t")
    if not _TTL.fullmatch(text) or not 1 <= int(text) <= LONGEST_TTL:
        return None
    return int(text)
