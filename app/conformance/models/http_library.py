"""What a client's HTTP library lets through: answers in, the body out, or why there is none. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..wire.answer import LARGEST_BODY, Answer, Reply, Silence
from .body_parser import Refusal


@dataclass(frozen=True, slots=True)
class Transport:
    """
    `statuses` is `200`, `2xx` or `any` (the client judges by the body). `first_byte` and `whole` are its patience in
    seconds; None: it waits without end. `follows`: redirects are followed. `decodes`: gzip is decoded, asked or not.
    """

    statuses: str = "200"
    first_byte: float | None = None
    whole: float | None = None
    follows: bool = True
    decodes: bool = True
    needs_length: bool = False
    needs_type: bool = False

    def receive(self, reply: Reply) -> tuple[bytes, tuple[Refusal, ...]]:
        """The body as the client's parser gets it, and all that its library stumbles over; no body where it stops."""
        if isinstance(reply, Silence):
            return b"", (Refusal("an answer", reply.why),)
        stops = (*self._status(reply), *self._late(reply), *self._framing(reply))
        if stops:
            return b"", stops
        return self._decoded(reply)

    def _status(self, answer: Answer) -> tuple[Refusal, ...]:
        if answer.redirects and self.statuses != "any":
            return (Refusal("no redirect", f"status {answer.status}"),)
        fine = {"200": answer.status == 200, "2xx": 200 <= answer.status < 300, "any": True}[self.statuses]
        return () if fine else (Refusal("status 200", f"status {answer.status}"),)

    def _late(self, answer: Answer) -> tuple[Refusal, ...]:
        for limit, took in ((self.first_byte, answer.first_byte), (self.whole, answer.seconds)):
            if limit is not None and took >= limit:
                return (Refusal(f"an answer within {limit:g} s", f"{took:.1f} s"),)
        return ()

    def _framing(self, answer: Answer) -> tuple[Refusal, ...]:
        if not self.needs_length or answer.framing == "length":
            return ()
        return (Refusal("Content-Length", "a chunked body" if answer.framing == "chunked" else "none"),)

    def _decoded(self, answer: Answer) -> tuple[bytes, tuple[Refusal, ...]]:
        if self.needs_type and answer.header("content-type") is None:
            return b"", (Refusal("Content-Type", "none"),)
        if not answer.encoding:
            return answer.body, ()
        plain = gunzipped(answer.body) if self.decodes and answer.encoding == "gzip" else None
        if plain is None:
            return b"", (Refusal("a body that is not compressed", "a Content-Encoding"),)
        return plain, ()


def gunzipped(body: bytes) -> bytes | None:
    """The plain bytes, or None where they are none, or more than a body may be."""
    try:
        plain = zlib.decompressobj(wbits=31).decompress(body, LARGEST_BODY)
    except zlib.error:
        return None
    return plain
