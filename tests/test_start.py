"""app/start.py: how `serve` waits for a configuration that is not complete, or whose file system does not answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.core.errors import ConfigError, NotThereYet
from app.start import OneReading, when_complete

LOADED: Any = object()


def test_reading_that_hangs_is_waited_for() -> None:
    """A reading that hangs is not begun again; when the file system answers, it gives the configuration."""
    answers, begun = threading.Event(), []

    def read() -> Any:
        begun.append(1)
        answers.wait()
        return LOADED

    said: list[NotThereYet] = []
    steps = iter((answers.clear, answers.clear, answers.set))

    def sleep(_: float) -> bool:
        next(steps, lambda: None)()
        return False

    loaded = when_complete(OneReading(read, patience=0.01), said.append, sleep)

    assert (loaded, len(begun)) == (LOADED, 1)
    assert [absence.error_code for absence in said] == ["IDS-601"]


def test_reading_that_fails_is_begun_again() -> None:
    """After an error the next call reads again."""
    results: list[Any] = [NotThereYet("absent"), ConfigError("wrong"), LOADED]

    def read() -> Any:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    reading = OneReading(read)
    with pytest.raises(NotThereYet):
        reading()
    with pytest.raises(ConfigError):
        reading()

    assert reading() is LOADED
