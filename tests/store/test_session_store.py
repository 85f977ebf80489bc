"""The session store on a fake cache: operations in order, no blocking, and one warning per problem."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.errors import ConfigError, Refused
from app.core.events import ClockRead, Dropped, Event, Refreshed, StoreFailed
from app.core.values import Credentials
from app.store.errors import EntryError, StoreError
from app.store.sealed_cache import SealedCache
from app.store.session_store import SessionStore

from ..conftest import configuration
from .sessions import KEY

REFUSED = Refused("no", status=403, code="NoPermission", withdrawn=True)


def session(number: int) -> Credentials:
    """Return the session `number`."""
    return Credentials(f"STS.{number}", "secret", "token", 1_767_323_045.0, 1_767_326_645.0)


def refreshed(number: int, profile: str = "default") -> Refreshed:
    """Return the event that a profile has the session `number`."""
    return Refreshed(profile, session(number), 0.0, 0.0)


@dataclass
class FakeCache:
    """A cache in memory that raises the errors of `errors`, and hangs while `unblocked` is not set."""

    entries: dict[str, Credentials] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    """By the operation (`read`, `write`, `remove`, `tidy`), or by operation and profile (`read p2`)."""
    unblocked: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    """Set by the first operation."""

    writes: int = 0
    removals: int = 0

    def __post_init__(self) -> None:
        self.unblocked.set()

    def read(self, name: str, _profile: Profile) -> Credentials | None:
        """Return the entry of a profile."""
        self._raise_error("read", name)
        return self.entries.get(name)

    def write(self, name: str, _profile: Profile, credentials: Credentials) -> None:
        """Replace the entry of a profile."""
        self._raise_error("write", name)
        self.writes += 1
        self.entries[name] = credentials

    def remove(self, name: str) -> None:
        """Remove the entry of a profile."""
        self._raise_error("remove", name)
        self.removals += 1
        self.entries.pop(name, None)

    def tidy(self, names: Collection[str]) -> None:
        """Remove all entries except those of `names`."""
        self._raise_error("tidy")
        self.entries = {name: entry for name, entry in self.entries.items() if name in names}

    def _raise_error(self, operation: str, name: str = "") -> None:
        self.begun.set()
        self.unblocked.wait(600)
        error = self.errors.get(f"{operation} {name}") or self.errors.get(operation)
        if error is not None:
            raise error


@pytest.fixture
def fake_cache() -> FakeCache:
    """An empty cache without errors."""
    return FakeCache()


@pytest.fixture
def events() -> list[Event]:
    """The events that the store has emitted."""
    return []


@pytest.fixture
async def store(fake_cache: FakeCache, events: list[Event], profile: Profile) -> AsyncIterator[SessionStore]:
    """A store that waits 20 s for the fake cache, so that no test depends on the speed of the machine."""
    store = SessionStore(fake_cache, lambda _name: profile, events.append, patience=20)
    yield store
    await store.aclose()


@pytest.fixture
async def impatient_store(fake_cache: FakeCache, events: list[Event], profile: Profile) -> AsyncIterator[SessionStore]:
    """A store that waits 0.2 s for the fake cache."""
    store = SessionStore(fake_cache, lambda _name: profile, events.append, patience=0.05)
    yield store
    fake_cache.unblocked.set()
    await store.aclose()


def messages(events: list[Event]) -> list[tuple[str, str]]:
    """Return profile and message of each reported problem."""
    return [(event.profile, event.message) for event in events if isinstance(event, StoreFailed)]


async def settle(store: SessionStore) -> None:
    """Wait until all earlier operations have ended: operations run in order."""
    await store.restore([])


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


async def test_ask(store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """`ask` returns the disk's answer; a failure is reported for all profiles, and the answer is None."""

    def fails() -> int:
        raise StoreError("/cache: full")

    assert await store.ask(lambda: 1) == 1
    assert await store.ask(fails) is None
    assert messages(events) == [("", "/cache: full; service goes on without it")]


async def test_ask_a_hanging_disk(impatient_store: SessionStore, fake_cache: FakeCache, events: list[Event]) -> None:
    """Where no answer comes in time, the answer is None; that is reported, once with what the disk owes after it."""

    def hangs() -> None:
        fake_cache.unblocked.wait(600)

    fake_cache.unblocked.clear()
    async with asyncio.timeout(60):
        assert await impatient_store.ask(hangs) is None
        assert await impatient_store.restore(["default"]) == {}
    fake_cache.unblocked.set()

    ((name, message),) = messages(events)
    assert (name, "did not answer within" in message) == ("", True)


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
        await settle(store)

    assert [(name, message[0]) for name, message in messages(events)] == [
        ("default", "a"),
        ("p2", "b"),
        ("", "c"),
        ("", "c"),
    ]


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


# --- a disk that hangs for hours --------------------------------------------------------------------------------------


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
