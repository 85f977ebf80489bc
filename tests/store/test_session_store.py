"""The session store on a fake cache: operations in order, no blocking, and one warning per problem."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.errors import ConfigError
from app.core.events import ClockRead, Dropped, Event, StoreFailed
from app.store.errors import EntryError, StoreError
from app.store.sealed_cache import SealedCache
from app.store.session_store import SessionStore

from ..conftest import configuration
from .fake_cache import REFUSED, FakeCache, messages, refreshed, session, settle
from .sessions import KEY


async def test_last_session_of_each_profile_is_restored(store: SessionStore) -> None:
    """The last session of each profile is available at the next start."""
    for event in (refreshed(1), refreshed(2), refreshed(3, "p2")):
        store.observe(event)

    assert await store.restore(["default", "p2"]) == {"default": session(2), "p2": session(3)}


async def test_operations_run_in_order(store: SessionStore, fake_cache: FakeCache) -> None:
    """An earlier write does not bring back a dropped session, and a later session is stored."""
    fake_cache.unblocked.clear()
    store.observe(refreshed(1))
    store.observe(Dropped("default", REFUSED))
    store.observe(refreshed(2, "p2"))
    store.observe(Dropped("p2", REFUSED))
    store.observe(refreshed(3, "p2"))
    fake_cache.unblocked.set()

    assert await store.restore(["default", "p2"]) == {"p2": session(3)}


async def test_remove_waits_for_the_removal(store: SessionStore, fake_cache: FakeCache) -> None:
    """When `remove` returns, the entry is gone."""
    store.observe(refreshed(1))
    await store.remove("default")

    assert fake_cache.entries == {}


async def test_removed_profiles_are_tidied(store: SessionStore, fake_cache: FakeCache) -> None:
    """`restore` accepts any collection of names, and removes the entries of all other profiles."""
    fake_cache.entries = {"default": session(1), "gone": session(2)}

    assert await store.restore({"default": None}.keys()) == {"default": session(1)}
    assert fake_cache.entries == {"default": session(1)}


async def test_problem_of_the_cache_is_reported_once(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """An unusable directory or key is reported once, however many profiles and operations it affects."""
    for error in (StoreError("/cache: Read-only file system"), ConfigError("cache.keyFile: /key: no such file")):
        events.clear()
        fake_cache.errors = dict.fromkeys(("read", "write", "tidy"), error)
        await store.restore(["default", "p2", "p3"])
        for number in range(3):
            store.observe(refreshed(number))
        await store.restore(["default"])

        assert messages(events) == [("", f"{error}; service goes on without it")]
        fake_cache.errors = {}
        await settle(store)


async def test_bad_entry_is_reported_for_its_profile(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """A bad entry is reported once for its profile, and the entry of its neighbour is read."""
    fake_cache.entries["p3"] = session(3)
    fake_cache.errors = {f"read {name}": EntryError(f"{name}.sealed: damaged") for name in ("default", "p2")}
    restored = await store.restore(["default", "p2", "p3"])

    assert restored == {"p3": session(3)}
    assert [profile for profile, _ in messages(events)] == ["default", "p2"]


async def test_recurring_problem_is_reported_again(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """A problem that was absent in between is reported again."""
    for error in (StoreError("full"), None, StoreError("full")):
        fake_cache.errors = {"write": error} if error else {}
        store.observe(refreshed(1))
        await settle(store)

    assert messages(events) == [("", "full; service goes on without it")] * 2


async def test_failed_removal_is_always_reported(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """An entry that cannot be removed is reported every time, because it would be served after the next start."""
    fake_cache.errors = dict.fromkeys(("write", "remove"), StoreError("read-only"))
    store.observe(refreshed(1))
    await store.remove("default")
    await store.remove("default")

    assert [profile for profile, _ in messages(events)] == ["", "default", "default"]
    assert "may be used after a restart" in messages(events)[-1][1]


async def test_unexpected_error_is_reported_by_its_type(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """An unexpected error is reported by its type alone, because its text may quote anything."""
    fake_cache.errors = {"read": RuntimeError("canary")}
    await store.restore(["default"])

    assert messages(events) == [("", "RuntimeError; service goes on without it")]


async def test_ask(store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """`ask` returns the disk's answer; a failure is reported for all profiles, and the answer is None."""

    def fails() -> int:
        raise StoreError("/cache: full")

    assert await store.ask(lambda: 1) == 1
    assert await store.ask(fails) is None
    assert messages(events) == [("", "/cache: full; service goes on without it")]


