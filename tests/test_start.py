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


def test_each_absence_is_said_once() -> None:
    """What is waited for is said when it is known, and not again, until all is there."""
    absences = ["a.pem", "a.pem", "an address", "an address", "a.pem"]

    def read() -> Any:
        if absences:
            raise NotThereYet(absences.pop(0))
        return LOADED

    said: list[NotThereYet] = []

    assert when_complete(read, said.append, lambda _: False) is LOADED
    assert list(map(str, said)) == ["a.pem", "an address"]


@pytest.mark.parametrize(("patience", "looks"), [(2.0, 5), (None, 121)])
def test_wait_ends_at_the_gate(patience: float | None, looks: int) -> None:
    """The wait ends with the error after its patience, by default after a minute, with two looks a second."""
    slept: list[float] = []

    def read() -> Any:
        raise NotThereYet("absent", patience=patience)

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        return False

    with pytest.raises(NotThereYet):
        when_complete(read, lambda _: None, sleep, lambda: sum(slept))
    assert len(slept) + 1 == looks


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
