"""A network namespace whose loopback has the address of the ECS metadata service, without any other network."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

METADATA = "100.100.100.200"
CLONE_NEWNET = 0x40000000
"""From <linux/sched.h>: the kind of namespace that setns gets."""

MISSING = None if os.geteuid() == 0 and shutil.which("ip") else "needs root and ip (apt-get install iproute2)"


@contextmanager
def metadata_namespace() -> Iterator[None]:
    """
    Enter a new network namespace for the length of the block.

    New connections of this thread and the processes and threads that it starts are in the namespace; what existed
    before is not. Clients with a fixed metadata address run there without a change.
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
    # os.setns exists since Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=120)