@pytest.mark.parametrize("store_name", ["cache", "files"])
async def test_reports_name_the_store(
    fake_cache: FakeCache, events: list[Event], profile: Profile, store_name: Literal["cache", "files"]
) -> None:
    """Each report says which store failed; the cache is the usual one."""
    fake_cache.errors = dict.fromkeys(("write", "remove"), StoreError("full"))
    options = {} if store_name == "cache" else {"store": store_name}
    store = SessionStore(fake_cache, lambda _name: profile, events.append, **options)  # type: ignore[arg-type]
    store.observe(refreshed(1))
    store.observe(Dropped("default", REFUSED))
    await store.aclose()

    # A thread that is quick enough has both results before the loop looks at the first one.
    reports = sorted((event for event in events if isinstance(event, StoreFailed)), key=lambda event: event.profile)
    assert reports == [
        StoreFailed("", "full; service goes on without it", store_name, "IDS-602"),
        StoreFailed("default", "full; the entry stays there, and may be used after a restart", store_name, "IDS-602"),
    ]


async def test_tidy(store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """`tidy` removes the sessions of other profiles, in order with the other operations; a failure is reported."""
    store.observe(refreshed(1))
    store.observe(refreshed(2, "gone"))
    store.tidy(["default"])
    assert await store.restore(["default", "gone"]) == {"default": session(1)}
    fake_cache.errors = {"tidy": EntryError("/file: cannot be removed")}
    store.tidy([])
    await settle(store)

    assert messages(events) == [("", "/file: cannot be removed; service goes on without it")]


async def test_other_events_are_ignored(store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """Only new and dropped sessions concern the store."""
    fake_cache.entries = {"default": session(1)}
    store.observe(ClockRead("sts.test:443", 1.0))
    await store.restore(["default"])

    assert (fake_cache.entries, events) == ({"default": session(1)}, [])


async def test_one_good_operation_ends_a_problem(
    store: SessionStore, fake_cache: FakeCache, events: list[Event]
) -> None:
    """A good operation of one profile ends the problem of all profiles, and its own, but not that of another."""
    fake_cache.errors = {"write default": EntryError("a"), "write p2": EntryError("b"), "write p3": StoreError("c")}
    fake_cache.unblocked.set()
    for names in (("default", "p2", "p3", "p4"), ("default", "p2", "p3")):
        for name in names:
            store.observe(refreshed(1, name))
            await settle(store)  # before the next one: operations of two profiles run in two threads

    assert [(name, message[0]) for name, message in messages(events)] == [
        ("default", "a"),
        ("p2", "b"),
        ("", "c"),
        ("", "c"),
    ]


async def test_ended_operations_are_forgotten(store: SessionStore) -> None:
    """The store keeps no operation that has ended: a process writes sessions for months."""
    counts = []
    for number in range(1, 3):
        for profile in range(number * 50):  # sessions of one profile would become one operation
            store.observe(refreshed(number, f"p{profile}"))
        await settle(store)
        await asyncio.sleep(0)
        gc.collect()
        counts.append(sum(isinstance(found, asyncio.Task) for found in gc.get_objects()))

    assert counts[1] < counts[0] + 50


async def test_session_is_bound_to_the_configuration_at_its_time(
    loaded: Callable[..., Loaded], events: list[Event], tmp_path: Path
) -> None:
    """Each session is bound to the configuration of the profile when the session was obtained."""
    changed = configuration()
    changed["profiles"]["default"]["exchange"]["roleSessionName"] = "session-2"
    before, after = (loaded(config).settings.profiles["default"] for config in (configuration(), changed))
    serving = {"default": before}
    cache = SealedCache(str(tmp_path), lambda: KEY)
    store = SessionStore(cache, serving.__getitem__, events.append)
    store.observe(refreshed(1))
    serving["default"] = after
    store.observe(refreshed(2))
    await store.aclose()

    assert events == []
    assert cache.read("default", after) == session(2)
    with pytest.raises(EntryError):
        cache.read("default", before)
