"""The stream that never waits for its reader, on real pipes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from app.observe.stderr import LONGEST_BACKLOG, PIECE, NonBlockingStream


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The descriptor of the reader, and the stream of the writer."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    os.close(reader)


def read_all(descriptor: int) -> bytes:
    """Return everything that the pipe contains."""
    data = b""
    while True:
        try:
            data += os.read(descriptor, 65_536)
        except BlockingIOError:
            return data


def test_lines_arrive_complete_and_in_order(pipe: tuple[int, TextIO]) -> None:
    """Lines arrive complete and in order, also those that are longer than one write to a pipe."""
    reader, stream = pipe
    stderr = NonBlockingStream(stream)
    lines = ["first\n", "x" * (3 * PIECE) + "\n", "last\n"]
    for line in lines:
        stderr.write(line)

    assert read_all(reader).decode() == "".join(lines)
    assert stderr.take_lost() == 0


def test_slow_reader_does_not_block_writing(pipe: tuple[int, TextIO]) -> None:
    """Writing never waits: buffered lines arrive later, and lines above the limit are dropped and counted."""
    reader, stream = pipe
    stderr = NonBlockingStream(stream)
    written = 4 * LONGEST_BACKLOG
    for number in range(written):
        stderr.write(f"{number:0{PIECE - 1}}\n")
    lost_before_flush = stderr.take_lost()
    data = b""
    while chunk := read_all(reader):
        data += chunk
        stderr.flush()
    numbers = [int(line) for line in data.split()]

    assert lost_before_flush == 0
    assert numbers == list(range(len(numbers)))
    assert LONGEST_BACKLOG <= len(numbers) < written
    assert stderr.take_lost() == written - len(numbers)
    assert stderr.take_lost() == 0


def test_closed_pipe_is_ignored(pipe: tuple[int, TextIO]) -> None:
    """Writing to a pipe without a reader raises no error."""
    reader, stream = pipe
    stderr = NonBlockingStream(stream)
    os.close(reader)
    stderr.write("first line\n")
    stderr.write("second line\n")
    os.dup2(os.open(os.devnull, os.O_RDONLY), reader)

    assert stderr.take_lost() == 0


def test_stream_without_a_descriptor() -> None:
    """A stream without a file descriptor works too."""
    stream = io.StringIO()
    NonBlockingStream(stream).write("line\n")

    assert stream.getvalue() == "line\n"


def test_file_is_written_by_a_thread(tmp_path: Path) -> None:
    """Lines to a regular file arrive complete and in order; `flush` waits for the thread that writes them."""
    path = tmp_path / "log"
    lines = [f"{number:0{number}}\n" for number in range(1, 3 * PIECE, 500)]
    with path.open("w") as stream:
        stderr = NonBlockingStream(stream)
        for line in lines:
            stderr.write(line)
        stderr.flush(20.0)

        assert path.read_text() == "".join(lines)
        assert stderr.take_lost() == 0
