"""A changed configuration under running profiles: what it touches, what is tried first, what goes on untouched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx
import pytest

from app.config.loader import Loaded
from app.config.settings import Settings
from app.core.events import Event, Refreshed, RefreshFailed
from app.emulator import Emulator, Fault
from app.emulator.world.world import role_arn
from app.refresh.pipeline import Pipeline
from app.refresh.profiles import Profiles

from ..clock import Clock
from ..conftest import ENVIRON, configuration, exchange, identity


class Sidecar:
    """Profiles over the emulated cloud, and what they said."""

    def __init__(self, loaded: Callable[..., Loaded], emulator: Emulator, clock: Clock) -> None:
        self.load = loaded
        self.emulator = emulator
        self.clock = clock
        self.events: list[Event] = []
        self.clouds: list[Pipeline] = []
        self.made_for: list[Settings] = []
        self.replaced = 0
        self.profiles: Profiles

    def start(self, config: dict[str, Any], chance: Callable[[], float] = lambda: 0.5) -> None:
        self.profiles = Profiles(
            self.load(config).settings,
            self._cloud,
            clocks=self.clock.clocks,
            observe=self.events.append,
            replaced=self._count,
            sleep=self.clock.sleep,
            chance=chance,
        )
        self.profiles.start()

    async def change(self, config: dict[str, Any]) -> None:
        self.profiles.change(self.load(config).settings)

    async def settled(self) -> None:
        """Returns when every attempt that is under way has ended, and everybody sleeps."""
        names = [item.profile for item in self.profiles.refreshers]
        for name in names:
            trial = self.profiles.trial(name)
            if trial is not None:
                await trial.settled()
            await self.profiles.refresher(name).settled()
        await self.clock.asleep(len(names) + sum(self.profiles.trial(name) is not None for name in names))

    def _cloud(self, settings: Settings) -> Pipeline:
        cloud = Pipeline(
            settings,
            ENVIRON,
            clocks=self.clock.clocks,
            observe=self.events.append,
            transport=lambda _way: httpx.ASGITransport(self.emulator),  # type: ignore[arg-type]
        )
        self.clouds.append(cloud)
        self.made_for.append(settings)
        return cloud

    def _count(self) -> None:
        self.replaced += 1

    def held(self, name: str) -> str:
        """The AccessKeyId that the profile's readers get."""
        return self.profiles.refresher(name).credentials().access_key_id

    def issued(self, name: str) -> int:
        """How many sessions the profile has had."""
        return sum(isinstance(event, Refreshed) and event.profile == name for event in self.events)


@pytest.fixture
async def sidecar(loaded: Callable[..., Loaded], emulator: Emulator, clock: Clock) -> AsyncIterator[Sidecar]:
    found = Sidecar(loaded, emulator, clock)
    yield found
    await found.profiles.stop()


def two(**changes: Any) -> dict[str, Any]:
    """Profiles `default` and `p2`; `changes` are those of the exchange of `default`."""
    config = configuration("default", "p2")
    config["profiles"]["default"]["exchange"] |= changes
    return config


async def test_only_what_is_touched(sidecar: Sidecar, clock: Clock) -> None:
    """A changed profile has a new session, its neighbour keeps session, plan and refresher."""
    sidecar.start(two())
    await sidecar.settled()
    before, neighbour = sidecar.held("default"), sidecar.profiles.refresher("p2")
    planned = neighbour.status.next_refresh_at

    await sidecar.change(two(durationSeconds=1800))
    await sidecar.settled()

    assert sidecar.held("default") != before
    assert sidecar.profiles.refresher("default").status.left == 1800
    assert sidecar.profiles.refresher("p2") is neighbour
    assert neighbour.status.next_refresh_at == planned
    assert (sidecar.issued("default"), sidecar.issued("p2"), sidecar.replaced) == (2, 1, 1)


async def test_nothing_changed(sidecar: Sidecar, clock: Clock) -> None:
    """The same configuration again asks nobody for anything, and needs no second outbound half."""
    sidecar.start(two())
    await sidecar.settled()

    await sidecar.change(two())

    assert len(sidecar.clouds) == 1
    assert sidecar.emulator.totals["sts"] == 2


