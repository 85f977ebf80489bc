"""A configuration file with its reloader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ..clock import Clock
from .reload_site import Site


@pytest.fixture
async def site(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    """
    A site whose reloader is stopped after the test.

    A simulated test has a loop of its own, whose end cancels the watch; the stop then closes the watch's descriptor.
    """
    found = Site(tmp_path, clock)
    yield found
    await found.stop()
