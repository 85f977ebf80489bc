"""The output of another process: bounded, and read in series with pauses."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import termios

from app.system.bounded_pipe import MOST_READS, BoundedPipe

CAPACITY = 65_536


def waiting(pipe: BoundedPipe) -> int:
    """Return the number of bytes in the kernel."""
    return int.from_bytes(fcntl.ioctl(pipe._read_end, termios.FIONREAD, bytes(4)), "little")


async def emptied(pipe: BoundedPipe) -> None:
    """Let the event loop run until all bytes are read."""
    for _ in range(100_000):
        if not waiting(pipe):
            return
        await asyncio.sleep(0)
    raise AssertionError("the pipe is not read")


async def test_output_without_end_is_read_in_series() -> None:
    """A process that prints without end gets one series of reads, and then waits for the end of the pause."""
    with contextlib.closing(BoundedPipe(10, keep_end=True, pause=3600)) as pipe:
        os.write(pipe.write_end, b"a" * CAPACITY)
        for _ in range(20):
            await asyncio.sleep(0)

        assert waiting(pipe) == CAPACITY - 10 * MOST_READS


async def test_reading_goes_on_after_the_pause() -> None:
    """All output is read, and its last bytes are kept."""
    with contextlib.closing(BoundedPipe(10, keep_end=True, pause=0)) as pipe:
        os.write(pipe.write_end, b"a" * 30_000 + b"the end")
        await emptied(pipe)

        assert pipe.text == b"aaathe end"


async def test_end_of_the_output_is_read_at_once() -> None:
    """After the end of the process, the output is read in spite of a pause."""
    with contextlib.closing(BoundedPipe(100, pause=3600)) as pipe:
        os.write(pipe.write_end, b"a")
        await emptied(pipe)
        os.write(pipe.write_end, b"b")
        pipe.read_available()

        assert pipe.text == b"ab"


async def test_too_much_output_overflows() -> None:
    """More bytes than permitted are an overflow, and nothing further is read."""
    with contextlib.closing(BoundedPipe(100, pause=0)) as pipe:
        os.write(pipe.write_end, b"a" * CAPACITY)
        async with asyncio.timeout(60):
            await pipe.overflowed.wait()
        for _ in range(20):
            await asyncio.sleep(0)

        assert waiting(pipe) == CAPACITY - 200
