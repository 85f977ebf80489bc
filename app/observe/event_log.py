"""Converts the events of the core to log lines."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

from ..core.clocks import LARGEST_OFFSET
from ..core.errors import SidecarError
from ..core.events import ClockRead, Dropped, Event, Refreshed, RefreshFailed, StoreFailed, Warned
from ..core.formats import timestamp
from . import log_events
from .log import Log
from .log_events import LogEvent

INTERNAL_ERROR = "IDS-901"
"""The stable code of an error that this program did not raise on purpose."""

CLOCK_TOLERANCE = 60.0
"""Seconds by which this machine's clock may differ from the cloud's clock without a warning."""

_ABSURD = "a server's clock is absurd and is not used; check that server, or set this machine's clock"

MOST_REMEMBERED = 1_000
"""The most warnings remembered as written. Some quote a message of the cloud, which may differ every time."""

Describe = Callable[[str], Mapping[str, str]]
"""Returns the members of an audit line about a profile, beside its name: identity kind, role, session name."""


def failure_fields(error: Exception | None) -> dict[str, object]:
    """Return the known facts of a failed request as fields of a log line. An unknown fact is None."""
    if error is None:
        return {}
    if not isinstance(error, SidecarError):
        return {"error_code": INTERNAL_ERROR}
    return {name: getattr(error, name) or None for name in log_events.FAILURE}


class EventLog:
    """Writes a line for each event that an operator needs."""

    def __init__(self, log: Log, describe: Describe) -> None:
        self._log = log
        self._describe = describe
        self._written: set[str] = set()

    def observe(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        match event:
            case Refreshed():
                self._issued(event)
            case RefreshFailed():
                self._failed(event)
            case Dropped(profile=profile, error=error):
                self._log.write(
                    log_events.CREDENTIALS_DROPPED,
                    profile=profile,
                    **self._describe(profile),
                    error=str(error),
                    **failure_fields(error),
                )
            case Warned(profile=profile, message=message, error_code=error_code):
                key = f"warned:{profile}:{message}"
                self._once(key, log_events.TOKEN_MISMATCH, message, profile=profile, error_code=error_code)
            case StoreFailed(profile=profile, message=message, store=store, error_code=error_code):
                found = log_events.CACHE_UNUSABLE if store == "cache" else log_events.FILES_UNUSABLE
                self._log.write(found, message, profile=profile or None, error_code=error_code or found.error_code)
            case ClockRead(server=server, offset=offset):
                self._clock(server, offset)
            case _:
                pass

    def _issued(self, event: Refreshed) -> None:
        session = event.credentials
        self._log.write(
            log_events.CREDENTIALS_ISSUED,
            profile=event.profile,
            **self._describe(event.profile),
            access_key_id=session.access_key_id,
            expires_at=timestamp(session.expires_at),
            next_refresh_at=timestamp(event.next_refresh_at),
            sts_request_id=session.request_id or None,
            seconds=round(event.took, 3),
        )

    def _failed(self, event: RefreshFailed) -> None:
        error = event.error
        ours = isinstance(error, SidecarError)
        permanent = isinstance(error, SidecarError) and error.permanent
        self._log.write(
            log_events.REFRESH_FAILED,
            "",
            "error" if permanent or not ours else "warning",
            profile=event.profile,
            error=str(error) if ours else type(error).__name__,
            **failure_fields(error),
            permanent=permanent,
            failures=event.failures,
            retry_in=round(event.retry_in, 1),
        )
        if not ours:
            # Only names and line numbers of the frames: source lines and values could hold a secret.
            where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            self._log.write(log_events.TRACEBACK, profile=event.profile, frames=where)

    def _clock(self, server: str, offset: float) -> None:
        key = f"clock:{server}"
        if abs(offset) <= CLOCK_TOLERANCE:
            self._written.discard(key)
            return
        message = "" if abs(offset) <= LARGEST_OFFSET else _ABSURD
        self._once(key, log_events.CLOCK_OFFSET, message, server=server, seconds=round(offset))

    def _once(self, key: str, event: LogEvent, message: str = "", /, **fields: object) -> None:
        """Write a warning. It is repeated only after its cause has ended and returned."""
        if key in self._written:
            return
        if len(self._written) >= MOST_REMEMBERED:
            self._written.clear()
        self._written.add(key)
        self._log.write(event, message, **fields)