async def test_a_change_is_one_step(sidecar: Sidecar, clock: Clock) -> None:
    """A removed profile is gone when the change returns, whatever its loop has still to end."""
    sidecar.start(two())
    await sidecar.settled()

    sidecar.profiles.change(sidecar.load(configuration("default")).settings)

    assert [item.profile for item in sidecar.profiles.refreshers] == ["default"]
    assert "p2" not in sidecar.profiles


async def test_a_change_that_does_not_work(sidecar: Sidecar, clock: Clock) -> None:
    """A role that is refused is tried on and on, and seen; the one before serves and is refreshed meanwhile."""
    sidecar.start(two())
    await sidecar.settled()
    before = sidecar.profiles.refresher("default")
    await sidecar.change(two(roleArn="acs:ram::1234567890123456:role/not-there"))
    await sidecar.settled()
    await clock.advance(3_600)

    trial = sidecar.profiles.trial("default")
    assert trial is not None
    assert trial.status.failures > 5
    assert "EntityNotExist.Role" in str(trial.status.last_error)
    assert sidecar.profiles.refresher("default") is before
    assert before.status.state == "fresh"
    assert sidecar.issued("default") > 2
    assert sidecar.replaced == 0


async def test_a_change_that_works_later(sidecar: Sidecar, clock: Clock, emulator: Emulator) -> None:
    """The trial takes over with its first session, however late; what it replaced makes no call any more."""
    sidecar.start(two())
    await sidecar.settled()
    emulator.faults.add(Fault("sts", status=503))
    await sidecar.change(two(durationSeconds=1800))
    await sidecar.settled()
    before = sidecar.profiles.refresher("default")
    sidecar.profiles.retry("default")
    await sidecar.settled()

    assert sidecar.profiles.refresher("default") is not before
    assert sidecar.profiles.refresher("default").status.left <= 1800
    await clock.advance(60)
    assert sidecar.issued("default") == 2


async def test_back_to_what_serves(sidecar: Sidecar, clock: Clock, emulator: Emulator) -> None:
    """Taking a change back ends its trial; what serves was never touched."""
    sidecar.start(two())
    await sidecar.settled()
    held = sidecar.held("default")
    await sidecar.change(two(roleArn="acs:ram::1234567890123456:role/not-there"))
    await sidecar.settled()
    await sidecar.change(two())

    assert sidecar.profiles.trial("default") is None
    assert sidecar.held("default") == held
    calls = emulator.totals["sts"]
    await clock.advance(100)
    assert emulator.totals["sts"] == calls


async def test_what_was_taken_back_fetches_nothing(sidecar: Sidecar, clock: Clock, emulator: Emulator) -> None:
    """After a change was taken back, every later fetch is of what the file says, whatever was on trial in between."""
    sidecar.start(two())
    await sidecar.settled()
    for _ in range(2):
        for taken_back in ({"roleArn": "acs:ram::1234567890123456:role/not-there"}, {"roleArn": role_arn("p2")}):
            emulator.faults.add(Fault("sts", times=1, status=503))
            await sidecar.change(two(**taken_back))
            await sidecar.settled()
        await sidecar.change(two())
        emulator.journal.clear()
        for name in ("default", "p2"):
            await sidecar.profiles.renew(name)

        assert [(call.outcome, call.fields["RoleArn"]) for call in emulator.journal if call.kind == "sts"] == [
            ("ok", role_arn("default")),
            ("ok", role_arn("p2")),
        ]


@pytest.mark.parametrize("seed", range(20))
async def test_any_changes_in_any_weather(sidecar: Sidecar, clock: Clock, emulator: Emulator, seed: int) -> None:
    """Whatever came before: what serves has the role that it is said to have, and who fetches asks for no third one."""
    chance = Random(seed)
    roles = [role_arn(name) for name in ("default", "p2")] + ["acs:ram::1234567890123456:role/not-there"]
    sidecar.start(two())
    await sidecar.settled()
    for _ in range(8):
        emulator.faults.clear()
        if chance.random() < 0.5:
            emulator.faults.add(Fault("sts", times=1, status=503))
        wanted = chance.choice(roles)
        await sidecar.change(two(roleArn=wanted))
        await sidecar.settled()
        serves = sidecar.profiles.profile("default").exchange.role_arn
        emulator.journal.clear()
        await sidecar.profiles.renew("default")
        await sidecar.settled()

        asked = {call.fields["RoleArn"] for call in emulator.journal if call.kind == "sts"}
        assert serves in asked
        assert asked <= {serves, wanted}


