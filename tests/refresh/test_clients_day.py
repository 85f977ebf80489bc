"""The simulated day of every client: what the schedule promises them, and that the page says what the code finds."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from .clients_day import CALL, DAY, LIVES, PAGE, RUN, Held, Row, floor, page, rows, served

FLOOR = 1860.0
"""Seconds: promise 2."""


@cache
def timeline(life: int) -> list[Held]:
    return asyncio.run(served(life))


@cache
def day(life: int) -> list[Row]:
    return rows(timeline(life))


def every_call(life: int) -> set[str]:
    """Who asks on at least half of its calls."""
    return {client for row in day(life) for client in row.clients if row.requests > 0.5 * 3600 / CALL}


def test_the_day_is_whole() -> None:
    """There is a session at every instant, none is shorter than it says, and refreshes failed on the way."""
    held = timeline(3600)

    assert held[0].since == 0
    assert held[-1].credentials.expires_at > DAY
    assert len(held) > DAY / 1440
    assert all(item.credentials.issued_at == item.since for item in held)


@pytest.mark.parametrize("life", LIVES)
def test_nobody_sees_less_than_promised(life: int) -> None:
    """While the cloud answers no client is given less than 1860 s, nor could one that asks at any other instant."""
    assert floor(timeline(life)) >= FLOOR
    assert min(row.least_given for row in day(life)) >= FLOOR


@pytest.mark.parametrize("life", LIVES)
def test_nobody_asks_more_often_than_its_margin_implies(life: int) -> None:
    """Two fetches of a client are as far apart as its rule makes them where the least life is given, or farther."""
    least = floor(timeline(life))

    for row in day(life):
        apart = min(row.refetch.due(least, float(life)), RUN)
        assert row.closest >= apart, row.clients
        assert row.requests <= 3600 / max(apart, CALL) + 1, row.clients


def test_margins_up_to_1860_are_quiet() -> None:
    """With sessions of 3600 s whoever has a margin of 1860 s or less fetches fewer than four times an hour."""
    busy = {row.refetch.margin for row in day(3600) if row.requests >= 4 and row.refetch.margin > 0}

    assert busy == {3240.0, 3600.0, 4320.0}


def test_who_asks_on_every_call() -> None:
    """At 3600 s these four, which no server can quieten; at 7200 s only the one that never keeps anything."""
    restless = {"aliyun-java-sdk-core (URI)"}

    assert every_call(3600) == restless | {
        "OSS Java EcsRamRoleCredentialsProvider (URI)",
        "OSS Java InstanceProfileCredentialsProvider (ECS)",
        "credentials-nodejs (ECS)",
    }
    assert every_call(7200) == every_call(43_200) == restless


def test_who_uses_what_has_expired() -> None:
    """aliyun-python-sdk-core keeps credentials for 3240 s: that is too long at 3600 s, and no more at 7200 s."""
    expired = {life: {client for row in day(life) if row.least_used <= 0 for client in row.clients} for life in LIVES}

    assert expired == {3600: {"aliyun-python-sdk-core (ECS)"}, 7200: set(), 43_200: set()}


def test_the_page_is_what_the_code_finds() -> None:
    """docs/clients-day.md is the code's own output; `python -m tests.clients_day` writes it anew."""
    assert PAGE.read_text() == page()
