"""Simulate a day of every client's fetches. `python -m tests.refresh.clients_day` writes docs/clients-day.md.

The refresher is the real one on a simulated clock, and the bodies are those of the program. Each client parses them
with the parser of its model and fetches again by the refresh rule of its model. The simulation does not wait, and every
run writes the same page.
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
from app.conformance.models.refresh_rule import RefreshRule
from app.conformance.models.uri_clients import URI_CLIENTS
from app.core.errors import Unreachable
from app.core.formats import uri_document
from app.core.schedule import Schedule
from app.core.values import Credentials
from app.refresh.refresher import Policy, Refresher

from ..clock import Clock

PAGE = Path(__file__).parents[2] / "docs" / "clients-day.md"
DAY = 86_400.0
SESSION_SECONDS = (3600, 7200, 43_200)
"""Lengths of a session: the default, twice that, and the longest that a role can be given."""

CALL_INTERVAL = 10.0
"""Seconds between two calls of a client's application. It turns `every call` into a number of requests."""

PROCESS_SECONDS = 600.0
"""Seconds that a process of aliyun-cli or terraform runs. It fetches once, and the next process starts at once."""

STARTS = tuple(float(second) for second in range(0, 3600, 290))
"""Seconds of the day at which the copies of a client start, so that no figure depends on one starting point."""

FAILURE_RATE = 0.1
"""Fraction of the refreshes that fail once, because retries are part of the schedule."""


@dataclass(frozen=True, slots=True)
class ServedSession:
    """The credentials that the sidecar serves from `since` on, and their body."""

    since: float
    credentials: Credentials
    body: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """
    The day of all clients with one refresh rule, over all copies.

    `requests_per_hour` is the mean. `least_given` is the least seconds left in a response. `least_used` is the least
    seconds left of the credentials that a client used at one of its calls; negative: they had expired.
    `shortest_interval` is the least seconds between two fetches of one copy.
    """

    clients: tuple[str, ...]
    rule: RefreshRule
    requests_per_hour: float
    least_given: float
    least_used: float
    shortest_interval: float


async def simulate_sidecar(session_seconds: float) -> list[ServedSession]:
    """Return what the sidecar serves during a day with sessions of this length: the real refresher and schedule."""
    clock, chance = Clock(0.0), random.Random(session_seconds)
    served: list[ServedSession] = []

    async def fetch() -> Credentials:
        if served and chance.random() < FAILURE_RATE:
            raise Unreachable("a failure of the simulated cloud")
        issued_at = clock.time()
        return Credentials("STS.key", "secret", "token", issued_at=issued_at, expires_at=issued_at + session_seconds)

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
        held = refresher.held
        assert held is not None
        if not served or served[-1].credentials is not held.credentials:
            served.append(ServedSession(clock.time(), held.credentials, uri_document(held.credentials)))
        await clock.wake()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return served


def rows(served: list[ServedSession]) -> list[Row]:
    """Return one row for each known refresh rule of the clients, those with most requests first."""
    clients_by_rule: dict[RefreshRule, list[str]] = {}
    for protocol, client in working_clients():
        if client.refresh is not None:
            _check_parser(client, served)
            clients_by_rule.setdefault(client.refresh, []).append(f"{client.name} ({protocol})")
    found = [_row(tuple(clients), rule, served) for rule, clients in clients_by_rule.items()]
    return sorted(found, key=lambda row: (-row.requests_per_hour, row.clients))


def working_clients() -> Iterator[tuple[str, UriClient | EcsClient]]:
    """Yield the clients that work with some server, and their protocol."""
    yield from (("URI", client) for client in URI_CLIENTS if not client.defect)
    yield from (("ECS", client) for client in ECS_CLIENTS)


def _check_parser(client: UriClient | EcsClient, served: list[ServedSession]) -> None:
    """Assert that the client's own parser reads each session of the day when it is new."""
    for session in served:
        result = client.parse(session.body, session.since)
        assert result.unmet == (), client.name
        assert result.expires_at in (None, float(int(session.credentials.expires_at))), client.name


