"""How many fetches run at once: a server that hangs takes few slots, and no slot of another server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.refresh.fetch_slots import (
    AT_ONCE,
    FURTHER_SLOTS,
    MOST_ALONE,
    MOST_AT_ONCE,
    MOST_OF_ALL,
    MOST_SLOW,
    SLICE_SECONDS,
    TURN_SECONDS,
    FetchSlots,
)

from ..simulated_loop import START_MONOTONIC, simulated

HOUR = 3_600.0


class Load:
    """Fetches from servers, each of which takes a given time."""

    def __init__(self) -> None:
        self.slots = FetchSlots()
        self.under_way: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.tasks: list[asyncio.Task[float]] = []
        self.interrupted: list[str] = []
        self.reported: list[str] = []

    def start(self, server: str, takes: float, *, count: int = 1, request: str | None = None) -> None:
        """Start requests that answer after `takes` seconds."""
        self.tasks += [asyncio.create_task(self.request(server, takes, request)) for _ in range(count)]

    async def request(self, server: str, takes: float, request: str | None = None) -> float:
        """Make a request and return the seconds that it waited for a slot."""
        started = now()

        async def fetch() -> float:
            waited = now() - started
            self.under_way[server] = self.under_way.get(server, 0) + 1
            self.most[server] = max(self.most.get(server, 0), self.under_way[server])
            try:
                await asyncio.sleep(takes)
            except asyncio.CancelledError:
                self.interrupted.append(server)
                raise
            finally:
                self.under_way[server] -= 1
            return waited

        return await self.slots.fetch(fetch, server, request, lambda: self.reported.append(server))

    async def end(self) -> None:
        """Cancel all requests."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def now() -> float:
    """Return the time of the simulated loop."""
    return asyncio.get_running_loop().time()


async def beside_ten_servers_that_hang() -> Load:
    """Return a load with a hundred hanging requests to each of ten servers, which use all further slots."""
    load = Load()
    for number in range(10):
        load.start(f"hang{number}", HOUR, count=100)
    await asyncio.sleep(TURN_SECONDS + 1)
    return load


@simulated
async def test_servers_that_hang_delay_no_other_server() -> None:
    """Ten servers with a hundred hanging requests each delay a request to another server not at all."""
    load = await beside_ten_servers_that_hang()

    assert await load.request("healthy", 0.1) == 0
    assert max(load.most.values()) <= MOST_AT_ONCE
    assert sum(load.most.values()) == 10 * AT_ONCE + FURTHER_SLOTS + 1
    await load.end()


