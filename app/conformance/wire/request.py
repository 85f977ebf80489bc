"""One HTTP request as bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP/1.1 request without a body.

    `lines` are the header lines in the client's order. The Host header comes before them. The repr leaves out target
    and lines, because both may contain tokens.
    """

    target: str = field(repr=False)
    host: str
    lines: tuple[str, ...] = field(repr=False, default=())
    method: str = "GET"

    @property
    def raw(self) -> bytes:
        """The request's head, which is the whole request."""
        head = (f"{self.method} {self.target} HTTP/1.1", f"Host: {self.host}", *self.lines, "", "")
        return "\r\n".join(head).encode("latin-1")
