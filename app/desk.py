"""The credentials and metadata listeners' whole knowledge of HTTP: a request's head in, an answer's bytes out.

No network, no disk, no lock, no framework: `answer` is called straight from the protocol (app/listener.py) and is all
that stands between a socket and a credential. Where nothing is held yet it says `Wait`, and app/front.py waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .documents import uri_document
from .guard import Denial, Guard, Request, deny
from .metadata import TOKEN_HEADER, TTL_HEADER, SessionTokens, ttl_of
from .model import NoCredentials, Now
from .refresher import Held, Refresher
from .replies import BAD_REQUEST, NOT_FOUND, TEXT, Reply, document, error, method_not_allowed, reply, unavailable
from .secrets import same
from .telemetry import Traffic

URI_PATIENCE = 4.0
"""Seconds a cold start may hold a URI client: the shortest budget among them is Node's 5."""

ECS_PATIENCE = 0.8
"""Seconds a cold start may hold an ECS client: most SDKs give up after 1."""

ROLES = b"/latest/meta-data/ram/security-credentials"
TOKEN_PATH = b"/latest/api/token"
PATH_TOKEN_HEADER = b"x-aliyun-parameters-secrets-token"

_GET_ONLY = method_not_allowed(b"GET")
_PUT_ONLY = method_not_allowed(b"PUT")
_HEALTHY = document(200, {"status": "ok"})
_BAD_TTL = error(400, "BadRequest", "X-aliyun-ecs-metadata-token-ttl-seconds must be given once, 1 to 21600")
_NO_PATH_TOKEN = deny("PathToken", "the URL must begin with the path token")
_BAD_SESSION = deny("MetadataToken", "the metadata token is missing, wrong or expired", 401)


class Answer(NamedTuple):
    """A reply and the labels it is counted under; labels come from configuration, never from the request."""

    reply: Reply
    endpoint: str
    profile: str = ""
    denied: str = ""


class Wait(NamedTuple):
    """Nothing is held, and an attempt is under way: wait for it, at most `patience` seconds, then answer `now`."""

    refresher: Refresher
    patience: float


class Vendor:
    """One profile at the desk: its bytes, made once per session."""

    def __init__(self, refresher: Refresher, now: Now) -> None:
        self.refresher = refresher
        self._now = now
        self._held: Held | None = None
        self._reply = NOT_FOUND

    def reply(self) -> Reply | None:
        """The credential's answer, or None where there is none to give."""
        held = self.refresher.held
        if held is None or self._now() >= held.expires_at:
            return None
        if held is not self._held:
            self._reply = reply(200, uri_document(held.credentials))
            self._held = held
        return self._reply

    def below_horizon(self) -> bool:
        """Whether a reader sees less life than promised although the cloud answers."""
        held = self.refresher.held
        return held is not None and self._now() > held.quiet_until and self.refresher.healthy

    def unavailable(self) -> Reply:
        """The 503 that says why."""
        try:
            self.refresher.credentials()
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
        metadata_only: bool = False,
    ) -> None:
        self._vendors = {name.encode(): vendor for name, vendor in vendors.items()}
        self._names: Sequence[str] = tuple(vendors)
        self._guard = guard
        self._sessions = sessions
        self._sessions_required = sessions_required
        self._path_token = path_token
        self._metadata_only = metadata_only
        self.traffic = traffic

    def answer(self, request: Request) -> Answer | Wait:
        """The answer to `request`, or for what and how long to wait before asking `after_waiting`."""
        return self._answer(request, waited=False)

    def after_waiting(self, request: Request) -> Answer:
        """The answer to `request` as things stand: there is no more waiting to be done."""
        answer = self._answer(request, waited=True)
        assert isinstance(answer, Answer)  # noqa: S101 - a Wait comes of `waited=False` alone
        return answer

    def _answer(self, request: Request, *, waited: bool) -> Answer | Wait:
        denial = self._guard.judge(request)
        if denial is not None:
            return _denied(denial)
        path = request.target.partition(b"?")[0]
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
        if request.method != b"GET":
            return Answer(_GET_ONLY, endpoint)
        profile = vendor.refresher.profile
        found = vendor.reply()
        if found is not None:
            self.traffic.served(profile, vendor.below_horizon())
            return Answer(found, endpoint, profile)
        if not waited:
            return Wait(vendor.refresher, patience)
        return Answer(vendor.unavailable(), endpoint, profile)

    # --- the ECS metadata service -------------------------------------------------------------------------------------

    def _metadata(self, path: bytes, request: Request, waited: bool) -> Answer | Wait:
        if self._path_token is not None and not self._metadata_only and not self._header_token(request):
            return _denied(_NO_PATH_TOKEN)
        if path == TOKEN_PATH:
            return Answer(self._session_token(request), "ecs_token")
        # The prefix alone ignores case: ossutil, aliyungo and JindoSDK write /Ram/.
        if path[: len(ROLES)].lower() != ROLES:
            return Answer(NOT_FOUND, "other")
        denial = self._judge_session(request)
        if denial is not None:
            return _denied(denial)
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

    def _role_list(self, request: Request) -> Answer:
        if request.method != b"GET":
            return Answer(_GET_ONLY, "ecs_list")
        name = "default" if "default" in self._names else self._names[0]
        return Answer(reply(200, name.encode(), TEXT), "ecs_list")


def _profile_name(path: bytes) -> bytes | None:
    """The profile that a credentials path names, or None: matched raw, nothing decoded, one trailing slash is free."""
    path = path.removesuffix(b"/")
    if path == b"/credentials":
        return b"default"
    return path.removeprefix(b"/credentials/") if path.startswith(b"/credentials/") else None


def _denied(denial: Denial) -> Answer:
    return Answer(denial.reply, "denied" if denial.reply is not BAD_REQUEST else "bad_request", denied=denial.reason)
