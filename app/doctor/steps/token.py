"""Step `token`: obtains the identity's token, and compares its claims with the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ...config.settings import Profile
from ...core.checks import profile_place
from ...core.clocks import CloudClock
from ...core.errors import SidecarError
from ...core.formats import timestamp
from ...core.text import quoted
from ...core.urls import server_of
from ...core.values import Token
from ...identity import identities, jwt_claims
from ...identity.jwt_claims import Claims
from ...refresh.pipeline import Pipeline, expected_claims
from .. import client_proof
from ..client_proof import CLIENT_REFUSED
from ..compare import closest, marked
from ..finding import Finding, Step, failed, warning

NAME = "token"

SHORTEST_LIFE = 60.0
"""The least remaining seconds for the exchange of a token: two requests with their time limits, and some clock
difference."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """The step's result. `token` and `claims` are None if the step is broken."""

    step: Step
    token: Token | None = field(default=None, repr=False)
    claims: Claims | None = None


async def run(
    name: str, profile: Profile, pipeline: Pipeline, cloud_clock: CloudClock, *, clock_is_off: bool
) -> Obtained:
    """
    Obtain a token in the same way as a refresh, and compare its claims. The output has header and claims, never the
    token.

    The token's times are compared with the clock of the server that issued it, if this clock is known. The step `clock`
    reports an error of this machine's clock.
    """
    try:
        token = await pipeline.token(name)
    except SidecarError as error:
        return Obtained(Step(NAME, "no token", name, [_failed(error, name, profile, clock_is_off=clock_is_off)]))
    claims = jwt_claims.unverified(token.value)
    if claims is None:
        return Obtained(Step(NAME, "not a JWT", name, [warning("IDS-321", "the token is not a JWT")]), token)
    url = identities.own_url(profile.identity, f"{profile_place(name)}.identity")
    now = cloud_clock.now(server_of(url) if url else "")
    found = list(_findings(claims, profile, now))
    life = (claims.expires_at or token.expires_at) - now
    summary = f"issued by {_text(claims.issuer)} for {_text(claims.subject)}, expires in {life:.0f} s"
    return Obtained(Step(NAME, summary, name, found, _facts(token, claims)), token, claims)


def _failed(error: SidecarError, name: str, profile: Profile, *, clock_is_off: bool) -> Finding:
    found = failed(error)
    if found.code != CLIENT_REFUSED:
        return found
    own = client_proof.cure(
        profile.identity, f"{profile_place(name)}.identity", error.endpoint, clock_is_off=clock_is_off
    )
    return replace(found, cure=own or found.cure)


def _findings(claims: Claims, profile: Profile, now: float) -> Iterator[Finding]:
    expected = expected_claims(profile)
    if expected.issuer is not None and claims.issuer != expected.issuer:
        yield _differs("IDS-331", "iss", claims.issuer or "", expected.issuer, "the configured issuer")
    if expected.audience is not None and expected.audience not in claims.audiences:
        nearest = closest(expected.audience, claims.audiences)
        yield _differs("IDS-330", "aud", nearest, expected.audience, "the configured audience")
    if expected.client_id is not None and claims.subject != expected.client_id:
        yield _differs("IDS-332", "sub", claims.subject or "", expected.client_id, "the client id")
    if claims.issued_at is not None and claims.issued_at > now + jwt_claims.LEEWAY:
        yield warning("IDS-214", f"the token's iat is {claims.issued_at - now:.0f} s ahead of the clock")
    if claims.expires_at is not None and claims.expires_at - now < SHORTEST_LIFE:
        yield warning("IDS-333", f"the token expires in {max(0.0, claims.expires_at - now):.0f} s")


def _differs(code: str, claim: str, value: str, wanted: str, what: str) -> Finding:
    return warning(code, f"the token's {claim} is {marked(value, wanted)}, {what} is {marked(wanted, value)}")


def _facts(token: Token, claims: Claims) -> dict[str, Any]:
    header = jwt_claims.header(token.value)
    shown = {key: quoted(str(header[key])) for key in jwt_claims.SHOWN_HEADERS if key in header}
    times = {"iat": claims.issued_at, "exp": claims.expires_at}
    return {
        "header": shown,
        "claims": {
            "iss": _text(claims.issuer),
            "aud": [quoted(each) for each in claims.audiences],
            "sub": _text(claims.subject),
            **{name: timestamp(value) for name, value in times.items() if value is not None},
        },
    }


def _text(value: str | None) -> str:
    return quoted(value) if value else "(missing)"
