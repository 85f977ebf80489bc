"""Logs on stderr: JSON lines, or text on a terminal. Each event's fields are chosen here one by one; nothing else is
written, so a new field of a value never leaks by itself."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ..core.formats import timestamp
from ..core.model import ClockRead, Dropped, Event, Now, Refreshed, RefreshFailed, SidecarError, Unkept, Warned
from .stderr import Outlet

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
CLOCK_TOLERANCE = 60.0
"""Seconds between our clock and the cloud's that nobody is warned about."""

MOST_SAID = 1_000
"""Warnings remembered as said. Some quote what the cloud said, which may be something new each time."""

Fields = Mapping[str, Any]


class Log:
    """Writes one line per event. `describe` tells of each profile what an audit needs: kind, role, session name."""

    def __init__(
        self,
        stream: TextIO,
        *,
        level: str,
        json_lines: bool,
        now: Now,
        describe: Callable[[str], Fields] = lambda _: {},
    ) -> None:
        self._outlet = Outlet(stream)
        self._level = LEVELS[level]
        self._json = json_lines
        self._now = now
        self.describe = describe
        self._said: set[str] = set()

    def write(self, level: str, event: str, **fields: Any) -> None:
        """One line, if `level` is wanted. Values that are None are left out."""
        if LEVELS[level] < self._level:
            return
        shown = {name: value for name, value in fields.items() if value is not None}
        head = {"time": timestamp(self._now()), "level": level, "event": event}
        lost = self._outlet.take_lost()
        if lost:
            self._put(head | {"level": "warning", "event": "log_lines_lost"}, {"count": lost})
        self._put(head, shown)

    def _put(self, head: Fields, shown: Fields) -> None:
        self._outlet.write(_json_line({**head, **shown}) if self._json else _text_line(head, shown))

    def set_level(self, level: str) -> None:
        """Writes from now on what is at least `level`. Raises ValueError for a word that is no level."""
        if level not in LEVELS:
            raise ValueError(f"there is no such level; there is {', '.join(LEVELS)}")
        self._level = LEVELS[level]

    def close(self) -> None:
        """Writes what nobody took so far, if somebody does within a second: for the end, when waiting harms nobody."""
        self._outlet.flush(1.0)

    def observe(self, event: Event) -> None:
        """The log's side of what the core reports."""
        match event:
            case Refreshed():
                self._issued(event)
            case RefreshFailed():
                self._failed(event)
            case Dropped():
                self._dropped(event)
            case Warned(profile=profile, message=message):
                self._once(f"warned:{profile}:{message}", "token_mismatch", profile=profile, message=message)
            case Unkept(profile=profile, message=message, where=where):
                self.write("warning", f"{where}_unusable", profile=profile or None, message=message)
            case ClockRead(offset=offset):
                self._clock(offset)
            case _:
                pass

    def _issued(self, event: Refreshed) -> None:
        """The audit line of an issue: the AccessKeyId is an identifier, needed to join with ActionTrail."""
        held = event.credentials
        self.write(
            "info",
            "credentials_issued",
            profile=event.profile,
            **self.describe(event.profile),
            access_key_id=held.access_key_id,
            expires_at=timestamp(held.expires_at),
            next_refresh_at=timestamp(event.next_refresh_at),
            sts_request_id=held.request_id or None,
            seconds=round(event.took, 3),
        )

    def _dropped(self, event: Dropped) -> None:
        error = event.error
        self.write(
            "error", "credentials_dropped", profile=event.profile, **self.describe(event.profile), error=str(error)
        )

    def _failed(self, event: RefreshFailed) -> None:
        error = event.error
        ours = isinstance(error, SidecarError)
        permanent = isinstance(error, SidecarError) and error.permanent
        self.write(
            "error" if permanent or not ours else "warning",
            "refresh_failed",
            profile=event.profile,
            error=str(error) if ours else type(error).__name__,
            permanent=permanent,
            failures=event.failures,
            retry_in=round(event.retry_in, 1),
        )
        if not ours:
            # Frames without source lines or values: where it happened, never what was in it.
            where = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            self.write("debug", "traceback", profile=event.profile, frames=where)

    def _clock(self, offset: float) -> None:
        if abs(offset) <= CLOCK_TOLERANCE:
            self._said.discard("clock")
            return
        self._once(
            "clock", "clock_offset", seconds=round(offset), message="this machine's clock differs from the cloud's"
        )

    def _once(self, key: str, event: str, **fields: Any) -> None:
        """A warning that is repeated only after it was taken back."""
        if key not in self._said:
            if len(self._said) >= MOST_SAID:
                self._said.clear()
            self._said.add(key)
            self.write("warning", event, **fields)


_KNOWN = ("idaas_sidecar.", "uvicorn.")


class Bridge(logging.Handler):
    """Lets libraries' warnings through as events of ours: the logger, the level and the exception's type, no more.

    A library's message may quote a request or an answer, so its text is shown only where we know the lines.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(
            "error" if record.levelno >= logging.ERROR else "warning",
            "library",
            logger=record.name,
            message=str(record.msg).strip() if record.name.startswith(_KNOWN) else None,
            error=record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None,
        )


def _json_line(members: Fields) -> str:
    return json.dumps(members, separators=(",", ":"), default=str) + "\n"


def _text_line(head: Fields, shown: Fields) -> str:
    rest = " ".join(f"{name}={_bare(value)}" for name, value in shown.items())
    return f"{head['time'][11:-1]} {head['level'].upper():7} {head['event']} {rest}\n"


def _bare(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text and " " not in text and '"' not in text and text.isprintable() else json.dumps(text)
