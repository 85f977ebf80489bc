"""The running sidecar: settings in, listeners and refreshers up, and down again. Everything is built here.

What a changed configuration touches is built again (`reload`); sockets, counters and sessions stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import __version__, check_identity, peers, readers, runtime
from .admin import Admin
from .audit import Audit
from .cache import Cache
from .children import Children
from .clocks import Clocks, CloudClock, watch
from .config import Loaded
from .credential_files import CredentialFiles
from .desk import Desk, Vendor
from .documents import timestamp
from .effective import Difference, differences
from .exchange_settings import DeveloperApiExchange
from .front import Front
from .guard import AllOf, Callers, Guard
from .last_good import LastGood
from .listener import Listener
from .logs import Log
from .metadata import MetadataValues, SessionTokens
from .model import ConfigError, Event, Refreshed, SidecarError, Status
from .named_files import named_files
from .ops import Gate, Ops, missing
from .peers import Peers
from .places import authority
from .processes import Processes
from .profiles import Profiles, same
from .rate import Rate
from .schedule import servable
from .settings import Access, PathToken, Profile, Settings
from .shared_tokens import SharedTokens
from .sockets import address_of, bound, bound_unix
from .telemetry import Ledger, Traffic
from .visitor import Caller, Visitor
from .watch import Watch

if TYPE_CHECKING:
    from .cloud import Cloud
    from .wires import Transport

OTHER_FILES = 48
"""Descriptors kept for what is no client's connection: the cloud, files, the loop itself."""

AT_START = ("server.", "cache.", "startup.", "access.hopLimit", "access.maxConnections", "logging.format")
"""Beginnings of keys that a running process cannot change; they take effect at its next start."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the last reading of the configuration went. `at`: when the one that holds was read; `waits`: keys that do."""

    at: float
    error: str | None = None
    waits: tuple[str, ...] = ()


