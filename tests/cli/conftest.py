"""A configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import configuration
from .calls import written


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a configuration file that is valid with ENVIRON."""
    return written(tmp_path, configuration("default", "p2"))
