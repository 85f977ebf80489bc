"""The running sidecar: the composition root, which builds the parts from the settings, starts them and stops them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from . import __version__
from .config.loader import Loaded
from .config.settings import Settings
from .core.clocks import Clocks, CloudClock, watch_jumps
from .core.events import Event, Refreshed
from .core.formats import timestamp
from .core.schedule import servable
from .dispatchers import CredentialDispatchers, guard
from .listeners import Listeners, OpsAndAdmin, bind
from .observe import log_events
from .observe.event_log import EventLog
from .observe.log import Log
from .orders import Orders
from .refresh.fetch_slots import FetchSlots
from .refresh.profiles import Profiles
from .refresh.token_cache import TokenCache
from .reload import Load, Reloader
from .report import Observed, Report, describe, host_name
from .serve.audit import Audit
from .serve.handlers.admin import AdminHandler
from .serve.handlers.gate import Gate, missing
from .serve.handlers.ops import OpsHandler
from .serve.handlers.shared_pages import SharedPages
from .store.stores import Stores
from .system.child_reaper import ChildReaper
from .system.disk import Disk
from .system.runtime_dir import KeptKey
from .system.sockets import address_of
from .system.survey import Survey
from .upstream.connections.resolver import Resolver

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .refresh.connections import Transport
    from .refresh.pipeline import Pipeline
    from .serve.request import Request
    from .serve.responses import Response


class Service:
    """
    One sidecar in one event loop.

    `start` returns when every listener answers; credentials follow in the background. `stop` is graceful. The
    constructor binds the addresses unless `sockets` has what `bind` returned before. It raises ConfigError, or
    NotThereYet, if an address cannot be bound. `load` and `survey` read the configuration for `reload`; without `load`,
    changes of files have no effect. If `listen` is false, no address is bound, for an ASGI server that runs the
    application.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        log: Log,
        *,
        clocks: Clocks | None = None,
        load: Load | None = None,
        survey: Survey | None = None,
        transport: Transport | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        path_token: str | None = None,
        children: ChildReaper | None = None,
        listen: bool = True,
        sockets: Mapping[str, socket.socket] | None = None,
    ) -> None:
        settings = loaded.settings
        clocks = self._clocks = clocks or Clocks(time.time, time.monotonic)
        self._log = log
        self._children = children or ChildReaper()
        self._events = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._application: FastAPI | None = None
        observed = self._observed = Observed.by(clocks)
        survey = survey or Survey()
        disk = Disk(directory=survey.directory)
        make_pipeline = _pipeline_maker(environ, clocks, self._observe, transport, self._children, disk)
        self._profiles = Profiles(
            settings, make_pipeline, clocks=clocks, observe=self._observe, replaced=self._replaced
        )
        self.refreshers = self._profiles.refreshers
        self._stores = Stores(settings, environ, self._profiles.profile, self._observe)
        describe_profile = lambda name: describe(self._profiles.profile(name))  # noqa: E731 - one line beside its uses
        self._close_traces, traces = _traces(settings, environ, clocks)
        self._observers = (
            observed.refreshes.observe,
            observed.attempts.observe,
            EventLog(log, describe_profile).observe,
            self._stores.observe,
            *traces,
        )
        if sockets is None:
            sockets = bind(settings.server, settings.access.hop_limit) if listen else {}
        self._credentials = CredentialDispatchers(
            settings,
            environ,
            self._profiles,
            audit=Audit(log, describe_profile, _later, observed.callers),
            counters=observed.requests,
            clocks=clocks,
            session_key=entropy(32),
            report_lost_key=lambda why: log.write(log_events.SESSION_KEY_LOST, error=why),
            given_path_token=path_token,
            port=address_of(sockets["credentials"])[1] if listen else 0,
        )
        self._reloader = Reloader(
            loaded,
            load,
            environ,
            log,
            self._profiles,
            path_token=self._credentials.path_token,
            session_key=self._credentials.session_key,
            adopt=self._adopt,
            disk=disk,
            survey=survey,
        )
        self._report = Report(
            self._profiles,
            self._reloader,
            observed,
            clocks=clocks,
            host=host_name(environ, socket.gethostname()),
            listeners=self.urls,
        )
        self._orders = Orders(self._profiles, self._stores.all, self._report, log)
        self._ops, self._admin = self._ops_handler(settings), self._admin_handler()
        ops_and_admin = OpsAndAdmin(SharedPages(self._ops, self._page), self._admin)
        self._listeners = Listeners(sockets, settings, self._credentials, ops_and_admin) if listen else None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen, then start to refresh."""
        if self._listeners is not None:
            await self._listeners.start()
        loaded = self._reloader.loaded
        self._log.write(log_events.LISTENING, version=__version__, config=loaded.origin, **self.urls())
        for warning in loaded.warnings:
            self._log.write(log_events.CONFIGURATION, warning, error_code=warning.error_code)
        self._tasks = {
            "start": asyncio.create_task(self._begin()),
            "clock": asyncio.create_task(watch_jumps(self._clocks, self._clock_jumped)),
        }
        if os.getpid() == 1:
            self._tasks["children"] = asyncio.create_task(self._children.reap_orphans())

    async def _begin(self) -> None:
        """Serve the cached sessions, start to refresh, and watch files."""
        async with self._reloader.busy:  # no other configuration is adopted in between
            await self._restore()
        self._profiles.start()
        await self._reloader.start()
        await self._freeze_garbage()

    async def _restore(self) -> None:
        # ack-ram-tool and LoongCollector keep a metadata session token for most of an hour, also while this process
        # restarts.
        kept, sessions = await self._stores.restore([item.profile for item in self.refreshers])
        if kept is not None:
            self._credentials.replace_session_key(kept)
        for name, credentials in sessions.items():
            if not servable(credentials, self._clocks.wall()):
                continue  # the session expired during the restart
            if not self._profiles.refresher(name).restore(credentials):
                continue  # the session was purged meanwhile
            self._log.write(
                log_events.CREDENTIALS_RESTORED,
                profile=name,
                **describe(self._profiles.profile(name)),
                access_key_id=credentials.access_key_id,
                expires_at=timestamp(credentials.expires_at),
            )
        self._events.set()

    async def _freeze_garbage(self) -> None:
        """Exclude the lasting objects from garbage collection: a full collection stops the event loop for 33 ms."""
        for item in self.refreshers:
            await item.settled()
        gc.collect()
        gc.freeze()

    def stopping(self) -> None:
        """Report from now on that the sidecar is about to stop."""
        self._report.announce_stop()

    async def stop(self) -> None:
        """Stop refreshing, let responses under way finish, and close the stores and traces."""
        if self._listeners is not None:
            await self._listeners.stop()
        await self._reloader.stop()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._profiles.stop()
        for store in self._stores.all():
            await store.aclose()
        if self._close_traces is not None:
            await asyncio.to_thread(self._close_traces)

    async def ready(self) -> None:
        """Wait until every required profile has usable credentials."""
        while missing(self.refreshers):
            self._events.clear()
            await self._events.wait()

    # --- changes ------------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration again, and check all watched files (SIGHUP)."""
        self._reloader.reload()

    def _adopt(self, loaded: Loaded, path_token: str | None, session_key: KeptKey) -> None:
        """Use another configuration from now on. Does not wait."""
        self._profiles.change(loaded.settings)
        self._observed.attempts.forget_others(loaded.settings.profiles)
        for store in self._stores.all():
            store.tidy(tuple(loaded.settings.profiles))
        self._stores.use(loaded.settings)
        self._credentials.apply(loaded.settings, path_token, session_key)
        self._log.set_level(loaded.settings.logging.level)

    def _replaced(self, name: str) -> None:
        """Serve a profile from its new refresher, which has passed the trial."""
        self._credentials.replace(name, self.settings.profiles[name])

    def _clock_jumped(self, seconds: float) -> None:
        self._log.write(log_events.CLOCK_JUMPED, seconds=round(seconds))
        self._profiles.clock_jumped()

    def _observe(self, event: Event) -> None:
        for observe in self._observers:
            observe(event)
        if isinstance(event, Refreshed):
            self._events.set()

    # --- what is known ------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The configuration in use."""
        return self._reloader.loaded.settings

    def usable(self) -> bool:
        """Return whether every required profile has usable credentials now."""
        return not missing(self.refreshers)

    def urls(self) -> dict[str, str]:
        """Return the base URL of each listener, and the path of the admin socket."""
        return self._listeners.urls() if self._listeners is not None else {}

    def dead_loops(self) -> list[str]:
        """Return the loops that have ended. The end of a loop is a bug."""
        start = self._tasks.get("start")
        ended = [name for name, task in self._tasks.items() if name != "start" and task.done()]
        failed = start is not None and start.done() and not start.cancelled() and start.exception() is not None
        return self._profiles.dead() + ended + (["start"] if failed else [])

    # --- handlers and the application ---------------------------------------------------------------------------------

    def _ops_handler(self, settings: Settings) -> OpsHandler:
        gate = Gate(
            settings.startup.gate,
            timeout=settings.startup.timeout_seconds,
            started_at=self._clocks.monotonic(),
            sources=self.refreshers,
            now=self._clocks.monotonic,
        )
        return OpsHandler(
            self.refreshers,
            gate=gate,
            dead_loops=self.dead_loops,
            scrape=self._report.metrics_response,
            status=self._report.status_response,
            status_page=self._report.page_response,
            page_guard=lambda: guard(self.settings, refuse_browsers=False),  # people open pages with a browser
        )

    def _admin_handler(self) -> AdminHandler:
        return AdminHandler(
            lambda: [item.profile for item in self.refreshers],
            uid=os.geteuid(),
            renew=self._orders.renew,
            set_level=self._orders.set_level,
            give_credentials=self._orders.give_credentials,
            status=self._report.status_response,
        )

    def application(self, **options: object) -> FastAPI:
        """Return the FastAPI application over this service's handlers. Imports FastAPI: 16 MiB."""
        from .serve.application import Handlers, create_app

        dispatchers = self._credentials.dispatchers
        handlers = Handlers(
            credentials=dispatchers["credentials"],
            metadata=dispatchers["metadata"],
            ops=self._ops,
            admin=self._admin,
        )
        return create_app(handlers, version=__version__, **options)

    async def _page(self, request: Request) -> Response:
        """Return the application's response to a request. Imports the application at the first request."""
        if self._application is None:
            self._application = await asyncio.to_thread(self.application)
        from .serve.asgi import respond

        return await respond(self._application, request, "ops")


