"""Warnings of libraries in this program's log."""

from __future__ import annotations

import logging

from .log import Log
from .log_events import LIBRARY

_KNOWN = ("idaas_sidecar.", "uvicorn.")
"""Prefixes of loggers whose lines never quote a request or an answer."""


class LibraryHandler(logging.Handler):
    """
    Writes libraries' warnings as events: the logger, and the type of the exception.

    A library's text may quote a request or an answer, so only the text of known loggers is shown.
    """

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(
            LIBRARY,
            "",
            "error" if record.levelno >= logging.ERROR else "warning",
            logger=record.name,
            text=str(record.msg).strip() if record.name.startswith(_KNOWN) else None,
            error=record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None,
        )
