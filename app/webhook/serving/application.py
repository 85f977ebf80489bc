"""The webhooks as a FastAPI application: /mutate, /validate, /guard, and the probes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from ...core.errors import ConfigError, Unreachable
from ...core.values import Now
from ...observe import log_events
from ...observe.log import Log
from .. import decision, guard
from ..decision import Decision
from ..policy import CredentialPolicy, PolicySource
from ..settings import Settings
from .body import Bodies, BodyRefused
from .metrics import WEBHOOKS, AdmissionCounters
from .review import AdmissionRequest, read_review, response

Judge = Callable[[AdmissionRequest], Awaitable[Decision]]
Decide = Callable[[dict[str, Any], str, CredentialPolicy | None, Settings], Decision]

BAD_REQUEST, FORBIDDEN, UNAVAILABLE = 400, 403, 503


class Webhook:
    """
    Answers reviews. `draining` makes the readiness probe fail before the process stops.

    `counters` count each request to a webhook. `monotonic` measures the durations of requests.
    """

    def __init__(
        self,
        policies: PolicySource,
        settings: Settings,
        log: Log,
        bodies: Bodies | None = None,
        *,
        monotonic: Now = time.monotonic,
    ) -> None:
        self._policies = policies
        self._settings = settings
        self._log = log
        self._bodies = bodies or Bodies()
        self._monotonic = monotonic
        self.counters = AdmissionCounters()
        self.draining = False

    def application(self) -> FastAPI:
        """Return the application."""
        app = FastAPI(title="idaas-sidecar webhook", docs_url=None, redoc_url=None, openapi_url=None)
        judges: tuple[Judge, ...] = (self._mutate, self._validate, self._guard)
        for name, judge in zip(WEBHOOKS, judges, strict=True):
            app.add_api_route(f"/{name}", self._endpoint(name, judge), methods=["POST"], response_class=JSONResponse)
        app.add_api_route("/livez", _live, methods=["GET"])
        app.add_api_route("/readyz", self._ready, methods=["GET"])
        return app

    async def _ready(self) -> Response:
        return Response("stopping\n", UNAVAILABLE) if self.draining else Response("ok\n")

    def _endpoint(self, name: str, judge: Judge) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            began = self._monotonic()
            outcome, made = await self._decide(request, judge)
            self.counters.answered(name, outcome, self._monotonic() - began)
            return made

        return respond

    async def _decide(self, request: Request, judge: Judge) -> tuple[str, Response]:
        """Return the outcome for the metrics, and the response."""
        with self._bodies.place() as body:
            try:
                review = read_review(await body.read(request.stream()))
            except BodyRefused as refused:
                return "invalid", Response(f"{refused}\n", refused.status, headers={"Connection": "close"})
            except ConfigError as error:
                return "invalid", Response(f"{error}\n", BAD_REQUEST)
            try:
                found = await judge(review)
            except Unreachable as error:
                # Fails closed: the pod has the label, so it must not start without credentials.
                refusal = Decision("refused", unreadable(review.namespace, error), error_code=error.error_code)
                return "unavailable", self._response(review, refusal, UNAVAILABLE)
            return found.outcome, self._response(review, found, FORBIDDEN)

    def _response(self, review: AdmissionRequest, found: Decision, status: int) -> Response:
        self._write(review, found)
        return JSONResponse(response(review.uid, found, status=status))

    def _write(self, review: AdmissionRequest, found: Decision) -> None:
        if found.outcome == "untouched":
            return
        event = log_events.POD_INJECTED if found.outcome == "injected" else log_events.POD_REFUSED
        metadata = (review.object or {}).get("metadata") or {}
        name = review.name or metadata.get("name") or metadata.get("generateName")
        refused = {"reason": found.message, "error_code": found.error_code} if found.outcome == "refused" else {}
        self._log.write(event, namespace=review.namespace, pod=name, **refused)

    async def _mutate(self, review: AdmissionRequest) -> Decision:
        return await self._with_policy(review, decision.decide)

    async def _validate(self, review: AdmissionRequest) -> Decision:
        return await self._with_policy(review, decision.check)

    async def _with_policy(self, review: AdmissionRequest, decide: Decide) -> Decision:
        pod = review.object or {}
        policy = await self._policies.find(review.namespace) if decision.concerns(pod) else None
        return decide(pod, review.namespace, policy, self._settings)

    async def _guard(self, review: AdmissionRequest) -> Decision:
        pod = review.object or {}
        if review.operation == "UPDATE":
            message = guard.update_violation(pod, review.old_object or {})
        else:
            message = guard.create_violation(pod)
        return Decision("refused", message) if message else Decision("untouched")


def unreadable(namespace: str, error: Unreachable) -> str:
    """Return the message for a pod whose policy could not be read."""
    return (
        f"idaas-sidecar: the CredentialPolicy of the namespace {namespace} cannot be read, and the pod must not start "
        f"without credentials: {error}. Controllers try again; see the log of the Deployment idaas-sidecar-webhook."
    )


async def _live() -> Response:
    return Response("ok\n")
