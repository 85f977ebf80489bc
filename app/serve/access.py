"""May this request have an answer? A pure decision with a reason, made on the raw request before any route.

It fails closed: what it cannot read, it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .peers.peer import STRANGER, Visitor
from .responses import BAD_REQUEST, Reply, error

RequestHeaders = list[tuple[bytes, bytes]]

_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[^:@/\s]+)(?::[0-9]{1,5})?")
_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip"})
_HARMLESS = frozenset({b"user-agent", b"accept", b"accept-encoding", b"connection", b"content-length"})
"""What the SDKs send: passed over first, because these are most of all headers."""


class Request(NamedTuple):
    """A request's head as it came: the target raw and undecoded, header names in lower case; and whose it is."""

    method: bytes
    target: bytes
    headers: RequestHeaders
    visitor: Visitor = STRANGER

    def __repr__(self) -> str:
        return f"Request({self.method!r}, …)"  # the path may hold the path token, a header any secret

    def values(self, name: bytes) -> list[bytes]:
        """All values of the header `name` (lower case), in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal: `reason` labels the metric and ends the error's code."""

    reason: str
    reply: Reply


def deny(reason: str, message: str, status: int = 403) -> Denial:
    """A refusal under `AccessDenied.<reason>`."""
    return Denial(reason, error(status, f"AccessDenied.{reason}", message))


_WRONG_CALLER = deny("Caller", "this profile is for other users (callers)")
_UNKNOWN_CALLER = deny("CallerUnknown", "it is not certain who asks, and this profile is for certain users (callers)")


@dataclass(frozen=True, slots=True)
class Callers:
    """A profile's rule: whoever has one of the uids, or is in one of the groups."""

    uids: frozenset[int]
    gids: frozenset[int]

    def judge(self, visitor: Visitor) -> Denial | None:
        """Why the visitor may not have the profile, or None. What is not certain is refused."""
        caller = visitor.caller
        # Another user's process in the same pod or machine reaches the same loopback: the kernel knows whose it is.
        if caller is not None and caller.uid in self.uids:
            return None
        if caller is None:
            return _UNKNOWN_CALLER
        if not self.gids:
            return _WRONG_CALLER
        groups = visitor.process.groups if visitor.process is not None else None
        if groups is None:
            return _UNKNOWN_CALLER
        return None if groups & self.gids else _WRONG_CALLER

    def need_a_closer_look(self, visitor: Visitor) -> bool:
        """Whether `judge` depends on groups that nobody has looked for yet."""
        caller = visitor.caller
        return bool(self.gids) and visitor.process is None and caller is not None and caller.uid not in self.uids


@dataclass(frozen=True, slots=True)
class AllOf:
    """Several rules at once, each of which has to let the visitor pass."""

    rules: tuple[Callers, ...]

    def judge(self, visitor: Visitor) -> Denial | None:
        """Why the visitor may not have the profile, or None."""
        return next((denial for rule in self.rules if (denial := rule.judge(visitor)) is not None), None)

    def need_a_closer_look(self, visitor: Visitor) -> bool:
        """As of a single rule."""
        return any(rule.need_a_closer_look(visitor) for rule in self.rules)


_BAD_HOST = Denial("Host", BAD_REQUEST)
_WRONG_HOST = deny("Host", "the Host header names no address of this service (access.allowedHosts)")
_FORWARDED_DENIAL = deny("Forwarded", "forwarded requests are refused: ask directly, without a proxy")
_BROWSER_DENIAL = deny("Browser", "requests of web pages are refused")


class Guard:
    """The rules of one listener that hold for every path."""

    def __init__(self, *, allowed_hosts: Iterable[str], refuse_forwarded: bool, refuse_browsers: bool) -> None:
        self._allowed = frozenset(host.lower().encode() for host in allowed_hosts)
        self._refuse_forwarded = refuse_forwarded
        self._refuse_browsers = refuse_browsers
        self._known_good: frozenset[bytes] = frozenset(self._allowed)

    def judge(self, request: Request) -> Denial | None:
        """Why `request` is refused, or None."""
        # An absolute-form target comes from a client that takes us for its proxy, or from one that was made to ask.
        if not request.target.startswith(b"/"):
            return _FORWARDED_DENIAL if b"://" in request.target else _BAD_HOST
        host: bytes | None = None
        for name, value in request.headers:
            if name == b"host":
                if host is not None:  # two Hosts: two programs would each believe another one
                    return _BAD_HOST
                host = value
            elif name not in _HARMLESS and (denial := self._judge_name(name)) is not None:
                return denial
        return self._judge_host(host)

    def _judge_name(self, name: bytes) -> Denial | None:
        # SSRF: a reverse proxy in front of an application can be made to ask us; it says so in these.
        if self._refuse_forwarded and (name in _FORWARDED or name.startswith(b"x-forwarded-")):
            return _FORWARDED_DENIAL
        # DNS rebinding and plain cross-site requests: only a browser sends these, and no SDK is one.
        if self._refuse_browsers and (name == b"origin" or name.startswith(b"sec-fetch-")):
            return _BROWSER_DENIAL
        return None

    def _judge_host(self, host: bytes | None) -> Denial | None:
        # DNS rebinding: a page of evil.example, whose name suddenly means 127.0.0.1, is same-origin with us, but its
        # browser still says the name. The port is ignored: Python's SDK never sends it.
        if host is None:
            return _BAD_HOST
        if host in self._known_good:
            return None
        match = _HOST.fullmatch(host.lower())
        return None if match is not None and match[1] in self._allowed else _WRONG_HOST