@simulated
async def test_healthy_server_while_others_have_all_further_slots() -> None:
    """With no further slot left, requests to a healthy server use its own slots one after another."""
    load = await beside_ten_servers_that_hang()
    waits = await asyncio.gather(*(load.request("healthy", 0.5) for _ in range(20)))

    assert load.most["healthy"] == AT_ONCE
    assert waits == [pytest.approx(0.5 * (number // AT_ONCE)) for number in range(20)]
    await load.end()


@simulated
async def test_fast_server_gets_few_requests_at_once() -> None:
    """A server that answers quickly has at most AT_ONCE requests at a time."""
    load = Load()
    await asyncio.gather(*(load.request("sts", 0.01) for _ in range(100)))

    assert load.most == {"sts": AT_ONCE}


@simulated
async def test_slow_server_gets_more_requests_at_once() -> None:
    """A server that needs 5 s for an answer has up to MOST_AT_ONCE requests at a time, and all are answered."""
    load = Load()
    waits = await asyncio.gather(*(load.request("sts", 5) for _ in range(4 * MOST_AT_ONCE)))

    assert load.most == {"sts": MOST_AT_ONCE}
    assert max(waits) < 5 * 4 + 2


@simulated
async def test_requests_that_hang_delay_no_other_request_to_the_same_server() -> None:
    """Where a server hangs for a hundred different requests, another one waits less than 5 s, also the next time."""
    load = Load()
    for number in range(100):
        load.start("server", HOUR, request=f"hang{number}")

    assert await load.request("server", 0.1, "healthy") < 5
    await asyncio.sleep(60)
    assert await load.request("server", 0.1, "healthy") < 5
    load.start("server", HOUR, count=100, request="hang0")
    await asyncio.sleep(60)
    assert load.under_way["server"] == 100  # the same question again waits for its answer
    await load.end()


@simulated
async def test_different_requests_that_hang_are_limited() -> None:
    """Three hundred commands that hang run at most MOST_ALONE beside the others of their executable."""
    load = Load()
    for number in range(300):
        load.start("server", HOUR, request=f"hang{number}")
    await asyncio.sleep(60)
    under_way = load.under_way["server"]
    await load.end()

    assert MOST_ALONE <= under_way <= MOST_ALONE + MOST_AT_ONCE
    assert (load.slots._queues, load.slots._further, load.slots._under_way) == ({}, 0, 0)


@simulated
async def test_different_requests_to_a_quick_server_are_paced() -> None:
    """A hundred different requests of half a second each, which come together, have few under way at the same time."""
    load = Load()
    for number in range(100):
        load.start("server", 0.5, request=f"request{number}")
    waits = await asyncio.gather(*load.tasks)

    assert load.most["server"] <= MOST_AT_ONCE + AT_ONCE
    assert max(waits) < 5


@simulated
async def test_fetches_of_all_servers_are_limited() -> None:
    """However many servers hang, at most MOST_OF_ALL fetches run at once, and the others follow."""
    load = Load()
    for number in range(3 * MOST_OF_ALL):
        load.start(f"hang{number}", 25)
    await asyncio.sleep(TURN_SECONDS + 1)
    assert sum(load.under_way.values()) == MOST_OF_ALL
    await asyncio.gather(*load.tasks)

    slices = 2 * SLICE_SECONDS  # those of the first and the second 400 were interrupted once
    assert now() - START_MONOTONIC == slices + 3 * 25


@simulated
@pytest.mark.parametrize("count", [MOST_OF_ALL + 50, 2 * MOST_OF_ALL + 200])
async def test_quick_server_beside_more_that_hang_than_there_are_slots(count: int) -> None:
    """A quick server waits less than 5 s, at the start and later, for any number of servers that hang."""
    load = Load()
    for number in range(count):
        load.start(f"hang{number}", HOUR)

    assert await load.request("quick", 0.1) < 5
    for _ in range(3):
        await asyncio.sleep(60)
        assert await load.request("quick", 0.1) < 5
        assert await load.request("new", 0.1) < 5
    await asyncio.sleep(1)
    assert sum(load.under_way.values()) == MOST_OF_ALL
    await load.end()


@simulated
async def test_slow_servers_are_answered_beside_others_that_hang() -> None:
    """A server that needs longer than a slice is interrupted at most once, and then has its answer."""
    load = Load()
    load.start("slow", 2 * SLICE_SECONDS)
    for number in range(2 * MOST_OF_ALL):
        load.start(f"hang{number}", 25)
    await asyncio.wait_for(load.tasks[0], 60)

    assert load.reported.count("slow") == load.interrupted.count("slow") <= 1
    assert load.reported == load.interrupted != []
    await load.end()


@simulated
async def test_nothing_is_interrupted_within_the_limit() -> None:
    """While slots are free, fetches that hang are not interrupted before their own time limits."""
    load = Load()
    for number in range(MOST_OF_ALL - 1):
        load.start(f"hang{number}", HOUR)
    await asyncio.sleep(60)

    assert await load.request("quick", 0.1) == 0
    assert not load.interrupted
    await load.end()


@simulated
async def test_slow_servers_are_forgotten() -> None:
    """The servers that are known as slow are bounded, and a quick answer makes a server quick."""
    load = Load()
    for number in range(MOST_SLOW + 10):
        load.start(f"slow{number}", SLICE_SECONDS)
    await asyncio.gather(*load.tasks)
    assert len(load.slots._slow) <= MOST_SLOW

    last = next(reversed(load.slots._slow))
    await load.request(str(last), 0.1)

    assert last not in load.slots._slow


@simulated
async def test_slots_are_given_back() -> None:
    """After failures, cancellations and refusals every slot is free again, and no server is remembered."""
    load = Load()
    load.start("a", HOUR, count=50)
    load.start("b", HOUR, count=50)
    await asyncio.sleep(20)
    await load.end()

    async def fail(slots: FetchSlots, act: Callable[[], None]) -> None:
        async def fetch() -> None:
            act()

        await slots.fetch(fetch, "c")

    def trouble() -> None:
        raise RuntimeError

    for _ in range(5):
        with pytest.raises(RuntimeError):
            await fail(load.slots, trouble)

    assert (load.slots._queues, load.slots._further, load.slots._under_way) == ({}, 0, 0)


@pytest.mark.parametrize("cancelled", [-2, -1], ids=["the first that waits", "the last"])
@simulated
async def test_cancelled_wait_gives_no_slot_back(cancelled: int) -> None:
    """A fetch that is cancelled while it waits returns no slot, and gets none later."""
    load = Load()
    load.start("a", HOUR, count=MOST_AT_ONCE + 2)
    await asyncio.sleep(TURN_SECONDS * (MOST_AT_ONCE + 2))
    assert load.under_way["a"] == MOST_AT_ONCE
    load.tasks[cancelled].cancel()
    await asyncio.sleep(TURN_SECONDS + 1)

    assert load.under_way["a"] == MOST_AT_ONCE
    await load.end()
    assert (load.slots._queues, load.slots._further, load.slots._under_way) == ({}, 0, 0)
