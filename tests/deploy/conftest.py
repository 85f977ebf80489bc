"""Helpers of the tests of `deploy/`: paths, tools that may be missing, and the configuration loader."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import Loaded, load

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

Load = Callable[..., Loaded]


def tool(name: str, how: str) -> str:
    """Return the path of a program in this venv or on PATH. Without it the test is skipped; in CI it fails."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        reason = f"skipped: needs {name} ({how})"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load a configuration, given as text or as a value, with the loader that `serve` uses."""

    def read(config: str | dict[str, Any], **environ: str) -> Loaded:
        path = tmp_path / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return load(str(path), environ, hostname="test-host", now=lambda: NOW)

    return read
