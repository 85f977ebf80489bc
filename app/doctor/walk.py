"""The walk: the steps in the order of a credential's path. A broken step skips those that need its result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ..config.loader import Loaded
from ..core.clocks import CloudClock
from ..core.errors import ConfigError, SidecarError
from ..core.events import ClockRead, Event, TokenVerified
from ..refresh.connections import Connections, real_transport
from ..refresh.pipeline import Pipeline
from ..system.disk import Disk
from .finding import Step, failed, skipped
from .steps import caller, client_environment, clock, configuration, endpoints, exchange, session, sidecar, token, trust
from .steps.configuration import Configuration
from .target import Target


class Walk:
    """One run over a target."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._offsets: dict[str, float] = {}
        self._verified: dict[str, Mapping[str, str]] = {}

    async def steps(self) -> AsyncIterator[Step]:
        """Yield each step's result as soon as it is known. Raises ConfigError for a profile that does not exist."""
        found = configuration.run(self._target)
        names = self._profiles(found)
        yield found.step
        yield client_environment.run(self._target, found.loaded)
        if found.loaded is None:
            for name in (endpoints.NAME, clock.NAME, token.NAME, exchange.NAME, sidecar.NAME):
                yield skipped(name, "needs a configuration that can be used")
            return
        for name in names:
            async for step in self._profile(name, found, found.loaded):
                yield step
        yield clock.run(self._offsets)
        yield await sidecar.run(self._target, found.loaded)

    def _profiles(self, found: Configuration) -> list[str]:
        known = list(found.loaded.settings.profiles) if found.loaded is not None else []
        wanted = self._target.profile
        if wanted is None or found.loaded is None:
            return known
        if wanted not in known:
            raise ConfigError(
                f"--profile: there is no profile {wanted!r}; there is {', '.join(known)}", error_code="IDS-120"
            )
        return [wanted]

    def _observe(self, event: Event) -> None:
        if isinstance(event, ClockRead):
            self._offsets[event.server] = event.offset
        elif isinstance(event, TokenVerified):
            self._verified[event.profile] = event.info

    # --- one profile --------------------------------------------------------------------------------------------------

    async def _profile(self, name: str, found: Configuration, loaded: Loaded) -> AsyncIterator[Step]:
        reached = _Reached()
        async for step in self._endpoints(name, loaded, reached):
            yield step
        if not found.usable(name):
            yield skipped(token.NAME, "the configuration is broken", name)
            yield skipped(exchange.NAME, "needs a token", name)
        elif not reached.identity:
            yield skipped(token.NAME, "the token endpoint is broken", name)
            yield skipped(exchange.NAME, "needs a token", name)
        else:
            async for step in self._credentials(name, loaded, reached):
                yield step
        yield caller.run(name, loaded.settings, self._target.caller_with_url(), self._target.environ)

    async def _endpoints(self, name: str, loaded: Loaded, reached: _Reached) -> AsyncIterator[Step]:
        """Examine each server; note in `reached` whether those of the token and of the exchange can be reached."""
        target = self._target
        transport = target.transport or real_transport(loaded.settings, target.environ, Disk())
        connections = Connections(transport, now=target.clocks.wall, observe=self._observe)
        exchanges = []
        try:
            for endpoint in endpoints.of_profile(loaded.settings.profiles[name], f"profiles.{name}"):
                step = await endpoints.run(endpoint, connections, name)
                if endpoint.use == "token" and step.state == "broken":
                    reached.identity = False
                if endpoint.use == "exchange":
                    exchanges.append(step.state != "broken")
                yield step
        finally:
            await connections.aclose()
        reached.exchange = any(exchanges)

    async def _credentials(self, name: str, loaded: Loaded, reached: _Reached) -> AsyncIterator[Step]:
        target = self._target
        profile = loaded.settings.profiles[name]
        try:
            pipeline = Pipeline(
                loaded.settings,
                target.environ,
                clocks=target.clocks,
                observe=self._observe,
                cloud_clock=CloudClock(target.clocks),
                transport=target.transport,
            )
        except SidecarError as error:
            yield Step(token.NAME, "no token", name, [failed(error)])
            return
        try:
            obtained = await token.run(name, profile, pipeline, target.clocks.wall())
            yield obtained.step
            yield trust.run(name, profile, target.trust_policy, obtained.claims)
            if obtained.token is None or not reached.exchange:
                why = "needs a token" if obtained.token is None else "no endpoint of the exchange can be reached"
                yield skipped(exchange.NAME, why, name)
                return
            exchanged = await exchange.run(name, obtained.token, pipeline, self._verified)
            yield exchanged.step
            if exchanged.credentials is not None:
                yield session.run(name, exchanged.credentials)
        finally:
            await pipeline.aclose()


@dataclass(slots=True)
class _Reached:
    """Whether the servers of the identity, and one of the exchange, can be reached."""

    identity: bool = True
    exchange: bool = True
