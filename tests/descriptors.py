"""The descriptors of the test's process. Their whole number says little: another thread may open or close one."""

from __future__ import annotations

import os
from contextlib import suppress


def opened(*targets: str) -> list[str]:
    """
    Return what the open descriptors lead to, sorted. With `targets`, only what begins with one of them.

    A file has its path, and others have names as `pipe:[1]`, `socket:[1]`, `/memfd:name` and `anon_inode:[pidfd]`,
    which several may have.
    """
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile, such as the one that lists the directory
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(name for name in found if not targets or name.startswith(targets))
