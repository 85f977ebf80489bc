"""All stores of a sidecar: the encrypted cache and the credential files, as far as they are configured."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import Loaded
from app.config.settings import Settings
from app.core.errors import Refused
from app.core.events import Dropped, Event, Refreshed, StoreFailed
from app.store.stores import Stores

from ..conftest import ENVIRON, configuration
from .sessions import KEY, SESSION

Configured = Callable[..., Settings]


@pytest.fixture
def configured(loaded: Callable[..., Loaded], tmp_path: Path) -> Configured:
    """Return settings of two profiles, with a cache, with a credential file of `default`, with both or with none."""

    def build(*, cache: bool = False, file: bool = False) -> Settings:
        changes: dict[str, Any] = {}
        if cache:
            changes["cache"] = {"directory": str(tmp_path / "cache"), "keyEnvVarName": "CACHE_KEY"}
        config = configuration("default", "p2", **changes)
        if file:
            config["profiles"]["default"]["files"] = [{"path": str(tmp_path / "app.ini")}]
        return loaded(config, {**ENVIRON, "CACHE_KEY": KEY}).settings

    return build


@pytest.fixture
def events() -> list[Event]:
    """What the stores have reported."""
    return []


@asynccontextmanager
async def opened(settings: Settings, events: list[Event]) -> AsyncIterator[Stores]:
    """The stores of `settings`; at the end everything is on the disk."""
    stores = Stores(settings, {"CACHE_KEY": KEY}, settings.profiles.__getitem__, events.append)
    yield stores
    await asyncio.gather(*(store.aclose() for store in stores.all()))


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("file", [False, True])
async def test_sessions_go_to_the_configured_stores(
    configured: Configured, events: list[Event], tmp_path: Path, cache: bool, file: bool
) -> None:
    """A session goes to each configured store, and is removed from each when it is dropped."""
    entry, text = tmp_path / "cache" / "idaas-sidecar" / "default.sealed", tmp_path / "app.ini"
    settings = configured(cache=cache, file=file)
    async with opened(settings, events) as stores:
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))
    assert (entry.exists(), text.exists()) == (cache, file)

    async with opened(settings, events) as stores:
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))
        stores.observe(Dropped("default", Refused("no", status=403, code="NoPermission")))
    assert (entry.exists(), text.exists()) == (False, False)
    assert events == []


async def test_restore(configured: Configured, events: list[Event]) -> None:
    """After a restart the cache has the sessions, and the same key for metadata session tokens."""
    settings = configured(cache=True, file=True)
    async with opened(settings, events) as stores:
        key, sessions = await stores.restore(["default"])
        assert sessions == {}
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))
    async with opened(settings, events) as stores:
        assert await stores.restore(["default"]) == (key, {"default": SESSION})

    assert key is not None
    assert (len(key.key or b""), key.lost) == (32, "")
    assert events == []


async def test_nothing_is_restored_without_a_cache(configured: Configured, events: list[Event]) -> None:
    """Without a cache nothing survives a restart: credential files are not read."""
    async with opened(configured(file=True), events) as stores:
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))
        assert await stores.restore(["default"]) == (None, {})


async def test_files_that_are_configured_later(configured: Configured, events: list[Event], tmp_path: Path) -> None:
    """Credential files are written after a reload that adds them; what was written stays known after one more."""
    with_file, without = configured(file=True), configured()
    serving = {"settings": without}
    stores = Stores(without, {}, lambda name: serving["settings"].profiles[name], events.append)
    assert stores.all() == []
    for settings, names in ((with_file, ["app.ini"]), (without, [])):
        serving["settings"] = settings
        stores.use(settings)
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))
        await stores.all()[0].restore(["default"])
        assert [name for name in os.listdir(tmp_path) if name.startswith("app")] == names
    await stores.all()[0].aclose()

    assert events == []


async def test_failures_are_reported_by_store(configured: Configured, events: list[Event], tmp_path: Path) -> None:
    """A failure is reported with the store in which it happened."""
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "app.ini").mkdir()
    async with opened(configured(cache=True, file=True), events) as stores:
        stores.observe(Refreshed("default", SESSION, 0.0, 0.0))

    assert sorted((event.store, event.profile) for event in events if isinstance(event, StoreFailed)) == [
        ("cache", ""),
        ("files", "default"),
    ]
