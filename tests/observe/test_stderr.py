"""Writing without ever waiting for the reader, through real pipes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TextIO

import pytest

from app.observe.stderr import LONGEST_BACKLOG, PIECE, NonBlockingStream


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The reader's descriptor, and the writer's stream."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def read_all(descriptor: int) -> bytes:
    """Everything that is in the pipe now."""
    found = b""
    while True:
        try:
            found += os.read(descriptor, 65_536)
        except BlockingIOError:
            return found


def test_a_reader_that_reads(pipe: tuple[int, TextIO]) -> None:
    """Lines arrive whole and in order, also those longer than a pipe takes at once."""
    reading, stream = pipe
    outlet = NonBlockingStream(stream)
    lines = ["first\n", "x" * (3 * PIECE) + "\n", "last\n"]
    for line in lines:
        outlet.write(line)

    assert read_all(reading).decode() == "".join(lines)
    assert outlet.take_lost() == 0


def test_a_reader_that_does_not_read(pipe: tuple[int, TextIO]) -> None:
    """Writing goes on without waiting; what was kept comes later, what was too much is counted and told."""
    reading, stream = pipe
    outlet = NonBlockingStream(stream)
    written = 4 * LONGEST_BACKLOG
    for number in range(written):
        outlet.write(f"{number:0{PIECE - 1}}\n")
    in_between = outlet.take_lost()
    found = b""
    while more := read_all(reading):
        found += more
        outlet.flush()
    numbers = [int(line) for line in found.split()]

    assert in_between == 0
    assert numbers == list(range(len(numbers)))
    assert LONGEST_BACKLOG <= len(numbers) < written
    assert outlet.take_lost() == written - len(numbers)
    assert outlet.take_lost() == 0


def test_a_reader_that_left(pipe: tuple[int, TextIO]) -> None:
    """A closed pipe raises nothing."""
    reading, stream = pipe
    outlet = NonBlockingStream(stream)
    os.close(reading)
    outlet.write("nobody hears this\n")
    outlet.write("nor this\n")
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)

    assert outlet.take_lost() == 0


def test_a_stream_without_descriptor() -> None:
    """Anything that takes text will do."""
    stream = io.StringIO()
    NonBlockingStream(stream).write("line\n")

    assert stream.getvalue() == "line\n"
