"""The server under the eye: whoever asks it, asks here, so that nothing is asked twice and everything is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..wire.address import METADATA_HOST, Address, Ask
from ..wire.answer import Answer, Reply
from .walk import TOKEN, TOKEN_HEADER, TTL_HEADER

ROLES = "/latest/meta-data/ram/security-credentials"
NOBODY = "idaas-sidecar-conformance-no-such-thing"
"""A name that no server has."""

Send = Callable[[Ask], Reply]


class Once:
    """Sends each request once and remembers its answer; `seen` holds all of them in order, the questions beside."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._answers: dict[tuple[bytes, str], Reply] = {}
        self.seen: list[tuple[Ask, Reply]] = []

    def __call__(self, ask: Ask, turn: str = "") -> Reply:
        key = (ask.raw, turn)
        if key not in self._answers:
            self._answers[key] = self._send(ask)
            self.seen.append((ask, self._answers[key]))
        return self._answers[key]

    def answers(self) -> list[tuple[Ask, Answer]]:
        """What was answered at all."""
        return [(ask, reply) for ask, reply in self.seen if isinstance(reply, Answer)]


@dataclass(frozen=True, slots=True)
class UriTarget:
    """The credentials URI and questions about it."""

    address: Address
    once: Once
    now: float

    def get(self, *lines: str, host: str | None = None, method: str = "GET") -> Reply:
        """The configured target itself."""
        return self.once(Ask(self.address.target, host or self.address.authority, lines, method))

    def with_slash(self) -> Reply:
        """The target with a trailing slash, or without it where it has one."""
        path = self.address.path
        other = path.rstrip("/") if path.endswith("/") and path != "/" else f"{path.rstrip('/')}/"
        return self.once(Ask(replace(self.address, path=other).target, self.address.authority))

    def with_query(self, query: str) -> Reply:
        """The target with `query` behind what it has."""
        own = self.address.query
        whole = query if not own else f"{own}&{query}"
        return self.once(Ask(replace(self.address, query=whole).target, self.address.authority))

    def absolute(self) -> Reply:
        """The target as a client asks a proxy."""
        return self.once(Ask(self.address.origin + self.address.target, self.address.authority))

    def unknown(self) -> Reply:
        """A path beside the target that is none; a path token in front of it stays."""
        parent = self.address.path.rstrip("/").rpartition("/")[0]
        return self.once(Ask(f"{parent}/{NOBODY}", self.address.authority))


@dataclass(frozen=True, slots=True)
class EcsTarget:
    """The metadata paths and questions about them. `token`: sent with each GET where the server requires one."""

    once: Once
    now: float
    role: str = "default"
    token: str | None = field(default=None, repr=False)

    def get(self, path: str, *lines: str, host: str = METADATA_HOST, bare: bool = False) -> Reply:
        """A path below the address. `bare`: without the token, whatever the server requires."""
        needed = (f"{TOKEN_HEADER}: {self.token}",) if self.token is not None and not bare else ()
        return self.once(Ask(path, host, (*needed, *lines)))

    def put(self, ttl: str = "21600", *, turn: str = "", header: str = TTL_HEADER, length: bool = True) -> Reply:
        """A session token. `length`: with Content-Length: 0, as all clients but Java's send it."""
        lines = (f"{header}: {ttl}", *(("Content-Length: 0",) if length else ()))
        return self.once(Ask(TOKEN, METADATA_HOST, lines, "PUT"), turn)

    @property
    def role_path(self) -> str:
        return f"{ROLES}/{self.role}"
