"""The interpreter that a script or program needs, for a message where the kernel does not find it.

`execve` reports a missing interpreter with the same error as a missing program.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ..core.errors import Reason

HEAD = 4096
"""Bytes that are read of a program. The kernel reads 256 of a script, and an ELF file names its loader early."""

DEEPEST = 5
"""Interpreters of interpreters, as in the kernel (BINPRM_MAX_RECURSION of Linux is 5)."""


class Unusable(NamedTuple):
    """
    Why an interpreter cannot run.

    `absent`: there is no such file. `may_follow`: another program may still install the interpreter, or finish it.
    """

    reason: Reason
    absent: bool
    may_follow: bool


def unusable_interpreter(path: str) -> Unusable | None:
    """Return why the interpreter of the executable at `path` cannot run it, or None. Blocks while it reads the file."""
    for _ in range(DEEPEST):
        head = _head(path)
        name = _interpreter(head)
        if name is None:
            return None
        kind = "interpreter" if head.startswith(b"#!") else "loader"
        if not os.path.isfile(name):
            reason = Reason(f"{path}: its {kind} {name!r} does not exist", _cure(kind, name))
            absent = not os.path.exists(name)
            may_follow = absent and kind == "interpreter" and not name.endswith("\r")
            return Unusable(reason, absent, may_follow)
        if not os.access(name, os.X_OK):
            reason = Reason(f"{path}: its {kind} {name!r} is not executable by this user (uid {os.getuid()})")
            return Unusable(reason, absent=False, may_follow=True)
        path = name
    return None


def _head(path: str) -> bytes:
    try:
        if os.path.isfile(path):  # opening a pipe would wait for its writer
            with open(path, "rb") as file:
                return file.read(HEAD)
    except (OSError, ValueError):
        pass
    return b""


def _interpreter(head: bytes) -> str | None:
    """Return the interpreter that the first line names, or the loader of an ELF file; None without one."""
    if head.startswith(b"#!"):
        words = re.split(rb"[ \t]", head[2:256].partition(b"\n")[0].lstrip(b" \t"), maxsplit=1)
        return os.fsdecode(words[0]) or None
    texts = re.findall(rb"/[!-~]+", head) if head.startswith(b"\x7fELF") else ()
    return next((os.fsdecode(text) for text in texts if b"/ld" in text and b".so" in text), None)


def _cure(kind: str, name: str) -> str:
    if name.endswith("\r"):
        return "the script has the line ends of Windows: remove them with sed -i 's/\\r$//'"
    if kind == "loader":
        return "use a build for this system's C library and architecture"
    return "install the interpreter, or correct the script's first line"
