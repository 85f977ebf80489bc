"""The characters of OAuth 2.0 parameters (RFC 6749, appendix A). Others are often invisible."""

from __future__ import annotations

import re

from .errors import ConfigError

CODE = "IDS-105"

_NO_VSCHAR = re.compile(r"[^\x20-\x7e]")
"""VSCHAR: the characters of a client id and of a client secret."""

_NO_SCOPE = re.compile(r"""[^\x20-\x7e]|["\\]""")
"""NQSCHAR: the characters of a scope, which are its tokens (NQCHAR) and the spaces between them."""


def wrong_in_client_id(value: str) -> str | None:
    """Return the first character that a client id cannot have, or None."""
    return _first(_NO_VSCHAR, value)


def wrong_in_scope(value: str) -> str | None:
    """Return the first character that a scope cannot have, or None."""
    return _first(_NO_SCOPE, value)


def client_id(value: str, place: str) -> None:
    """Raise ConfigError for a client id with a character that is not VSCHAR."""
    _refuse(wrong_in_client_id(value), value, place, "a client id")


def scope(value: str, place: str) -> None:
    """Raise ConfigError for a scope with a character that is not NQSCHAR."""
    _refuse(wrong_in_scope(value), value, place, "a scope")


def _first(pattern: re.Pattern[str], value: str) -> str | None:
    """Return the first match. White space at the ends has a warning of its own (config/warnings.py)."""
    found = pattern.search(value.strip(" \t\r\n"))
    return found[0] if found else None


def cause(wrong: str, value: str, what: str) -> str:
    """Return why a value is refused, with its invisible characters escaped."""
    return f"{value!a} has {wrong!a}, which {what} cannot have"


CURE = "copy the value again, without invisible characters"


def _refuse(wrong: str | None, value: str, place: str, what: str) -> None:
    if wrong is not None:
        raise ConfigError(f"{place}: {cause(wrong, value, what)}", cure=CURE, error_code=CODE)
