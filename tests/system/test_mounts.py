"""Which file systems are volumes that no other user of the machine sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.system import mounts

ROOT = Path(__file__).parents[2]
NOTICE = "every process that sees this mount can read it (mode 0644)"
REFUSED = (
    "other users can read it (mode {}); run `chmod 600` on the file, or set `defaultMode: 0400` and the pod's "
    "`fsGroup` for a mounted one"
)
DEVICE = os.makedev(0, 78)
USER = 65532
VOLUME = "711 690 0:78 / /var/run/secrets/idaas-sidecar ro,relatime - tmpfs tmpfs rw,size=24Ki,inode64"
OTHERS = (
    "690 600 0:64 / / ro,relatime master:9 - overlay overlay ro,lowerdir=/a:/b",
    "712 690 254:1 /pods/1/etc-hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw",
)


def proc(at: Path, *lines: str, uids: str = "65532\t65532\t65532\t65532") -> str:
    """Write what a container's `/proc` says about its mounts and its first process."""
    for name in ("self", "1"):
        (at / name).mkdir()
    (at / "self" / "mountinfo").write_text("".join(f"{line}\n" for line in lines))
    (at / "1" / "status").write_text(f"Name:\tidaas-sidecar\nPid:\t1\nUid:\t{uids}\nGid:\t0\t0\t0\t0\n")
    return str(at)


CASES = {
    "a volume of kubelet": ((*OTHERS, VOLUME), True),
    "mounted twice, whole": ((*OTHERS, VOLUME, VOLUME.replace("/var/run", "/run")), True),
    "a directory of a file system in memory": ((*OTHERS, VOLUME.replace(" / ", " /spire ")), False),
    "whole here, a directory there": ((*OTHERS, VOLUME, VOLUME.replace(" / ", " /spire ")), False),
    "the root": (("711 600 0:78 / / ro - tmpfs tmpfs rw",), False),
    "a disk": ((*OTHERS, VOLUME.replace("tmpfs", "ext4")), False),
    "no such mount": (OTHERS, False),
    "optional fields": ((*OTHERS, VOLUME.replace(" - ", " shared:7 master:2 - ")), True),
}


@pytest.mark.parametrize("name", CASES)
def test_mounts(tmp_path: Path, name: str) -> None:
    """Only a whole file system in memory that is not the root is a volume of this container."""
    lines, own = CASES[name]

    assert mounts.is_own_volume(DEVICE, proc=proc(tmp_path, *lines), user=USER) is own


@pytest.mark.parametrize("uids", ["0\t0\t0\t0", "1001\t1001\t1001\t1001", "65532\t0\t0\t0", "65532\t65532\t0\t65532"])
def test_first_process_of_another_user(tmp_path: Path, uids: str) -> None:
    """Where process 1 is another user's, or can become one, other users may be in the container."""
    assert not mounts.is_own_volume(DEVICE, proc=proc(tmp_path, VOLUME, uids=uids), user=USER)


def test_root_is_never_alone(tmp_path: Path) -> None:
    """A process of root can start processes of other users."""
    assert not mounts.is_own_volume(DEVICE, proc=proc(tmp_path, VOLUME, uids="0\t0\t0\t0"), user=0)


@pytest.mark.parametrize("name", ["self/mountinfo", "1/status"])
def test_without_proc(tmp_path: Path, name: str) -> None:
    """Where `/proc` does not tell, the volume counts as seen by others."""
    at = proc(tmp_path, VOLUME)
    (tmp_path / name).unlink()

    assert not mounts.is_own_volume(DEVICE, proc=at, user=USER)


LOOK = """
import os, sys
from app.system import files
os.setresgid(65532, 65532, 65532)
os.setresuid(65532, 65532, 65532)
print(files.read("/mnt/token", 100).decode(), files.exposure("/mnt/token"))
"""
KUBELET = """
mount -t tmpfs none /mnt
printf token >/mnt/token
chmod "$3" /mnt/token
chown "$4" /mnt/token
mount -o "remount,$5,bind" /mnt
"""


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="skipped: needs root, to mount")
@pytest.mark.parametrize(
    ("mode", "owner", "how", "first", "why"),
    [
        pytest.param("0644", "0:0", "ro", "exec", "None", id="a projected token"),
        pytest.param("0640", "65532:65532", "ro", "exec", "None", id="a projected token with fsGroup, for one user"),
        pytest.param("0644", "0:0", "ro", "env", NOTICE, id="beside a process of root"),
        pytest.param("0644", "0:0", "rw", "exec", REFUSED.format("0644"), id="a volume that containers write to"),
        pytest.param("0644", "65532:65532", "ro", "exec", REFUSED.format("0644"), id="written by another container"),
        pytest.param("0660", "65532:65532", "ro", "exec", REFUSED.format("0660"), id="a group may change it"),
    ],
)
def test_exposure_in_a_volume(mode: str, owner: str, how: str, first: str, why: str) -> None:
    """A file as kubelet writes it into a container's volume is not exposed; others are, by their mode."""
    script = f'{KUBELET}\n{first} "$1" -c "$2"; exit'
    given = (sys.executable, LOOK, mode, owner, how)
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-euc", script, "sh", *given],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=True,
    )

    assert done.stdout.strip() == f"token {why}"
