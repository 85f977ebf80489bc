"""Helpers of the interop tests."""

from __future__ import annotations

import os
from pathlib import Path


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment without the machine's proxy, CA and AccessKey variables, and an empty home."""
    # Java reads its home directory from the password file, not from HOME.
    java = {"JDK_JAVA_OPTIONS": f"-Duser.home={home}"}
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **java}
