"""The webhooks as a FastAPI application: /mutate, /validate, /guard, and the probes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from ..core.errors import ConfigError, Unreachable
from ..observe import log_events
from ..observe.log import Log
from . import decision, guard
from .body import Bodies, BodyRefused
from .decision import Decision
from .policy import CredentialPolicy, PolicySource
from .review import AdmissionRequest, read_review, response
from .settings import Settings

Judge = Callable[[AdmissionRequest], Awaitable[Decision]]
Decide = Callable[[dict[str, Any], str, CredentialPolicy | None, Settings], Decision]

BAD_REQUEST, FORBIDDEN, UNAVAILABLE = 400, 403, 503


class Webhook:
    """Answers reviews. `draining` makes the readiness probe fail, before the process stops."""

    def __init__(self, policies: PolicySource, settings: Settings, log: Log, bodies: Bodies | None = None) -> None:
        self._policies = policies
        self._settings = settings
        self._log = log
        self._bodies = bodies or Bodies()
        self.draining = False

    def application(self) -> FastAPI:
        """Return the application."""
        app = FastAPI(title="idaas-sidecar webhook", docs_url=None, redoc_url=None, openapi_url=None)
        judges: dict[str, Judge] = {"/mutate": self._mutate, "/validate": self._validate, "/guard": self._guard}
        for path, judge in judges.items():
            app.add_api_route(path, self._endpoint(judge), methods=["POST"], response_class=JSONResponse)
        app.add_api_route("/livez", _live, methods=["GET"])
        app.add_api_route("/readyz", self._ready, methods=["GET"])
        return app

    async def _ready(self) -> Response:
        return Response("stopping\n", UNAVAILABLE) if self.draining else Response("ok\n")

    def _endpoint(self, judge: Judge) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            with self._bodies.place() as body:
                try:
                    review = read_review(await body.read(request.stream()))
                except BodyRefused as refused:
                    return Response(f"{refused}\n", refused.status, headers={"Connection": "close"})
                except ConfigError as error:
                    return Response(f"{error}\n", BAD_REQUEST)
                return JSONResponse(await self._answer(review, judge))

        return answer

    async def _answer(self, review: AdmissionRequest, judge: Judge) -> dict[str, Any]:
        status = FORBIDDEN
        try:
            found = await judge(review)
        except Unreachable as error:
            # Closed: the pod is one with the label, and it must not start without credentials.
            status = UNAVAILABLE
            found = Decision("refused", unreadable(review.namespace, error))
        self._write(review, found)
        return response(review.uid, found, status=status)

    def _write(self, review: AdmissionRequest, found: Decision) -> None:
        if found.outcome == "untouched":
            return
        event = log_events.POD_INJECTED if found.outcome == "injected" else log_events.POD_REFUSED
        metadata = (review.object or {}).get("metadata") or {}
        name = review.name or metadata.get("name") or metadata.get("generateName")
        self._log.write(event, namespace=review.namespace, pod=name, reason=found.message or None)

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
