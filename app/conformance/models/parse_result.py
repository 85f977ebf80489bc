"""What a client's parser makes of a body: the credentials, or the needs that the body does not meet. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

ACCESS_KEY = ("AccessKeyId", "AccessKeySecret")
SESSION_KEYS = (*ACCESS_KEY, "SecurityToken")
KEYS_AND_EXPIRATION = (*SESSION_KEYS, "Expiration")


@dataclass(frozen=True, slots=True)
class UnmetNeed:
    """Something that a client needs and the server does not give. `seen` is what the server gives instead."""

    need: str
    seen: str


UnmetNeeds = tuple[UnmetNeed, ...]


@dataclass(frozen=True, slots=True)
class ParseResult:
    """
    The credentials as one client reads them, or the reasons why it reads none.

    `unmet` has every need that the body does not meet, not only the first. `keys` are the values of SESSION_KEYS. Times
    are seconds since the epoch; None: the client does not read that time.
    """

    unmet: UnmetNeeds = ()
    keys: tuple[str, ...] = field(default=(), repr=False)
    expires_at: float | None = None
    issued_at: float | None = None


BodyParser = Callable[[bytes, float], ParseResult]
"""A client's parser. Takes the body, and now in seconds since the epoch: some clients reject expired credentials."""
