"""A configuration that changes while profiles run: what a change affects, what is tried first, and what stays."""

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
from app.refresh.profiles import START_PAUSE, STARTED_AT_ONCE, Profiles

from ..clock import Clock
from ..conftest import ENVIRON, configuration, exchange, identity


class RunningProfiles:
    """Profiles that use the emulated cloud, and the events that they emit."""

    def __init__(self, loaded: Callable[..., Loaded], emulator: Emulator, clock: Clock) -> None:
        self.load = loaded
        self.emulator = emulator
        self.clock = clock
        self.events: list[Event] = []
        self.pipelines: list[Pipeline] = []
        self.closed: list[Pipeline] = []
        self.pipeline_settings: list[Settings] = []
        self.replaced = 0
        self.pauses = 0
        self.transport: httpx.AsyncBaseTransport = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
        self.profiles: Profiles

    def start(self, config: dict[str, Any], chance: Callable[[], float] = lambda: 0.5) -> None:
        """Start the profiles of a configuration."""
        self.profiles = Profiles(
            self.load(config).settings,
            self._make_pipeline,
            clocks=self.clock.clocks,
            observe=self.events.append,
            replaced=self._count,
            sleep=self._sleep,
            chance=chance,
        )
        self.profiles.start()

    async def change(self, config: dict[str, Any]) -> None:
        """Apply a changed configuration."""
        self.profiles.change(self.load(config).settings)

    async def settled(self) -> None:
        """Wait until each running attempt has ended and every refresher sleeps."""
        names = [item.profile for item in self.profiles.refreshers]
        for name in names:
            trial = self.profiles.trial(name)
            if trial is not None:
                await trial.settled()
            await self.profiles.refresher(name).settled()
        await self.clock.asleep(len(names) + sum(self.profiles.trial(name) is not None for name in names))

    def _make_pipeline(self, settings: Settings) -> Pipeline:
        closed = self.closed

        class Closing(Pipeline):
            """A pipeline that reports its end."""

            async def aclose(self) -> None:
                closed.append(self)
                await super().aclose()

        pipeline = Closing(
            settings,
            ENVIRON,
            clocks=self.clock.clocks,
            observe=self.events.append,
            transport=lambda _route: self.transport,
        )
        self.pipelines.append(pipeline)
        self.pipeline_settings.append(settings)
        return pipeline

    def _count(self, _name: str) -> None:
        self.replaced += 1

    async def _sleep(self, seconds: float) -> None:
        """Count the pauses between the starts of many loops; they take no time."""
        if seconds == START_PAUSE:
            self.pauses += 1
        else:
            await self.clock.sleep(seconds)

    def held(self, name: str) -> str:
        """Return the AccessKeyId that readers of the profile get."""
        return self.profiles.refresher(name).credentials().access_key_id

    def issued(self, name: str) -> int:
        """Return the number of sessions that the profile has obtained."""
        return sum(isinstance(event, Refreshed) and event.profile == name for event in self.events)


@pytest.fixture
async def running(loaded: Callable[..., Loaded], emulator: Emulator, clock: Clock) -> AsyncIterator[RunningProfiles]:
    """Profiles that the test starts, and that are stopped after it."""
    profiles = RunningProfiles(loaded, emulator, clock)
    yield profiles
    await profiles.profiles.stop()


def two_profiles(**changes: Any) -> dict[str, Any]:
    """Return profiles `default` and `p2`. `changes` replace members of the exchange of `default`."""
    config = configuration("default", "p2")
    config["profiles"]["default"]["exchange"] |= changes
    return config


async def test_change_affects_only_its_profile(running: RunningProfiles, clock: Clock) -> None:
    """A changed profile gets a new session; its neighbour keeps its session, schedule and refresher."""
    running.start(two_profiles())
    await running.settled()
    before, neighbour = running.held("default"), running.profiles.refresher("p2")
    planned = neighbour.status.next_refresh_at

    await running.change(two_profiles(durationSeconds=1800))
    await running.settled()

    assert running.held("default") != before
    assert running.profiles.refresher("default").status.left == 1800
    assert running.profiles.refresher("p2") is neighbour
    assert neighbour.status.next_refresh_at == planned
    assert (running.issued("default"), running.issued("p2"), running.replaced) == (2, 1, 1)


