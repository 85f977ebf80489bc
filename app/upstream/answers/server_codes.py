"""
The meanings of the cloud's error codes, with their cures, for every upstream service.

Imported at the first failure: the texts take memory and time that a sidecar without failures does not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...core.error_index.exchange import EXCHANGE
from ...core.error_index.identity import IDENTITY
from ...core.error_index.network import NETWORK
from .meaning import Meaning

_ENTRIES = (*IDENTITY, *NETWORK, *EXCHANGE)

BY_CODE: Mapping[str, Meaning] = MappingProxyType(
    {entry.code: Meaning(entry.effect, entry.cure, entry.code) for entry in _ENTRIES}
)
"""The meaning of each entry, by its stable code, for servers whose own codes or statuses are mapped to entries."""

CODES: Mapping[str, Meaning] = MappingProxyType(
    {seen: Meaning(entry.effect, entry.cure, entry.code) for entry in _ENTRIES for seen in entry.seen}
)
"""The meaning of each code of a server, or of the codes that begin as one that ends with `*`."""

_PREFIXES = tuple((seen[:-1], meaning) for seen, meaning in CODES.items() if seen.endswith("*"))


def meaning_of(code: str) -> Meaning | None:
    """Return what a server's code means: by the whole code, else by the beginning that an entry names."""
    return CODES.get(code) or next((meaning for start, meaning in _PREFIXES if code.startswith(start)), None)


MEANINGS_BY_WORDS: tuple[tuple[str, Meaning], ...] = tuple(
    (part, Meaning(entry.effect, entry.cure, entry.code)) for entry in _ENTRIES for part in entry.words
)
"""Parts of messages and their meanings, because some codes stand for several causes."""
