"""The simulated day of every client: the guarantees of the schedule, and docs/clients-day.md as the code writes it."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from .clients_day import (
    CALL_INTERVAL,
    DAY,
    PAGE,
    PROCESS_SECONDS,
    SESSION_SECONDS,
    Row,
    ServedSession,
    least_seconds_left,
    page,
    rows,
    simulate_sidecar,
)

GUARANTEED_SECONDS_LEFT = 1860.0
"""Promise 2."""


@cache
def served(session_seconds: int) -> list[ServedSession]:
    """Return the sessions that the sidecar serves during the day."""
    return asyncio.run(simulate_sidecar(session_seconds))


@cache
def day(session_seconds: int) -> list[Row]:
    """Return the rows of all clients."""
    return rows(served(session_seconds))


def on_every_call(session_seconds: int) -> set[str]:
    """Return the clients that fetch on at least half of their calls."""
    busy = [row for row in day(session_seconds) if row.requests_per_hour > 0.5 * 3600 / CALL_INTERVAL]
    return {client for row in busy for client in row.clients}


def test_the_simulated_day_is_complete() -> None:
    """Sessions cover the whole day, each lasts as long as it says, and some refreshes failed."""
    sessions = served(3600)

    assert sessions[0].since == 0
    assert sessions[-1].credentials.expires_at > DAY
    assert len(sessions) > DAY / 1440
    assert all(session.credentials.issued_at == session.since for session in sessions)


@pytest.mark.parametrize("session_seconds", SESSION_SECONDS)
def test_the_guaranteed_lifetime(session_seconds: int) -> None:
    """While the cloud responds, a request at any time of the day gets credentials with at least 1860 s left."""
    assert least_seconds_left(served(session_seconds)) >= GUARANTEED_SECONDS_LEFT
    assert min(row.least_given for row in day(session_seconds)) >= GUARANTEED_SECONDS_LEFT


@pytest.mark.parametrize("session_seconds", SESSION_SECONDS)
def test_no_client_fetches_more_often_than_its_rule(session_seconds: int) -> None:
    """Two fetches are at least as far apart as the client's rule makes them with the least lifetime of the day."""
    least = least_seconds_left(served(session_seconds))

    for row in day(session_seconds):
        interval = min(row.rule.seconds_until_due(least, float(session_seconds)), PROCESS_SECONDS)
        assert row.shortest_interval >= interval, row.clients
        assert row.requests_per_hour <= 3600 / max(interval, CALL_INTERVAL) + 1, row.clients


def test_margins_up_to_1860_are_quiet() -> None:
    """With sessions of 3600 s, clients with a margin of 1860 s or less fetch fewer than four times per hour."""
    busy = {row.rule.margin for row in day(3600) if row.requests_per_hour >= 4 and row.rule.margin > 0}

    assert busy == {3240.0, 3600.0, 4320.0}


def test_clients_that_fetch_on_every_call() -> None:
    """With 3600 s these four fetch on every call at any server. From 7200 s on only the client without a cache does."""
    without_cache = {"aliyun-java-sdk-core (URI)"}

    assert on_every_call(3600) == without_cache | {
        "OSS Java EcsRamRoleCredentialsProvider (URI)",
        "OSS Java InstanceProfileCredentialsProvider (ECS)",
        "credentials-nodejs (ECS)",
    }
    assert on_every_call(7200) == on_every_call(43_200) == without_cache


def test_clients_that_use_expired_credentials() -> None:
    """aliyun-python-sdk-core keeps credentials for 3240 s: too long for sessions of 3600 s, but not of 7200 s."""
    expired = {
        seconds: {client for row in day(seconds) if row.least_used <= 0 for client in row.clients}
        for seconds in SESSION_SECONDS
    }

    assert expired == {3600: {"aliyun-python-sdk-core (ECS)"}, 7200: set(), 43_200: set()}


def test_the_page_is_the_codes_output() -> None:
    """docs/clients-day.md is the code's own output. `python -m tests.refresh.clients_day` writes it."""
    assert PAGE.read_text() == page()
