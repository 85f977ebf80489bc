"""The objects that a token source is built with."""

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
    """Returns the HTTP client of one server. `place`: the key path of the server's connection."""

    def __call__(self, connection: Connection, place: str, http: HttpConfiguration | None = None) -> HttpClient: ...


class Context(Record, frozen=True):
    """
    The objects that all token sources of one configuration share.

    `now` returns the time of the server that checks the identity, if that time is known. `is_synchronised` returns
    whether it is known. `at` binds both to a server. `is_ours` returns whether an address belongs to this network
    namespace.
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
        """Return this context with the clock of the server of `url`."""
        return replace(
            self, now=partial(self.server_now, url), is_synchronised=partial(self.server_is_synchronised, url)
        )


class Reporter(Record, frozen=True):
    """The functions through which a source reports the expiry of a proof of `kind`, and warnings."""

    expires: Callable[[str, float], None]
    warn: Callable[[Mistake], None]
