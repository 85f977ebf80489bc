"""Step `exchange`: the answer of STS or of the DeveloperAPI, and each further role of the chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...core.errors import SidecarError
from ...core.formats import timestamp
from ...core.values import Credentials, Token
from ...refresh.pipeline import Pipeline
from ..finding import Finding, Step, failed

NAME = "exchange"

NOT_TRUSTED = "IDS-401"


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The step's result. `credentials` is None if the step is broken."""

    step: Step
    credentials: Credentials | None = field(default=None, repr=False)


async def run(
    name: str,
    token: Token,
    pipeline: Pipeline,
    verified: Mapping[str, Mapping[str, str]],
    *,
    ram_was_read: bool,
    not_examined: Sequence[str] = (),
) -> Exchanged:
    """
    Exchange the token. The session's key and token are never shown.

    `verified`: for each profile, the claims that STS read from an accepted token in this run. `ram_was_read`: if true,
    the cure of a refusal does not advise reading RAM. `not_examined`: conditions of the trust policy that are not about
    the token.
    """
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
        seen = {key: value for key, value in known.items() if value}
        return Exchanged(
            Step(
                NAME,
                "refused" if error.permanent else "failed",
                name,
                [_refusal(error, ram_was_read, not_examined)],
                seen,
            )
        )
    summary = f"session {session.access_key_id} until {timestamp(session.expires_at)}"
    facts: dict[str, Any] = {"access_key_id": session.access_key_id, "request_id": session.request_id}
    facts |= {"OIDCTokenInfo": dict(verified[name])} if name in verified else {}
    return Exchanged(Step(NAME, summary, name, facts=facts), session)


def _refusal(error: SidecarError, ram_was_read: bool, not_examined: Sequence[str]) -> Finding:
    found = failed(error)
    if found.code != NOT_TRUSTED:
        return found
    if not_examined:
        return replace(
            found,
            cure=f"request the session under the condition {', '.join(not_examined)} of the role's trust policy, which "
            "this command cannot examine, or correct that condition",
        )
    if not ram_was_read:
        return found
    return replace(
        found,
        cure="try again in a minute, because RAM may still use the previous trust policy; then request the token with "
        "the claims that the policy names",
    )
