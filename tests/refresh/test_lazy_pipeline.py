"""A pipeline that is built at its first use, closed when its fetches have ended, and compared by its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from app.config.loader import Loaded
from app.config.settings import Settings
from app.core.errors import ConfigError, Unreachable
from app.core.values import Credentials
from app.emulator.world.world import CHAINED_ROLE_ARN
from app.refresh.lazy_pipeline import LazyPipeline, MakePipeline, alike

from ..conftest import configuration, exchange, identity

SESSION = Credentials("STS.x", "secret", "token", 0.0, 3600.0)


class FakePipeline:
    """A pipeline that returns a session, or raises `error`, as soon as `open` is set."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self, name: str) -> Credentials:
        """Return a session."""
        self.calls.append(f"fetch {name}")
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return SESSION

    def forget_token(self, name: str) -> None:
        """Record the call."""
        self.calls.append(f"forget {name}")

    async def aclose(self) -> None:
        """Record the call."""
        self.calls.append("close")


class Factory:
    """Builds a fake pipeline, or raises the next of `errors`."""

    def __init__(self) -> None:
        self.pipeline = FakePipeline()
        self.errors: list[Exception] = []
        self.built: list[Settings] = []

    def make(self, settings: Settings) -> FakePipeline:
        """Return the pipeline."""
        self.built.append(settings)
        if self.errors:
            raise self.errors.pop(0)
        return self.pipeline


@pytest.fixture
def factory() -> Factory:
    """What builds the pipeline."""
    return Factory()


@pytest.fixture
def settings(loaded: Callable[..., Loaded]) -> Settings:
    """Settings with one profile."""
    return loaded().settings


@pytest.fixture
def lazy(settings: Settings, factory: Factory) -> LazyPipeline:
    """A pipeline that is not built yet."""
    return LazyPipeline(settings, cast(MakePipeline, factory.make))


async def test_pipeline_is_built_once(lazy: LazyPipeline, factory: Factory, settings: Settings) -> None:
    """The first fetch builds the pipeline, and concurrent and later ones use the same."""
    assert factory.built == []
    results = await asyncio.gather(*(lazy.fetch(name) for name in ("a", "b")))
    results.append(await lazy.fetch("a"))

    assert results == [SESSION] * 3
    assert (factory.built, factory.pipeline.calls) == ([settings], ["fetch a", "fetch b", "fetch a"])


async def test_pipeline_that_cannot_be_built_is_tried_again(lazy: LazyPipeline, factory: Factory) -> None:
    """Each fetch raises why the pipeline cannot be built, and the next one builds it again."""
    factory.errors = [ConfigError("first"), ConfigError("second")]
    for message in ("first", "second"):
        lazy.forget_token("a")
        with pytest.raises(ConfigError, match=message):
            await lazy.fetch("a")

    assert await lazy.fetch("a") == SESSION
    assert len(factory.built) == 3


async def test_error_of_a_fetch_keeps_the_pipeline(lazy: LazyPipeline, factory: Factory) -> None:
    """An error of a fetch reaches its caller, and the pipeline is used again."""
    factory.pipeline.error = Unreachable("down")
    with pytest.raises(Unreachable, match="down"):
        await lazy.fetch("a")
    factory.pipeline.error = None
    await lazy.fetch("a")

    assert len(factory.built) == 1


async def test_cancelled_fetch_does_not_end_the_building(lazy: LazyPipeline, factory: Factory) -> None:
    """When the first caller is cancelled while the pipeline is built, another one gets its session from it."""
    first, second = (asyncio.create_task(lazy.fetch(name)) for name in ("a", "b"))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == SESSION
    assert len(factory.built) == 1


async def test_token_is_forgotten_by_the_built_pipeline(lazy: LazyPipeline, factory: Factory) -> None:
    """Before the pipeline is built there is no token to forget."""
    lazy.forget_token("a")
    await lazy.fetch("a")
    lazy.forget_token("b")

    assert factory.pipeline.calls == ["fetch a", "forget b"]


async def test_pipeline_closes_after_the_fetches_under_way(lazy: LazyPipeline, factory: Factory) -> None:
    """Closing waits until the last fetch has ended."""
    await lazy.fetch("a")
    factory.pipeline.open.clear()
    fetches = [asyncio.create_task(lazy.fetch(name)) for name in ("b", "c")]
    closing = asyncio.create_task(lazy.aclose())
    for _ in range(5):
        await asyncio.sleep(0)
    fetches[0].cancel()
    await asyncio.wait(fetches[:1])
    for _ in range(5):
        await asyncio.sleep(0)
    assert (closing.done(), factory.pipeline.calls) == (False, ["fetch a", "fetch b", "fetch c"])

    factory.pipeline.open.set()
    await asyncio.wait_for(closing, 30)
    assert fetches[1].done()
    assert factory.pipeline.calls[3:] == ["close"]


@pytest.mark.parametrize("fails", [False, True])
async def test_pipeline_that_is_not_built_needs_no_closing(fails: bool, lazy: LazyPipeline, factory: Factory) -> None:
    """A pipeline that was never used, or could not be built, has nothing to close."""
    if fails:
        factory.errors = [ConfigError("no")]
        with pytest.raises(ConfigError):
            await lazy.fetch("a")
    await asyncio.wait_for(lazy.aclose(), 30)

    assert factory.pipeline.calls == []


def profile(**changes: Any) -> dict[str, Any]:
    """Return a configuration whose profile has these changes."""
    return configuration(profiles={"default": {"identity": identity(), "exchange": exchange()} | changes})


CHANGES = [
    (configuration(), True),
    (profile(required=False), True),
    (profile(onDenied="stop"), True),
    (configuration(refresh={"minRetrySeconds": 7}), True),
    (configuration(proxy="http://proxy.example:3128"), False),
    (profile(identity=identity(scope="api.demo.example|read")), False),
    (profile(exchange=exchange(durationSeconds=1800)), False),
    (profile(chain=[{"roleArn": CHAINED_ROLE_ARN}]), False),
]


@pytest.mark.parametrize(("changed", "same"), CHANGES)
def test_settings_that_fetch_the_same(
    changed: dict[str, Any], same: bool, lazy: LazyPipeline, loaded: Callable[..., Loaded]
) -> None:
    """A pipeline also serves settings that differ only in what does not concern a fetch."""
    other = loaded(changed).settings

    assert alike(lazy.settings, other, "default") is same
    assert lazy.serves(other) is same


def test_other_trust_needs_another_pipeline(lazy: LazyPipeline) -> None:
    """A pipeline does not serve settings with another CA file."""
    other = msgspec.structs.replace(lazy.settings, tls=msgspec.structs.replace(lazy.settings.tls, ca_file="other.pem"))

    assert not lazy.serves(other)
    assert not alike(lazy.settings, other, "default")


@pytest.mark.parametrize("names", [("p2",), ("default", "p2")])
def test_other_profiles_need_another_pipeline(
    names: tuple[str, ...], lazy: LazyPipeline, loaded: Callable[..., Loaded]
) -> None:
    """A pipeline serves exactly the profiles of its settings."""
    assert not lazy.serves(loaded(configuration(*names)).settings)


def test_one_changed_profile_needs_another_pipeline(factory: Factory, loaded: Callable[..., Loaded]) -> None:
    """A pipeline does not serve settings in which one of several profiles is different."""
    before = configuration("default", "p2")
    lazy = LazyPipeline(loaded(before).settings, cast(MakePipeline, factory.make))
    before["profiles"]["p2"]["exchange"]["durationSeconds"] = 1800

    assert not lazy.serves(loaded(before).settings)
