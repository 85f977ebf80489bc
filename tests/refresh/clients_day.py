"""A day of every client's fetches against our schedule. `python -m tests.refresh.clients_day` writes the page.

The refresher is the real one under a clock of its own, the bodies are the program's, each client reads them with its
model's parser and asks again by its model's rule. Nothing here waits, and every run gives the same page.
"""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from app.conformance.models.client import EcsClient, UriClient
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.refetch import Refetch
from app.conformance.models.uri_clients import URI_CLIENTS
from app.core.errors import Unreachable
from app.core.formats import uri_document
from app.core.schedule import Schedule
from app.core.values import Credentials
from app.refresh.refresher import Policy, Refresher

from ..clock import Clock

PAGE = Path(__file__).parents[2] / "docs" / "clients-day.md"
DAY = 86_400.0
LIVES = (3600, 7200, 43_200)
"""Seconds of session: the default, twice that, and the most that a role can be given."""

CALL = 10.0
"""Seconds between two calls of a client's application: what `every call` means in requests."""

RUN = 600.0
"""Seconds that a program runs which fetches once, aliyun-cli or terraform; another one follows at once."""

STARTS = tuple(float(second) for second in range(0, 3600, 290))
"""Seconds of the day at which copies of a client start, so that no figure hangs on where in a session one began."""

FAILS = 0.1
"""The share of refreshes that fail once: the retries are part of the schedule."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the sidecar serves from `since` on: when it was minted and ends, and the bytes."""

    since: float
    credentials: Credentials
    body: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """
    The day of all clients of one rule, over all copies: requests an hour, and seconds of life.

    `least_given`: the least that an answer had left; `least_used`: that credentials had left at a call of the client's
    own (negative: it signed with what had expired). `closest`: seconds between two fetches of one copy.
    """

    clients: tuple[str, ...]
    refetch: Refetch
    requests: float
    least_given: float
    least_used: float
    closest: float


async def served(life: float) -> list[Held]:
    """What the sidecar serves through a day, with sessions of `life` seconds: the real refresher and schedule."""
    clock, chance = Clock(0.0), random.Random(life)
    held: list[Held] = []

    async def fetch() -> Credentials:
        if held and chance.random() < FAILS:
            raise Unreachable("a failure of the simulated cloud")
        return Credentials("STS.key", "secret", "token", issued_at=clock.time(), expires_at=clock.time() + life)

    refresher = Refresher(
        "default",
        fetch,
        policy=Policy(Schedule()),
        observe=lambda _event: None,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=chance.random,
    )
    task = asyncio.create_task(refresher.run())
    while clock.time() < DAY + 3600:
        await clock.asleep()
        now_held = refresher.held
        assert now_held is not None
        if not held or held[-1].credentials is not now_held.credentials:
            held.append(Held(clock.time(), now_held.credentials, uri_document(now_held.credentials)))
        await clock.wake()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return held


def rows(timeline: list[Held]) -> list[Row]:
    """Every client that tells when it asks again, in its day; those of one rule together, the busiest first."""
    rules: dict[Refetch, list[str]] = {}
    for protocol, client in able():
        if client.refetch is not None:
            _reads_all(client, timeline)
            rules.setdefault(client.refetch, []).append(f"{client.name} ({protocol})")
    found = [_row(tuple(clients), refetch, timeline) for refetch, clients in rules.items()]
    return sorted(found, key=lambda row: (-row.requests, row.clients))


def able() -> Iterator[tuple[str, UriClient | EcsClient]]:
    """The clients that a server can serve, and by which protocol."""
    yield from (("URI", client) for client in URI_CLIENTS if not client.unable)
    yield from (("ECS", client) for client in ECS_CLIENTS)


def _reads_all(client: UriClient | EcsClient, timeline: list[Held]) -> None:
    """Each session of the day is read by the client's own parser, when it is new."""
    for held in timeline:
        reading = client.parse(held.body, held.since)
        assert reading.refusals == (), client.name
        assert reading.expires_at in (None, float(int(held.credentials.expires_at))), client.name