async def test_a_proxy_that_was_taken_back(sidecar: Sidecar, clock: Clock) -> None:
    """So it is with what is everybody's: the outbound half is of the file that holds, and nobody is on trial."""
    sidecar.start(two())
    await sidecar.settled()
    sidecar.emulator.faults.add(Fault("sts", times=None, status=503))
    await sidecar.change(two() | {"proxy": "http://proxy.example:3128"})
    await sidecar.settled()
    await sidecar.change(two())

    assert [sidecar.profiles.trial(name) for name in ("default", "p2")] == [None, None]
    sidecar.emulator.faults.clear()
    await sidecar.profiles.renew("default")
    assert sidecar.made_for[-1].proxy is None


async def test_profiles_come_and_go(sidecar: Sidecar, clock: Clock) -> None:
    """A new profile begins at once; one that is configured no more is gone at once, whatever it held."""
    sidecar.start(configuration("default", "p2"))
    await sidecar.settled()
    everybody = sidecar.profiles.refreshers
    await sidecar.change(configuration("p3", "default"))
    await sidecar.settled()

    assert [item.profile for item in everybody] == ["p3", "default"]
    assert sidecar.held("p3")
    assert sidecar.issued("default") == 1
    with pytest.raises(KeyError):
        sidecar.profiles.refresher("p2")


async def test_another_secret_is_tried_first(sidecar: Sidecar, clock: Clock) -> None:
    """Naming another secret that is wrong costs nobody anything."""
    sidecar.start(configuration())
    await sidecar.settled()
    held = sidecar.held("default")
    other = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "WRONG"}
    config = configuration(
        profiles={"default": {"identity": identity(authnConfiguration=other), "exchange": exchange()}}
    )
    sidecar.profiles.change(sidecar.load(config, ENVIRON | {"WRONG": "wrong"}).settings)
    await sidecar.settled()

    failed = [event for event in sidecar.events if isinstance(event, RefreshFailed)]
    assert len(failed) == 1
    assert sidecar.held("default") == held
    assert sidecar.profiles.refresher("default").healthy


async def test_trust_and_proxy_are_everybodys(sidecar: Sidecar, clock: Clock) -> None:
    """Another CA or proxy for the whole file is tried by every profile."""
    sidecar.start(two())
    await sidecar.settled()
    await sidecar.change(two() | {"proxy": "http://proxy.example:3128"})
    await sidecar.settled()

    assert (sidecar.issued("default"), sidecar.issued("p2")) == (2, 2)


async def test_what_holds_at_once(sidecar: Sidecar, clock: Clock) -> None:
    """Whether a profile is required, what it does when denied, and the pace of retries need no new session."""
    sidecar.start(two())
    await sidecar.settled()
    config = two()
    config["profiles"]["default"] |= {"required": False, "onDenied": "stop"}
    config["refresh"] = {"minRetrySeconds": 7}
    await sidecar.change(config)

    policy = sidecar.profiles.refresher("default").policy
    assert (policy.required, policy.drop_when_withdrawn, policy.schedule.min_retry) == (False, True, 7)
    assert sidecar.emulator.totals["sts"] == 2


async def test_a_loop_that_ended_is_seen(sidecar: Sidecar, clock: Clock) -> None:
    """A bug that gets past everything ends one profile's loop, and that is told of that profile."""

    def bug() -> float:
        raise ZeroDivisionError

    sidecar.start(two(), chance=bug)
    for refresher in sidecar.profiles.refreshers:
        await refresher.settled()
    await asyncio.sleep(0)

    assert sidecar.profiles.dead() == ["default", "p2"]


async def test_the_outbound_half_of_before_is_closed(sidecar: Sidecar, clock: Clock) -> None:
    """Ten changes leave one outbound half open, not eleven."""
    sidecar.start(two())
    await sidecar.settled()
    for seconds in range(1801, 1811):
        await sidecar.change(two(durationSeconds=seconds))
        await sidecar.settled()
    await sidecar.profiles.stop()

    assert len(sidecar.clouds) == 11
    assert sidecar.issued("p2") == 1
