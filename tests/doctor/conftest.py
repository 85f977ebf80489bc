"""A healthy workload."""

from __future__ import annotations

import pytest

from ..clock import Clock
from ..workload import Workload
from .scenario import Cloud, Scenario


@pytest.fixture
def scenario(workload: Workload, clock: Clock) -> Scenario:
    """A healthy workload."""
    return Scenario(workload, clock.clocks, Cloud(workload, clock.time))
