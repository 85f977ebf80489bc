"""The memory limit of the cgroup that this process is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

NO_LIMIT = 1 << 62
"""Bytes. Version 1 writes the largest multiple of the page size below 2^63 where there is no limit."""


def memory_limit(root: Path = ROOT, own: Path = OWN) -> int | None:
    """
    Return the smallest memory limit of this process's cgroup and of those above it, in bytes; None without a limit.

    Version 2 (`memory.max`) counts the memory of sockets in the same limit; version 1 (`memory.limit_in_bytes`) counts
    the process. In a container, the cgroup's own path is `/`, or a path of the host that is not there.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    return min((limit for line in lines for limit in _limits(line, root)), default=None)


def _limits(line: str, root: Path) -> Iterator[int]:
    """Yield the limits that a line `hierarchy:controllers:path` of /proc/self/cgroup leads to."""
    _, controllers, name = line.split(":", 2)
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts:  # a cgroup outside this namespace
        return
    if not controllers:
        mounted, file = root, "memory.max"
    elif "memory" in controllers.split(","):
        mounted, file = root / "memory", "memory.limit_in_bytes"
    else:
        return
    for cgroup in (path, *path.parents):
        with contextlib.suppress(OSError, ValueError):  # `max`, a root without the file, or a path of the host
            limit = int((mounted / cgroup / file).read_text())
            if limit < NO_LIMIT:
                yield limit
