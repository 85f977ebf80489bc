"""Rules that take seconds to see, for whoever asks for them."""

from __future__ import annotations

from collections.abc import Callable

from ..probe.target import EcsTarget, UriTarget
from ..probe.walk import TOKEN_HEADER
from ..wire.address import Ask
from ..wire.answer import Answer
from .bodies import answered
from .ecs_rules import Ecs
from .rule import NotSeen, Problems
from .uri_rules import Uri

LONGEST_IDLE = 10.0
"""Seconds: credentials-go leaves one idle connection behind per fetch."""

SHORT_TTL = 1
"""Seconds (the shortest token)."""


def idle(measure: Callable[[bytes, float], float | None]) -> Uri:
    """`measure(request, limit)` gives the seconds until an idle connection is closed, or None."""

    def check(target: UriTarget) -> Problems:
        answered(target.get())
        ask = Ask(target.address.target, target.address.authority, ("Connection: keep-alive",))
        open_still = measure(ask.raw, LONGEST_IDLE) is None
        return [f"a connection is open after {LONGEST_IDLE:g} s of nothing"] if open_still else []

    return Uri("17", "idle", f"an idle connection is closed within {LONGEST_IDLE:g} s",
               "close after some 5 s: credentials-go leaves one connection behind per fetch", check)  # fmt: skip


def expired_token(sleep: Callable[[float], None]) -> Ecs:
    """Waits for a token's end."""

    def check(target: EcsTarget) -> Problems:
        token = answered(target.put(str(SHORT_TTL), turn="to expire")).body.decode("latin-1")
        sleep(SHORT_TTL + 1.5)
        if not token.isascii() or not token.isprintable():
            raise NotSeen("a token that no header can carry")
        reply = target.get(target.role_path, f"{TOKEN_HEADER}: {token}", bare=True)
        answers = isinstance(reply, Answer) and reply.status == 200
        return ["a token is good after its end"] if answers else []

    return Ecs("9", "expired token", "a token is refused once its seconds are over", "answer 401", check)