def _later(delay: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(delay, call)


def _traces(
    settings: Settings, environ: Mapping[str, str], clocks: Clocks
) -> tuple[Callable[[], None] | None, tuple[Callable[[Event], None], ...]]:
    """
    Return a function that closes the traces, and their observers; None and () without an endpoint.

    Raises ConfigError.
    """
    endpoint = settings.telemetry.traces_endpoint
    if endpoint is None:
        return None, ()
    from .observe.traces import exported  # large packages, imported only if traces are configured

    instance = host_name(environ, socket.gethostname())
    traces, close = exported(endpoint, version=__version__, instance=instance, now=clocks.wall)
    return close, (traces.observe,)


def _pipeline_maker(
    environ: Mapping[str, str],
    clocks: Clocks,
    observe: Callable[[Event], None],
    transport: Transport | None,
    children: ChildReaper,
    disk: Disk,
) -> Callable[[Settings], Pipeline]:
    """Return a maker of pipelines, one per configuration. All pipelines share clock, tokens, look-ups and slots."""
    cloud_clock = CloudClock(clocks)
    tokens = TokenCache(now=cloud_clock.now)
    resolver, slots = Resolver(), FetchSlots()

    def make(settings: Settings) -> Pipeline:
        from .refresh.pipeline import Pipeline  # httpx takes long to import: in a thread, after the start

        return Pipeline(
            settings,
            environ,
            clocks=clocks,
            observe=observe,
            cloud_clock=cloud_clock,
            tokens=tokens,
            transport=transport,
            resolver=resolver,
            slots=slots,
            children=children,
            disk=disk,
        )

    return make
