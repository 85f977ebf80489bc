"""The running sidecar: settings in, listeners and refreshers up, and down again. Here the parts meet."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import __version__
from .config import secret_refs
from .config.loader import Loaded
from .config.settings import Profile, Settings
from .core.clocks import Clocks, CloudClock, watch
from .core.formats import timestamp
from .core.model import Event, Refreshed, Status
from .core.schedule import servable
from .exchange.settings import DeveloperApiExchange
from .identity import validate
from .listeners import Inbound, Others, guard
from .observe.counters import Ledger, Traffic
from .observe.log import Log
from .refresh.profiles import Profiles
from .refresh.token_cache import SharedTokens
from .reload import Load, Reloading
from .serve.audit import Audit
from .serve.handlers.admin import Admin
from .serve.handlers.ops import Gate, Ops, missing
from .store.credential_files import CredentialFiles
from .store.sealed_cache import Cache
from .store.session_store import LastGood
from .system.child_reaper import Children

if TYPE_CHECKING:
    from .refresh.connections import Transport
    from .refresh.pipeline import Cloud


class Service:
    """
    One sidecar in one event loop.

    `start` returns when every listener answers; credentials follow in the background. `stop` is graceful. Raises
    ConfigError from the constructor where an address cannot be had.

    `load` reads the configuration anew; without it `hang_up` and files that change are nobody's business.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        log: Log,
        *,
        clocks: Clocks | None = None,
        load: Load | None = None,
        transport: Transport | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        path_token: str | None = None,
        children: Children | None = None,
    ) -> None:
        settings = loaded.settings
        self._clocks = clocks or Clocks(time.time, time.monotonic)
        self._environ = environ
        self._log = log
        self._transport = transport
        self._children = children or Children()
        self._traffic = Traffic(self._clocks.wall)
        self._ledger = Ledger(self._clocks.wall)
        self._cloud_clock = CloudClock(self._clocks)
        self._tokens = SharedTokens(now=self._cloud_clock.now)
        self._news = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pages: Callable[[Callable[[], None]], asyncio.Protocol] | None = None
        self._profiles = Profiles(
            settings, self._make_cloud, clocks=self._clocks, observe=self._observe, replaced=self._replaced
        )
        self.refreshers = self._profiles.refreshers
        self._cache = self._cache_of(settings)
        self._last_good = LastGood(self._cache, self._profiles.profile, self._observe) if self._cache else None
        self._files: LastGood | None = None
        log.describe = lambda name: describe(self._profiles.profile(name))
        self._inbound = Inbound(
            settings,
            environ,
            self._profiles,
            others=self._others(settings),
            audit=Audit(log, lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call)),
            traffic=self._traffic,
            clocks=self._clocks,
            session_key=entropy(32),
            path_token=path_token,
        )
        self._path_token = self._inbound.path_token(settings.access)
        self._reloading = Reloading(
            loaded, load, environ, log, self._profiles, path_token=self._inbound.path_token, adopt=self._adopt
        )

    # --- built once ---------------------------------------------------------------------------------------------------

    def _make_cloud(self, settings: Settings) -> Cloud:
        from .refresh.pipeline import Cloud  # httpx is 60 ms and 4 MiB: in a thread, after the listeners are up

        return Cloud(
            settings,
            self._environ,
            clocks=self._clocks,
            observe=self._observe,
            cloud_clock=self._cloud_clock,
            tokens=self._tokens,
            transport=self._transport,
            children=self._children,
        )

    def _cache_of(self, settings: Settings) -> Cache | None:
        if settings.cache.directory is None:
            return None
        return Cache(settings.cache.directory, secret_refs.cache_key(settings.cache, self._environ))

    def _others(self, settings: Settings) -> Others:
        gate = Gate(
            settings.startup.gate,
            timeout=settings.startup.timeout_seconds,
            started_at=self._clocks.monotonic(),
            refreshers=self.refreshers,
            now=self._clocks.monotonic,
        )
        ops = Ops(
            self.refreshers,
            gate=gate,
            dead_loops=self.dead_loops,
            scrape=self._scrape,
            page_guard=lambda: guard(self.settings.access, refuse_browsers=False),  # people look at them with one
        )
        admin = Admin(
            lambda: [item.profile for item in self.refreshers],
            uid=os.geteuid(),
            renew=self.renew,
            set_level=self._set_level,
        )
        return Others(ops.lane, admin.lane, self._page)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens, then begins to refresh."""
        await self._inbound.start()
        loaded = self._reloading.loaded
        self._log.write("info", "listening", version=__version__, config=loaded.origin, **self.urls())
        for warning in loaded.warnings:
            self._log.write("warning", "configuration", message=warning)
        self._tasks = {
            "start": asyncio.create_task(self._begin()),
            "clock": asyncio.create_task(watch(self._clocks, self._clock_jumped)),
        }
        if os.getpid() == 1:
            self._tasks["children"] = asyncio.create_task(self._children.bury())

    async def _begin(self) -> None:
        """Serves what is kept of before a restart, refreshes, and listens for files that change."""
        if self._last_good is not None:
            async with self._renewing, self._reloading.busy:  # no order, and no other configuration, in between
                await self._restore(self._last_good)
        self._profiles.start()
        self._reloading.start()
        await self._freeze_garbage()

    async def _restore(self, last_good: LastGood) -> None:
        # ack-ram-tool and LoongCollector keep a metadata session token for most of an hour, whoever answers then.
        key = await last_good.ask(self._cache.instance) if self._cache is not None else None
        if key is not None:
            self._inbound.sessions.rekey(key)
        for name, credentials in (await last_good.restore([item.profile for item in self.refreshers])).items():
            if not servable(credentials, self._clocks.wall()):
                continue  # it has ended while we were away
            self._profiles.refresher(name).restore(credentials)
            self._log.write(
                "info",
                "credentials_restored",
                profile=name,
                **self._log.describe(name),
                access_key_id=credentials.access_key_id,
                expires_at=timestamp(credentials.expires_at),
            )
        self._news.set()

    async def _freeze_garbage(self) -> None:
        """A full collection stops the loop for 33 ms with everything imported: what is here to stay is taken out."""
        for item in self.refreshers:
            await item.settled()
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Ends refreshing, lets answers under way finish, closes what is open."""
        await self._inbound.stop()
        await self._reloading.stop()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._profiles.stop()
        for disk in self._disks():
            await disk.aclose()

    async def ready(self) -> None:
        """Returns when every required profile is usable."""
        while missing(self.refreshers):
            self._news.clear()
            await self._news.wait()

    def usable(self) -> bool:
        """Whether every required profile is usable now."""
        return not missing(self.refreshers)

    # --- orders and news ----------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """SIGHUP: reads the configuration again, and looks for files that changed."""
        self._reloading.hang_up()

    async def renew(self, name: str, purge: bool) -> dict[str, Any]:
        """Proves the profile's identity anew now, with what is held dropped first if `purge`; its status afterwards."""
        async with self._renewing:
            if name not in self._profiles:
                return _gone(name)
            if purge:
                self._profiles.refresher(name).purge()
                for disk in self._disks():
                    await disk.forget(name)
            self._log.write("warning" if purge else "info", "purged" if purge else "refresh_asked_for", profile=name)
            await self._profiles.renew(name)
            return self._status(self._profiles.refresher(name).status) if name in self._profiles else _gone(name)

    def _adopt(self, loaded: Loaded, path_token: str | None) -> None:
        """Another configuration holds from now on. Waits for nobody."""
        self._path_token = path_token
        self._profiles.change(loaded.settings)
        for disk in self._disks():
            disk.tidy(tuple(loaded.settings.profiles))
        self._inbound.arrange(loaded.settings, path_token)
        self._log.set_level(loaded.settings.logging.level)

    def _replaced(self) -> None:
        """What was on trial serves a profile now."""
        self._inbound.arrange(self.settings, self._path_token)

    def _clock_jumped(self, seconds: float) -> None:
        self._log.write("warning", "clock_jumped", seconds=round(seconds))
        self._profiles.clock_jumped()

    def _observe(self, event: Event) -> None:
        self._ledger.observe(event)
        self._log.observe(event)
        for disk in self._disks():
            disk.observe(event)
        if isinstance(event, Refreshed):
            self._news.set()

    def _disks(self) -> list[LastGood]:
        """Where sessions are kept."""
        if self._files is None and any(profile.files for profile in self.settings.profiles.values()):
            self._files = LastGood(CredentialFiles(), self._profiles.profile, self._observe, where="files")
        return [disk for disk in (self._last_good, self._files) if disk is not None]

    def _set_level(self, level: str) -> None:
        self._log.set_level(level)
        self._log.write("warning", "log_level_changed", now=level, message="until the next reload or start")

    # --- what is asked of it ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """What is configured now."""
        return self._reloading.loaded.settings

    def urls(self) -> dict[str, str]:
        """Each listener's base URL; of the admin socket, its path."""
        return self._inbound.urls()

    def dead_loops(self) -> list[str]:
        """The loops that have ended, which is a bug."""
        start = self._tasks.get("start")
        ended = [name for name, task in self._tasks.items() if name != "start" and task.done()]
        failed = start is not None and start.done() and not start.cancelled() and start.exception() is not None
        return self._profiles.dead() + ended + (["start"] if failed else [])

    def status(self) -> dict[str, Any]:
        """The present state as JSON members; times as text."""
        reading = self._reloading.reading
        return {
            "version": __version__,
            "config": self._reloading.loaded.origin,
            "config_read_at": timestamp(reading.at),
            "config_error": reading.error,
            "restart_needed": list(reading.waits),
            "ready": self.usable(),
            "profiles": [self._status(item.status) for item in self.refreshers],
        }

    def _status(self, status: Status) -> dict[str, Any]:
        trial = self._profiles.trial(status.profile)
        return {
            "profile": status.profile,
            **describe(self._profiles.profile(status.profile)),
            "required": status.required,
            "state": status.state,
            "expires_at": _text(status.expires_at),
            "next_refresh_at": _text(status.next_refresh_at),
            "failures": status.failures,
            "last_error": status.last_error,
            "permanent": status.last_error_permanent,
            "on_trial": (trial.status.last_error or "no answer from the cloud yet") if trial is not None else None,
        }

    def _scrape(self) -> tuple[bytes, bytes]:
        from .serve import metrics

        profiles, reading = self.settings.profiles, self._reloading.reading
        serving = {name: self._profiles.profile(name) for name in profiles if name in self._profiles}
        collector = metrics.SidecarCollector(
            self.refreshers,
            self._traffic,
            self._ledger,
            version=__version__,
            loaded_at=reading.at,
            reloaded=reading.error is None,
            on_trial=[name for name in profiles if self._profiles.trial(name)],
            unverified_tls=sorted(
                {*unverified(profiles), *unverified(serving)}
            ),  # one may be on trial beside the other
        )
        return metrics.exposition(collector), metrics.CONTENT_TYPE

    async def _page(self, left: Callable[[], None]) -> asyncio.Protocol:
        if self._pages is None:
            self._pages = await asyncio.to_thread(self._load_pages)
        return self._pages(left)

    def _load_pages(self) -> Callable[[Callable[[], None]], asyncio.Protocol]:
        from .serve.application import create_api
        from .serve.asgi import page_maker

        return page_maker(create_api(self.status))


def _gone(name: str) -> dict[str, Any]:
    """The status of a profile that was configured when the order came, and is no more."""
    return {"profile": name, "last_error": "it is configured no more", "permanent": True, "expires_at": None}


def describe(profile: Profile) -> dict[str, str]:
    """What an audit needs to know of a profile beside its name: the role that clients get is the chain's last."""
    last = profile.chain[-1] if profile.chain else profile.exchange
    # The DeveloperAPI names its sessions itself.
    session = "" if isinstance(last, DeveloperApiExchange) else str(last.role_session_name)
    kind = type(profile.identity).__struct_config__.tag
    return {"identity": str(kind), "role": last.role_arn, "session": session}


def unverified(profiles: Mapping[str, Profile]) -> list[str]:
    """The profiles whose token endpoint's certificate is not verified."""
    return [
        name
        for name, profile in profiles.items()
        for identity, _ in validate.parts(profile.identity, "")
        if (http := validate.http_of(identity)) is not None and http.unsafe_ignore_ssl_cert
    ]


def _text(instant: float | None) -> str | None:
    return timestamp(instant) if instant is not None else None
