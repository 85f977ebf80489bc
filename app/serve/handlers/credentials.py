"""The credentials and metadata listeners' whole knowledge of HTTP: a request's head in, an answer's bytes out.

No network, no disk, no lock, no framework: `answer` is called straight from the protocol and is all
that stands between a socket and a credential. Where nothing is held yet it says `Wait`, and the dispatcher waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from ...core.clocks import Clocks
from ...core.formats import uri_document
from ...core.model import Credentials, NoCredentials
from ...observe.counters import Traffic
from ...system.secrets import same
from ..access import AllOf, Callers, Denial, Guard, Request, deny
from ..ecs_metadata import TOKEN_HEADER, TTL_HEADER, MetadataValues, SessionTokens, ttl_of
from ..rate_limit import Rate
from ..responses import (
    BAD_REQUEST,
    NOT_FOUND,
    TEXT,
    THROTTLED,
    Reply,
    document,
    error,
    method_not_allowed,
    reply,
    unavailable,
)
from ..source import HeldSession, Source

URI_PATIENCE = 4.0
"""Seconds a cold start may hold a URI client: the shortest budget among them is Node's 5."""

ECS_PATIENCE = 0.8
"""Seconds a cold start may hold an ECS client: most SDKs give up after 1."""

MOST_TOLD = 256
"""Different users per session that the audit tells of."""

ROLES = b"/latest/meta-data/ram/security-credentials"
TOKEN_PATH = b"/latest/api/token"
PATH_TOKEN_HEADER = b"x-aliyun-parameters-secrets-token"

_GET_ONLY = method_not_allowed(b"GET")
_PUT_ONLY = method_not_allowed(b"PUT")
_HEALTHY = document(200, {"status": "ok"})
_BAD_TTL = error(400, "BadRequest", "X-aliyun-ecs-metadata-token-ttl-seconds must be given once, 1 to 21600")
_NO_PATH_TOKEN = deny("PathToken", "the URL must begin with the path token")
_NOBODY = deny("Caller", "there is no profile for this user (callers)")
_BAD_SESSION = deny("MetadataToken", "the metadata token is missing, wrong or expired", 401)


class Answer(NamedTuple):
    """
    A reply and the labels it is counted under; labels come from configuration, never from the request.

    `denied` is the reason of a refusal; `news` the credentials, where this caller has them for the first time.
    """

    reply: Reply
    endpoint: str
    profile: str = ""
    denied: str = ""
    news: Credentials | None = None


class Wait(NamedTuple):
    """Something is on its way: `arrived` returns when it is there; wait at most `patience` seconds, and ask again."""

    arrived: Callable[[], Awaitable[None]]
    patience: float | None
    cold: bool
    """Whether it is the credential itself that was waited for, which is done once per request."""


class Vendor:
    """One profile at the desk: who may have it, and its bytes, made once per session."""

    def __init__(self, source: Source, clocks: Clocks, callers: Callers | AllOf | None = None) -> None:
        self.source = source
        self.callers = callers
        self._clocks = clocks
        self._held: HeldSession | None = None
        self._reply = NOT_FOUND
        self._had_by: set[int | None] = set()

    def reply(self) -> Reply | None:
        """The credential's answer, or None where there is none to give."""
        held = self.source.held
        if held is None or held.left(self._clocks) <= 0:
            self._held, self._reply = None, NOT_FOUND  # what nobody may have is not kept either
            return None
        if held is not self._held:
            self._reply = reply(200, uri_document(held.credentials))
            self._held = held
            self._had_by.clear()
        return self._reply

    def news_for(self, uid: int | None) -> Credentials | None:
        """The session's credentials if `uid` (None: nobody knows) has not had them; for the audit line."""
        if uid in self._had_by or len(self._had_by) == MOST_TOLD or self._held is None:
            return None
        self._had_by.add(uid)
        return self._held.credentials

    def below_horizon(self) -> bool:
        """Whether a reader sees less life than promised although the cloud answers."""
        held = self.source.held
        return held is not None and held.left(self._clocks) < held.promised and self.source.healthy

    def unavailable(self) -> Reply:
        """The 503 that says why."""
        try:
            self.source.credentials()
        except NoCredentials as why:
            return unavailable(str(why), why.retry_after or 1.0)
        return unavailable("the credentials have just arrived: ask again", 1.0)


