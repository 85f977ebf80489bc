"""What the suite shares."""

from __future__ import annotations

import os
from pathlib import Path


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's: no proxy, no certificates, no AccessKey, and a home without configuration files."""
    # Java takes its home from the password file, not from HOME.
    java = {"JDK_JAVA_OPTIONS": f"-Duser.home={home}"}
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **java}
