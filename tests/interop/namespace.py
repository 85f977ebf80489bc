"""A network namespace whose loopback has the address of the ECS metadata service, and which leads nowhere else."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

METADATA = "100.100.100.200"
NETWORK = 0x40000000
"""CLONE_NEWNET of <linux/sched.h>: the kind of namespace that setns is handed."""

LACKS = None if os.geteuid() == 0 and shutil.which("ip") else "needs root and ip (apt-get install iproute2)"


@contextmanager
def metadata_namespace() -> Iterator[None]:
    """
    A namespace of its own, for the length of the block.

    In it are this thread's new connections and the processes and threads that it starts, and nothing that was there
    before. The clients of fixed address run there as they are.
    """
    name = f"idaas-interop-{os.getpid()}"
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{METADATA}/32", "dev", "lo")
        with _entered(Path("/run/netns") / name):
            yield
    finally:
        _ip("netns", "delete", name)


@contextmanager
def _entered(namespace: Path) -> Iterator[None]:
    with Path("/proc/thread-self/ns/net").open() as ours, namespace.open() as theirs:
        _enter(theirs.fileno())
        try:
            yield
        finally:
            _enter(ours.fileno())


def _enter(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=20)
