"""What the model of one client consists of, and the verdict on it at one server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..wire.metadata import ROLES_PATH
from ..wire.request import Request
from ..wire.url import HttpUrl
from .parse_result import BodyParser, UnmetNeed, UnmetNeeds
from .refresh_rule import RefreshRule
from .transport import Transport

URI, ECS = "uri", "ecs"
"""The two protocols: credentials URI and ECS metadata."""


@dataclass(frozen=True, slots=True)
class UriClient:
    """A client that sends one GET to the credentials URI."""

    name: str
    request: Callable[[HttpUrl], Request]
    transport: Transport
    parse: BodyParser
    refresh: RefreshRule | None
    """None: not known."""
    ignores_status: bool = False
    """The client decides by the body, so an error must not have a body that it accepts as credentials."""
    unsupported_url: Callable[[HttpUrl], UnmetNeed | None] = lambda _url: None
    """The need that a URL does not meet, if the client cannot use it."""
    remark: str = ""
    defect: str = ""
    """Why the client works with no server. Its model then sends no request."""


@dataclass(frozen=True, slots=True)
class TokenUse:
    """
    How a client requests and uses metadata tokens.

    `lines`: header lines of the PUT beside the TTL. `tolerated_statuses`: statuses of the PUT after which the client
    continues without a token; None: all. `stalling_statuses`: statuses after which it sleeps. `ignores_status`: the
    body is the token whatever the status is. `strips`: a line end is removed from the token. `per_request`: each GET
    gets a new token. `retries_without`: a GET that fails with a token is sent again without it.
    `skips_invalid`: a token that no header can carry is left out.
    """

    ttl: int = 21_600
    lines: tuple[str, ...] = ("Content-Length: 0",)
    query: str = ""
    tolerated_statuses: frozenset[int] | None = None
    stalling_statuses: frozenset[int] = frozenset()
    ignores_status: bool = False
    strips: bool = False
    per_request: bool = True
    retries_without: bool = False
    skips_invalid: bool = False


@dataclass(frozen=True, slots=True)
class EcsClient:
    """A client of the ECS metadata service."""

    name: str
    transport: Transport
    parse: BodyParser
    refresh: RefreshRule | None
    """None: not known."""
    token: TokenUse | None = None
    """None: the client never sends a metadata token."""
    lists_roles: bool = True
    """Whether the client requests the role's name. Other clients have it in their configuration."""
    role_name: Literal["raw", "stripped", "first line"] = "raw"
    """What the client takes from the body of the role list."""
    role_prefix: str = f"{ROLES_PATH}/"
    """The path before the role's name. The path of the role list is the same for every client."""
    query: str = ""
    lines: tuple[str, ...] = ()
    ignores_status: bool = False
    """The client decides by the body, so an error must not have a body that it accepts as credentials."""
    needs_error_code: bool = False
    """The client needs Code in the body of an error."""
    needs_values: tuple[str, ...] = ()
    """The paths of metadata without which the program does not work. A server need not have them."""
    remark: str = ""


WORKS, FAILS, UNABLE, EXCLUDED, UNKNOWN = "works", "fails", "unable", "excluded", "not asked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The verdict on one client at one server.

    `works`. `fails`: with the unmet needs. `unable`: it works with no server. `excluded`: what the server does is
    legitimate, but excludes the client: it requires metadata tokens, which the client never sends, or it does not serve
    metadata that the client needs. `not asked`: the budget was exhausted before.
    """

    client: str
    protocol: str
    state: str
    unmet: UnmetNeeds = ()
    remarks: tuple[str, ...] = ()
