"""What a client's HTTP library makes of a response: the body, or the reasons why the client gets none. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from ..wire.response import MAX_BODY, NoResponse, Outcome, Response
from .parse_result import UnmetNeed, UnmetNeeds

AcceptedStatus = Literal["200", "2xx", "any"]


@dataclass(frozen=True, slots=True)
class Transport:
    """
    A client's HTTP library.

    `accepts`: statuses whose body reaches the parser; `any`: the client decides by the body. The timeouts are seconds
    until the first byte and for the whole response; None: no timeout. `decodes_gzip`: also without Accept-Encoding.
    """

    accepts: AcceptedStatus = "200"
    first_byte_timeout: float | None = None
    total_timeout: float | None = None
    follows_redirects: bool = True
    decodes_gzip: bool = True
    needs_content_length: bool = False
    needs_content_type: bool = False

    def receive(self, outcome: Outcome) -> tuple[bytes, UnmetNeeds]:
        """Return the body that reaches the parser, and every need that the response does not meet. One of the two."""
        if isinstance(outcome, NoResponse):
            return b"", (UnmetNeed("a response", outcome.reason),)
        unmet = (*self._status(outcome), *self._timeouts(outcome), *self._framing(outcome))
        if unmet:
            return b"", unmet
        return self._decoded(outcome)

    def _status(self, response: Response) -> UnmetNeeds:
        if response.is_redirect and self.accepts != "any":
            return (UnmetNeed("no redirect", f"status {response.status}"),)
        accepted = {"200": response.status == 200, "2xx": 200 <= response.status < 300, "any": True}[self.accepts]
        return () if accepted else (UnmetNeed("status 200", f"status {response.status}"),)

    def _timeouts(self, response: Response) -> UnmetNeeds:
        measured = (
            (self.first_byte_timeout, response.first_byte_seconds),
            (self.total_timeout, response.total_seconds),
        )
        for timeout, seconds in measured:
            if timeout is not None and seconds >= timeout:
                return (UnmetNeed(f"a response within {timeout:g} s", f"{seconds:.1f} s"),)
        return ()

    def _framing(self, response: Response) -> UnmetNeeds:
        if not self.needs_content_length or response.framing == "length":
            return ()
        seen = "a chunked body" if response.framing == "chunked" else "no Content-Length"
        return (UnmetNeed("Content-Length", seen),)

    def _decoded(self, response: Response) -> tuple[bytes, UnmetNeeds]:
        if self.needs_content_type and response.header("content-type") is None:
            return b"", (UnmetNeed("Content-Type", "no Content-Type"),)
        if not response.content_encoding:
            return response.body, ()
        plain = gunzip(response.body) if self.decodes_gzip and response.content_encoding == "gzip" else None
        if plain is None:
            return b"", (UnmetNeed("an uncompressed body", "a Content-Encoding header"),)
        return plain, ()


def gunzip(body: bytes) -> bytes | None:
    """Return the decompressed bytes, cut off at the size limit of a body. None if `body` is not gzip."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(body, MAX_BODY)
    except zlib.error:
        return None
    return plain
