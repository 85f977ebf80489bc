"""Bounds the cost of deriving keys from passwords, and derives each key once.

A PKCS#12 or an encrypted key says how often its password is hashed. `cryptography` holds the interpreter's lock
meanwhile, so every client waits: 0.5 s for a million rounds.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import TypeVar, cast

from ...core.errors import ConfigError
from .encodings import der_value

T = TypeVar("T")

MOST_ROUNDS = 2_000_000
"""The most rounds of a file, added up: three derivations of 600 000, which OWASP recommends for PBKDF2. OpenSSL writes
2048 for each, Windows 2000, and Java 10 000."""

MOST_RESULTS = 32
"""The most results that are kept."""

_PARAMETERS = re.compile(
    rb"""\x06(?:
      \x09\x2a\x86\x48\x86\xf7\x0d\x01\x05(?P<pbkdf2>\x0c)           # PBKDF2 (RFC 8018 A.2)
    | \x09\x2a\x86\x48\x86\xf7\x0d\x01\x05[\x01\x03\x04\x06\x0a\x0b]  # PBES1 (RFC 8018 A.3)
    | \x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01[\x01-\x06]             # PKCS#12 (RFC 7292 C)
    | \x09\x2b\x06\x01\x04\x01\xda\x47\x04(?P<scrypt>\x0b)            # scrypt (RFC 7914 7)
    )\x30(?:[\x00-\x80]|\x81.|\x82..)(?=\x04)""",
    re.DOTALL | re.VERBOSE,
)
"""The algorithm of a derivation and the beginning of its parameters: a salt, and then numbers."""

_VERSION = b"\x02\x01\x03"
"""The version at the beginning of a PKCS#12 (RFC 7292 section 4)."""

LONGEST_SALT = 64
"""The longest salt of a checksum in bytes. OpenSSL writes 8 or 16, and Java 20."""


class _Results(OrderedDict[bytes, object]):
    """The results of derivations, the least recently used first. `forgotten`: how often they were dropped."""

    forgotten = 0


_results = _Results()

_lock = Lock()
"""Keys are loaded in threads."""

_read_since: ContextVar[int | None] = ContextVar("read_since", default=None)
"""`_results.forgotten` when the attempt of this context began, before it read its files; None outside an attempt."""


class TooManyRounds(Exception):
    """A file with more rounds than are accepted. Not a ValueError, because a wrong password raises that."""

    def __init__(self, rounds: int) -> None:
        super().__init__(f"its key derivation has {rounds} rounds, and at most {MOST_ROUNDS} are accepted")

    def at(self, place: str) -> ConfigError:
        """Return the error of a file that the configuration names at `place`."""
        cure = "write it again with fewer, such as the 2048 of `openssl pkcs8 -topk8` and `openssl pkcs12 -export`"
        return ConfigError(f"{place}: {self}", cure=cure, error_code="IDS-115")


def forget() -> None:
    """
    Drop all results: a file has changed, or a configuration is not in use any more. Later uses derive again.

    Results of derivations and attempts that are under way are not kept: the file that they have read may be gone.
    """
    with _lock:
        _results.forgotten += 1
        _results.clear()


def begin() -> None:
    """Record that an attempt begins in this context, before it reads a file."""
    _read_since.set(_results.forgotten)


def once(load: Callable[[bytes, bytes | None], T], raw: bytes, password: bytes | None) -> T:
    """
    Return `load(raw, password)` for a key or PKCS#12 in DER. Raises TooManyRounds, and the errors of `load`.

    The result of a derivation is kept until `forget`, and so is a ValueError of a wrong password: each request for a
    token would repeat the derivation. Another file or password has another result.
    In an attempt, the result is kept unless `forget` was called since `begin`.
    """
    found = rounds(raw)
    if not found:
        return load(raw, password)
    if found > MOST_ROUNDS:
        raise TooManyRounds(found)
    kind = f"{load.__name__} {None if password is None else len(password)} ".encode()
    name = hashlib.sha256(kind + (password or b"") + raw).digest()
    with _lock:
        result = _results.pop(name, None)
        begun = _results.forgotten
    if result is None:
        try:
            result = load(raw, password)
        except ValueError as error:
            result = ValueError(*error.args)  # the error itself holds its frames, with the password
    since = _read_since.get()
    with _lock:
        if (begun if since is None else since) == _results.forgotten:
            _results[name] = result
        while len(_results) > MOST_RESULTS:
            _results.popitem(last=False)
    if isinstance(result, ValueError):
        raise ValueError(*result.args)
    return cast("T", result)


def rounds(raw: bytes) -> int:
    """Return the sum of the rounds of all derivations that `raw` names without encryption. scrypt counts N * r * p."""
    found = 0
    for match in _PARAMETERS.finditer(raw):
        salt = der_value(raw, match.end())
        numbers = _numbers(raw, salt.stop, 3 if match["scrypt"] else 1)
        found += math.prod(numbers) if numbers else 0
    return found + _rounds_of_mac(raw)


def _numbers(raw: bytes, place: int, most: int) -> list[int]:
    """Return the integers from `place` on, at most `most`."""
    found: list[int] = []
    while len(found) < most and raw[place : place + 1] == b"\x02":
        value = der_value(raw, place)
        found.append(int.from_bytes(raw[value]))
        place = value.stop
    return found


def _rounds_of_mac(raw: bytes) -> int:
    """Return the rounds of the checksum of a PKCS#12: a salt and a number at its end. 0 if there are none."""
    if _VERSION not in raw[:9]:
        return 0
    for size in range(1, 9):
        salt = raw[-size - 2 - LONGEST_SALT - 2 : -size - 2]
        if raw[-size - 2 : -size] == bytes((2, size)) and any(
            salt[-length - 2 : -length] == bytes((4, length)) for length in range(1, LONGEST_SALT + 1)
        ):
            return int.from_bytes(raw[-size:])
    return 0
