"""Name look-ups: a name whose resolver is silent delays no other name."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import threading
import weakref
from collections.abc import AsyncIterator, Callable

import pytest

from app.upstream.connections.resolver import (
    BOTH,
    FAMILIES,
    LATE_SECONDS,
    MOST_ADDRESSES,
    MOST_ALONE,
    MOST_REPEATED,
    SHARED_SECONDS,
    NameNotResolved,
    Resolver,
)


class FakeDns:
    """
    Answers for `*.good.test`, until `release` not for `*.hang.test`, and refuses other names.

    Is silent about IPv6 addresses of `*.v4.test`, and about `*.search.test` where a search list applies.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._asking = threading.Semaphore(0)
        self._released = threading.Event()

    def start(self, work: Callable[[], None]) -> None:
        """Run a look-up in a thread, and return when its query is sent. A busy machine may start the thread late."""
        threading.Thread(target=work, daemon=True).start()
        self._asking.acquire(timeout=60)

    def addresses(self, host: str, family: int) -> list[str]:
        """Return the addresses of `host`; called in a thread of its own."""
        self.asked.append(host)
        self._asking.release()
        silent_families = {"hang.test": (BOTH, *FAMILIES), "v4.test": (BOTH, socket.AF_INET6), "search.test": (BOTH,)}
        name = host.rstrip(".").partition(".")[2]
        if family in silent_families.get(name, ()) and not (name == "search.test" and host.endswith(".")):
            self._released.wait(60)
        if family == socket.AF_INET:
            return ["192.0.2.1"]
        if family == socket.AF_INET6 and name == "search.test":
            raise socket.gaierror(socket.EAI_NODATA, "no such address")
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


@pytest.fixture
def threads() -> list[Callable[[], None]]:
    """The look-ups that were started and do not run: `append` is a resolver's `start`, and a test runs each."""
    return []


