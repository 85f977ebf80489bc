"""The head of an HTTP request as the handlers see it."""

from __future__ import annotations

from typing import NamedTuple

from .peers.peer import UNKNOWN_PEER, Peer

RequestHeaders = list[tuple[bytes, bytes]]


class Request(NamedTuple):
    """
    The head of one request: the target as received, undecoded, and header names in lower case.

    `peer` is the other end of the connection.
    """

    method: bytes
    target: bytes
    headers: RequestHeaders
    peer: Peer = UNKNOWN_PEER

    def __repr__(self) -> str:
        return f"Request({self.method!r}, …)"  # the target may hold the path token, a header any secret

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    def values(self, name: bytes) -> list[bytes]:
        """Return all values of the header `name` (lower case), in order."""
        return [value for key, value in self.headers if key == name]