def many_profiles(**changes: Any) -> dict[str, Any]:
    """Return more profiles than a change starts in one step. `changes` replace members of their exchanges."""
    config = configuration(*(f"p{number}" for number in range(3 * STARTED_AT_ONCE)))
    for profile in config["profiles"].values():
        profile["exchange"] = exchange("default") | changes
    return config


async def test_change_of_many_profiles_starts_all_trials(running: RunningProfiles, clock: Clock) -> None:
    """All changed profiles are tried, although their loops start in turn, and all of them are replaced."""
    running.start(many_profiles())
    await running.settled()
    await running.change(many_profiles(durationSeconds=1800))
    await running.settled()

    assert running.replaced == 3 * STARTED_AT_ONCE
    assert running.pauses == 2, "one before each further group"


async def test_profile_that_ends_before_its_start_releases_callers(running: RunningProfiles, clock: Clock) -> None:
    """A caller that waits for a profile which is removed before its loop takes its first step is released."""
    running.start(configuration("default"))
    await running.settled()
    running.profiles.change(running.load(many_profiles()).settings)
    last = running.profiles.refresher(f"p{3 * STARTED_AT_ONCE - 1}")
    waiting = asyncio.create_task(last.settled())
    await asyncio.sleep(0)
    running.profiles.change(running.load(configuration("default")).settings)

    await waiting
    assert last.held is None


async def test_unchanged_configuration_makes_no_call(running: RunningProfiles, clock: Clock) -> None:
    """Loading the same configuration again makes no call and builds no second pipeline."""
    running.start(two_profiles())
    await running.settled()

    await running.change(two_profiles())

    assert len(running.pipelines) == 1
    assert running.emulator.totals["sts"] == 2


async def test_removed_profile_is_gone_immediately(running: RunningProfiles, clock: Clock) -> None:
    """A removed profile is gone when `change` returns, even if its loop has not ended yet."""
    running.start(two_profiles())
    await running.settled()

    running.profiles.change(running.load(configuration("default")).settings)

    assert [item.profile for item in running.profiles.refreshers] == ["default"]
    assert ["default" in running.profiles, "p2" in running.profiles] == [True, False]


async def test_removed_profile_is_not_refreshed_again(running: RunningProfiles, clock: Clock) -> None:
    """The loop of a removed profile ends: hours later only the others have new sessions, and nothing of it failed."""
    running.start(two_profiles())
    await running.settled()
    await running.change(configuration("default"))
    before = len(running.events)
    for _ in range(3):
        await clock.advance(3_600)

    assert running.issued("default") > 1
    assert {getattr(event, "profile", "default") for event in running.events[before:]} == {"default"}


async def test_clock_jump_concerns_every_profile(running: RunningProfiles, clock: Clock) -> None:
    """After the machine slept longer than its sessions, every profile is refreshed."""
    running.start(two_profiles())
    await running.settled()
    clock.jump(9_000)
    running.profiles.clock_jumped()
    await running.settled()
    for _ in range(100):
        await asyncio.sleep(0)

    assert (running.issued("default"), running.issued("p2")) == (2, 2)
    assert running.profiles.dead() == []


async def test_failing_change_leaves_the_old_profile_serving(running: RunningProfiles, clock: Clock) -> None:
    """A refused role is tried again and its error is visible, while the old configuration serves and is refreshed."""
    running.start(two_profiles())
    await running.settled()
    before = running.profiles.refresher("default")
    await running.change(two_profiles(roleArn="acs:ram::1234567890123456:role/not-there"))
    await running.settled()
    await clock.advance(3_600)

    trial = running.profiles.trial("default")
    assert trial is not None
    assert trial.status.failures > 5
    assert "EntityNotExist.Role" in str(trial.status.last_error)
    assert running.profiles.refresher("default") is before
    assert before.status.state == "fresh"
    assert running.issued("default") > 2
    assert running.replaced == 0


