"""Name look-ups: a name whose resolver is silent delays no other name."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from app.upstream.connections.resolver import MOST_REPEATED, SHARED_SECONDS, NameNotResolved, Resolver


class FakeDns:
    """Answers for `*.good.test`; is silent for `*.hang.test` until `release`; refuses other names."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._released = threading.Event()

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of `host`; called in a thread of its own."""
        self.asked.append(host)
        if host.endswith("hang.test"):
            self._released.wait(60)
        if host.startswith("nobody"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ["192.0.2.1", "2001:db8::1"]

    def release(self) -> None:
        """Answer all look-ups."""
        self._released.set()


@pytest.fixture
async def dns() -> AsyncIterator[FakeDns]:
    """A resolver of the system that is partly silent."""
    fake = FakeDns()
    yield fake
    fake.release()


@pytest.fixture
def time() -> list[float]:
    """The monotonic clock of a resolver, moved by the test."""
    return [1_000.0]


async def test_silent_names_do_not_delay_others(dns: FakeDns) -> None:
    """With a hundred names that are not answered, another name is answered within its time limit."""
    resolver = Resolver(dns.addresses)
    hanging = [asyncio.create_task(resolver.resolve(f"h{number}.hang.test", None)) for number in range(100)]
    found = await resolver.resolve("sts.good.test", 30)
    dns.release()
    answers = await asyncio.gather(*hanging)

    assert found == ["192.0.2.1", "2001:db8::1"]
    assert answers == [found] * 100


async def test_silent_name_ends_at_the_limit(dns: FakeDns) -> None:
    """A name without an answer raises NameNotResolved at the time limit, with the name and without a code."""
    with pytest.raises(NameNotResolved) as caught:
        await Resolver(dns.addresses).resolve("a.hang.test", 0.05)

    assert (caught.value.host, caught.value.code, caught.value.seconds) == ("a.hang.test", None, 0.05)


@pytest.mark.parametrize("host", ["nobody.test", f"{'a' * 64}.test", "a..test"])
async def test_name_that_does_not_exist(host: str, dns: FakeDns) -> None:
    """A name that does not exist, or that cannot exist, raises NameNotResolved with the resolver's code."""
    resolver = Resolver(dns.addresses if host == "nobody.test" else lambda host: [str(host.encode("idna"))])
    with pytest.raises(NameNotResolved) as caught:
        await resolver.resolve(host, 30)

    assert caught.value.code == socket.EAI_NONAME


async def test_callers_share_a_young_look_up(dns: FakeDns, time: list[float]) -> None:
    """Callers share a look-up for a second; afterwards another one starts, for the resolver may work again."""
    resolver = Resolver(dns.addresses, now=lambda: time[0])
    callers = [asyncio.create_task(resolver.resolve("a.hang.test", None)) for _ in range(5)]
    await asyncio.sleep(0)
    time[0] += SHARED_SECONDS
    callers.append(asyncio.create_task(resolver.resolve("a.hang.test", None)))
    await asyncio.sleep(0)
    dns.release()
    await asyncio.gather(*callers)

    assert dns.asked == ["a.hang.test"] * 2


async def test_repeated_look_ups_are_limited(dns: FakeDns, time: list[float]) -> None:
    """However often a silent name is asked for, its threads are limited, and every other name has one of its own."""
    resolver = Resolver(dns.addresses, now=lambda: time[0])
    callers = []
    for _ in range(3 * MOST_REPEATED):
        time[0] += SHARED_SECONDS
        callers.append(asyncio.create_task(resolver.resolve("a.hang.test", None)))
        await asyncio.sleep(0)
    callers.append(asyncio.create_task(resolver.resolve("b.hang.test", None)))
    await asyncio.sleep(0)
    asked = sorted(dns.asked)
    dns.release()
    await asyncio.gather(*callers)

    assert asked == ["a.hang.test"] * (1 + MOST_REPEATED) + ["b.hang.test"]


async def test_a_caller_that_gives_up_does_not_end_the_look_up_of_others(dns: FakeDns) -> None:
    """A cancelled caller leaves the shared look-up to the other callers."""
    resolver = Resolver(dns.addresses)
    first, second = (asyncio.create_task(resolver.resolve("a.hang.test", None)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    dns.release()

    assert await second == ["192.0.2.1", "2001:db8::1"]


async def test_limit_of_threads(dns: FakeDns) -> None:
    """Where no thread can be started, the look-up fails at once, and the next one is tried again."""

    def refuse(_work: object) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(dns.addresses, start=refuse)
    for _ in range(3):
        with pytest.raises(NameNotResolved) as caught:
            await resolver.resolve("sts.good.test", 30)
        assert caught.value.code == socket.EAI_MEMORY
