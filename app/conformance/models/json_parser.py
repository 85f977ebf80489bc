"""Parsers of the clients that read one JSON object. They differ only in their settings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .parse_result import SESSION_KEYS, BodyParser, ParseResult, UnmetNeed, UnmetNeeds
from .timestamps import TimestampParser

CodeCheck = Literal["exact", "any case", "any case if present"]


@dataclass(frozen=True, slots=True)
class JsonParser:
    """
    The parser of a client that reads one JSON object.

    `code`: how Code is compared with `Success`; None: Code is not read. The `required` members must be strings, and not
    empty if `rejects_empty`. `ignores_name_case`: Go's decoder matches member names in any case. `rejects_expired`:
    expired credentials are an error at the first fetch. `rejects_nested`: objects and arrays as values are an error.
    """

    code: CodeCheck | None
    required: tuple[str, ...]
    expiration: TimestampParser | None
    last_updated: TimestampParser | None = None
    last_updated_required: bool = False
    rejects_empty: bool = False
    ignores_name_case: bool = False
    rejects_expired: bool = False
    rejects_nested: bool = False
    exact_values: Mapping[str, str] = field(default_factory=dict)
    """Members that must have exactly this value."""

    def __call__(self, body: bytes, now: float) -> ParseResult:
        members = json_object(body)
        if members is None:
            return ParseResult((UnmetNeed("a body that is one JSON object", f"{len(body)} bytes of something else"),))
        found = _Members(members, self.ignores_name_case)
        expires_at, expiration = self._timestamp(found, "Expiration", self.expiration, "Expiration" in self.required)
        issued_at, updated = self._timestamp(found, "LastUpdated", self.last_updated, self.last_updated_required)
        unmet = (
            *self._code(found),
            *self._required(found),
            *(UnmetNeed(f"{name} with the value {value} as a string", found.describe(name))
              for name, value in self.exact_values.items() if found.text(name) != value),
            *self._nested(members),
            *expiration,
            *updated,
            *self._expired(expires_at, now),
        )  # fmt: skip
        return ParseResult(unmet, tuple(found.text(name) or "" for name in SESSION_KEYS), expires_at, issued_at)

    def _code(self, found: _Members) -> UnmetNeeds:
        code = found.text("Code")
        if self.code is None or code == "Success" or (self.code == "any case if present" and not code):
            return ()
        if code is not None and self.code != "exact" and code.lower() == "success":
            return ()
        return (UnmetNeed("Code with the value Success", found.describe("Code")),)

    def _required(self, found: _Members) -> UnmetNeeds:
        missing = [
            name for name in self.required if found.text(name) is None or (self.rejects_empty and not found.text(name))
        ]
        return tuple(UnmetNeed(f"{name} as a string", found.describe(name)) for name in missing)

    def _nested(self, members: Mapping[str, Any]) -> UnmetNeeds:
        nested = [name for name, value in members.items() if isinstance(value, dict | list)]
        if not self.rejects_nested or not nested:
            return ()
        return (UnmetNeed("no nested values", f"members that are objects or arrays: {len(nested)}"),)

    @staticmethod
    def _timestamp(
        found: _Members, name: str, parse: TimestampParser | None, required: bool
    ) -> tuple[float | None, UnmetNeeds]:
        text = found.text(name)
        if parse is None or text is None:
            # A missing Expiration is already in `_required`.
            missing = parse is not None and required and name == "LastUpdated"
            return None, (UnmetNeed(f"{name} as a string", found.describe(name)),) if missing else ()
        seconds = parse(text)
        if seconds is None:
            return None, (UnmetNeed(f"{name} in whole seconds, UTC, with Z", timestamp_format(text)),)
        return seconds, ()

    def _expired(self, expires_at: float | None, now: float) -> UnmetNeeds:
        if not self.rejects_expired or expires_at is None or expires_at > now:
            return ()
        return (UnmetNeed("an Expiration in the future", f"it expired {now - expires_at:.0f} s ago"),)


def losing(parser: BodyParser, *lost: str) -> BodyParser:
    """Return the parser of a client that accepts the body and then loses the keys named in `lost`."""

    def parse(body: bytes, now: float) -> ParseResult:
        result = parser(body, now)
        named = zip(SESSION_KEYS, result.keys, strict=False)
        return replace(result, keys=tuple("" if name in lost else key for name, key in named))

    return parse


class _Members:
    """The members of a JSON object as one client looks them up."""

    def __init__(self, members: Mapping[str, Any], ignores_case: bool) -> None:
        self._members = {name.lower(): value for name, value in members.items()} if ignores_case else members
        self._ignores_case = ignores_case

    def get(self, name: str) -> Any:
        """Return the member's value, None if there is none."""
        return self._members.get(name.lower() if self._ignores_case else name)

    def text(self, name: str) -> str | None:
        """Return the member's value if it is a string."""
        value = self.get(name)
        return value if isinstance(value, str) else None

    def describe(self, name: str) -> str:
        """Describe what the member has instead of the needed value. The description does not contain its value."""
        value = self.get(name)
        if value is None:
            return f"no {name}"
        if isinstance(value, str):
            return f"{name} with another value" if value else f"{name} is empty"
        return f"{name} is {_JSON_TYPES[type(value)]}"


_JSON_TYPES = {dict: "an object", list: "an array", bool: "true or false", int: "a number", float: "a number"}


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return `body` as a JSON object. None if it is not one in UTF-8."""
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def timestamp_format(text: str) -> str:
    """Describe a timestamp with its digits replaced: `0000-00-00T00:00:00.000Z`. Of other text, only the length."""
    pattern = "".join("0" if character in "0123456789" else character for character in text)
    harmless = len(text) <= 40 and set(pattern) <= set("0-:.,+TZ ")
    return pattern if harmless else f"a text of {len(text)} characters"