def _row(clients: tuple[str, ...], rule: RefreshRule, served: list[ServedSession]) -> Row:
    days = [list(simulate_client(rule, start, served)) for start in STARTS]
    fetches = [fetch for day in days for fetch in day]
    return Row(
        clients,
        rule,
        requests_per_hour=len(fetches) / (sum(DAY - start for start in STARTS) / 3600),
        least_given=min(fetch.seconds_left for fetch in fetches),
        least_used=min(fetch.seconds_left - (fetch.last_use - fetch.at) for fetch in fetches),
        shortest_interval=min(later.at - earlier.at for day in days for earlier, later in pairwise(day)),
    )


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch at the time `at`. Its credentials had `seconds_left` then and were last used at `last_use`."""

    at: float
    seconds_left: float
    last_use: float


def simulate_client(rule: RefreshRule, start: float, served: list[ServedSession]) -> Iterator[Fetch]:
    """Yield the fetches of one copy of a client from `start` to the end of the day."""
    begins = [session.since for session in served]
    at = start
    while at < DAY:
        credentials = served[bisect_right(begins, at) - 1].credentials
        seconds_left = credentials.expires_at - at
        wait = seconds_until_fetch(rule, seconds_left, credentials.expires_at - credentials.issued_at)
        # A client that checks at a call last uses the old credentials one call earlier. Others use them to the end.
        checks_at_call = rule.poll_interval is None and rule.seconds_until_due(seconds_left, None) < math.inf
        yield Fetch(at, seconds_left, at + wait - (CALL_INTERVAL if checks_at_call else 0.0))
        at += wait


def seconds_until_fetch(rule: RefreshRule, seconds_left: float, session_seconds: float) -> float:
    """Return the seconds until the first call or check of the client at which the next fetch is due."""
    due = rule.seconds_until_due(seconds_left, session_seconds)
    if due == math.inf:
        return PROCESS_SECONDS
    interval = CALL_INTERVAL if rule.poll_interval is None else rule.poll_interval
    return interval * max(1, math.ceil(due / interval))


def least_seconds_left(served: list[ServedSession]) -> float:
    """Return the least seconds left that a request at any time of the day could see."""
    return min(old.credentials.expires_at - new.since for old, new in pairwise(served))


def page() -> str:
    """Return the text of docs/clients-day.md."""
    sections = [section(seconds, asyncio.run(simulate_sidecar(seconds))) for seconds in SESSION_SECONDS]
    return "\n".join((INTRODUCTION, *sections))


def section(session_seconds: int, served: list[ServedSession]) -> str:
    """Return the heading and the table for one session length."""
    lines = [
        f"## Sessions of {session_seconds} s",
        "",
        f"The day has {len(served)} sessions. At any time at least {least_seconds_left(served):.0f} s are left.",
        "",
        "| fetches again | clients | requests per hour | least left in a response | least left in use |",
        "|---|---|---|---|---|",
        *map(table_line, rows(served)),
        "",
    ]
    return "\n".join(lines)


def table_line(row: Row) -> str:
    """Return one line of the table."""
    used = f"**{row.least_used:.0f}: expired**" if row.least_used < 0 else f"{row.least_used:.0f}"
    figures = f"{row.requests_per_hour:.1f} | {row.least_given:.0f} | {used}"
    return f"| {row.rule.describe()} | {', '.join(row.clients)} | {figures} |"


INTRODUCTION = f"""\
# How often each client fetches credentials

The tables show how often each client fetches credentials from the sidecar per day, and the shortest remaining lifetime
that it sees. All times are in seconds.

- *Fetches again* is the client's own refresh rule, from `app/conformance/models/uri_clients.py` and `ecs_clients.py`.
- *Least left in a response* is the shortest remaining lifetime of the credentials that the client was given.
- *Least left in use* is the shortest remaining lifetime of the credentials that the client used at one of its calls.

`python -m tests.refresh.clients_day` writes this page, and `tests/refresh/test_clients_day.py` compares it with the
code. The program runs the sidecar's own refresher and schedule through 24 hours of a simulated clock. One refresh in
ten fails once. Each client parses the responses with the parser of its model.

An application calls its SDK every {CALL_INTERVAL:g} s, so {3600 / CALL_INTERVAL:g} requests per hour mean a fetch on
every call. aliyun-cli and terraform fetch once per process, and a process runs for {PROCESS_SECONDS:g} s.
{len(STARTS)} copies of each client start at different seconds of the first hour.

These clients are not in the tables:

- PHP under FPM fetches once per PHP request, because its cache ends with the request.
- ali-oss calls its callback every 300 s.
- The refresh rules of JindoSDK, LoongCollector, the legacy PHP client and the aliyungo of 2018 are not known.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
