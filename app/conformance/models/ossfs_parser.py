"""ossfs v1's parser: no JSON, but pieces between commas, and the first known word in each. Pure."""

from __future__ import annotations

from .body_parser import Reading, Refusal
from .timestamps import nineteen

_WORDS = ("AccessKeyId", "AccessKeySecret", "SecretAccessKey", "Token", "Expiration", "RoleArn")
_WANTED = {"AccessKeyId", "AccessKeySecret", "Token", "Expiration"}


def ossfs(body: bytes, _now: float) -> Reading:
    """Exactly four known words, each with the quoted text behind its colon; the last of two with one word counts."""
    found: dict[str, str] = {}
    for piece in body.decode("latin-1").split(","):
        word = next((word for word in _WORDS if word in piece), None)
        value = _quoted(piece, word) if word is not None else None
        if word is not None and value is not None:
            found[word] = value
    keys = tuple(found.get(word, "") for word in ("AccessKeyId", "AccessKeySecret", "Token"))
    expires_at = nineteen(found.get("Expiration", ""))
    return Reading((*_count(found), *_end(found, expires_at)), keys, expires_at)


def _quoted(piece: str, word: str) -> str | None:
    """The text in quotes behind the first colon that follows `word`."""
    _, colon, rest = piece[piece.index(word) + len(word) :].partition(":")
    parts = rest.split('"')
    return parts[1] if colon and len(parts) >= 3 else None


def _count(found: dict[str, str]) -> tuple[Refusal, ...]:
    if set(found) == _WANTED:
        return ()
    return (Refusal("exactly four members that ossfs finds by substring", f"it finds {', '.join(found) or 'none'}"),)


def _end(found: dict[str, str], expires_at: float | None) -> tuple[Refusal, ...]:
    if expires_at is not None or "Expiration" not in found:
        return ()
    return (Refusal("Expiration that begins with date and time", "another form"),)
