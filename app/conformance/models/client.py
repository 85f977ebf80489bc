"""One client as it is modelled, and what a look at a server says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..wire.address import Address, Ask
from .body_parser import Parser, Refusal
from .http_library import Transport
from .refetch import Refetch


@dataclass(frozen=True, slots=True)
class UriClient:
    """A client that GETs one URL. `unable`: why no server can serve it; nothing is asked for it then."""

    name: str
    ask: Callable[[Address], Ask]
    transport: Transport
    parse: Parser
    refetch: Refetch | None
    """When it asks again; None: not known."""
    judges_errors: bool = False
    """It does not look at the status, so an error's body must be none that it takes for credentials."""
    cannot_use: Callable[[Address], Refusal | None] = lambda _address: None
    remark: str = ""
    unable: str = ""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """How a client gets its metadata token. `tolerated`: statuses of the PUT after which it goes on without; None: all.

    `any_body`: it does not look at the status at all, whatever comes is the token. `raw`: a line end is not taken off.
    `each_get`: a new one before each GET. `repeats`: a GET that failed with a token is repeated without; `shrugs`: also
    where the token itself could not be sent.
    """

    ttl: int = 21_600
    lines: tuple[str, ...] = ("Content-Length: 0",)
    query: str = ""
    tolerated: frozenset[int] | None = None
    stumbles: frozenset[int] = frozenset()
    any_body: bool = False
    raw: bool = True
    each_get: bool = True
    repeats: bool = False
    shrugs: bool = False


@dataclass(frozen=True, slots=True)
class EcsClient:
    """A client of the metadata address. `session` None: it never sends a token."""

    name: str
    transport: Transport
    parse: Parser
    refetch: Refetch | None
    """When it asks again; None: not known."""
    session: SessionToken | None = None
    lists: bool = True
    """Asks for the role's name; one that does not has it from its configuration."""
    role_name: str = "raw"
    """What it takes of the list's body: `raw`, `trimmed` or `first line`."""
    prefix: str = "/latest/meta-data/ram/security-credentials/"
    """What stands before the role's name; the list's own path is this one for every client."""
    query: str = ""
    lines: tuple[str, ...] = ()
    judges_errors: bool = False
    needs_code_in_errors: bool = False
    remark: str = ""


WORKS, FAILS, UNABLE, EXCLUDED, UNKNOWN = "works", "fails", "unable", "excluded", "not asked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What holds for one client at one server.

    `works`; `fails`, with its unmet needs; `unable` with any server; `excluded`: the server requires metadata tokens,
    which is legitimate, and this client never sends one; `not asked`: the look had cost enough before it was its turn.
    """

    client: str
    protocol: str
    state: str
    unmet: tuple[Refusal, ...] = ()
    remarks: tuple[str, ...] = ()
