"""The routes of the admin socket: the orders that the sidecar's owner may give. They exist on a unix socket alone.

    POST /refresh, /refresh/{profile}    refresh the credentials now
    POST /purge, /purge/{profile}        drop the held credentials, then refresh
    PUT  /log-level/{level}              debug, info, warning or error, until the next reload or start
    GET  /session/{profile}              the held credentials, for `get`
    GET  /status.json                    the status, for `status`; as on the operations listener

The commands of the same names use these routes (app/cli). Only the sidecar's own user and root are answered. Both can
read the configuration and its secrets anyway, so caller rules do not apply to `/session`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from msgspec.structs import asdict

from ...core.errors import NoCredentials
from ...core.values import Credentials
from ..access import deny
from ..request import Request
from ..responses import NOT_FOUND, Response, document, error, method_not_allowed, unavailable
from .snapshot import Snapshot

Renew = Callable[[Sequence[str], bool, int], Awaitable[list[dict[str, Any]]]]
"""
Refreshes profiles now, after dropping their credentials if the flag is set; returns the status of each.

The number is the uid of the caller that ordered the refresh.
"""

GiveCredentials = Callable[[str, int], Awaitable[Credentials]]
"""Returns the held credentials of a profile to a uid, after waiting for the first ones. Raises NoCredentials."""

_Order = Callable[[bytes, str | None, int], Response | Coroutine[Any, Any, Response]]
"""Answers a method, the path's second segment or None, and the caller's uid."""

_WRONG_USER = deny("Admin", "the admin socket is for the sidecar's own user and root").response
_POST_ONLY = method_not_allowed(b"POST")
_PUT_ONLY = method_not_allowed(b"PUT")
_GET_ONLY = method_not_allowed(b"GET")


class AdminHandler:
    """Answers requests at the admin socket, from callers whose uid is `uid` or root's."""

    def __init__(
        self,
        profiles: Callable[[], Sequence[str]],
        *,
        uid: int,
        renew: Renew,
        set_level: Callable[[str, int], None],
        give_credentials: GiveCredentials,
        status: Callable[[], Awaitable[Response]],
    ) -> None:
        self._profiles = profiles
        self._uids = frozenset({uid, 0})
        self._renew = renew
        self._set_level = set_level
        self._give_credentials = give_credentials
        self._status = Snapshot(status)
        self._orders: dict[str, _Order] = {
            "refresh": partial(self._renewal, purge=False),
            "purge": partial(self._renewal, purge=True),
            "log-level": self._level,
            "session": self._session,
        }

    @property
    def orders(self) -> frozenset[str]:
        """The first segments of the paths that exist on the admin socket alone."""
        return frozenset(self._orders)

    def __call__(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """Return the response, or a coroutine that waits for the cloud."""
        credentials = request.peer.credentials
        # Another user in the pod can reach an abstract socket: the kernel says who connected.
        if credentials is None or credentials.uid not in self._uids:
            return _WRONG_USER
        _, order, *rest = request.target.decode("latin-1").split("/")
        if len(rest) > 1:
            return NOT_FOUND
        argument = rest[0] if rest else None
        if order in self._orders:
            return self._orders[order](request.method, argument, credentials.uid)
        if order == "status.json" and argument is None:
            return self._status.response() if request.method == b"GET" else _GET_ONLY
        return NOT_FOUND

    def _renewal(
        self, method: bytes, profile: str | None, uid: int, *, purge: bool
    ) -> Response | Coroutine[Any, Any, Response]:
        if method != b"POST":
            return _POST_ONLY
        known = self._profiles()
        if profile is not None and profile not in known:
            return self._unknown()
        return self._renewed(known if profile is None else (profile,), uid, purge=purge)

    async def _renewed(self, profiles: Sequence[str], uid: int, *, purge: bool) -> Response:
        return document(200, {"profiles": await self._renew(profiles, purge, uid)})

    def _session(self, method: bytes, profile: str | None, uid: int) -> Response | Coroutine[Any, Any, Response]:
        if method != b"GET":
            return _GET_ONLY
        return self._unknown() if profile not in self._profiles() else self._credentials(str(profile), uid)

    async def _credentials(self, profile: str, uid: int) -> Response:
        try:
            return document(200, {"credentials": asdict(await self._give_credentials(profile, uid))})
        except NoCredentials as why:
            return unavailable(str(why), why.retry_after, why.error_code)

    def _unknown(self) -> Response:
        return error(404, "NotFound", f"there is no such profile; there is {', '.join(self._profiles())}", "IDS-120")

    def _level(self, method: bytes, level: str | None, uid: int) -> Response:
        if method != b"PUT":
            return _PUT_ONLY
        try:
            self._set_level(level or "", uid)
        except ValueError as why:
            return error(400, "BadRequest", str(why), "IDS-125")
        return document(200, {"level": level})
