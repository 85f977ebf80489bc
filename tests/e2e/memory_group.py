"""A memory cgroup of version 1 or 2, for processes that tests start. Needs root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TIGHT_LIMIT = 64 << 20
"""Bytes. Two thirds of the memory limit of deploy/."""

VERSION_1 = Path("/sys/fs/cgroup/memory")
VERSION_2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A cgroup with a memory limit."""

    path: Path

    def program(self, *command: str) -> tuple[str, ...]:
        """Return a command that joins the group and then becomes `command`."""
        return ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.path / "cgroup.procs"), *command)

    @property
    def kills(self) -> int:
        """How many processes of the group the kernel has ended because of the limit."""
        name = "memory.oom_control" if self.path.parent == VERSION_1 else "memory.events"
        counts = dict(line.split() for line in (self.path / name).read_text().splitlines())
        return int(counts["oom_kill"])


@contextmanager
def memory_group(limit: int = TIGHT_LIMIT) -> Iterator[MemoryGroup]:
    """Make a group with a limit in bytes. Raises OSError where none can be made. The block must end its processes."""
    parent, name = (VERSION_1, "memory.limit_in_bytes") if VERSION_1.is_dir() else (VERSION_2, "memory.max")
    path = parent / f"idaas-sidecar-test-{os.getpid()}"
    path.mkdir()
    try:
        if not (path / name).exists():
            raise FileNotFoundError(f"{parent}: no memory controller")
        (path / name).write_text(str(limit))
        yield MemoryGroup(path)
    finally:
        path.rmdir()
