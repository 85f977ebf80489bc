"""The emulated cloud as one ASGI application: which request goes where, and what happens to it on the way."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .admin import PREFIX
from .admin import answer as answer_admin
from .crypto.nonces import SeenOnce
from .crypto.pki import Authority, IssuedCertificate, pem
from .crypto.signing_keys import SigningKeys
from .ecs_metadata import PREFIX as METADATA_PREFIX
from .ecs_metadata import Metadata
from .http.faults import NO_FAULT, DroppedError, Fault, Faults, scripted
from .http.journal import Call, Journal
from .http.request import Asked
from .http.response import MARK_HEADER, Answer, RefusedError, json_answer
from .idaas.authorization_server import Idaas
from .idaas.client_auth import Authentication
from .idaas.developer_api import PATH, DeveloperApi
from .idaas.generate_oauth_token import ACTION, OpenApi
from .idaas.second_issuer import Workload
from .idaas.token_issuer import Issuer
from .sts.assume_role import NAME, AssumeRole
from .sts.assume_role_with_oidc import NAME as OIDC
from .sts.assume_role_with_oidc import AssumeRoleWithOidc
from .sts.endpoint import Action, Sts
from .sts.issued_sessions import Sessions
from .world.codec import decode
from .world.world import CLIENT_ID, World, workload_issuer

FAULT_HEADER = "X-Emulator-Fault"
_PREFIXES = ("x-acs-", "x-aliyun-")
_WORKLOAD_PATHS = ("/workload/token", "/workload/jwks", "/workload/.well-known/openid-configuration")
_HEADERS = frozenset({"host", "user-agent", "authorization", "content-type", "accept"})


@dataclass(frozen=True, slots=True)
class _Endpoint:
    methods: tuple[str, ...]
    answer: Callable[[Asked], Answer]
    refuse: Callable[[Asked, RefusedError], Answer]


class Emulator:
    """
    IDaaS and STS for one world, as an ASGI application.

    `world` may be replaced at any time; each request meets one world from beginning to end. `faults` is what
    goes wrong next, `journal` what was asked. `totals` counts requests by kind as they arrive, and never
    forgets.

    Time, randomness and waiting are the arguments'; `signing_key` spares making one.
    """

    def __init__(
        self,
        world: World,
        *,
        now: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        signing_key: RSAPrivateKey | None = None,
    ) -> None:
        self.world = world
        self.faults = Faults()
        self.journal = Journal()
        self.totals: Counter[str] = Counter()
        self._now = now
        self._sleep = sleep
        self._keys = SigningKeys(signing_key)
        self._workload_ca = Authority("emulated workloads", now)
        workload_keys, ecs_ca = SigningKeys(), Authority("emulated ECS", now)
        authentication = Authentication(workload_keys, self._workload_ca, ecs_ca)
        sessions, seen = Sessions(random), SeenOnce()
        idaas = Idaas(self._keys, workload_keys, authentication, random)
        self._workload = Workload(workload_keys, authentication, random)
        by_path = _ByPath(self, self._keys, workload_keys)
        actions: dict[str, Action] = {
            OIDC: AssumeRoleWithOidc(by_path, sessions),
            NAME: AssumeRole(sessions, seen),
        }
        sts = Sts(actions, random)
        openapi = OpenApi(Issuer(self._keys, random), sessions, seen, random)
        developer_api = DeveloperApi(self._keys, sessions, random)
        metadata = Metadata(ecs_ca, sessions, random)
        self._endpoints = {
            "token": _Endpoint(("POST",), idaas.token, idaas.refuse),
            "jwks": _Endpoint(("GET",), idaas.jwks, idaas.refuse),
            "discovery": _Endpoint(("GET",), idaas.discovery, idaas.refuse),
            "sts": _Endpoint(("GET", "POST"), sts.answer, sts.refuse),
            "openapi": _Endpoint(("GET", "POST"), openapi.answer, openapi.refuse),
            "developerapi": _Endpoint(("GET",), developer_api.answer, developer_api.refuse),
            "metadata": _Endpoint(("GET", "PUT"), metadata.answer, metadata.refuse),
            "workload": _Endpoint(("GET", "POST"), self._of_workload, self._workload.refuse),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)

    def workload_token(self, **claims: Any) -> str:
        """A token of the second issuer for a workload, as kubelet would write it; `claims` replaces some."""
        asked = Asked(self.world, self._now(), NO_FAULT, "GET", "", {}, {}, frozenset(), b"", None, {})
        return self._workload.service_account_token(asked, claims)

    def issue_certificate(self, common_name: str = CLIENT_ID, **details: Any) -> IssuedCertificate:
        """A certificate of the workload CA, for PCA and mutual TLS; `details` as `pki.Authority.issue` takes them."""
        return self._workload_ca.issue(common_name, **details)

    @property
    def workload_ca(self) -> str:
        """The root of that CA, PEM."""
        return pem(self._workload_ca.root)

    def _of_workload(self, asked: Asked) -> Answer:
        answers = {"token": self._workload.token, "jwks": self._workload.jwks}
        return answers.get(asked.url.rpartition("/")[2], self._workload.discovery)(asked)

    def rotate(self, *, retire: bool = False) -> None:
        """Sign with a new key; with `retire`, tokens signed before are void at once."""
        self._keys.rotate(retire=retire)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(Request(scope, receive))
        except DroppedError:
            raise
        except Exception:
            # Our own mistake: the client gets an answer that is marked like all others, the server its
            # traceback.
            await self._response(json_answer({"error": "the emulator failed"}, 500))(scope, receive, send)
            raise
        await self._response(answer)(scope, receive, send)

    def _response(self, answer: Answer) -> Response:
        # The date is the emulator's, because clients measure their clock against it.
        own = {MARK_HEADER: "1", "Date": formatdate(self._now(), usegmt=True)}
        return Response(answer.body, answer.status, {**own, "Content-Type": answer.content_type, **answer.headers})

    async def _answer(self, request: Request) -> Answer:
        path: str = request.scope["path"]
        if path.startswith(PREFIX):
            return await answer_admin(self, request)
        kind = self._kind(path, request)
        if kind is None:
            return json_answer({"error": "the emulator has nothing at this path"}, 404)
        try:
            fault = _own_fault(request) or self.faults.take(kind)
        except ValueError as error:
            return json_answer({"error": f"{FAULT_HEADER}: {error}"}, 400)
        return await self._journaled(kind, request, fault)

    def _kind(self, path: str, request: Request) -> str | None:
        issuer = urlsplit(self.world.issuer).path
        if path == "/":
            action = request.headers.get("x-acs-action", request.query_params.get("Action"))
            return "openapi" if action == ACTION else "sts"
        if path.startswith(METADATA_PREFIX):
            return "metadata"
        paths = {
            f"{issuer}/token": "token",
            f"{issuer}/jwks": "jwks",
            f"{issuer}/.well-known/openid-configuration": "discovery",
            **dict.fromkeys(_WORKLOAD_PATHS, "workload"),
        }
        return "developerapi" if PATH.fullmatch(path) else paths.get(path)

    async def _journaled(self, kind: str, request: Request, fault: Fault) -> Answer:
        self.totals[kind] += 1
        at, outcome = self._now(), "unanswered"
        asked = await _asked(request, self.world, at, fault)
        try:
            answer = await self._served(kind, asked)
            outcome = answer.outcome
            return answer
        except DroppedError:
            outcome = "dropped"
            raise
        finally:
            self.journal.note(Call(kind, at, outcome, _fields(asked, request)))

    async def _served(self, kind: str, asked: Asked) -> Answer:
        if asked.fault.delay:
            await self._sleep(asked.fault.delay)
            asked = replace(asked, at=self._now())
        endpoint = self._endpoints[kind]
        try:
            answer = scripted(asked.fault, kind) or _verified(endpoint, asked)
        except RefusedError as refused:
            answer = endpoint.refuse(asked, refused)
        return replace(answer, headers={**answer.headers, **asked.fault.headers})


@dataclass(frozen=True, slots=True)
class _ByPath(Mapping[str, SigningKeys]):
    """What signs for each emulated issuer, by the path of its URL; a world may be replaced at any time."""

    emulator: Emulator
    idaas: SigningKeys
    workload: SigningKeys

    def _now(self) -> dict[str, SigningKeys]:
        world = self.emulator.world
        return {urlsplit(world.issuer).path: self.idaas, urlsplit(workload_issuer(world)).path: self.workload}

    def __getitem__(self, path: str) -> SigningKeys:
        return self._now()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def _verified(endpoint: _Endpoint, asked: Asked) -> Answer:
    if asked.method not in endpoint.methods:
        raise RefusedError("UnsupportedHTTPMethod", f"Use {' or '.join(endpoint.methods)}.", 405)
    return endpoint.answer(asked)


def _own_fault(request: Request) -> Fault | None:
    text = request.headers.get(FAULT_HEADER)
    return None if text is None else decode(Fault, json.loads(text))


async def _asked(request: Request, world: World, at: float, fault: Fault) -> Asked:
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    body = await request.body()
    text = body.decode(errors="replace") if is_form else ""
    form = parse_qsl(text, keep_blank_values=True)
    times = Counter(name for name, _ in form)
    return Asked(
        world=world,
        at=at,
        fault=fault,
        method=request.method,
        url=str(request.url.replace(query="")),
        query=dict(parse_qsl(request.url.query, keep_blank_values=True)),
        form=dict(form),
        repeated=frozenset(name for name, count in times.items() if count > 1),
        body=body,
        certificate=request.scope.get("state", {}).get("certificate"),
        headers=dict(request.headers),
    )


def _fields(asked: Asked, request: Request) -> dict[str, str]:
    headers = {name: value for name, value in asked.headers.items() if name in _HEADERS or name.startswith(_PREFIXES)}
    return {":method": asked.method, ":query": request.url.query, **headers, **asked.query, **asked.form}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
