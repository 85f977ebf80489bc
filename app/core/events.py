"""What happens in a running sidecar, for the log, the counters and the stores: values, observed by one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .record import Record
from .values import Credentials


class Refreshed(Record, frozen=True):
    """A new session is held. `next_refresh_at`: when the next one will be requested. `took`: seconds."""

    profile: str
    credentials: Credentials
    next_refresh_at: float
    took: float


class RefreshFailed(Record, frozen=True):
    """An attempt failed; `failures` in a row, and the next attempt is `retry_in` seconds away."""

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
    """One stage of a refresh (`token`, `exchange`, or a link of the chain: `chain[0]`) ended, well or not."""

    profile: str
    stage: str
    seconds: float


class Warned(Record, frozen=True):
    """Something works, but not as configured. Logged once for as long as the message stays the same."""

    profile: str
    message: str
    error_code: str


class StoreFailed(Record, frozen=True):
    """The disk did not write, read or remove a profile's session; `profile` is empty where it concerns all."""

    profile: str
    message: str
    store: Literal["cache", "files"] = "cache"
    error_code: str | None = None


class ClockRead(Record, frozen=True):
    """A server's clock minus this machine's, in seconds, by a `Date` header; exact to about a second."""

    server: str
    offset: float


class IdentityExpiry(Record, frozen=True):
    """What a profile proves its identity with expires at `not_after` unless it is renewed; `kind` names it."""

    profile: str
    kind: str
    not_after: float


class TokenVerified(Record, frozen=True):
    """STS accepted the profile's token. `info`: what STS read from it (OIDCTokenInfo), for `doctor`."""

    profile: str
    info: Mapping[str, str]


Event = (
    Refreshed | RefreshFailed | Dropped | StageTimed | Warned | StoreFailed | ClockRead | IdentityExpiry | TokenVerified
)
Observe = Callable[[Event], None]
