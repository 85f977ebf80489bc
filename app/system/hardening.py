"""No core file, and no debugger of the same user: the memory of this process holds secrets."""

from __future__ import annotations

import resource

PR_SET_DUMPABLE = 4
"""linux/prctl.h"""


def no_dumps() -> bool:
    """
    Has the kernel write no core of this process and show its memory and environment to root alone.

    True if it does; else, as on other systems than Linux, cores are limited to nothing, which programs that take cores
    from the kernel (systemd-coredump) may not heed. Programs that we start begin with the kernel's defaults again.
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
