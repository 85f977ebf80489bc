"""Which files are accepted as secrets: those that no other user could have read."""

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


def write_secret(tmp_path: Path, mode: int, *, uid: int | None = None, gid: int = 0) -> Path:
    """Write a secret file with this mode and owner."""
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    path.chmod(mode)
    if uid is not None:
        os.chown(path, uid, gid)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_private_file_is_read(tmp_path: Path, mode: int) -> None:
    """A file of our own that no other user may read is read."""
    path = write_secret(tmp_path, mode)

    assert files.read_secret(str(path), 100) == b"s3cret\n"
    assert files.exposure(str(path)) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o666, 0o777])
def test_file_that_others_can_access_is_refused(tmp_path: Path, mode: int) -> None:
    """A file that every user may read, write or execute is refused, with its mode and a remedy."""
    path = write_secret(tmp_path, mode)

    with pytest.raises(files.Unreadable) as caught:
        files.read_secret(str(path), 100)
    assert str(caught.value) == f"other users can read it (mode {mode:04o}); chmod 600 it"
    assert files.exposure(str(path)) == str(caught.value)
    assert files.read(str(path), 100) == b"s3cret\n"


@needs_root
@pytest.mark.parametrize("mode", [0o640, 0o440, 0o660])
def test_group_readable_file_of_root_is_read(tmp_path: Path, mode: int) -> None:
    """A file of root that a group may read is accepted, because fsGroup gives a pod its Secret that way."""
    path = write_secret(tmp_path, mode, uid=0, gid=65532)

    assert files.read_secret(str(path), 100) == b"s3cret\n"
    assert files.exposure(str(path)) is None


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_file_of_another_user_is_refused(tmp_path: Path, mode: int) -> None:
    """A file of another user is refused whatever its mode, because its owner could read and change it."""
    path = write_secret(tmp_path, mode, uid=1001, gid=1001)

    with pytest.raises(files.Unreadable, match="belongs to uid 1001, who could read and change it"):
        files.read_secret(str(path), 100)


@needs_root
def test_group_readable_file_of_an_unprivileged_user_is_refused(tmp_path: Path) -> None:
    """A file of an unprivileged user that a group may read is refused: secrets have mode 0600."""
    path = write_secret(tmp_path, 0o640, uid=65532, gid=1001)
    tmp_path.chmod(0o755)

    assert read_as_unprivileged_user(path) == "other users can read it (mode 0640); chmod 600 it"


@needs_root
@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o640, False), (0o644, True), (0o444, True)])
def test_kubernetes_secret_is_read(tmp_path: Path, mode: int, exposed: bool) -> None:
    """Root's file on a read-only mount is accepted in every mode that Kubernetes uses; 0644 and 0444 give a notice."""
    volume = tmp_path / "volume"
    volume.mkdir()
    script = (
        "mount -t tmpfs none $1; mkdir -m 755 $1/..2026_11_24; printf s3cret >$1/..2026_11_24/secret; "
        "chmod $2 $1/..2026_11_24/secret; ln -s ..2026_11_24 $1/..data; ln -s ..data/secret $1/secret; "
        'mount -o remount,ro,bind $1; exec "$3" -c "$4" $1/secret'
    )
    output = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", str(volume), f"{mode:o}", sys.executable, READ_SCRIPT],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
        check=True,
    ).stdout.strip()

    assert output == (
        "s3cret " + (f"every process that sees this mount can read it (mode {mode:04o})" if exposed else "None")
    )


READ_SCRIPT = """
import sys
from app.system import files
try:
    print(files.read_secret(sys.argv[1], 100).decode(), files.exposure(sys.argv[1]))
except files.Unreadable as error:
    print(error)
"""


def read_as_unprivileged_user(path: Path) -> str:
    """Return what a process reads that became an unprivileged user after its imports."""
    drop_privileges = (
        "import os; from app.system import files; os.setresgid(1001, 1001, 1001); os.setresuid(65532, 65532, 65532)"
    )
    return subprocess.run(
        [sys.executable, "-c", f"{drop_privileges}\n{READ_SCRIPT}", path.name],
        cwd=path.parent,  # entered as root, because other users cannot enter the directories above it
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_other_file_types_are_refused(tmp_path: Path, kind: str) -> None:
    """A pipe, which would block, a device, which has no end, and a directory are refused immediately."""
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
