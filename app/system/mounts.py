"""Finds out from the mounts whether a file lies in a volume that no other user of the machine sees."""

from __future__ import annotations

import os

IN_MEMORY = ("tmpfs", "ramfs")


def is_own_volume(device: int, *, user: int, proc: str = "/proc") -> bool:
    """
    Return whether the file system `device` (`st_dev`) is a volume of this container that only `user` sees.

    kubelet mounts Secrets and service-account tokens this way: each volume is a separate file system in memory. Its
    files have mode 0644, because containers may have any user. Two facts prove that no other user sees the volume:

    - Each mount of the file system is whole and not `/`, so the volume is not a directory of the machine.
    - Process 1 belongs to the user, and not to root. Process 1 is the ancestor of each process of the container, and
      only a process of root can change its user.

    Returns False if `/proc` does not show these facts.
    """
    try:
        with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="replace") as file:
            mounts = file.read()
        with open(f"{proc}/1/status", encoding="utf-8", errors="replace") as file:
            status = file.read()
    except OSError:
        return False
    return user != 0 and _is_whole(mounts, device) and _users(status) == {str(user)}


def _is_whole(mounts: str, device: int) -> bool:
    """Return whether the file system is in memory, is mounted whole, and not at `/` (proc_pid_mountinfo(5))."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    found = [fields for fields in map(str.split, mounts.splitlines()) if fields[2:3] == [wanted]]
    return bool(found) and all(
        root == "/" and point != "/" and rest[rest.index("-") + 1] in IN_MEMORY for _, _, _, root, point, *rest in found
    )


def _users(status: str) -> set[str]:
    """Return the real, effective, saved and filesystem user IDs of a process (proc_pid_status(5))."""
    return {uid for line in status.splitlines() if line.startswith("Uid:") for uid in line.split()[1:]}
