"""Helpers of the interop tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..e2e.processes import EmulatedCloud, emulator


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment without the machine's proxy, CA and AccessKey variables, and an empty home."""
    # Java reads its home directory from the password file, not from HOME.
    java = {"JDK_JAVA_OPTIONS": f"-Duser.home={home}"}
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **java}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud."""
    with emulator(home=tmp_path_factory.mktemp("emulator")) as running:
        yield running
