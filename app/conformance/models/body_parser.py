"""What a client makes of a body: bytes in, a Reading out. Pure; most clients differ in a row of settings only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .timestamps import Instant

FOUR = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
THREE = FOUR[:3]
TWO = FOUR[:2]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A need of a client's that was not met: `need` in the words of a rule, `seen` what there was instead."""

    need: str
    seen: str


@dataclass(frozen=True, slots=True)
class Reading:
    """
    The credentials as one client understands them, or why it does not. Instants are None where it reads none.

    `refusals` holds everything that it stumbles over, not the first thing only.
    """

    refusals: tuple[Refusal, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)
    expires_at: float | None = None
    issued_at: float | None = None


Parser = Callable[[bytes, float], Reading]
"""A client's parser: the body, and now in seconds since the epoch (some refuse what has expired)."""


@dataclass(frozen=True, slots=True)
class JsonParser:
    """
    A client that reads one JSON object.

    `code`: Code must be `Success` (`exact`), in any case (`caseless`), in any case where it is there (`if present`), or
    is not read (None). `required` members must be there, and not empty where `filled`. `any_case`: Go's decoder matches
    names in any case. `refuses_expired`: a session whose end has passed is an error at the first fetch.
    """

    code: str | None
    required: tuple[str, ...]
    expiration: Instant | None
    last_updated: Instant | None = None
    last_updated_required: bool = False
    filled: bool = False
    any_case: bool = False
    refuses_expired: bool = False
    flat: bool = False
    also: Mapping[str, str] = field(default_factory=dict)
    """Members that must have exactly this value."""

    def __call__(self, body: bytes, now: float) -> Reading:
        members = json_object(body)
        if members is None:
            return Reading((Refusal("a body that is one JSON object", f"{len(body)} bytes that are none"),))
        found = _Members(members, self.any_case)
        expires_at, expiration = self._instant(found, "Expiration", self.expiration, "Expiration" in self.required)
        issued_at, updated = self._instant(found, "LastUpdated", self.last_updated, self.last_updated_required)
        refusals = (
            *self._code(found),
            *self._missing(found),
            *(Refusal(f"{name} is the string {value}", found.kind(name)) for name, value in self.also.items()
              if found.text(name) != value),
            *self._nested(members),
            *expiration,
            *updated,
            *self._expired(expires_at, now),
        )  # fmt: skip
        return Reading(refusals, tuple(found.text(name) or "" for name in THREE), expires_at, issued_at)

    def _code(self, found: _Members) -> tuple[Refusal, ...]:
        code = found.text("Code")
        if self.code is None or code == "Success" or (self.code == "if present" and not code):
            return ()
        if code is not None and self.code != "exact" and code.lower() == "success":
            return ()
        return (Refusal("Code is Success", "another Code" if code else found.kind("Code")),)

    def _missing(self, found: _Members) -> tuple[Refusal, ...]:
        lacking = [name for name in self.required if found.text(name) is None or (self.filled and not found.text(name))]
        return tuple(Refusal(f"{name} as a string", found.kind(name)) for name in lacking)

    def _nested(self, members: Mapping[str, Any]) -> tuple[Refusal, ...]:
        nested = [name for name, value in members.items() if isinstance(value, dict | list)]
        if not self.flat or not nested:
            return ()
        return (Refusal("no nested values", f"{len(nested)} members that are objects or arrays"),)

    @staticmethod
    def _instant(
        found: _Members, name: str, read: Instant | None, required: bool
    ) -> tuple[float | None, tuple[Refusal, ...]]:
        text = found.text(name)
        if read is None or text is None:
            lacking = read is not None and required and name == "LastUpdated"
            return None, (Refusal(f"{name} as a string", found.kind(name)),) if lacking else ()
        instant = read(text)
        if instant is None:
            return None, (Refusal(f"{name} in whole seconds, UTC, with Z", form(text)),)
        return instant, ()

    def _expired(self, expires_at: float | None, now: float) -> tuple[Refusal, ...]:
        if not self.refuses_expired or expires_at is None or expires_at > now:
            return ()
        return (Refusal("an Expiration in the future", f"it ended {now - expires_at:.0f} s ago"),)


def losing(parser: Parser, *lost: str) -> Parser:
    """A client whose parser is content and whose code then loses these keys."""

    def parse(body: bytes, now: float) -> Reading:
        reading = parser(body, now)
        return replace(
            reading, keys=tuple("" if name in lost else key for name, key in zip(THREE, reading.keys, strict=False))
        )

    return parse


class _Members:
    """A JSON object's members as one client looks them up."""

    def __init__(self, members: Mapping[str, Any], any_case: bool) -> None:
        self._members = {name.lower(): value for name, value in members.items()} if any_case else members
        self._any_case = any_case

    def get(self, name: str) -> Any:
        return self._members.get(name.lower() if self._any_case else name)

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return value if isinstance(value, str) else None

    def kind(self, name: str) -> str:
        """What stands there, without its value."""
        value = self.get(name)
        if value is None:
            return f"no {name}"
        if isinstance(value, str):
            return f"{name} with another value" if value else f"{name} is empty"
        return f"{name} is {_JSON_TYPES[type(value)]}"


_JSON_TYPES = {dict: "an object", list: "an array", bool: "true or false", int: "a number", float: "a number"}


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in UTF-8 that `body` is, or None."""
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def form(text: str) -> str:
    """A time's form without its digits: `0000-00-00T00:00:00.000Z`; nothing of any other text but its length."""
    shape = "".join("0" if character in "0123456789" else character for character in text)
    harmless = len(text) <= 40 and set(shape) <= set("0-:.,+TZ ")
    return shape if harmless else f"a text of {len(text)} characters"
