"""Run the program and send requests as other users of the machine. Needs root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .processes import DEADLINE, PROGRAM

IMAGE_UID = 65532
"""The uid that the image and the manifests run as."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="skipped: needs root, to become other users"
)


def program_as(uid: int, *, home: Path) -> tuple[str, ...]:
    """
    Return the command that runs the program as `uid` without privileges. `home` is given to that user.

    If the interpreter is below a directory that only root may enter, the command mounts a copy of the path to the
    interpreter over that directory, in a mount namespace of its own.
    """
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, uid)
    closed = _closed_parent(Path(sys.base_prefix))
    for parent in home.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    mount = ""
    if closed is not None:
        below = Path(sys.base_prefix).relative_to(closed).parts[0]
        mount = (
            f"mkdir -p {home}/way/{below}; mount --bind {closed / below} {home}/way/{below}; "
            f"chmod 755 {home}/way {home}/way/{below}; mount --rbind {home}/way {closed}; "
        )
    start = f'{mount}exec setpriv --reuid {uid} --regid {uid} --clear-groups -- "$@"'
    return ("unshare", "--mount", "sh", "-euc", start, "sh", *PROGRAM)


def _closed_parent(path: Path) -> Path | None:
    """Return the first directory above `path` that other users may not enter."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


def fetch_as(
    uid: int, port: int, target: str, *, gid: int | None = None, groups: Sequence[int] = ()
) -> tuple[int, bytes]:
    """Send a GET from a process of another user and return the status and the body."""
    script = (
        f"exec 3<>/dev/tcp/127.0.0.1/{port}; "
        f"printf 'GET {target} HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3"
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        user=uid,
        group=uid if gid is None else gid,
        extra_groups=groups,
        cwd="/",
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body
