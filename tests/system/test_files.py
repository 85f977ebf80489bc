"""Which files are read as secrets: those that nobody else could have read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.system import files

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="skipped: needs root, to give files away and to mount"
)


def secret(tmp_path: Path, mode: int, *, uid: int | None = None, gid: int = 0) -> Path:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    path.chmod(mode)
    if uid is not None:
        os.chown(path, uid, gid)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_ours_alone(tmp_path: Path, mode: int) -> None:
    """A file of our own that nobody else may read is read."""
    path = secret(tmp_path, mode)

    assert files.read_secret(str(path), 100) == b"s3cret\n"
    assert files.exposure(str(path)) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o666, 0o777])
def test_others_may_read_or_write(tmp_path: Path, mode: int) -> None:
    """What every user of the machine may read, write or run is refused, with its mode and the cure."""
    path = secret(tmp_path, mode)

    with pytest.raises(files.Unreadable) as caught:
        files.read_secret(str(path), 100)
    assert str(caught.value) == f"other users can read it (mode {mode:04o}); chmod 600 it"
    assert files.exposure(str(path)) == str(caught.value)
    assert files.read(str(path), 100) == b"s3cret\n"


@needs_root
@pytest.mark.parametrize("mode", [0o640, 0o440, 0o660])
def test_roots_for_a_group(tmp_path: Path, mode: int) -> None:
    """What root owns may be shown to a group: that is how fsGroup gives a pod its Secret."""
    path = secret(tmp_path, mode, uid=0, gid=65532)

    assert files.read_secret(str(path), 100) == b"s3cret\n"
    assert files.exposure(str(path)) is None


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_somebody_elses(tmp_path: Path, mode: int) -> None:
    """Another user's file is refused whatever its mode: its owner could read and change it."""
    path = secret(tmp_path, mode, uid=1001, gid=1001)

    with pytest.raises(files.Unreadable, match="belongs to uid 1001, who could read and change it"):
        files.read_secret(str(path), 100)


@needs_root
def test_our_own_for_a_group(tmp_path: Path) -> None:
    """What an unprivileged owner shows to a group is refused: 0600 is for secrets."""
    path = secret(tmp_path, 0o640, uid=65532, gid=1001)
    tmp_path.chmod(0o755)

    assert as_nobody(path) == "other users can read it (mode 0640); chmod 600 it"


@needs_root
@pytest.mark.parametrize(("mode", "notice"), [(0o600, False), (0o640, False), (0o644, True), (0o444, True)])
def test_a_kubernetes_secret(tmp_path: Path, mode: int, notice: bool) -> None:
    """Root's file on a read-only mount is accepted in every mode that Kubernetes gives it, 0644 with a notice."""
    volume = tmp_path / "volume"
    volume.mkdir()
    script = (
        "mount -t tmpfs none $1; mkdir -m 755 $1/..2026_11_24; printf s3cret >$1/..2026_11_24/secret; "
        "chmod $2 $1/..2026_11_24/secret; ln -s ..2026_11_24 $1/..data; ln -s ..data/secret $1/secret; "
        'mount -o remount,ro,bind $1; exec "$3" -c "$4" $1/secret'
    )
    found = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", str(volume), f"{mode:o}", sys.executable, LOOK],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
        check=True,
    ).stdout.strip()

    assert found == (
        "s3cret " + (f"every process that sees this mount can read it (mode {mode:04o})" if notice else "None")
    )


LOOK = """
import sys
from app.system import files
try:
    print(files.read_secret(sys.argv[1], 100).decode(), files.exposure(sys.argv[1]))
except files.Unreadable as why:
    print(why)
"""


def as_nobody(path: Path) -> str:
    """What an unprivileged user finds, in a process that has become one after its imports."""
    become = (
        "import os; from app.system import files; os.setresgid(1001, 1001, 1001); os.setresuid(65532, 65532, 65532)"
    )
    return subprocess.run(
        [sys.executable, "-c", f"{become}\n{LOOK}", path.name],
        cwd=path.parent,  # entered as root: the directories above it are closed to others
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_no_file(tmp_path: Path, kind: str) -> None:
    """A pipe would hang us, a device never end, and a directory is none: each is refused at once."""
    path = tmp_path / "secret"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()

    with pytest.raises(files.Unreadable, match="not a regular file"):
        files.read_secret(str(path), 100)
