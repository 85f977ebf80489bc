"""The memory limit of the cgroup that this process is in."""

from __future__ import annotations

import contextlib
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def memory_limit(root: Path = ROOT, own: Path = OWN) -> int | None:
    """
    Return the smallest `memory.max` of this process's cgroup and of those above it, in bytes; None without a limit.

    Cgroups of version 2 alone: version 1 does not count the memory of sockets in the same limit. In a container, the
    cgroup's own path is `/`.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        path = PurePosixPath(line.removeprefix("0::").lstrip("/"))
        if not line.startswith("0::") or ".." in path.parts:  # a cgroup outside this namespace
            continue
        for cgroup in (path, *path.parents):
            with contextlib.suppress(OSError, ValueError):  # `max`, or a root without the file
                found.append(int((root / cgroup / "memory.max").read_text()))
    return min(found, default=None)
