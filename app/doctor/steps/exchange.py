"""Step `exchange`: the verdict of STS, or of the DeveloperAPI, and each further role of the chain."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import SidecarError
from ...core.formats import timestamp
from ...core.values import Credentials, Token
from ...refresh.pipeline import Pipeline
from ..finding import Step, failed

NAME = "exchange"


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The step's result; `credentials` is None where it is broken."""

    step: Step
    credentials: Credentials | None = None


async def run(name: str, token: Token, pipeline: Pipeline) -> Exchanged:
    """Exchange the token. The session's key and token are never shown."""
    try:
        session = await pipeline.exchanged(name, token)
    except SidecarError as error:
        known = {
            "stage": error.stage,
            "endpoint": error.endpoint,
            "status": error.status,
            "code": error.code,
            "request_id": error.request_id,
            "cloud_message": error.cloud_message,
        }
        facts = {key: value for key, value in known.items() if value}
        return Exchanged(Step(NAME, "refused" if error.permanent else "failed", name, [failed(error)], facts))
    summary = f"session {session.access_key_id} until {timestamp(session.expires_at)}"
    facts = {"access_key_id": session.access_key_id, "request_id": session.request_id}
    return Exchanged(Step(NAME, summary, name, facts=facts), session)
