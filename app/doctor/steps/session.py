"""Step `session`: compares the session's length with the configured length, and with all known clients' margins."""

from __future__ import annotations

from collections.abc import Iterator

from ...config.settings import Profile
from ...core.checks import profile_place
from ...core.values import Credentials
from .. import clients
from ..finding import Finding, Step, warning

NAME = "session"

TOLERANCE = 60.0
"""Seconds by which a session may be shorter, for the time of the request and for clocks exact to a second."""


def run(name: str, profile: Profile, credentials: Credentials) -> Step:
    """Compare the length with durationSeconds, and the least remaining lifetime that clients see with their margins."""
    length = credentials.expires_at - credentials.issued_at
    found = [*_shorter(name, profile, length), *_margins(length)]
    missed = clients.missed(length)
    summary = f"{length:.0f} s; clients see at least {clients.least_left(length):.0f} s left"
    if missed:
        summary += f"; {len({each.client for each in missed})} known clients then fetch on every call"
    facts = {
        "seconds": round(length),
        "least_left": round(clients.least_left(length)),
        "fetch_on_every_call": [
            {
                "client": each.client,
                "interface": each.interface,
                "margin": each.seconds,
                "needs_sessions_of": each.needs,
            }
            for each in missed
        ],
    }
    return Step(NAME, summary, name, found, facts)


def _shorter(name: str, profile: Profile, length: float) -> Iterator[Finding]:
    """Yield a finding if the session is shorter than configured. The last role of a chain determines its length."""
    last, place = (
        (profile.chain[-1], f"chain[{len(profile.chain) - 1}]") if profile.chain else (profile.exchange, "exchange")
    )
    wanted = last.duration_seconds
    if wanted is not None and length < wanted - TOLERANCE:
        yield warning(
            "IDS-437",
            f"{profile_place(name)}.{place}.durationSeconds is {wanted}, and the session has {length:.0f} s",
            f"set {place}.durationSeconds to {length:.0f}, or raise MaxSessionDuration of the role to {wanted}",
        )


def _margins(length: float) -> Iterator[Finding]:
    """Yield a finding for missed margins that sessions of an hour would satisfy. Other margins are in the facts."""
    usual = clients.least_left(clients.DEFAULT_SESSION)
    missed = [each for each in clients.missed(length) if each.seconds < usual]
    if missed:
        yield warning(
            "IDS-435",
            f"sessions of {length:.0f} s: clients see {clients.least_left(length):.0f} s left at times, and those with "
            f"these margins then fetch on every call: {clients.named(missed)}",
            "set durationSeconds to 3600, and the role's MaxSessionDuration to at least that",
        )