class Desk:
    """
    One listener's answers.

    `metadata_only`: the listener at the metadata address, which serves the ECS paths and nothing else.
    """

    def __init__(
        self,
        vendors: Mapping[str, Vendor],
        *,
        guard: Guard,
        sessions: SessionTokens,
        sessions_required: bool,
        path_token: bytes | None,
        traffic: Traffic,
        rate: Rate | None = None,
        values: MetadataValues | None = None,
        metadata_only: bool = False,
    ) -> None:
        self._vendors = {name.encode(): vendor for name, vendor in vendors.items()}
        # The role list names the first of these that the caller may have.
        self._in_order = sorted(vendors.values(), key=lambda vendor: vendor.source.profile != "default")
        self._guard = guard
        self._sessions = sessions
        self._sessions_required = sessions_required
        self._path_token = path_token
        self._rate = rate
        self._values = values or MetadataValues({})
        self._metadata_only = metadata_only
        self.traffic = traffic

    def throttled(self, request: Request) -> Answer | None:
        """The refusal of a request that is one too many; asked once for each."""
        # Starvation: one user who asks without end. Whether we live is told in any case.
        if self._rate is None or request.target == b"/healthz" or self._rate.allows(request.visitor):
            return None
        return Answer(THROTTLED, "throttled", denied="Rate")

    def answer(self, request: Request, *, waited: bool = False) -> Answer | Wait:
        """The answer to `request`, or what to wait for. `waited`: the credential was waited for, and no more."""
        path = request.target.partition(b"?")[0]
        denial = self._guard.judge(request)
        if denial is not None:
            return _denied(denial)
        if path.lower().startswith(b"/latest/"):
            return self._metadata(path, request, waited)
        if self._metadata_only:
            return Answer(NOT_FOUND, "other")
        if path == b"/healthz":
            return Answer(_HEALTHY if request.method == b"GET" else _GET_ONLY, "healthz")
        return self._credentials(path, request, waited)

    # --- the credentials URI ------------------------------------------------------------------------------------------

    def _credentials(self, path: bytes, request: Request, waited: bool) -> Answer | Wait:
        if self._path_token is not None:
            # SSRF: who can make the application ask a URL of their choice cannot make it know this segment.
            first, _, rest = path[1:].partition(b"/")
            if same(first, self._path_token):
                path = b"/" + rest
            elif not self._header_token(request):
                return _denied(_NO_PATH_TOKEN)
        name = _profile_name(path)
        vendor = self._vendors.get(name) if name is not None else None
        if vendor is None:
            return Answer(NOT_FOUND, "other")
        return self._vend(vendor, request, "credentials", URI_PATIENCE, waited)

    def _header_token(self, request: Request) -> bool:
        values = request.values(PATH_TOKEN_HEADER)
        return self._path_token is not None and len(values) == 1 and same(values[0], self._path_token)

    def _vend(self, vendor: Vendor, request: Request, endpoint: str, patience: float, waited: bool) -> Answer | Wait:
        profile = vendor.source.profile
        if vendor.callers is not None:
            if vendor.callers.need_a_closer_look(request.visitor):
                return Wait(request.visitor.look_closer, None, cold=False)
            denial = vendor.callers.judge(request.visitor)
            if denial is not None:
                return _denied(denial, profile)
        if request.method != b"GET":
            return Answer(_GET_ONLY, endpoint)
        found = vendor.reply()
        if found is not None:
            self.traffic.served(profile, vendor.below_horizon())
            return Answer(found, endpoint, profile, news=vendor.news_for(request.visitor.uid))
        if not waited:
            vendor.source.overdue()  # the machine slept, or its clock was set: the next refresh may be far away
            return Wait(vendor.source.settled, patience, cold=True)
        return Answer(vendor.unavailable(), endpoint, profile)

    # --- the ECS metadata service -------------------------------------------------------------------------------------

    def _metadata(self, path: bytes, request: Request, waited: bool) -> Answer | Wait:
        if self._path_token is not None and not self._metadata_only and not self._header_token(request):
            return _denied(_NO_PATH_TOKEN)
        if path == TOKEN_PATH:
            return Answer(self._session_token(request), "ecs_token")
        # The prefix alone ignores case: ossutil, aliyungo and JindoSDK write /Ram/.
        is_role = path[: len(ROLES)].lower() == ROLES
        value = None if is_role else self._values.reply(path)
        if not is_role and value is None:
            return Answer(NOT_FOUND, "other")
        denial = self._judge_session(request)
        if denial is not None:
            return _denied(denial)
        if value is not None:
            return Answer(value if request.method == b"GET" else _GET_ONLY, "ecs_value")
        rest = path[len(ROLES) :]
        if rest in (b"", b"/"):
            return self._role_list(request)
        vendor = self._vendors.get(rest[1:].removesuffix(b"/")) if rest.startswith(b"/") else None
        if vendor is None:
            return Answer(NOT_FOUND, "other")
        return self._vend(vendor, request, "ecs_role", ECS_PATIENCE, waited)

    def _session_token(self, request: Request) -> Reply:
        if request.method != b"PUT":
            return _PUT_ONLY
        ttl = ttl_of(request.values(TTL_HEADER))
        if ttl is None:
            return _BAD_TTL
        return reply(200, self._sessions.issue(ttl), TEXT)

    def _judge_session(self, request: Request) -> Denial | None:
        tokens = request.values(TOKEN_HEADER)
        if not tokens:
            # SSRF again: a server that can be made to GET cannot be made to PUT first, but a dozen SDKs cannot either.
            return _BAD_SESSION if self._sessions_required else None
        return None if len(tokens) == 1 and self._sessions.valid(tokens[0]) else _BAD_SESSION

    def _role_list(self, request: Request) -> Answer | Wait:
        if request.method != b"GET":
            return Answer(_GET_ONLY, "ecs_list")
        denial: Denial | None = None
        for vendor in self._in_order:
            if vendor.callers is not None:
                if vendor.callers.need_a_closer_look(request.visitor):
                    return Wait(request.visitor.look_closer, None, cold=False)
                why = vendor.callers.judge(request.visitor)
                if why is not None:
                    denial = denial or why
                    continue
            return Answer(reply(200, vendor.source.profile.encode(), TEXT), "ecs_list")
        return _denied(denial or _NOBODY)


def _profile_name(path: bytes) -> bytes | None:
    """The profile that a credentials path names, or None: matched raw, nothing decoded, one trailing slash is free."""
    path = path.removesuffix(b"/")
    if path == b"/credentials":
        return b"default"
    return path.removeprefix(b"/credentials/") if path.startswith(b"/credentials/") else None


def _denied(denial: Denial, profile: str = "") -> Answer:
    endpoint = "denied" if denial.reply is not BAD_REQUEST else "bad_request"
    return Answer(denial.reply, endpoint, profile, denied=denial.reason)
