"""What the error codes of the cloud mean, and how to fix their causes, for every upstream service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..core.error_index.entry import Effect
from ..core.error_index.exchange import EXCHANGE
from ..core.error_index.identity import IDENTITY
from ..core.error_index.network import NETWORK

UNKNOWN = "IDS-300"
"""The stable code of a refusal whose own code is not in the index."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one error code means, and how to fix its cause. `error_code`: its entry in the errors index."""

    effect: Effect
    cure: str = ""
    error_code: str = UNKNOWN


_ENTRIES = (*IDENTITY, *NETWORK, *EXCHANGE)

_BY_CODE: Mapping[str, Meaning] = MappingProxyType(
    {entry.code: Meaning(entry.effect, entry.cure, entry.code) for entry in _ENTRIES}
)


def meaning_of(error_code: str) -> Meaning:
    """Return the meaning of an entry of the index, for a server whose own codes or statuses stand for it."""
    return _BY_CODE[error_code]


CODES: Mapping[str, Meaning] = MappingProxyType(
    {seen: Meaning(entry.effect, entry.cure, entry.code) for entry in _ENTRIES for seen in entry.seen}
)

MEANINGS_BY_WORDS: tuple[tuple[str, Meaning], ...] = tuple(
    (part, Meaning(entry.effect, entry.cure, entry.code)) for entry in _ENTRIES for part in entry.words
)
"""A part of a message, and the meaning of what it says: some codes stand for several causes."""
