"""File systems in a bad state, for `serve` as a process: one that hangs, and a kernel without inotify instances."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import PROGRAM, wait_until

_HANGING = """
import ctypes, os, sys, time

place, switch, *program = sys.argv[1:]
parent = os.getpid()
if os.fork():
    while os.path.exists(switch):
        time.sleep(0.01)
    os.execvp(program[0], program)
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
descriptor = None
while os.getppid() == parent:
    if descriptor is None and os.path.exists(switch):
        descriptor = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={descriptor},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
        if ctypes.CDLL(None, use_errno=True).mount(b"hanging", place.encode(), b"fuse", 0, options):
            os._exit(1)
        os.rename(switch, switch + "-done")
    time.sleep(0.05)
"""
"""Replaces itself with a program. When the file `switch` appears, a FUSE file system that never answers is mounted."""

_HANGING_AT_READ = """
import ctypes, os, stat, struct, sys

place, *program = sys.argv[1:]
descriptor = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={descriptor},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"hanging", place.encode(), b"fuse", 0, options):
    os._exit(1)
if os.fork():
    os.execvp(program[0], program)
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL

def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o600
    return struct.pack("<6Q10I", node, 6, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

while request := os.read(descriptor, 1 << 20):
    _, operation, number, node = struct.unpack_from("<IIQQ", request)
    match operation:
        case 26:  # FUSE_INIT
            answer = struct.pack("<4I2H2I2HI28x", 7, 31, 65536, 0, 12, 10, 65536, 1, 32, 0, 0)
        case 1:  # FUSE_LOOKUP
            answer = struct.pack("<5Q", 2, 0, 0, 0, 0) + attributes(2)
        case 3:  # FUSE_GETATTR
            answer = struct.pack("<2Q", 0, 0) + attributes(node)
        case 14 if struct.unpack_from("<I", request, 40)[0] & os.O_ACCMODE != os.O_RDONLY:  # FUSE_OPEN
            answer = struct.pack("<Q2I", 1, 1, 0)
        case 14 | 15 | 16 | 2 | 36 | 42:  # FUSE_OPEN, FUSE_READ, FUSE_WRITE; FORGET and INTERRUPT have no answer
            continue
        case _:
            answer = b""
    error = 0 if answer else -38  # ENOSYS
    os.write(descriptor, struct.pack("<IiQ", 16 + len(answer), error, number) + answer)
"""
"""Replaces itself with a program that sees a FUSE file system with every file, which hangs at a read or write."""

needs_fuse = pytest.mark.skipif(
    not os.access("/dev/fuse", os.R_OK | os.W_OK) or os.geteuid() != 0,
    reason="skipped: needs root and /dev/fuse, to mount a file system that hangs",
)

_NO_INOTIFY = ("unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-euc")
_USE_UP = 'echo 0 >/proc/sys/user/max_inotify_instances; exec "$@"'


def hanging(place: Path, switch: Path) -> tuple[str, ...]:
    """Return a program for `serve` in whose mount namespace `place` hangs from the moment that `switch` appears."""
    return ("unshare", "--mount", sys.executable, "-c", _HANGING, str(place), str(switch), *PROGRAM)


def hanging_at_read(place: Path) -> tuple[str, ...]:
    """Return a program for `serve` in whose mount namespace files below `place` can be looked at, but not read."""
    return ("unshare", "--mount", sys.executable, "-c", _HANGING_AT_READ, str(place), *PROGRAM)


def logging_to_hanging_file(place: Path) -> tuple[str, ...]:
    """Return a program for `serve` whose standard error is a file below `place` that hangs at its first line."""
    hanging_program = hanging_at_read(place)[: -len(PROGRAM)]
    return (*hanging_program, "sh", "-euc", f'exec "$@" 2>>{place}/log', "sh", *PROGRAM)


def hang(switch: Path) -> None:
    """Make the file system of `hanging` hang; return when it does."""
    switch.write_text("")
    done = switch.with_name(f"{switch.name}-done")
    wait_until(done.exists)


def without_inotify() -> tuple[str, ...]:
    """Return a program for `serve` whose user has used up `user.max_inotify_instances`; skip where that is refused."""
    program = (*_NO_INOTIFY, _USE_UP, "sh")
    if subprocess.run((*program, "true"), capture_output=True, check=False).returncode:
        pytest.skip("skipped: needs user namespaces, to use up the limit of inotify instances")
    return (*program, *PROGRAM)