class Service:
    """
    One sidecar in one event loop.

    `start` returns when every listener answers; credentials follow in the background. `stop` is graceful. Raises
    ConfigError from the constructor where an address cannot be had.

    `load` reads the configuration anew; without it `reload` and files that change are nobody's business.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        log: Log,
        *,
        clocks: Clocks | None = None,
        load: Callable[[], Loaded] | None = None,
        transport: Transport | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        path_token: str | None = None,
        children: Children | None = None,
    ) -> None:
        settings = loaded.settings
        self._clocks = clocks or Clocks(time.time, time.monotonic)
        self._loaded = loaded
        self._at_start = settings
        self._load = load
        self._environ = environ
        self._log = log
        self._transport = transport
        self._given_token = path_token
        self._children = children or Children()
        self._peers = Peers()
        self._processes = Processes()
        self._audit = Audit(log, lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._traffic = Traffic(self._clocks.wall)
        self._ledger = Ledger(self._clocks.wall)
        self._cloud_clock = CloudClock(self._clocks)
        self._tokens = SharedTokens(now=self._cloud_clock.now)
        self._news = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._reading = Reading(loaded.at)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._errands: set[asyncio.Task[Any]] = set()
        self._pages: Callable[[Callable[[], None]], asyncio.Protocol] | None = None
        self._profiles = Profiles(
            settings, self._make_cloud, clocks=self._clocks, observe=self._observe, replaced=self._arrange
        )
        self.refreshers = self._profiles.refreshers
        self._cache = self._cache_of(settings)
        self._last_good = LastGood(self._cache, self._profiles.profile, self._observe) if self._cache else None
        self._files: LastGood | None = None
        self._watch = Watch(self._files_changed)
        self._gate = Gate(
            settings.startup.gate,
            timeout=settings.startup.timeout_seconds,
            started_at=self._clocks.monotonic(),
            refreshers=self.refreshers,
            now=self._clocks.monotonic,
        )
        log.describe = lambda name: describe(self._profiles.profile(name))
        self._sockets = self._bound()
        # By a clock that nobody sets: a client's token is not void because the machine's time was put right.
        self._sessions = SessionTokens(entropy(32), self._clocks.monotonic)
        self._vendors: dict[str, Vendor] = {}
        self._rates: dict[str, tuple[float, Rate]] = {}
        self._fronts: dict[str, Front] = {}
        self._path_token = self._token(settings.access)
        self._arrange()
        self._listeners = self._listen()

    # --- built once ---------------------------------------------------------------------------------------------------

    def _make_cloud(self, settings: Settings) -> Cloud:
        from .cloud import Cloud  # httpx is 60 ms and 4 MiB: in a thread, after the listeners are up

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
        return Cache(settings.cache.directory, readers.cache_key(settings.cache, self._environ))

    def _bound(self) -> dict[str, socket.socket]:
        settings = self._loaded.settings
        server, hop_limit = settings.server, settings.access.hop_limit
        sockets = {"credentials": bound(server.bind, "server.bind", hop_limit=hop_limit)}
        try:
            if server.metadata is not None:
                sockets["metadata"] = bound(server.metadata, "server.metadata", hop_limit=hop_limit)
            if server.ops is not None:
                sockets["ops"] = bound(server.ops, "server.ops")
            if server.admin_socket is not None:
                sockets["admin"] = bound_unix(server.admin_socket, "server.adminSocket")
        except SidecarError:
            for sock in sockets.values():
                sock.close()
            raise
        return sockets

    def _listen(self) -> dict[str, Listener]:
        most = min(self._loaded.settings.access.max_connections, allow_many_connections() // len(self._sockets))
        lanes = {"ops": self._ops().lane, "admin": self._admin().lane} | {
            name: front.lane for name, front in self._fronts.items()
        }
        return {
            name: Listener(
                sock,
                lanes[name],
                self._page if name == "ops" else None,
                visitors=self._unix_visitor if name == "admin" else self._visitor,
                max_connections=most,
            )
            for name, sock in self._sockets.items()
        }

    # --- what a reload builds again -----------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Puts the desks behind the credentials and the metadata listener: the same, but for what is served there."""
        access = self._loaded.settings.access
        guard = Guard(
            allowed_hosts=access.allowed_hosts,
            refuse_forwarded=access.forwarded == "refuse",
            refuse_browsers=access.browsers == "refuse",
        )
        configured = self._loaded.settings.metadata
        values = MetadataValues(configured.values, document=configured.identity_document)
        self._vendors = {item.profile: self._vendor(item.profile) for item in self.refreshers}
        for name in self._sockets.keys() & {"credentials", "metadata"}:
            desk = Desk(
                self._vendors,
                guard=guard,
                sessions=self._sessions,
                sessions_required=access.metadata_tokens == "required",
                path_token=self._path_token.encode() if self._path_token is not None else None,
                traffic=self._traffic,
                rate=self._rate(name, access.requests_per_second),
                values=values,
                metadata_only=name == "metadata",
            )
            if name in self._fronts:
                self._fronts[name].desk = desk
            else:
                self._fronts[name] = Front(name, desk, self._traffic, self._audit)

    def _vendor(self, name: str) -> Vendor:
        refresher, rule = self._profiles.refresher(name), self._callers(name)
        before = self._vendors.get(name)
        if before is not None and before.refresher is refresher and before.callers == rule:
            return before  # who had the session already is known to it
        return Vendor(refresher, self._clocks, rule)

    def _callers(self, name: str) -> Callers | AllOf | None:
        """
        Who may have what serves the profile now.

        While another role is on trial, the old one's session is served: to whom the new rule names it would be a role
        that was never meant for them, so they need both rules' word.
        """
        serves, configured = self._profiles.profile(name), self._loaded.settings.profiles[name]
        rule, before = callers(configured), callers(serves)
        if same(serves, configured) or before is None or before == rule:
            return rule
        return before if rule is None else AllOf((rule, before))

    def _rate(self, name: str, per_second: float | None) -> Rate | None:
        if per_second is None:
            return None
        if self._rates.get(name, (None, None))[0] != per_second:
            self._rates[name] = (per_second, Rate(per_second, self._clocks.monotonic))
        return self._rates[name][1]

    def _token(self, access: Access) -> str | None:
        """The path token: ours if we were given one, else the configured one, else a generated one, else none."""
        if self._given_token is not None or access.path_token is None:
            return self._given_token
        if isinstance(access.path_token, PathToken):
            return readers.path_token(access.path_token, self._environ)()
        uid = os.geteuid()
        _, port = address_of(self._sockets["credentials"])
        return runtime.generated_path_token(runtime.path_token_file(self._environ, uid, port), uid)

    def _ops(self) -> Ops:
        return Ops(self.refreshers, gate=self._gate, dead_loops=self.dead_loops, scrape=self._scrape)

    def _admin(self) -> Admin:
        return Admin(
            lambda: [item.profile for item in self.refreshers],
            uid=os.geteuid(),
            renew=self.renew,
            set_level=self._log.set_level,
        )

    def _visitor(self, transport: asyncio.Transport) -> Visitor:
        def identify() -> Caller | None:
            client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            return self._peers.caller(client[:2], server[:2]) if client and server else None

        return Visitor(identify, self._processes.behind)

    def _unix_visitor(self, transport: asyncio.Transport) -> Visitor:
        return Visitor(lambda: peers.of_unix(transport.get_extra_info("socket")), self._processes.behind)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens, then begins to refresh."""
        for item in self._listeners.values():
            await item.start()
        self._log.write("info", "listening", version=__version__, config=self._loaded.origin, **self.urls())
        for warning in self._loaded.warnings:
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
            async with self._renewing, self._reloading:  # no order, and no other configuration, in between
                await self._restore(self._last_good)
        self._profiles.start()
        if self._load is not None:
            why = self._watch.start()
            if why is not None:
                self._log.write("warning", "files_not_watched", message=f"{why}; SIGHUP has them read again")
            self._follow()
            self._log.write("debug" if why else "info", "watching", files=len(self._named.all()))
        await self._freeze_garbage()

    async def _restore(self, last_good: LastGood) -> None:
        # ack-ram-tool and LoongCollector keep a metadata session token for most of an hour, whoever answers then.
        key = await last_good.ask(self._cache.instance) if self._cache is not None else None
        if key is not None:
            self._sessions.rekey(key)
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

    def _disks(self) -> list[LastGood]:
        """Where sessions are kept."""
        if self._files is None and any(profile.files for profile in self._loaded.settings.profiles.values()):
            self._files = LastGood(CredentialFiles(), self._profiles.profile, self._observe)
        return [disk for disk in (self._last_good, self._files) if disk is not None]

    def _clock_jumped(self, seconds: float) -> None:
        self._log.write("warning", "clock_jumped", seconds=round(seconds))
        self._profiles.clock_jumped()

    async def _freeze_garbage(self) -> None:
        """A full collection stops the loop for 33 ms with everything imported: what is here to stay is taken out."""
        for item in self.refreshers:
            await item.settled()
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Ends refreshing, lets answers under way finish, closes what is open."""
        await asyncio.gather(*(listener.stop() for listener in self._listeners.values()))
        self._watch.stop()
        tasks = [*self._tasks.values(), *self._errands]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._profiles.stop()
        for disk in self._disks():
            await disk.aclose()
        self._peers.close()

    async def ready(self) -> None:
        """Returns when every required profile is usable."""
        while missing(self.refreshers):
            self._news.clear()
            await self._news.wait()

    def usable(self) -> bool:
        """Whether every required profile is usable now."""
        return not missing(self.refreshers)

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

    # --- what changes under us ----------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """SIGHUP: reads the configuration again, and looks for files that changed."""
        self._watch.look()
        self._send(self.reload())

    async def reload(self) -> None:
        """Reads the configuration again. One that cannot work changes nothing but what is said of it."""
        if self._load is None:
            return
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(self._load)
                token = await asyncio.to_thread(self._token, loaded.settings.access)
            except ConfigError as error:
                self._reading = Reading(self._reading.at, str(error), self._reading.waits)
                self._log.write("error", "config_reload_failed", error=str(error), message="the one before stays")
                return
            changes = list(differences(self._loaded.settings, loaded.settings))
            self._adopt(loaded, token)
            self._tell(changes)

    def _adopt(self, loaded: Loaded, token: str | None) -> None:
        # In one step: a request in between would be judged by a rule or a token that is no more.
        self._loaded, self._path_token = loaded, token
        self._profiles.change(loaded.settings)
        for disk in self._disks():
            disk.tidy(tuple(loaded.settings.profiles))
        self._arrange()
        self._log.set_level(loaded.settings.logging.level)
        self._follow()
        since_start = [key for key, _, _ in differences(self._at_start, loaded.settings)]
        waits = tuple(key for key in since_start if key.startswith(AT_START))
        self._reading = Reading(loaded.at, None, waits)

    def _tell(self, changes: list[Difference]) -> None:
        told = [{"key": key, "was": was, "is": now} for key, was, now in changes]
        self._log.write("info", "config_reloaded", config=self._loaded.origin, changes=told)
        for warning in self._loaded.warnings:
            self._log.write("warning", "configuration", message=warning)
        if self._reading.waits:
            self._log.write("warning", "restart_needed", keys=list(self._reading.waits))

    def _follow(self) -> None:
        """Follows the files that the configuration names now."""
        self._named = named_files(self._loaded.settings, self._loaded.files, self._environ)
        self._watch.follow(self._named.all())

    def _files_changed(self, names: frozenset[str]) -> None:
        self._log.write("info", "files_changed", files=sorted(names))
        if names & (self._named.configuration | self._named.path_token):
            self._send(self.reload())
        for name in {name for file in names for name in self._named.proofs.get(file, ())}:
            self._send(self._profiles.renew(name))
        for name in {name for file in names for name in self._named.read_later.get(file, ())}:
            self._profiles.try_again(name)

    def _send(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Has something done beside everything else; what is wrong with it is told by its type."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[Any]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.write("error", "internal_error", error=type(error).__name__)

    # --- what is asked of it ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """What is configured now."""
        return self._loaded.settings

    def urls(self) -> dict[str, str]:
        """Each listener's base URL; of the admin socket, its path."""
        found = {}
        for name, sock in self._sockets.items():
            if name == "admin":
                found[name] = str(self._at_start.server.admin_socket)
                continue
            host, port = address_of(sock)
            found[name] = f"http://{authority(host, port)}"
        return found

    def dead_loops(self) -> list[str]:
        """The loops that have ended, which is a bug."""
        start = self._tasks.get("start")
        ended = [name for name, task in self._tasks.items() if name != "start" and task.done()]
        failed = start is not None and start.done() and not start.cancelled() and start.exception() is not None
        return self._profiles.dead() + ended + (["start"] if failed else [])

    def status(self) -> dict[str, Any]:
        """The present state as JSON members; times as text."""
        return {
            "version": __version__,
            "config": self._loaded.origin,
            "config_read_at": timestamp(self._reading.at),
            "config_error": self._reading.error,
            "restart_needed": list(self._reading.waits),
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

    def _observe(self, event: Event) -> None:
        self._ledger.observe(event)
        self._log.observe(event)
        for disk in self._disks():
            disk.observe(event)
        if isinstance(event, Refreshed):
            self._news.set()

    def _scrape(self) -> tuple[bytes, bytes]:
        from . import metrics

        collector = metrics.SidecarCollector(
            self.refreshers,
            self._traffic,
            self._ledger,
            version=__version__,
            loaded_at=self._reading.at,
            reloaded=self._reading.error is None,
            on_trial=[name for name in self._loaded.settings.profiles if self._profiles.trial(name)],
            unverified_tls=unverified(self._loaded.settings.profiles),
        )
        return metrics.exposition(collector), metrics.CONTENT_TYPE

    async def _page(self, left: Callable[[], None]) -> asyncio.Protocol:
        if self._pages is None:
            self._pages = await asyncio.to_thread(self._load_pages)
        return self._pages(left)

    def _load_pages(self) -> Callable[[Callable[[], None]], asyncio.Protocol]:
        from .api import create_api
        from .pages import page_maker

        return page_maker(create_api(self.status))


def _gone(name: str) -> dict[str, Any]:
    """The status of a profile that was configured when the order came, and is no more."""
    return {"profile": name, "last_error": "it is configured no more", "permanent": True, "expires_at": None}


def callers(profile: Profile) -> Callers | None:
    """The profile's rule about callers, where it has one."""
    rule = profile.callers
    return Callers(frozenset(rule.uids), frozenset(rule.gids)) if rule is not None else None


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
        for identity, _ in check_identity.parts(profile.identity, "")
        if (http := check_identity.http_of(identity)) is not None and http.unsafe_ignore_ssl_cert
    ]


def allow_many_connections() -> int:
    """Raises the soft limit of open files to the hard one; returns how many connections that leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # where a sandbox forbids it, the default has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, soft - OTHER_FILES) if soft != resource.RLIM_INFINITY else 1_000_000


def _text(instant: float | None) -> str | None:
    return timestamp(instant) if instant is not None else None
