"""A sidecar that has credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from ..clock import Clock
from ..conftest import Offline, configuration, running


@pytest.fixture
async def ready(offline: Callable[..., Offline], clock: Clock) -> AsyncIterator[Offline]:
    """A sidecar with two profiles that have credentials."""
    sidecar = offline(configuration("default", "p2"))
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        yield sidecar
