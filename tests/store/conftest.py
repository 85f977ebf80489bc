"""Fixtures of the store: a sealed cache on a real directory with one entry, and a session store on a fake cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.core.events import Event
from app.store.sealed_cache import SealedCache
from app.store.session_store import SessionStore

from .fake_cache import FakeCache
from .sessions import KEY, SESSION


@pytest.fixture
def profile(loaded: Callable[..., Loaded]) -> Profile:
    """The profile `default` of the default configuration."""
    return loaded().settings.profiles["default"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The configured directory of the cache, which does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> SealedCache:
    """A cache without entries."""
    return SealedCache(str(directory), lambda: KEY)


@pytest.fixture
def entry(cache: SealedCache, profile: Profile, directory: Path) -> Path:
    """The file of an entry with `SESSION`."""
    cache.write("default", profile, SESSION)
    return directory / "idaas-sidecar" / "default.sealed"


# --- a session store on a fake cache ----------------------------------------------------------------------------------


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
    """A store that waits 0.05 s for the fake cache."""
    store = SessionStore(fake_cache, lambda _name: profile, events.append, patience=0.05)
    yield store
    fake_cache.unblocked.set()
    await store.aclose()
