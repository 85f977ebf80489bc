"""One response for all requests at about the same time."""

from __future__ import annotations

import asyncio

import pytest

from app.serve.handlers.snapshot import Snapshot
from app.serve.responses import Response, document

from ..simulated_loop import simulated


class Builds:
    """Builds responses that take `seconds` each, and fails while `error` is set."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.count, self.error = seconds, 0, False
        self.snapshot = Snapshot(self._build)

    async def _build(self) -> Response:
        self.count += 1
        await asyncio.sleep(self.seconds)
        if self.error:
            raise RuntimeError
        return document(200, self.count)

    async def bodies(self, requests: int = 1) -> set[bytes]:
        """Return the bodies of requests at the same time."""
        answers = [self.snapshot.response() for _ in range(requests)]
        waits = [answer for answer in answers if not isinstance(answer, Response)]
        at_once = [answer for answer in answers if isinstance(answer, Response)]
        return {answer.body for answer in (*at_once, *await asyncio.gather(*waits))}


@simulated
async def test_requests_share_a_response() -> None:
    """Requests that arrive while a response is built get that response."""
    builds = Builds(1.0)

    assert await builds.bodies(100) == {b"1"}


@simulated
async def test_a_response_is_reused_for_half_a_second() -> None:
    """A response is given again for 0.5 s after it was built, and not longer."""
    builds = Builds(1.0)
    assert await builds.bodies() == {b"1"}
    await asyncio.sleep(0.49)
    assert await builds.bodies() == {b"1"}
    await asyncio.sleep(0.02)
    assert await builds.bodies() == {b"2"}


@simulated
async def test_building_takes_a_tenth_of_the_time() -> None:
    """A response that is built in 10 ms is reused for 90 ms."""
    builds = Builds(0.01)
    assert await builds.bodies() == {b"1"}
    await asyncio.sleep(0.085)
    assert await builds.bodies() == {b"1"}
    await asyncio.sleep(0.01)
    assert await builds.bodies() == {b"2"}


@simulated
async def test_an_instant_response_is_not_reused() -> None:
    """A response that takes no time to build is built for each request."""
    builds = Builds(0.0)

    assert [await builds.bodies(), await builds.bodies()] == [{b"1"}, {b"2"}]


@simulated
async def test_a_failure_is_not_kept() -> None:
    """After a failure the next request builds a response."""
    builds = Builds(1.0)
    builds.error = True
    with pytest.raises(RuntimeError):
        await builds.snapshot.response()
    builds.error = False

    assert await builds.bodies() == {b"2"}
