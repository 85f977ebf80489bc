"""What listens and what answers there: the same sockets from start to stop, behind them what holds at the moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from .config import secret_refs
from .config.settings import Access, PathToken, Profile, Server, Settings
from .core.addresses import authority
from .core.clocks import Clocks
from .core.model import SidecarError
from .observe.counters import Traffic
from .refresh.profiles import Profiles, same
from .serve.access import AllOf, Callers, Guard
from .serve.audit import Audit
from .serve.dispatch import Front
from .serve.ecs_metadata import MetadataValues, SessionTokens
from .serve.handlers.credentials import Desk, Vendor
from .serve.peers import netlink
from .serve.peers.netlink import Peers
from .serve.peers.peer import Caller, Visitor
from .serve.peers.procfs import InTurn, Processes
from .serve.protocol import Lane, Listener, Pages
from .serve.rate_limit import Rate
from .system import runtime_dir
from .system.sockets import address_of, bound, bound_unix

OTHER_FILES = 48
"""Descriptors kept for what is no client's connection: the cloud, files, the loop itself."""


@dataclass(frozen=True, slots=True)
class Others:
    """What answers on the listeners that give no credential."""

    ops: Lane
    admin: Lane
    pages: Pages


class Inbound:
    """
    The listeners. Raises ConfigError from the constructor where an address cannot be had.

    `arrange` puts other rules, values or refreshers behind the credentials and the metadata listener, in one step.
    `path_token`: one that is given instead of what is configured.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        profiles: Profiles,
        *,
        others: Others,
        audit: Audit,
        traffic: Traffic,
        clocks: Clocks,
        session_key: bytes,
        path_token: str | None,
    ) -> None:
        self._server = settings.server
        self._environ = environ
        self._profiles = profiles
        self._audit = audit
        self._traffic = traffic
        self._clocks = clocks
        self._given_token = path_token
        self._peers = Peers()
        self._look = InTurn(Processes().behind)
        self._sockets = _bound(settings.server, settings.access.hop_limit)
        # By a clock that nobody sets: a client's token is not void because the machine's time was put right.
        self.sessions = SessionTokens(session_key, clocks.monotonic)
        self._vendors: dict[str, Vendor] = {}
        self._rates: dict[str, tuple[float, Rate]] = {}
        self._fronts: dict[str, Front] = {}
        self.arrange(settings, self.path_token(settings.access))
        self._listeners = self._listen(settings.access.max_connections, others)

    def _listen(self, most: int, others: Others) -> dict[str, Listener]:
        most = min(most, allow_many_connections() // len(self._sockets))
        lanes = {"ops": others.ops, "admin": others.admin} | {name: front.lane for name, front in self._fronts.items()}
        return {
            name: Listener(
                sock,
                lanes[name],
                others.pages if name == "ops" else None,
                visitors=self._unix_visitor if name == "admin" else self._visitor,
                max_connections=most,
            )
            for name, sock in self._sockets.items()
        }

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Returns when every listener answers."""
        for item in self._listeners.values():
            await item.start()

    async def stop(self) -> None:
        """Takes no more connections; lets answers under way finish."""
        await asyncio.gather(*(listener.stop() for listener in self._listeners.values()))
        self._peers.close()
        self._look.close()

    def urls(self) -> dict[str, str]:
        """Each listener's base URL; of the admin socket, its path."""
        found = {}
        for name, sock in self._sockets.items():
            if name == "admin":
                found[name] = str(self._server.admin_socket)
                continue
            host, port = address_of(sock)
            found[name] = f"http://{authority(host, port)}"
        return found

    # --- what holds at the moment -------------------------------------------------------------------------------------

    def arrange(self, settings: Settings, path_token: str | None) -> None:
        """From the next request on it is these settings, this path token, and what serves the profiles now."""
        access = settings.access
        judge = guard(access, refuse_browsers=access.browsers == "refuse")
        values = MetadataValues(settings.metadata.values, document=settings.metadata.identity_document)
        self._vendors = {name: self._vendor(name, profile) for name, profile in settings.profiles.items()}
        for name in self._sockets.keys() & {"credentials", "metadata"}:
            desk = Desk(
                self._vendors,
                guard=judge,
                sessions=self.sessions,
                sessions_required=access.metadata_tokens == "required",
                path_token=path_token.encode() if path_token is not None else None,
                traffic=self._traffic,
                rate=self._rate(name, access.requests_per_second),
                values=values,
                metadata_only=name == "metadata",
            )
            if name in self._fronts:
                self._fronts[name].desk = desk
            else:
                self._fronts[name] = Front(name, desk, self._traffic, self._audit)

    def path_token(self, access: Access) -> str | None:
        """The one that we were given, else the configured one, else a generated one, else none. Raises ConfigError."""
        if self._given_token is not None or access.path_token is None:
            return self._given_token
        if isinstance(access.path_token, PathToken):
            return secret_refs.path_token(access.path_token, self._environ)()
        uid = os.geteuid()
        _, port = address_of(self._sockets["credentials"])
        return runtime_dir.generated_path_token(runtime_dir.path_token_file(self._environ, uid, port), uid)

    def _vendor(self, name: str, configured: Profile) -> Vendor:
        refresher, rule = self._profiles.refresher(name), _rule(self._profiles.profile(name), configured)
        before = self._vendors.get(name)
        if before is not None and before.source is refresher and before.callers == rule:
            return before  # who had the session already is known to it
        return Vendor(refresher, self._clocks, rule)

    def _rate(self, name: str, per_second: float | None) -> Rate | None:
        if per_second is None:
            return None
        if self._rates.get(name, (None, None))[0] != per_second:
            self._rates[name] = (per_second, Rate(per_second, self._clocks.monotonic))
        return self._rates[name][1]

    # --- who asks -----------------------------------------------------------------------------------------------------

    def _visitor(self, transport: asyncio.Transport) -> Visitor:
        def identify() -> Caller | None:
            client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            return self._peers.caller(client[:2], server[:2]) if client and server else None

        return Visitor(identify, self._look)

    def _unix_visitor(self, transport: asyncio.Transport) -> Visitor:
        return Visitor(lambda: netlink.of_unix(transport.get_extra_info("socket")), self._look)


def guard(access: Access, *, refuse_browsers: bool) -> Guard:
    """The rules that hold for every path."""
    return Guard(
        allowed_hosts=access.allowed_hosts,
        refuse_forwarded=access.forwarded == "refuse",
        refuse_browsers=refuse_browsers,
    )


def callers(profile: Profile) -> Callers | None:
    """The profile's rule about callers, where it has one."""
    rule = profile.callers
    return Callers(frozenset(rule.uids), frozenset(rule.gids)) if rule is not None else None


def _rule(serves: Profile, configured: Profile) -> Callers | AllOf | None:
    """
    Who may have what serves a profile now.

    While another role is on trial, the old one's session is served: to whom the new rule names it would be a role that
    was never meant for them, so they need both rules' word.
    """
    rule, before = callers(configured), callers(serves)
    if same(serves, configured) or before is None or before == rule:
        return rule
    return before if rule is None else AllOf((rule, before))


def _bound(server: Server, hop_limit: int) -> dict[str, socket.socket]:
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


def allow_many_connections() -> int:
    """Raises the soft limit of open files to the hard one; returns how many connections that leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # where a sandbox forbids it, the default has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, soft - OTHER_FILES) if soft != resource.RLIM_INFINITY else 1_000_000
