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

    If the interpreter or a library of it is below a directory that only root may enter, the command mounts a copy of
    the path to it over that directory, in a mount namespace of its own.
    """
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, uid)
    ways = [_way(closed, below, home / f"way{n}") for n, (closed, below) in enumerate(_closed().items())]
    for parent in home.parents:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    start = f'{"".join(ways)}exec setpriv --reuid {uid} --regid {uid} --clear-groups -- "$@"'
    return ("unshare", "--mount", "sh", "-euc", start, "sh", *PROGRAM)


def _way(closed: Path, below: set[str], way: Path) -> str:
    """Return the shell commands that mount, over a closed directory, a copy that has only the names in `below`."""
    mounts = (_entry(closed / name, way / name) for name in below)
    return f"{''.join(mounts)}chmod 755 {way}; mount --rbind {way} {closed}; "


def _entry(source: Path, target: Path) -> str:
    """Return the shell commands that mount a file or directory that other users may read. Its mode stays as it is."""
    if not source.stat().st_mode & 0o005:
        pytest.skip(f"skipped: other users may not read {source.name}, which the interpreter needs")
    made = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p {target.parent}; touch {target}"
    return f"{made}; mount --bind {source} {target}; "


def _closed() -> dict[Path, set[str]]:
    """Return the directories that other users may not enter, and what the interpreter needs in each of them."""
    found: dict[Path, set[str]] = {}
    for path in (Path(sys.base_prefix), *_libraries()):
        # The first one: what is below it is in its copy.
        closed = next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)
        if closed is not None:
            found.setdefault(closed, set()).add(path.relative_to(closed).parts[0])
    return found


def _libraries() -> set[Path]:
    """
    Return the libraries of this process.

    The interpreter's own need not be below its prefix: a copied interpreter loads it from the place where it was built.
    """
    mappings = (line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines())
    return {Path(rest[-1]) for _, mode, *rest in mappings if "x" in mode and rest[-1].startswith("/")}


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
