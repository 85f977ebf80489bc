"""Values that several packages share. Instants are seconds since the epoch (UTC) as floats, durations are seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .record import Record

Now = Callable[[], float]
"""The wall clock: seconds since the epoch. Always passed in."""

ServerNow = Callable[[str], float]
"""Returns the time of a URL's server if it is known, else the wall clock: seconds since the epoch."""

Random = Callable[[], float]
"""A random number, uniform in [0, 1). Always passed in."""

Secret = Callable[[], str]
"""Reads a secret at each use, so that a rotation needs no restart. Raises ConfigError if the secret is missing."""

TokenUse = Literal["access_token", "id_token"]
"""The token of a token response that is presented to STS."""

State = Literal["starting", "fresh", "stale", "denied", "misconfigured", "expired", "dropped"]
"""The state of a profile. STATES holds the meanings."""

STATES: Mapping[State, str] = {
    "starting": "no credentials since the start, and no refusal or configuration error",
    "fresh": "valid credentials, and the last refresh succeeded",
    "stale": "valid credentials, but the last refresh failed",
    "denied": "no valid credentials, because the cloud refused the last refresh",
    "misconfigured": "no valid credentials, because the last refresh found a mistake in the configuration",
    "expired": "no valid credentials any more",
    "dropped": "credentials removed by `purge`, or by `onDenied: stop`",
}
"""Every state with its meaning. docs/reference/metrics.md shows them."""


class Token(Record, frozen=True):
    """An OIDC token that can be presented until `expires_at`."""

    HIDDEN = frozenset({"value"})

    value: str
    expires_at: float


class Credentials(Record, frozen=True):
    """STS credentials: three non-empty strings and the true end of the session."""

    HIDDEN = frozenset({"access_key_secret", "security_token"})

    access_key_id: str
    access_key_secret: str
    security_token: str
    issued_at: float
    expires_at: float
    request_id: str = ""


class Status(Record, frozen=True):
    """The status of one profile; nothing in it is secret."""

    profile: str
    required: bool
    state: State
    expires_at: float | None
    left: float
    """Seconds for which the session may still be served, by the clock with the earlier end; 0 without a session."""
    next_refresh_at: float | None
    """The time of the next refresh by the wall clock; None while an attempt is under way."""
    failures: int
    last_error: str | None
    last_error_permanent: bool = False
    life: float = 0.0
    """Seconds from the issue of the held session to its end; 0 without one."""
    last_error_code: str | None = None
    """The entry of the last error in the errors index."""

    @property
    def usable(self) -> bool:
        """Whether the profile has credentials to serve."""
        return self.state in ("fresh", "stale")
