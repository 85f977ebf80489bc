"""The log on standard error: JSON lines, or text on a terminal.

Each line is an event of log_events.py with fields that its writer chose one by one. Nothing else is written, so a new
member of a value is never logged by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from ..core.formats import timestamp_ms
from ..core.text import one_line
from ..core.values import Now
from .log_events import LEVELS, LOG_LINES_LOST, Level, LogEvent
from .stderr import NonBlockingStream

Fields = Mapping[str, Any]


class Log:
    """Writes one line per event to `stream`, without ever waiting for its reader."""

    def __init__(self, stream: TextIO, *, level: str, json_lines: bool, now: Now) -> None:
        self._stream = NonBlockingStream(stream)
        self._level = LEVELS[level]
        self._json = json_lines
        self._now = now

    def write(self, event: LogEvent, message: str = "", level: Level | None = None, /, **fields: Any) -> None:
        """
        Write one line, if its level is enabled. Fields that are None are left out. The event supplies `error_code`.

        `message` and `level` replace those of the event.
        """
        if LEVELS[level or event.level] < self._level:
            return
        lost = self._stream.take_lost()
        if lost:
            self._put(
                LOG_LINES_LOST,
                LOG_LINES_LOST.level,
                LOG_LINES_LOST.message,
                {"count": lost, "error_code": LOG_LINES_LOST.error_code},
            )
        if event.error_code is not None and fields.get("error_code") is None:
            fields["error_code"] = event.error_code
        self._put(event, level or event.level, message or event.message, fields)

    def set_level(self, level: str) -> None:
        """Write lines of at least this level from now on. Raises ValueError for an unknown level."""
        if level not in LEVELS:
            raise ValueError(f"there is no such level; the levels are {', '.join(LEVELS)}")
        self._level = LEVELS[level]

    def close(self) -> None:
        """Write the lines that the reader has not taken yet, for at most a second. Waiting does no harm at the exit."""
        self._stream.flush(1.0)

    def _put(self, event: LogEvent, level: str, message: str, fields: Fields) -> None:
        shown = {name: value for name, value in fields.items() if value is not None}
        head = {"timestamp": timestamp_ms(self._now()), "level": level, "event": event.name, "message": message}
        self._stream.write(_json_line({**head, **shown}) if self._json else _text_line(head, shown))


def _json_line(members: Fields) -> str:
    return json.dumps(members, separators=(",", ":"), default=str) + "\n"


def _text_line(head: Fields, shown: Fields) -> str:
    rest = "".join(f" {name}={_bare(value)}" for name, value in shown.items())
    time = head["timestamp"][11:-1]
    message = one_line(head["message"])
    return f"{time} {head['level'].upper():7} {head['event']}: {message}{rest}\n"


def _bare(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text and " " not in text and '"' not in text and text.isprintable() else json.dumps(text)
