"""Fixtures of the tests of real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cloud import emulator_admin
from .processes import EmulatedCloud, emulator


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud, one for each module."""
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def clear_faults(cloud: EmulatedCloud) -> Iterator[None]:
    """Remove the emulator's faults after the test."""
    yield
    emulator_admin(cloud.url, "DELETE", "faults")
