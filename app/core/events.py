"""The events of a running sidecar, for the log, the counters and the stores: values that one callback receives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .record import Record
from .values import Credentials


class Refreshed(Record, frozen=True):
    """A new session is held. `next_refresh_at`: the time of the next request. `took`: the seconds of the attempt."""

    profile: str
    credentials: Credentials
    next_refresh_at: float
    took: float


class RefreshFailed(Record, frozen=True):
    """An attempt failed. `failures`: failed attempts in a row. `retry_in`: the seconds until the next attempt."""

    profile: str
    error: Exception
    failures: int
    retry_in: float
    took: float


class Dropped(Record, frozen=True):
    """A session is no longer served although it has not expired, because of `error`."""

    profile: str
    error: Exception


class StageTimed(Record, frozen=True):
    """One stage of a refresh (`token`, `exchange`, or a role of the chain: `chain[0]`) succeeded or failed."""

    profile: str
    stage: str
    seconds: float


class Interrupted(Record, frozen=True):
    """An attempt was interrupted for a server that may answer quickly. It begins again, and has not failed."""

    profile: str


class Warned(Record, frozen=True):
    """Something works, but not as configured. The log repeats the warning only when its message changes."""

    profile: str
    message: str
    error_code: str


class StoreFailed(Record, frozen=True):
    """The disk did not write, read or remove a profile's session. `profile` is empty if all profiles are concerned."""

    profile: str
    message: str
    store: Literal["cache", "files"] = "cache"
    error_code: str | None = None


class ClockRead(Record, frozen=True):
    """A server's clock minus this machine's clock, in seconds, from a `Date` header. Exact to about a second."""

    server: str
    offset: float


class IdentityExpiry(Record, frozen=True):
    """A profile's proof of identity expires at `not_after` unless it is renewed. `kind`: the kind of proof."""

    profile: str
    kind: str
    not_after: float


class TokenVerified(Record, frozen=True):
    """STS accepted the profile's token. `info`: the members that STS read from it (OIDCTokenInfo), for `doctor`."""

    profile: str
    info: Mapping[str, str]


Event = (
    Refreshed
    | RefreshFailed
    | Dropped
    | StageTimed
    | Interrupted
    | Warned
    | StoreFailed
    | ClockRead
    | IdentityExpiry
    | TokenVerified
)
Observe = Callable[[Event], None]
