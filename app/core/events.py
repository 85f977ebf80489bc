"""What happens in a running sidecar, for the log, the counters and the stores: values, observed by one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .values import Credentials


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new session is held. `next_refresh_at`: when the next one will be requested. `took`: seconds."""

    profile: str
    credentials: Credentials
    next_refresh_at: float
    took: float


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    """An attempt failed; `failures` in a row, and the next attempt is `retry_in` seconds away."""

    profile: str
    error: Exception
    failures: int
    retry_in: float
    took: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """A session is no longer served although it has not expired, because of `error`."""

    profile: str
    error: Exception


@dataclass(frozen=True, slots=True)
class StageTimed:
    """One stage of a refresh (`token`, `exchange`, or a link of the chain: `chain[0]`) ended, well or not."""

    profile: str
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something works, but not as configured. Logged once for as long as the message stays the same."""

    profile: str
    message: str
    error_code: str


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The disk did not write, read or remove a profile's session; `profile` is empty where it concerns all."""

    profile: str
    message: str
    store: Literal["cache", "files"] = "cache"
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class ClockRead:
    """A server's clock minus this machine's, in seconds, by a `Date` header; exact to about a second."""

    server: str
    offset: float


@dataclass(frozen=True, slots=True)
class IdentityExpiry:
    """What a profile proves its identity with expires at `not_after` unless it is renewed; `kind` names it."""

    profile: str
    kind: str
    not_after: float


@dataclass(frozen=True, slots=True)
class TokenVerified:
    """STS accepted the profile's token. `info`: what STS read from it (OIDCTokenInfo), for `doctor`."""

    profile: str
    info: Mapping[str, str]


Event = (
    Refreshed | RefreshFailed | Dropped | StageTimed | Warned | StoreFailed | ClockRead | IdentityExpiry | TokenVerified
)
Observe = Callable[[Event], None]