async def test_trial_replaces_the_old_profile_with_its_first_session(
    running: RunningProfiles, clock: Clock, emulator: Emulator
) -> None:
    """A trial takes over with its first session, however late, and the replaced refresher makes no more calls."""
    running.start(two_profiles())
    await running.settled()
    emulator.faults.add(Fault("sts", status=503))
    await running.change(two_profiles(durationSeconds=1800))
    await running.settled()
    before = running.profiles.refresher("default")
    running.profiles.retry("default")
    await running.settled()

    assert running.profiles.refresher("default") is not before
    assert running.profiles.refresher("default").status.left <= 1800
    await clock.advance(60)
    assert running.issued("default") == 2


async def test_reverted_change_ends_its_trial(running: RunningProfiles, clock: Clock, emulator: Emulator) -> None:
    """Reverting a change ends its trial, and the profile that serves keeps its session."""
    running.start(two_profiles())
    await running.settled()
    held = running.held("default")
    await running.change(two_profiles(roleArn="acs:ram::1234567890123456:role/not-there"))
    await running.settled()
    await running.change(two_profiles())

    assert running.profiles.trial("default") is None
    assert running.held("default") == held
    calls = emulator.totals["sts"]
    await clock.advance(100)
    assert emulator.totals["sts"] == calls


async def test_reverted_change_is_not_fetched(running: RunningProfiles, clock: Clock, emulator: Emulator) -> None:
    """After a change is reverted, every later fetch uses the role of the file, whatever was on trial before."""
    running.start(two_profiles())
    await running.settled()
    for _ in range(2):
        for reverted in ({"roleArn": "acs:ram::1234567890123456:role/not-there"}, {"roleArn": role_arn("p2")}):
            emulator.faults.add(Fault("sts", times=1, status=503))
            await running.change(two_profiles(**reverted))
            await running.settled()
        await running.change(two_profiles())
        emulator.journal.clear()
        for name in ("default", "p2"):
            await running.profiles.renew(name)

        assert [(call.outcome, call.fields["RoleArn"]) for call in emulator.journal if call.kind == "sts"] == [
            ("ok", role_arn("default")),
            ("ok", role_arn("p2")),
        ]


@pytest.mark.parametrize("seed", range(20))
async def test_random_changes_and_faults_use_no_other_role(
    running: RunningProfiles, clock: Clock, emulator: Emulator, seed: int
) -> None:
    """After any changes and faults, a fetch uses only the serving role and the role on trial."""
    chance = Random(seed)
    roles = [role_arn(name) for name in ("default", "p2")] + ["acs:ram::1234567890123456:role/not-there"]
    running.start(two_profiles())
    await running.settled()
    for _ in range(8):
        emulator.faults.clear()
        if chance.random() < 0.5:
            emulator.faults.add(Fault("sts", times=1, status=503))
        wanted = chance.choice(roles)
        await running.change(two_profiles(roleArn=wanted))
        await running.settled()
        serving = running.profiles.profile("default").exchange.role_arn
        emulator.journal.clear()
        await running.profiles.renew("default")
        await running.settled()

        requested = {call.fields["RoleArn"] for call in emulator.journal if call.kind == "sts"}
        assert serving in requested
        assert requested <= {serving, wanted}


async def test_reverted_proxy_ends_all_trials(running: RunningProfiles, clock: Clock) -> None:
    """After a changed proxy is reverted, no profile is on trial and the pipeline uses the settings of the file."""
    running.start(two_profiles())
    await running.settled()
    running.emulator.faults.add(Fault("sts", times=None, status=503))
    await running.change(two_profiles() | {"proxy": "http://proxy.example:3128"})
    await running.settled()
    await running.change(two_profiles())

    assert [running.profiles.trial(name) for name in ("default", "p2")] == [None, None]
    running.emulator.faults.clear()
    await running.profiles.renew("default")
    assert running.pipeline_settings[-1].proxy is None


async def test_profiles_are_added_and_removed(running: RunningProfiles, clock: Clock) -> None:
    """A new profile starts immediately; a removed one is gone immediately with its session."""
    running.start(configuration("default", "p2"))
    await running.settled()
    refreshers = running.profiles.refreshers
    await running.change(configuration("p3", "default"))
    await running.settled()

    assert [item.profile for item in refreshers] == ["p3", "default"]
    assert running.held("p3")
    assert running.issued("default") == 1
    with pytest.raises(KeyError):
        running.profiles.refresher("p2")


