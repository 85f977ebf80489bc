"""The words everybody shares: values, events and errors. Imports nothing of ours.

Instants are seconds since the epoch (UTC) as floats, durations are seconds; text appears only at the edge.

    SidecarError
    ├── ConfigError       what we were given cannot work: names the thing, the place and the cure
    ├── Unreachable       the other side did not give a usable answer: trying again may help
    ├── Refused           the other side said no: trying the same again will not help
    └── NoCredentials     nothing valid is held at the moment
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Now = Callable[[], float]
"""The wall clock: seconds since the epoch. Always passed in."""

Random = Callable[[], float]
"""Chance: uniform in [0, 1). Always passed in."""

TokenUse = Literal["access_token", "id_token"]
"""Which token of a token response is presented to STS."""

Secret = Callable[[], str]
"""A secret, read when used, so that rotation needs no restart. Raises ConfigError where it is missing."""


@dataclass(frozen=True, slots=True)
class Token:
    """An OIDC token, good to present until `expires_at`."""

    value: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class Credentials:
    """STS credentials: three non-empty strings and the true end of the session."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(repr=False)
    issued_at: float
    expires_at: float
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """What one profile can say of itself; nothing in it is secret."""

    profile: str
    required: bool
    state: str
    """`starting`: nothing yet. `fresh`: valid. `stale`: valid, the last refresh failed. `expired`: was valid once."""
    expires_at: float | None
    left: float
    """Seconds for which it may still be served, by the clock that says the earlier; 0 where there is nothing."""
    next_refresh_at: float | None
    """By the wall clock; None while an attempt is under way."""
    failures: int
    last_error: str | None
    last_error_permanent: bool = False

    @property
    def usable(self) -> bool:
        return self.state in ("fresh", "stale")


class SidecarError(Exception):
    """Root of all that we raise on purpose. `str()` is one line and holds no secret."""

    retry_after: float | None = None

    @property
    def permanent(self) -> bool:
        """Whether trying the same again cannot help before somebody changes something."""
        return False


class ConfigError(SidecarError):
    """What we were given cannot work; the message names the thing, the place and the cure."""

    @property
    def permanent(self) -> bool:
        return True


class Unreachable(SidecarError):
    """
    No usable answer: connection, time-out, throttling, 5xx, nonsense.

    `retry_after`: seconds the peer asked for. `throttled`: it works, but a quota that we share with others is used up.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str = "", throttled: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.throttled = throttled


class Refused(SidecarError):
    """
    A definite no.

    `renew_token`: it is the token that was refused, so a new one may still succeed. `withdrawn`: the role, or the trust
    that let us assume it, is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        request_id: str = "",
        renew_token: bool = False,
        withdrawn: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.renew_token = renew_token
        self.withdrawn = withdrawn

    @property
    def permanent(self) -> bool:
        return True


class NoCredentials(SidecarError):
    """Nothing valid is held. `retry_after`: seconds until the next attempt is due."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new session is held. `next_refresh_at` is when the next one will be asked for."""

    profile: str
    credentials: Credentials
    next_refresh_at: float
    took: float


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    """An attempt failed; `failures` in a row, the next attempt is `retry_in` seconds away."""

    profile: str
    error: Exception
    failures: int
    retry_in: float
    took: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A session is not served any more although it has not ended, because of `error`."""

    profile: str
    error: Exception


@dataclass(frozen=True, slots=True)
class StageTimed:
    """One leg of a refresh (`token`, `exchange`, or a link: `chain[0]`) ended, well or not."""

    profile: str
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something works, yet not as configured. Said once for as long as it stays the same."""

    profile: str
    message: str


class Unusable(Exception):
    """Why the disk does not keep sessions, as a sentence that holds nothing secret."""


class BadEntry(Unusable):
    """It is one profile's entry or file that is of no use; the others may be good."""


@dataclass(frozen=True, slots=True)
class Unkept:
    """The disk did not take, give or forget the profile's session; `profile` is empty where it is nobody's alone."""

    profile: str
    message: str
    where: Literal["cache", "files"] = "cache"


@dataclass(frozen=True, slots=True)
class ClockRead:
    """The cloud's clock minus ours, in seconds, as its `Date` header told; exact to about a second."""

    offset: float


@dataclass(frozen=True, slots=True)
class IdentityEnds:
    """What a profile proves itself with ends at `not_after`, unless somebody renews it; `kind` says what it is."""

    profile: str
    kind: str
    not_after: float


Event = Refreshed | RefreshFailed | Dropped | StageTimed | Warned | Unkept | ClockRead | IdentityEnds
Observe = Callable[[Event], None]
