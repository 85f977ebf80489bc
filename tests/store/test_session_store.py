"""The cache beside the loop: in turn, without waiting, and one warning for one trouble."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.errors import ConfigError, Refused
from app.core.events import Dropped, Event, Refreshed, StoreFailed
from app.core.values import Credentials
from app.store.errors import EntryError, StoreError
from app.store.sealed_cache import SealedCache
from app.store.session_store import SessionStore

from ..conftest import configuration

KEY = "0123456789abcdef" * 4
REFUSED = Refused("no", status=403, code="NoPermission", withdrawn=True)
Load = Callable[..., Loaded]


def session(number: int) -> Credentials:
    return Credentials(f"STS.{number}", "secret", "token", 1_767_323_045.0, 1_767_326_645.0)


def refreshed(number: int, profile: str = "default") -> Refreshed:
    return Refreshed(profile, session(number), 0.0, 0.0)


@dataclass
class Disk:
    """A cache in memory, with troubles on order; `free` unset: it hangs."""

    kept: dict[str, Credentials] = field(default_factory=dict)
    troubles: dict[str, Exception] = field(default_factory=dict)
    """By the order (`read`, `write`, `remove`, `tidy`), or by order and profile (`read p2`)."""
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def read(self, name: str, _profile: Profile) -> Credentials | None:
        self._trouble("read", name)
        return self.kept.get(name)

    def write(self, name: str, _profile: Profile, credentials: Credentials) -> None:
        self._trouble("write", name)
        self.kept[name] = credentials

    def remove(self, name: str) -> None:
        self._trouble("remove", name)
        self.kept.pop(name, None)

    def tidy(self, names: Collection[str]) -> None:
        self._trouble("tidy")
        self.kept = {name: kept for name, kept in self.kept.items() if name in names}

    def _trouble(self, order: str, name: str = "") -> None:
        self.free.wait(20)
        error = self.troubles.get(f"{order} {name}") or self.troubles.get(order)
        if error is not None:
            raise error


@dataclass
class Kept:
    disk: Disk
    last_good: SessionStore
    told: list[Event]

    @property
    def messages(self) -> list[tuple[str, str]]:
        return [(event.profile, event.message) for event in self.told if isinstance(event, StoreFailed)]

    async def settle(self) -> None:
        """Returns when everything that was observed so far is done: orders are taken in turn."""
        await self.last_good.restore([])


@pytest.fixture
async def kept(loaded: Load) -> AsyncIterator[Kept]:
    disk, told = Disk(), list[Event]()
    profile = loaded().settings.profiles["default"]
    last_good = SessionStore(disk, lambda _name: profile, told.append, patience=0.2)
    yield Kept(disk, last_good, told)
    disk.free.set()
    await last_good.aclose()


async def test_what_is_issued_is_kept(kept: Kept) -> None:
    """The last session of each profile is there for the next start."""
    for event in (refreshed(1), refreshed(2), refreshed(3, "p2")):
        kept.last_good.observe(event)

    assert await kept.last_good.restore(["default", "p2"]) == {"default": session(2), "p2": session(3)}


async def test_in_turn(kept: Kept) -> None:
    """What is forgotten is not brought back by a write that was ordered before; what is issued afterwards is kept."""
    kept.disk.free.clear()
    kept.last_good.observe(refreshed(1))
    kept.last_good.observe(Dropped("default", REFUSED))
    kept.last_good.observe(refreshed(2, "p2"))
    kept.last_good.observe(Dropped("p2", REFUSED))
    kept.last_good.observe(refreshed(3, "p2"))
    kept.disk.free.set()

    assert await kept.last_good.restore(["default", "p2"]) == {"p2": session(3)}


async def test_forgetting_waits(kept: Kept) -> None:
    """When `forget` returns, nothing is there."""
    kept.last_good.observe(refreshed(1))
    await kept.last_good.remove("default")

    assert kept.disk.kept == {}


async def test_profiles_that_are_none_any_more(kept: Kept) -> None:
    """Names may come from anything that can be counted; those that are not among them are forgotten."""
    kept.disk.kept = {"default": session(1), "gone": session(2)}

    assert await kept.last_good.restore({"default": None}.keys()) == {"default": session(1)}
    assert kept.disk.kept == {"default": session(1)}


async def test_one_trouble_of_all(kept: Kept) -> None:
    """A directory or key that is of no use is told once, however many profiles and orders there are."""
    for trouble in (StoreError("/cache: Read-only file system"), ConfigError("cache.keyFile: /key: no such file")):
        kept.told.clear()
        kept.disk.troubles = dict.fromkeys(("read", "write", "tidy"), trouble)
        await kept.last_good.restore(["default", "p2", "p3"])
        for number in range(3):
            kept.last_good.observe(refreshed(number))
        await kept.last_good.restore(["default"])

        assert kept.messages == [("", f"{trouble}; service goes on without it")]
        kept.disk.troubles = {}
        await kept.settle()


async def test_each_bad_entry(kept: Kept) -> None:
    """A bad entry is told of for its profile, once; its neighbour is read."""
    kept.disk.kept["p3"] = session(3)
    kept.disk.troubles = {f"read {name}": EntryError(f"{name}.sealed: damaged") for name in ("default", "p2")}
    found = await kept.last_good.restore(["default", "p2", "p3"])

    assert found == {"p3": session(3)}
    assert [profile for profile, _ in kept.messages] == ["default", "p2"]


async def test_well_again(kept: Kept) -> None:
    """A trouble that was over in between is told again."""
    for trouble in (StoreError("full"), None, StoreError("full")):
        kept.disk.troubles = {"write": trouble} if trouble else {}
        kept.last_good.observe(refreshed(1))
        await kept.settle()

    assert kept.messages == [("", "full; service goes on without it")] * 2


async def test_what_cannot_be_forgotten(kept: Kept) -> None:
    """That an entry stays is told every time: it would be served after the next start."""
    kept.disk.troubles = dict.fromkeys(("write", "remove"), StoreError("read-only"))
    kept.last_good.observe(refreshed(1))
    await kept.last_good.remove("default")
    await kept.last_good.remove("default")

    assert [profile for profile, _ in kept.messages] == ["", "default", "default"]
    assert "may be used after a restart" in kept.messages[-1][1]


async def test_a_bug_shows_its_type_alone(kept: Kept) -> None:
    """An error that is none of ours may quote anything."""
    kept.disk.troubles = {"read": RuntimeError("canary")}
    await kept.last_good.restore(["default"])

    assert kept.messages == [("", "RuntimeError; service goes on without it")]


async def test_a_disk_that_hangs(kept: Kept) -> None:
    """It holds up neither the start, nor an order, nor the end for longer than our patience; it is told once."""
    kept.disk.free.clear()
    async with asyncio.timeout(5):
        assert await kept.last_good.restore(["default", "p2"]) == {}
        kept.last_good.observe(refreshed(1))
        await kept.last_good.remove("default")
        await kept.last_good.aclose()

    assert [profile for profile, _ in kept.messages] == ["", "default"]
    assert "did not answer" in kept.messages[0][1]


async def test_it_is_the_profiles_configuration_of_now(loaded: Load, tmp_path: Path) -> None:
    """Each session is bound to what was configured when it came."""
    changed = configuration()
    changed["profiles"]["default"]["exchange"]["roleSessionName"] = "session-2"
    one, other = (loaded(config).settings.profiles["default"] for config in (configuration(), changed))
    serving, told = {"default": one}, list[Event]()
    cache = SealedCache(str(tmp_path), lambda: KEY)
    last_good = SessionStore(cache, serving.__getitem__, told.append)
    last_good.observe(refreshed(1))
    serving["default"] = other
    last_good.observe(refreshed(2))
    await last_good.aclose()

    assert told == []
    assert cache.read("default", other) == session(2)
    with pytest.raises(EntryError):
        cache.read("default", one)
