"""The memory limit of the cgroup that this process is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

NO_LIMIT = 1 << 62
"""Bytes above which a limit means no limit. Without a limit, version 1 of cgroups writes the largest multiple of the
page size below 2^63."""


def memory_limit(root: Path = ROOT, own: Path = OWN) -> int | None:
    """
    Return the smallest memory limit of this process's cgroup and of its parents, in bytes; None without a limit.

    Version 2 of cgroups (`memory.max`) counts the memory of sockets in the same limit; version 1
    (`memory.limit_in_bytes`) counts only the process. In a container, the path of the cgroup is `/`, or a path of the
    host that does not exist in the container.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    return min((limit for line in lines for limit in _limits(line, root)), default=None)


def _limits(line: str, root: Path) -> Iterator[int]:
    """Yield the memory limits for a line `hierarchy:controllers:path` of /proc/self/cgroup."""
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