async def turns() -> None:
    """Run the event loop until it waits only for look-ups. Look-ups of single families join without a delay."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_silent_names_do_not_delay_others(dns: FakeDns) -> None:
    """With a hundred names that are not answered, another name is answered within its time limit."""
    resolver = Resolver(dns.addresses, alone=60)
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
    resolver = Resolver(dns.addresses if host == "nobody.test" else lambda host, _: [str(host.encode("idna"))])
    with pytest.raises(NameNotResolved) as caught:
        await resolver.resolve(host, 30)

    assert caught.value.code == socket.EAI_NONAME


async def test_callers_share_a_young_look_up(dns: FakeDns, time: list[float]) -> None:
    """Callers share a look-up for a second; afterwards another one starts, for the resolver may work again."""
    resolver = Resolver(dns.addresses, now=lambda: time[0], alone=60)
    callers = [asyncio.create_task(resolver.resolve("a.hang.test", None)) for _ in range(5)]
    await asyncio.sleep(0)
    time[0] += SHARED_SECONDS
    callers.append(asyncio.create_task(resolver.resolve("a.hang.test", None)))
    await asyncio.sleep(0)
    dns.release()
    await asyncio.gather(*callers)

    assert dns.asked == ["a.hang.test"] * 2


async def test_repeated_look_ups_are_limited(
    dns: FakeDns, time: list[float], threads: list[Callable[[], None]]
) -> None:
    """Repeated requests for a silent name use a limited number of threads. Every other name has a thread of its own."""
    resolver = Resolver(dns.addresses, now=lambda: time[0], alone=60, start=threads.append)
    callers = []
    for _ in range(3 * MOST_REPEATED):
        time[0] += SHARED_SECONDS
        callers.append(asyncio.create_task(resolver.resolve("a.hang.test", None)))
        await asyncio.sleep(0)
    callers.append(asyncio.create_task(resolver.resolve("b.hang.test", None)))
    await asyncio.sleep(0)
    dns.release()
    for work in threads:
        work()
    await asyncio.gather(*callers)

    assert dns.asked == ["a.hang.test"] * (1 + MOST_REPEATED) + ["b.hang.test"]


async def test_a_caller_that_gives_up_does_not_end_the_look_up_of_others(dns: FakeDns) -> None:
    """A cancelled caller leaves the shared look-up to the other callers."""
    resolver = Resolver(dns.addresses, alone=60)
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


@pytest.mark.parametrize("host", ["sts.v4.test", "sts.search.test"])
async def test_answer_of_one_family_is_enough(host: str, dns: FakeDns) -> None:
    """A resolver that is silent about IPv6, or about a domain of the search list, delays a name by a moment only."""
    resolver = Resolver(dns.addresses, alone=0, start=dns.start)
    assert await resolver.resolve(host, 30) == ["192.0.2.1"]
    assert set(dns.asked) == {host, f"{host}."}


async def test_families_without_an_answer(threads: list[Callable[[], None]]) -> None:
    """Where no family has an answer, the look-up of both ends as before, with three threads for the name."""
    asked = []

    def addresses(host: str, family: int) -> list[str]:
        asked.append((host, family))
        raise socket.gaierror(socket.EAI_AGAIN if family == BOTH else socket.EAI_NODATA, "no answer")

    look_up = asyncio.create_task(Resolver(addresses, alone=0, start=threads.append).resolve("a.test", None))
    await turns()
    for work in reversed(threads):
        work()
    with pytest.raises(NameNotResolved) as caught:
        await look_up

    assert caught.value.code == socket.EAI_AGAIN
    assert sorted(asked) == sorted([("a.test", BOTH), *(("a.test.", family) for family in FAMILIES)])


async def test_look_ups_of_families_are_limited(dns: FakeDns, threads: list[Callable[[], None]]) -> None:
    """With many names that are not answered, most keep one thread; another name is still answered."""
    resolver = Resolver(dns.addresses, alone=0, start=threads.append)
    hanging = [asyncio.create_task(resolver.resolve(f"h{number}.hang.test", None)) for number in range(100)]
    await turns()
    started = len(threads)
    answered = asyncio.create_task(resolver.resolve("sts.good.test", None))
    await turns()
    threads[-1]()

    assert await answered == ["192.0.2.1", "2001:db8::1"]
    assert (started, len(threads)) == (100 + MOST_ALONE, 100 + MOST_ALONE + 1)
    assert not any(task.done() for task in hanging)
    for task in hanging:
        task.cancel()


async def test_name_without_a_dot_keeps_its_search_list(dns: FakeDns) -> None:
    """A name of one label means nothing without the search list, so its families are looked up with it."""

    def addresses(host: str, family: int) -> list[str]:
        return dns.addresses("a.hang.test", BOTH) if family == BOTH else [host]

    assert await Resolver(addresses, alone=0.01).resolve("idp", 30) == ["idp"]


async def test_resolver_that_comes_back(dns: FakeDns, time: list[float]) -> None:
    """After an outage, the next look-up is answered, although earlier ones still hang."""
    answers = False

    def addresses(host: str, _family: int) -> list[str]:
        if not answers:
            dns.addresses("a.hang.test", BOTH)
        return ["192.0.2.1"]

    resolver = Resolver(addresses, now=lambda: time[0], alone=0.01)
    with pytest.raises(NameNotResolved):
        await resolver.resolve("sts.test", 0.1)
    answers = True
    time[0] += SHARED_SECONDS

    assert await resolver.resolve("sts.test", 30) == ["192.0.2.1"]


async def test_answer_after_the_limit(dns: FakeDns, time: list[float], threads: list[Callable[[], None]]) -> None:
    """An answer that came too late for its caller is used for a minute where the next answer takes as long."""
    resolver = Resolver(dns.addresses, now=lambda: time[0], alone=0, start=threads.append)
    with pytest.raises(NameNotResolved):
        await resolver.resolve("a.hang.test", 0.05)
    time[0] += 5.0
    dns.release()
    for work in threads:
        work()
    await turns()

    assert await resolver.resolve("a.hang.test", None) == ["192.0.2.1", "2001:db8::1"]
    time[0] += LATE_SECONDS
    with pytest.raises(NameNotResolved):
        await resolver.resolve("a.hang.test", 0.05)


async def test_thousands_of_addresses() -> None:
    """Of an answer with thousands of addresses, some of each family are used."""
    found = [f"2001:db8::{number:x}" for number in range(2_300)] + [f"192.0.2.{number}" for number in range(200)]
    used = await Resolver(lambda *_: found).resolve("name.test", None)

    assert (len(used), used[:3]) == (MOST_ADDRESSES, ["2001:db8::0", "192.0.2.0", "2001:db8::1"])


async def test_old_answers_are_dropped(time: list[float], threads: list[Callable[[], None]]) -> None:
    """A server that names another slow host each time does not fill the memory."""

    class Address(str):
        __slots__ = ("__weakref__",)

    answers: list[weakref.ref[Address]] = []

    def addresses(_host: str, _family: int) -> list[str]:
        found = Address("192.0.2.1")
        answers.append(weakref.ref(found))
        return [found]

    async def answer_late(host: str) -> None:
        look_up = asyncio.create_task(resolver.resolve(host, None))
        await turns()
        time[0] += 60.0
        threads.pop()()
        await look_up

    resolver = Resolver(addresses, now=lambda: time[0], alone=60, start=threads.append)
    await answer_late("one.test")
    first = answers[0]
    assert first() is not None
    time[0] += LATE_SECONDS
    await answer_late("other.test")
    gc.collect()

    assert first() is None


async def test_no_file_descriptor_left() -> None:
    """Without a file descriptor the system's resolver reports a silent server; the error names the limit."""

    def no_descriptor() -> int:
        return errno.EMFILE

    def addresses(_host: str, _family: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(NameNotResolved) as caught:
        await Resolver(addresses, limit=no_descriptor).resolve("sts.test", 30)

    assert caught.value.code == errno.EMFILE
