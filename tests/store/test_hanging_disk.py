"""The session store on a disk that hangs: nothing queues up, clients do not wait, and removals are made later."""

from __future__ import annotations

import asyncio

import pytest

from app.config.settings import Profile
from app.core.events import Dropped, Event, StoreFailed
from app.store.session_store import SessionStore

from .fake_cache import REFUSED, FakeCache, messages, refreshed, session


async def test_removal_is_made_when_the_disk_answers(
    impatient_store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """Removals that a disk did not answer in time are reported, and made all the same when it answers."""
    fake_cache.entries = {"p1": session(1), "p2": session(2)}
    fake_cache.unblocked.clear()
    await impatient_store.remove("p1")
    await impatient_store.remove("p2")
    fake_cache.unblocked.set()
    await impatient_store._in_order("", int)  # the turn after both

    assert fake_cache.entries == {}
    assert [name for name, _ in messages(events)] == ["p1", "p2"]


@pytest.mark.parametrize("last", ["purge", "session"])
async def test_purges_beside_a_disk_that_hangs_do_not_queue_up(
    last: str, store: SessionStore, fake_cache: FakeCache
) -> None:
    """While a disk hangs, a hundred purges and new sessions of a profile wait as one removal and one write."""
    fake_cache.entries = {"default": session(0)}
    fake_cache.unblocked.clear()
    store.observe(refreshed(1))
    tasks = asyncio.all_tasks()
    removals = []
    for number in range(100):
        removals.append(store.remove("default"))
        store.observe(refreshed(number))
    if last == "purge":
        removals.append(store.remove("default"))
    assert len(asyncio.all_tasks() - tasks) <= 4
    fake_cache.unblocked.set()
    await asyncio.gather(*removals)
    await store._in_order("", int)

    assert fake_cache.removals <= 2
    assert fake_cache.writes <= 2
    assert fake_cache.entries == ({} if last == "purge" else {"default": session(99)})


async def test_callers_that_leave_do_not_end_a_removal(store: SessionStore, fake_cache: FakeCache) -> None:
    """A removal is made for a caller that has given up, too."""
    fake_cache.entries = {"default": session(0)}
    fake_cache.unblocked.clear()
    caller = asyncio.ensure_future(store.remove("default"))
    caller.cancel()
    fake_cache.unblocked.set()
    await store._in_order("", int)

    assert fake_cache.entries == {}


async def test_hanging_disk_does_not_block(
    impatient_store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """A disk that hangs delays start, operations and end by at most `patience`, and is reported once."""
    fake_cache.unblocked.clear()
    async with asyncio.timeout(60):
        assert await impatient_store.restore(["default", "p2"]) == {}
        impatient_store.observe(refreshed(1))
        await impatient_store.remove("default")
        await impatient_store.aclose()

    assert [profile for profile, _ in messages(events)] == ["", "default"]
    assert "did not answer" in messages(events)[0][1]
    assert messages(events)[1][1].startswith("the disk did not answer in time; the entry stays there")
    assert [event.error_code for event in events if isinstance(event, StoreFailed)][1] == "IDS-601"


async def test_ask_a_hanging_disk(impatient_store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """Where no answer comes in time, the answer is None; the report is one, also for what was asked later."""

    def hangs() -> None:
        fake_cache.unblocked.wait(600)

    fake_cache.unblocked.clear()
    async with asyncio.timeout(60):
        assert await impatient_store.ask(hangs) is None
        assert await impatient_store.restore(["default"]) == {}
    fake_cache.unblocked.set()

    ((name, message),) = messages(events)
    assert (name, "did not answer within" in message) == ("", True)


async def test_a_hanging_disk_is_left_behind(fake_cache: FakeCache, events: list[Event], profile: Profile) -> None:
    """After the end, only the operation under way still reaches a disk that hung."""
    store = SessionStore(fake_cache, lambda _name: profile, events.append, patience=0.05)
    fake_cache.unblocked.clear()
    store.observe(refreshed(1))
    assert await asyncio.to_thread(fake_cache.begun.wait, 60)
    store.observe(refreshed(2, "p2"))
    await store.aclose()
    assert fake_cache.entries == {}  # the end did not wait for the disk
    fake_cache.unblocked.set()
    async with asyncio.timeout(60):
        while not fake_cache.entries:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.01)

    assert fake_cache.entries == {"default": session(1)}


async def test_sessions_do_not_queue_up(store: SessionStore, fake_cache: FakeCache) -> None:
    """While the disk hangs, only the last session of each profile waits; it is written when the disk answers."""
    fake_cache.unblocked.clear()
    store.tidy(["default"])  # occupies the thread
    for number in range(100):
        store.observe(refreshed(number))
    fake_cache.unblocked.set()
    await store.aclose()

    assert fake_cache.writes == 1
    assert fake_cache.entries == {"default": session(99)}


async def test_removal_comes_between_two_writes(store: SessionStore, fake_cache: FakeCache) -> None:
    """A removal while the disk hangs drops the session before it and keeps the one after it."""
    fake_cache.unblocked.clear()
    store.tidy(["default"])
    store.observe(refreshed(1))
    store.observe(Dropped("default", REFUSED))
    store.observe(refreshed(2))
    fake_cache.unblocked.set()
    await store.aclose()

    assert fake_cache.entries == {"default": session(2)}


async def test_disk_of_one_profile_holds_up_no_other(events: list[Event], profile: Profile) -> None:
    """Where the profiles' places are apart, a disk that hangs is reported for its profile, and no other waits."""

    class OneHangs(FakeCache):
        def _raise_error(self, operation: str, name: str = "") -> None:
            if name == "hung":
                self.unblocked.wait(600)

    def reported(name: str) -> bool:
        return (name, "the disk did not answer in time; service goes on without it") in messages(events)

    async def found(*names: str) -> None:
        while cache.entries.keys() != set(names):  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.01)

    cache = OneHangs()
    cache.unblocked.clear()
    store = SessionStore(cache, lambda _name: profile, events.append, apart=True, patience=20, slow=0.05)
    async with asyncio.timeout(60):
        for name in ("hung", "removed", "other"):
            store.observe(refreshed(1, name))
        await found("removed", "other")
        store.tidy(["hung", "other"])
        await found("other")
        await store.remove("other")
        await found()
        while not reported("hung"):  # noqa: ASYNC110 - the report sets no event
            await asyncio.sleep(0.01)

    assert not reported("")  # a busy machine may report the others, too: each for itself
    cache.unblocked.set()
    await store.aclose()
    assert cache.entries.keys() == {"hung"}
