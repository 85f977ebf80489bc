"""What building a token source needs from its surroundings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from ..core.connection import Connection, HttpConfiguration
from ..core.errors import Mistake
from ..core.record import Record
from ..core.values import Now, ServerNow, Token
from ..system.child_reaper import ChildReaper
from ..system.disk import Disk
from ..upstream.response import HttpClient


class TokenSource(Protocol):
    """Obtains a token. Raises Refused, Unreachable or ConfigError."""

    async def token(self) -> Token: ...


class Connect(Protocol):
    """Returns the HTTP client of one server; its connection is configured at `place`."""

    def __call__(self, connection: Connection, place: str, http: HttpConfiguration | None = None) -> HttpClient: ...


class Context(Record, frozen=True):
    """
    The surroundings of all token sources of one configuration.

    `now` is the time of the server that judges the identity as far as it is known, and `is_synchronised` tells whether
    it is; `at` binds both to a server. `is_ours`: whether an
    address belongs to this network namespace.
    """

    HIDDEN = frozenset({"environ"})

    connect: Connect
    environ: Mapping[str, str]
    now: Now
    is_synchronised: Callable[[], bool]
    new_id: Callable[[], str]
    is_ours: Callable[[str], bool]
    children: ChildReaper
    disk: Disk
    server_now: ServerNow
    server_is_synchronised: Callable[[str], bool]

    def at(self, url: str) -> Context:
        """Return these surroundings by the clock of the server of `url`."""
        return replace(
            self, now=partial(self.server_now, url), is_synchronised=partial(self.server_is_synchronised, url)
        )


class Notes(Record, frozen=True):
    """Where a source reports what it notices: when a proof of `kind` expires, and what to warn of."""

    expires: Callable[[str, float], None]
    warn: Callable[[Mistake], None]