async def test_wrong_new_secret_does_not_affect_the_old_session(running: RunningProfiles, clock: Clock) -> None:
    """A changed secret that is wrong fails its trial, and the old session is still served."""
    running.start(configuration())
    await running.settled()
    held = running.held("default")
    other = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "WRONG"}
    config = configuration(
        profiles={"default": {"identity": identity(authnConfiguration=other), "exchange": exchange()}}
    )
    running.profiles.change(running.load(config, ENVIRON | {"WRONG": "wrong"}).settings)
    await running.settled()

    failed = [event for event in running.events if isinstance(event, RefreshFailed)]
    assert len(failed) == 1
    assert running.held("default") == held
    assert running.profiles.refresher("default").healthy


async def test_changed_proxy_is_tried_by_every_profile(running: RunningProfiles, clock: Clock) -> None:
    """A changed CA or proxy of the file is tried by every profile."""
    running.start(two_profiles())
    await running.settled()
    await running.change(two_profiles() | {"proxy": "http://proxy.example:3128"})
    await running.settled()

    assert (running.issued("default"), running.issued("p2")) == (2, 2)


async def test_policy_changes_apply_without_a_new_session(running: RunningProfiles, clock: Clock) -> None:
    """`required`, `onDenied` and the retry settings apply immediately and need no new session."""
    running.start(two_profiles())
    await running.settled()
    config = two_profiles()
    config["profiles"]["default"] |= {"required": False, "onDenied": "stop"}
    config["refresh"] = {"minRetrySeconds": 7}
    await running.change(config)

    policy = running.profiles.refresher("default").policy
    assert (policy.required, policy.drop_when_withdrawn, policy.schedule.min_retry) == (False, True, 7)
    assert running.emulator.totals["sts"] == 2


async def test_ended_loop_is_reported_as_dead(running: RunningProfiles, clock: Clock) -> None:
    """A bug that ends a profile's loop is reported with the profile's name."""

    def bug() -> float:
        raise ZeroDivisionError

    running.start(two_profiles(), chance=bug)
    for refresher in running.profiles.refreshers:
        await refresher.settled()
    await asyncio.sleep(0)

    assert running.profiles.dead() == ["default", "p2"]


async def test_replaced_pipelines_are_closed(running: RunningProfiles, clock: Clock) -> None:
    """Ten changes leave one pipeline open and not eleven."""
    running.start(two_profiles())
    await running.settled()
    for seconds in range(1801, 1811):
        await running.change(two_profiles(durationSeconds=seconds))
        await running.settled()
    open_ones = [number for number, pipeline in enumerate(running.pipelines) if pipeline not in running.closed]
    await running.profiles.stop()

    assert open_ones == [10]
    assert running.closed == running.pipelines
    assert running.issued("p2") == 1


class SlowToEnd(httpx.AsyncBaseTransport):
    """Servers of which STS never answers; its cancelled request takes time to end, as a TLS connection may."""

    def __init__(self, servers: httpx.AsyncBaseTransport) -> None:
        self._servers = servers
        self.asked = asyncio.Event()
        self.may_end = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on the request of a token; answer no other one."""
        if "AssumeRoleWithOIDC" not in f"{request.url} {request.headers}":
            return await self._servers.handle_async_request(request)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()
        raise httpx.ConnectError("ended")


async def test_stop_waits_for_the_attempt_of_a_removed_profile(running: RunningProfiles, clock: Clock) -> None:
    """An attempt that is still ending when its profile has been removed ends before `stop` returns."""
    running.start(configuration("default"))
    await running.settled()
    slow = running.transport = SlowToEnd(running.transport)
    await running.change(two_profiles(durationSeconds=1800))
    await slow.asked.wait()
    await running.change(configuration("default"))
    stopping = asyncio.create_task(running.profiles.stop())
    early, _ = await asyncio.wait({stopping}, timeout=0.05)
    slow.may_end.set()
    await stopping

    assert not early