def _row(clients: tuple[str, ...], refetch: Refetch, timeline: list[Held]) -> Row:
    days = [list(fetches(refetch, start, timeline)) for start in STARTS]
    given = [fetch for day in days for fetch in day]
    return Row(
        clients,
        refetch,
        requests=len(given) / (sum(DAY - start for start in STARTS) / 3600),
        least_given=min(fetch.left for fetch in given),
        least_used=min(fetch.left - (fetch.last_use - fetch.at) for fetch in given),
        closest=min(later.at - earlier.at for day in days for earlier, later in pairwise(day)),
    )


@dataclass(frozen=True, slots=True)
class Fetch:
    """An answer that had `left` seconds at the instant `at`, and was last used at `last_use`."""

    at: float
    left: float
    last_use: float


def fetches(refetch: Refetch, start: float, timeline: list[Held]) -> Iterator[Fetch]:
    """One copy's fetches from `start` to the day's end."""
    begun = [held.since for held in timeline]
    at = start
    while at < DAY:
        held = timeline[bisect_right(begun, at) - 1].credentials
        left = held.expires_at - at
        wait = until_next(refetch, left, held.expires_at - held.issued_at)
        # Who asks at a call of its own uses the old until the call before; the others until the new is there.
        own_call = refetch.pace is None and refetch.due(left, None) < math.inf
        yield Fetch(at, left, at + wait - (CALL if own_call else 0.0))
        at += wait


def until_next(refetch: Refetch, left: float, life: float) -> float:
    """Seconds until the client's first call, or look, at which the next fetch is due."""
    due = refetch.due(left, life)
    if due == math.inf:
        return RUN
    pace = CALL if refetch.pace is None else refetch.pace
    return pace * max(1, math.ceil(due / pace))


def floor(timeline: list[Held]) -> float:
    """The least that anybody could see at any instant of the day."""
    return min(old.credentials.expires_at - new.since for old, new in pairwise(timeline))


def page() -> str:
    """docs/clients-day.md."""
    parts = [part(life, asyncio.run(served(life))) for life in LIVES]
    return "\n".join((INTRODUCTION, *parts))


def part(life: int, timeline: list[Held]) -> str:
    """One length of session: its table."""
    lines = [
        f"## Sessions of {life} s",
        "",
        f"{len(timeline)} sessions; at no instant less than {floor(timeline):.0f} s left.",
        "",
        "| asks again | clients | requests an hour | least left in an answer | least left in use |",
        "|---|---|---|---|---|",
        *map(line, rows(timeline)),
        "",
    ]
    return "\n".join(lines)


def line(row: Row) -> str:
    used = f"**{row.least_used:.0f}: expired**" if row.least_used < 0 else f"{row.least_used:.0f}"
    figures = f"{row.requests:.1f} | {row.least_given:.0f} | {used}"
    return f"| {row.refetch.words()} | {', '.join(row.clients)} | {figures} |"


INTRODUCTION = f"""\
# A day of every client's fetches

Written by `python -m tests.refresh.clients_day`; `tests/refresh/test_clients_day.py` compares it. The sidecar's own
refresher and schedule run through 24 hours of a simulated clock, with one refresh in ten failing once, and every client
that tells when it asks again (`app/conformance/models/uri_clients.py`, `ecs_clients.py`) asks by its rule and reads by
its parser.
An application is taken to call its SDK every {CALL:g} s, so {3600 / CALL:g} requests an hour mean: on every call.
aliyun-cli and terraform fetch once per process, which is taken to run for {RUN:g} s. {len(STARTS)} copies of each
client start at different seconds of the first hour.

*Least left in an answer* is what a client was given; *least left in use* is what the credentials that it kept still had
at one of its own calls. Seconds throughout.

Not in the tables: PHP under FPM, whose cache ends with the request, asks once per PHP request; ali-oss asks its
callback every 300 s; when JindoSDK, LoongCollector, the legacy PHP client and the aliyungo of 2018 ask is not known.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
