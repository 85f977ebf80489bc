"""What the tests of `deploy/` share: files, tools that may be missing, and our real loader."""

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
    """The program's path, from this venv or PATH; without it the test is skipped, though never in CI."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        reason = f"skipped: needs {name} ({how})"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """A configuration of ours, as text or value, read by the loader that `serve` uses."""

    def read(config: str | dict[str, Any], **environ: str) -> Loaded:
        path = tmp_path / "config.json"
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return load(str(path), environ, hostname="test-host", now=lambda: NOW)

    return read
