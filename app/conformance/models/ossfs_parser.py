"""The parser of ossfs v1, which is not a JSON parser: it searches the text between commas for keywords. Pure."""

from __future__ import annotations

from .parse_result import ParseResult, UnmetNeed, UnmetNeeds
from .timestamps import first_19_characters

_KEYWORDS = ("AccessKeyId", "AccessKeySecret", "SecretAccessKey", "Token", "Expiration", "RoleArn")
_EXPECTED = {"AccessKeyId", "AccessKeySecret", "Token", "Expiration"}


def ossfs(body: bytes, _now: float) -> ParseResult:
    """
    Return what ossfs v1 reads: in each piece between commas, the first keyword and the quoted text after its colon.

    It accepts exactly four keywords. If two pieces contain one keyword, the last piece counts.
    """
    found: dict[str, str] = {}
    for piece in body.decode("latin-1").split(","):
        keyword = next((keyword for keyword in _KEYWORDS if keyword in piece), None)
        value = _quoted(piece, keyword) if keyword is not None else None
        if keyword is not None and value is not None:
            found[keyword] = value
    keys = tuple(found.get(keyword, "") for keyword in ("AccessKeyId", "AccessKeySecret", "Token"))
    expires_at = first_19_characters(found.get("Expiration", ""))
    return ParseResult((*_unmatched_keywords(found), *_bad_expiration(found, expires_at)), keys, expires_at)


def _quoted(piece: str, keyword: str) -> str | None:
    """Return the text in quotes after the first colon that follows `keyword`."""
    _, colon, rest = piece[piece.index(keyword) + len(keyword) :].partition(":")
    parts = rest.split('"')
    return parts[1] if colon and len(parts) >= 3 else None


def _unmatched_keywords(found: dict[str, str]) -> UnmetNeeds:
    if set(found) == _EXPECTED:
        return ()
    return (UnmetNeed("exactly four members that ossfs finds by substring", f"it finds {', '.join(found) or 'none'}"),)


def _bad_expiration(found: dict[str, str], expires_at: float | None) -> UnmetNeeds:
    if expires_at is not None or "Expiration" not in found:
        return ()
    return (UnmetNeed("Expiration that begins with date and time", "another format"),)
