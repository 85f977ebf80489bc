"""Runs the steps in the order of a credential's path. A broken step skips the steps that need its result."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from ..config.loader import Loaded
from ..config.settings import Profile
from ..core.checks import profile_place
from ..core.clocks import CloudClock
from ..core.errors import ConfigError, SidecarError
from ..core.events import ClockRead, Event, TokenVerified
from ..exchange.settings import StsExchange
from ..refresh.connections import Connections, real_transport
from ..refresh.pipeline import Pipeline
from ..setup.fingerprint import Chain
from ..system.disk import Disk
from ..upstream.acs3 import KeyPair
from . import ram, reading
from .consequences import Consequences
from .finding import Step, failed, skipped
from .ram import RamReader
from .reading import Reading
from .steps import (
    account,
    caller,
    client_environment,
    clock,
    configuration,
    endpoints,
    exchange,
    provider,
    session,
    sidecar,
    token,
    trust,
)
from .steps.configuration import Configuration
from .steps.endpoints import Endpoint
from .target import Target


class Walk:
    """One run of all steps for a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._offsets: dict[str, float] = {}
        self._cloud_clock = CloudClock(target.clocks)
        self._verified: dict[str, Mapping[str, str]] = {}

    async def steps(self) -> AsyncIterator[Step]:
        """
        Yield each step's result as soon as it is known. Raises ConfigError for a profile that does not exist.

        A finding that follows from earlier findings says so.
        """
        known = Consequences()
        async for step in self._steps():
            yield known.added(step)

    async def _steps(self) -> AsyncIterator[Step]:
        found = configuration.run(self._target)
        names = self._profiles(found)
        yield await self._beside_running(found)
        yield await client_environment.run(self._target, found.listening)
        if found.loaded is None:
            for name in (endpoints.NAME, clock.NAME, token.NAME, exchange.NAME):
                yield skipped(name, "needs a configuration that can be used")
            yield await sidecar.run(self._target, found.server, None)
            return
        reached = {name: _Reached() for name in names}
        for name in names:
            if name not in found.loaded.settings.profiles:
                yield skipped(endpoints.NAME, found.why_not(name), name)
                continue
            async for step in self._endpoints(name, found.loaded, reached[name]):
                yield step
        # The clock comes before the tokens, because a wrong clock explains findings about their times.
        clocks = clock.run(self._offsets)
        yield clocks
        for name in names:
            async for step in self._profile(name, found, found.loaded, reached[name], clocks):
                yield step
        yield await sidecar.run(self._target, found.server, found.loaded)

    async def _beside_running(self, found: Configuration) -> Step:
        """Return the step `configuration`, with cures from the running sidecar where one helps."""
        if not {each.code for each in found.step.findings} & {
            configuration.NO_CONFIGURATION,
            configuration.UNSET_VARIABLE,
        }:
            return found.step
        status = await sidecar.running(self._target, found.server)
        if status is None:
            return found.step
        return configuration.beside(found, status, sidecar.own_origin(self._target))

    def _profiles(self, found: Configuration) -> list[str]:
        known = found.names
        wanted, reader = self._target.profile, self._target.ram.profile if self._target.ram else None
        if found.loaded is None:
            return known
        for option, name in (("--profile", wanted), ("--ram-profile", reader)):
            if name is not None and name not in known:
                raise ConfigError(
                    f"{option}: there is no profile {name!r}; there is {', '.join(known)}", error_code="IDS-120"
                )
        return known if wanted is None else [wanted]

    def _observe(self, event: Event) -> None:
        if isinstance(event, ClockRead):
            self._offsets[event.server] = event.offset
            self._cloud_clock.learn(event.server, event.offset)
        elif isinstance(event, TokenVerified):
            self._verified[event.profile] = event.info

    # --- one profile --------------------------------------------------------------------------------------------------

    async def _profile(
        self, name: str, found: Configuration, loaded: Loaded, reached: _Reached, clocks: Step
    ) -> AsyncIterator[Step]:
        why = "" if reached.identity else "the token endpoint is broken"
        why = why if found.usable(name) else found.why_not(name)
        if why:
            yield skipped(token.NAME, why, name)
            if name in loaded.settings.profiles and self._target.trust_policy is not None:
                yield trust.run(name, loaded.settings.profiles[name], self._target.trust_policy, None, None)
            yield skipped(exchange.NAME, "needs a token", name)
        else:
            async for step in self._credentials(name, loaded, reached, clocks):
                yield step
        if name not in loaded.settings.profiles or found.listening is None:
            yield skipped(caller.NAME, "the configuration is broken", name)
        else:
            examined = [each for each in found.names if each in loaded.settings.profiles]
            yield caller.run(
                name,
                loaded.settings,
                self._target.caller_with_url(),
                self._target.environ,
                examined=examined if self._target.profile is None else None,
            )

    async def _endpoints(self, name: str, loaded: Loaded, reached: _Reached) -> AsyncIterator[Step]:
        """Examine each server. Set in `reached` whether the servers of the token and of the exchange can be reached."""
        target = self._target
        transport = target.transport or real_transport(loaded.settings, target.environ, Disk())
        connections = Connections(transport, now=target.clocks.wall, observe=self._observe)
        known = endpoints.of_profile(loaded.settings.profiles[name], profile_place(name))
        try:
            # Endpoints with the same use and place form one list. A refresh uses the first one that works.
            for (use, _), group in groupby(known, key=lambda each: (each.use, each.place)):
                steps = [
                    await endpoints.run(endpoint, connections, name, self._chain(endpoint, loaded))
                    for endpoint in group
                ]
                if use != "token":
                    steps = endpoints.with_failover(steps)
                broken = any(step.state == "broken" for step in steps)
                if use == "token" and broken:
                    reached.identity = False
                if use == "exchange" and broken:
                    reached.exchange = False
                for step in steps:
                    yield step
        finally:
            await connections.aclose()

    def _chain(self, endpoint: Endpoint, loaded: Loaded) -> Callable[[str], Chain] | None:
        """Return a reader of an endpoint's certificates; None behind a proxy, which may present its own."""
        own, environ = endpoint.connection, self._target.environ
        from_environ = any(environ.get(name) for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"))
        if own.proxy != "none" and (own.proxy or loaded.settings.proxy or from_environ):
            return None
        return partial(self._target.presented, ca_file=own.ca_file or loaded.settings.tls.ca_file)

    async def _credentials(self, name: str, loaded: Loaded, reached: _Reached, clocks: Step) -> AsyncIterator[Step]:
        target = self._target
        profile = loaded.settings.profiles[name]
        cloud_clock = self._cloud_clock
        try:
            pipeline = Pipeline(
                loaded.settings,
                target.environ,
                clocks=target.clocks,
                observe=self._observe,
                cloud_clock=cloud_clock,
                transport=target.transport,
            )
        except SidecarError as error:
            yield Step(token.NAME, "no token", name, [failed(error)])
            return
        try:
            obtained = await token.run(name, profile, pipeline, cloud_clock, clock_is_off=bool(clocks.findings))
            yield obtained.step
            found = await self._read_ram(profile, loaded, pipeline, cloud_clock)
            # The order of repair: STS looks up the provider before it reads the role's trust policy.
            yield account.run(name, profile, found)
            yield provider.run(name, profile, found, obtained.claims, cloud_clock.now())
            trusted = trust.run(name, profile, target.trust_policy, found, obtained.claims)
            yield trusted
            if obtained.token is None or not reached.exchange:
                why = "needs a token" if obtained.token is None else "no endpoint of the exchange can be reached"
                yield skipped(exchange.NAME, why, name)
                return
            exchanged = await exchange.run(
                name,
                obtained.token,
                pipeline,
                self._verified,
                ram_was_read=found is not None,
                not_examined=trusted.facts.get(trust.NOT_EXAMINED, ()),
            )
            yield exchanged.step
            if exchanged.credentials is not None:
                yield session.run(name, profile, exchanged.credentials)
        finally:
            await pipeline.aclose()

    async def _read_ram(
        self, profile: Profile, loaded: Loaded, pipeline: Pipeline, cloud_clock: CloudClock
    ) -> Reading | None:
        """Return RAM's data about the profile; None if RAM is not to be read, or if IDaaS manages the role."""
        target = self._target
        if target.ram is None or not isinstance(profile.exchange, StsExchange):
            return None
        transport = target.transport or real_transport(loaded.settings, target.environ, Disk())
        connections = Connections(transport, now=target.clocks.wall, observe=self._observe)
        try:
            keys = await self._ram_keys(target.ram, loaded, pipeline)
            http = connections.to(profile.exchange.connection, "--read-ram")
            reader = RamReader(http, target.ram, keys, cloud_clock.now, lambda: str(uuid.uuid4()))
            ca_file = loaded.settings.tls.ca_file
            return await reading.read(reader, profile.exchange, lambda url: target.presented(url, ca_file))
        except SidecarError as error:
            return reading.unread(error, target.ram.endpoint)
        finally:
            await connections.aclose()

    async def _ram_keys(self, access: ram.RamAccess, loaded: Loaded, pipeline: Pipeline) -> KeyPair:
        if access.profile is None:
            return ram.keys_of(access.variables, self._target.environ)
        if access.profile not in loaded.settings.profiles:
            raise ConfigError(f"--ram-profile: the profile {access.profile!r} has mistakes", error_code="IDS-120")
        found = await pipeline.fetch(access.profile)
        return KeyPair(found.access_key_id, found.access_key_secret, found.security_token)


@dataclass(slots=True)
class _Reached:
    """Whether the servers of the identity, and one of the exchange, can be reached."""

    identity: bool = True
    exchange: bool = True
