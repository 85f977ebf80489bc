"""The emulated cloud as one ASGI application: faults, delays and the journal around the endpoints."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from .admin import PREFIX, respond
from .crypto.pki import Authority, IssuedCertificate, pem
from .crypto.signing_keys import SigningKeys
from .endpoints import build_endpoints, endpoint_kind
from .http.asgi import handle_lifespan, read_request, rpc_action, to_starlette
from .http.faults import NO_FAULT, DroppedError, Fault, Faults
from .http.journal import Call, Journal, recorded_fields
from .http.request import Request
from .http.response import Response, json_response
from .idaas.workload_issuer import service_account_token
from .world.codec import decode
from .world.world import CLIENT_ID, World

FAULT_HEADER = "X-Emulator-Fault"


class Emulator:
    """
    IDaaS, STS and ECS metadata of one world, as an ASGI application.

    `world` may be replaced at any time; each request is served with a single world. `faults` are the pending faults,
    `journal` the last requests. `totals` counts requests by endpoint kind on arrival and is never reset.

    `now`, `random` and `sleep` replace the clock, the source of random bytes and the delay of faults. `signing_key`
    saves the time to generate a key. `tls_fingerprint`, if set, is the fingerprint of the root certificate of https:
    STS compares it with the fingerprints of the OIDC providers.
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
        self._keys, self._workload_keys = SigningKeys(signing_key), SigningKeys()
        self._workload_ca = Authority("emulated workloads", now)
        ecs_ca = Authority("emulated ECS", now)
        self.tls_fingerprint: str | None = None
        self._endpoints = build_endpoints(
            self._keys,
            self._workload_keys,
            self._workload_ca,
            ecs_ca,
            random,
            self._change_world,
            lambda: self.tls_fingerprint,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await handle_lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    @property
    def workload_ca(self) -> str:
        """The root certificate of the workload CA, PEM."""
        return pem(self._workload_ca.root)

    def workload_token(self, **claims: Any) -> str:
        """Return a token of the second issuer for a workload, as kubelet writes it. `claims` replaces claims."""
        return service_account_token(self._workload_keys, self.world, self._now(), claims)

    def issue_certificate(self, common_name: str = CLIENT_ID, **details: Any) -> IssuedCertificate:
        """Return a certificate of the workload CA, for PCA and mutual TLS. `details` is passed to `Authority.issue`."""
        return self._workload_ca.issue(common_name, **details)

    def rotate(self, *, retire: bool = False) -> None:
        """Replace the signing key. With `retire`, tokens of the previous key are rejected at once."""
        self._keys.rotate(retire=retire)

    def _change_world(self, world: World) -> None:
        self.world = world

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(StarletteRequest(scope, receive))
        except DroppedError:
            raise
        except Exception:
            # A defect of the emulator. The client receives a response with the marker, the server the traceback.
            failure = json_response({"error": "the emulator failed"}, 500)
            await to_starlette(failure, self._now())(scope, receive, send)
            raise
        await to_starlette(response, self._now())(scope, receive, send)

    async def _respond(self, incoming: StarletteRequest) -> Response:
        path: str = incoming.scope["path"]
        if path.startswith(PREFIX):
            request = await read_request(incoming, world=self.world, now=self._now(), fault=NO_FAULT)
            return respond(self, request)
        kind = endpoint_kind(path, await rpc_action(incoming) if path == "/" else None, self.world)
        if kind is None:
            return json_response({"error": "the emulator has no endpoint at this path"}, 404)
        try:
            fault = _fault_of_request(incoming) or self.faults.take(kind)
        except ValueError as error:
            return json_response({"error": f"{FAULT_HEADER}: {error}"}, 400)
        self.totals[kind] += 1
        request = await read_request(incoming, world=self.world, now=self._now(), fault=fault)
        return await self._respond_and_record(kind, request)

    async def _respond_and_record(self, kind: str, request: Request) -> Response:
        arrived_at, outcome = request.now, "unanswered"
        try:
            if request.fault.delay:
                await self._sleep(request.fault.delay)
                request = replace(request, now=self._now())
            response = self._endpoints[kind].respond(request)
            outcome = response.outcome
            return response
        except DroppedError:
            outcome = "dropped"
            raise
        finally:
            self.journal.record(Call(kind, arrived_at, outcome, recorded_fields(request)))


def _fault_of_request(incoming: StarletteRequest) -> Fault | None:
    """Return the fault in the request's own header. Raises ValueError."""
    text = incoming.headers.get(FAULT_HEADER)
    return None if text is None else decode(Fault, json.loads(text))
