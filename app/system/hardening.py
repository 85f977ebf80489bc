"""Prevents core files and debuggers of the same user, because the memory of this process holds secrets."""

from __future__ import annotations

import resource

PR_SET_DUMPABLE = 4
"""The number of this operation in linux/prctl.h."""


def no_dumps() -> bool:
    """
    Make the kernel write no core file of this process, and show its memory and environment to root alone.

    Return True if the kernel supports this. If not, as on other systems than Linux, the size of core files is limited
    to zero; programs that receive cores from the kernel (systemd-coredump) may ignore this limit. Child processes start
    with the kernel's defaults again.
    """
    try:
        import ctypes

        done = bool(ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        done = False
    if not done:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    return done
