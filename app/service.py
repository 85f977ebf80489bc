"""The running sidecar: settings in, listeners and refreshers up, and down again. Everything is built here, once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import resource
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import __version__, check, check_identity, peers, readers, runtime
from .admin import Admin
from .audit import Audit
from .config import Loaded
from .desk import Desk, Vendor
from .documents import timestamp
from .exchange_settings import DeveloperApiExchange
from .front import Front
from .guard import Callers, Guard
from .listener import Listener
from .logs import Log
from .metadata import SessionTokens
from .model import Credentials, Event, Now, Refreshed, SidecarError, Status
from .ops import Gate, Ops, missing
from .peers import Peers
from .places import authority
from .processes import Processes
from .rate import Rate
from .refresher import Fetch, Refresher
from .settings import Access, PathToken, Profile
from .sockets import address_of, bound, bound_unix
from .telemetry import Ledger, Traffic
from .visitor import Caller, Visitor

if TYPE_CHECKING:
    from .cloud import Cloud
    from .wires import Transport

OTHER_FILES = 48
"""Descriptors kept for what is no client's connection: the cloud, files, the loop itself."""


class Service:
    """
    One sidecar in one event loop.

    `start` returns when every listener answers; credentials follow in the background. `stop` is graceful. Raises
    ConfigError from the constructor where an address cannot be had.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        log: Log,
        *,
        now: Now = time.time,
        transport: Transport | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        path_token: str | None = None,
    ) -> None:
        settings = loaded.settings
        self._path_token = path_token
        self._loaded = loaded
        self._environ = environ
        self._log = log
        self._now = now
        self._transport = transport
        self._peers = Peers()
        self._processes = Processes()
        self._audit = Audit(log, lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._renewing = asyncio.Lock()
        self._traffic = Traffic(now)
        self._ledger = Ledger(now)
        self._cloud: asyncio.Task[Cloud] | None = None
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._freezing: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._pages: Callable[[Callable[[], None]], asyncio.Protocol] | None = None
        self.refreshers = self._refreshers()
        self._gate = Gate(
            settings.startup.gate,
            timeout=settings.startup.timeout_seconds,
            started_at=now(),
            refreshers=self.refreshers,
            now=now,
        )
        log.describe = lambda name: describe(settings.profiles[name])
        self._sockets = self._bound()
        self._listeners = self._listen(SessionTokens(entropy(32), now))

    # --- built once ---------------------------------------------------------------------------------------------------

    def _refreshers(self) -> list[Refresher]:
        settings = self._loaded.settings
        schedule = check.schedule(settings.refresh)
        return [
            Refresher(
                name,
                self._fetch(name),
                schedule=schedule,
                observe=self._observe,
                now=self._now,
                sleep=asyncio.sleep,
                random=random.random,
                required=profile.required,
            )
            for name, profile in settings.profiles.items()
        ]

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

    def _listen(self, sessions: SessionTokens) -> dict[str, Listener]:
        most = min(self._loaded.settings.access.max_connections, allow_many_connections() // len(self._sockets))
        lanes = {"ops": self._ops().lane, "admin": self._admin().lane} | {
            name: front.lane for name, front in self._fronts(sessions).items()
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

    def _fronts(self, sessions: SessionTokens) -> dict[str, Front]:
        """What answers on the credentials and the metadata listener: the same desk, but for what is served there."""
        access = self._loaded.settings.access
        guard = Guard(
            allowed_hosts=access.allowed_hosts,
            refuse_forwarded=access.forwarded == "refuse",
            refuse_browsers=access.browsers == "refuse",
        )
        profiles = self._loaded.settings.profiles
        vendors = {item.profile: Vendor(item, self._now, callers(profiles[item.profile])) for item in self.refreshers}
        token = self._token(access)
        fronts = {}
        for name in self._sockets.keys() & {"credentials", "metadata"}:
            desk = Desk(
                vendors,
                guard=guard,
                sessions=sessions,
                sessions_required=access.metadata_tokens == "required",
                path_token=token.encode() if token is not None else None,
                traffic=self._traffic,
                rate=Rate(access.requests_per_second, time.monotonic) if access.requests_per_second else None,
                metadata_only=name == "metadata",
            )
            fronts[name] = Front(name, desk, self._traffic, self._audit)
        return fronts

    def _token(self, access: Access) -> str | None:
        """The path token: ours if we were given one, else the configured one, else a generated one, else none."""
        if self._path_token is not None or access.path_token is None:
            return self._path_token
        if isinstance(access.path_token, PathToken):
            return readers.path_token(access.path_token, self._environ)()
        uid = os.geteuid()
        _, port = address_of(self._sockets["credentials"])
        return runtime.generated_path_token(runtime.path_token_file(self._environ, uid, port), uid)

    def _ops(self) -> Ops:
        return Ops(self.refreshers, gate=self._gate, dead_loops=self.dead_loops, scrape=self._scrape)

    def _admin(self) -> Admin:
        return Admin(
            [item.profile for item in self.refreshers],
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

    # --- the outbound half, after the listeners -----------------------------------------------------------------------

    def _fetch(self, name: str) -> Fetch:
        async def fetch() -> Credentials:
            if self._cloud is None:
                self._cloud = asyncio.create_task(self._load_cloud())
            return await (await asyncio.shield(self._cloud)).fetch(name)

        return fetch

    async def _load_cloud(self) -> Cloud:
        def build() -> Cloud:
            from .cloud import Cloud

            return Cloud(
                self._loaded.settings, self._environ, now=self._now, observe=self._observe, transport=self._transport
            )

        # A thread, because importing httpx would stop the loop for as long as it takes, and probes with it.
        return await asyncio.to_thread(build)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listens, then begins to refresh."""
        for item in self._listeners.values():
            await item.start()
        self._log.write("info", "listening", version=__version__, config=self._loaded.origin, **self.urls())
        for warning in self._loaded.warnings:
            self._log.write("warning", "configuration", message=warning)
        self._loops = {item.profile: asyncio.create_task(item.run()) for item in self.refreshers}
        self._freezing = asyncio.create_task(self._freeze_garbage())

    async def _freeze_garbage(self) -> None:
        """A full collection stops the loop for 33 ms with everything imported: what is here to stay is taken out."""
        for item in self.refreshers:
            await item.settled()
        gc.collect()
        gc.freeze()

    async def stop(self) -> None:
        """Ends refreshing, lets answers under way finish, closes what is open."""
        await asyncio.gather(*(listener.stop() for listener in self._listeners.values()))
        tasks = [*self._loops.values(), *([self._freezing] if self._freezing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cloud is not None and self._cloud.done() and not self._cloud.cancelled():
            await self._cloud.result().aclose()
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
            refresher = next(item for item in self.refreshers if item.profile == name)
            if self._cloud is not None and self._cloud.done():
                self._cloud.result().forget(name)
            if purge:
                refresher.purge()
            self._log.write("warning" if purge else "info", "purged" if purge else "refresh_asked_for", profile=name)
            refresher.expect()
            self._loops[name].cancel()
            self._loops[name] = asyncio.create_task(refresher.run())
            await refresher.settled()
            return self._status(refresher.status)

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def urls(self) -> dict[str, str]:
        """Each listener's base URL; of the admin socket, its path."""
        found = {}
        for name, sock in self._sockets.items():
            if name == "admin":
                found[name] = str(self._loaded.settings.server.admin_socket)
                continue
            host, port = address_of(sock)
            found[name] = f"http://{authority(host, port)}"
        return found

    def dead_loops(self) -> list[str]:
        """The profiles whose loop has ended, which is a bug."""
        return [name for name, task in self._loops.items() if task.done()]

    def status(self) -> dict[str, Any]:
        """The present state as JSON members; times as text."""
        return {
            "version": __version__,
            "config": self._loaded.origin,
            "ready": self.usable(),
            "profiles": [self._status(item.status) for item in self.refreshers],
        }

    def _status(self, status: Status) -> dict[str, Any]:
        return {
            "profile": status.profile,
            **describe(self._loaded.settings.profiles[status.profile]),
            "required": status.required,
            "state": status.state,
            "expires_at": _text(status.expires_at),
            "next_refresh_at": _text(status.next_refresh_at),
            "failures": status.failures,
            "last_error": status.last_error,
            "permanent": status.last_error_permanent,
        }

    def _observe(self, event: Event) -> None:
        self._ledger.observe(event)
        self._log.observe(event)
        if isinstance(event, Refreshed):
            self._news.set()

    def _scrape(self) -> tuple[bytes, bytes]:
        from . import metrics

        collector = metrics.SidecarCollector(
            self.refreshers,
            self._traffic,
            self._ledger,
            now=self._now,
            version=__version__,
            loaded_at=self._loaded.at,
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
