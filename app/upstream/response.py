"""The answer of an upstream service, and the protocols of the HTTP client. Imports no HTTP library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from ..core import json_text
from ..core.errors import Unreachable
from ..core.json_text import TooDeep
from ..core.record import Record


class UpstreamResponse(Record, frozen=True):
    """
    A complete answer with any status.

    `retry_after`: the seconds that the server asks to wait. `request_id`: the id from a header. `sent`: the secrets of
    the request, which the answer may quote. `compressed`: the Content-Encoding of an error whose body could not be
    decompressed and is left out; empty otherwise. `challenge`: the header WWW-Authenticate. `repr` hides the body,
    which may hold a credential, and the members that may quote a secret.
    """

    HIDDEN = frozenset({"body", "sent", "challenge"})

    status: int
    body: bytes
    retry_after: float | None = None
    request_id: str = ""
    sent: tuple[str, ...] = ()
    compressed: str = ""
    challenge: str = ""

    def members(self, where: str) -> dict[str, Any]:
        """Return the body as a JSON object. Raises Unreachable, which names the body's kind and size, not its text."""
        try:
            value = json_value(self.body)
        except TooDeep as error:
            raise self._unusable(where, f"JSON that is {error}") from None
        except ValueError:
            raise self._unusable(where, f"{_kind(self.body)} instead of JSON") from None
        if not isinstance(value, dict):
            raise self._unusable(where, f"{json_text.json_kind(value)} instead of an object")
        return value

    def text(self, where: str, form: re.Pattern[str], what: str) -> str:
        """
        Return the body as ASCII text, white space around it trimmed.

        Raises Unreachable unless the whole text has the `form`. `what`: what such a text is, such as `a role's name`.
        """
        try:
            value = self.body.decode("ascii").strip()
        except UnicodeDecodeError:
            value = "\0"
        if not value:
            raise self._unusable(where, "an empty body")
        if form.fullmatch(value) is None:
            raise self._unusable(where, f"{_kind(self.body)} instead of {what}")
        return value

    def _unusable(self, where: str, body: str) -> Unreachable:
        return Unreachable(
            f"{where}: HTTP {self.status} with {body}", endpoint=where, status=self.status, error_code="IDS-209"
        )


def json_value(body: bytes) -> Any:
    """
    Return the JSON value of a body. Raises ValueError, and TooDeep.

    JSON between systems is UTF-8 (RFC 8259 8.1). In another encoding, a code is still ASCII, and words lose letters.
    """
    try:
        return json_text.json_value(body)
    except UnicodeDecodeError:
        return json_text.json_value(body.decode("utf-8", "replace"))


class Post(Protocol):
    """The client for token endpoints and STS. Raises Unreachable if no complete answer arrives."""

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> UpstreamResponse: ...


class Get(Protocol):
    """The client for discovery and the DeveloperAPI. Raises Unreachable if no complete answer arrives."""

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> UpstreamResponse: ...


class GetPut(Get, Protocol):
    """The client for the ECS metadata service."""

    async def put(self, url: str, headers: Mapping[str, str]) -> UpstreamResponse: ...


class HttpClient(Post, GetPut, Protocol):
    """All methods of the client."""


def _kind(body: bytes) -> str:
    if not body:
        return "an empty body"
    is_markup = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"
    return sized(len(body), "HTML or XML" if is_markup else "another kind")


def sized(length: int, kind: str) -> str:
    """Return words for a body of some kind, such as `33 bytes of HTML or XML`."""
    return f"{length} byte{'s' if length != 1 else ''} of {kind}"
