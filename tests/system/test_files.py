"""Which files are accepted as secrets: those that no other user could have read."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.system import files

from ..descriptors import opened

ROOT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="skipped: needs root, to give files away and to mount"
)

PRIVATE = "run `chmod 600` on the file, or set `defaultMode: 0400` and the pod's `fsGroup` for a mounted one"
"""The cure of a file that other users can read."""


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
    assert str(caught.value) == f"other users can read it (mode {mode:04o}); {PRIVATE}"
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

    assert read_as_unprivileged_user(path) == f"other users can read it (mode 0640); {PRIVATE}"


@needs_root
@pytest.mark.parametrize(
    ("mode", "read_only", "read"), [(0o400, True, True), (0o440, True, False), (0o400, False, False)]
)
def test_root_reads_the_credential_of_a_unit(tmp_path: Path, mode: int, read_only: bool, read: bool) -> None:
    """
    Root reads a secret that systemd passed to a unit: of the unit's user alone, on a read-only mount.

    On a writable mount, or with more readers, the error names the owner.
    """
    script = (
        "mount -t tmpfs none $1; printf s3cret >$1/secret; chmod $2 $1/secret; chown 1001 $1/secret; chmod 500 $1; "
        'chown 1001 $1; mount -o remount,$3,bind $1; exec "$4" -c "$5" $1/secret'
    )
    words = ("sh", str(tmp_path), f"{mode:o}", "ro" if read_only else "rw", sys.executable, READ_SCRIPT)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, *words], capture_output=True, text=True, cwd=ROOT, timeout=120
    )

    refused = "belongs to uid 1001, who could read and change it; make uid 0 or root the file's owner"
    assert done.stdout.strip() == ("s3cret None" if read else refused), done.stderr


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
        timeout=120,
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
        timeout=120,
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


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [files.read, files.read_secret])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no such file"),
        ("a" * 300, "cannot be read: File name too long"),
        ("a\0b", "cannot be read: not a file name"),
        ("secret", "larger than 6 bytes, so it is the wrong file"),
    ],
)
def test_unreadable_file(tmp_path: Path, read: Callable[[str, int], bytes], name: str, message: str) -> None:
    """The error of a file that cannot be used ends a sentence that begins with its name."""
    write_secret(tmp_path, 0o600)

    with pytest.raises(files.Unreadable) as caught:
        read(str(tmp_path / name), 6)
    assert str(caught.value) == message


@needs_root
@pytest.mark.parametrize(
    ("mode", "uid", "message"),
    [
        (0o600, 0, "not readable by this user (uid 65532); run the command as its owner, or change its owner or mode"),
        (
            0o640,
            65532,
            f"other users can read it (mode 0640); {PRIVATE}",
        ),
        (
            0o644,
            0,
            f"other users can read it (mode 0644); {PRIVATE}",
        ),
        (0o644, 1001, "belongs to uid 1001, who could read and change it; make uid 65532 or root the file's owner"),
    ],
)
def test_secret_of_an_unprivileged_user(tmp_path: Path, mode: int, uid: int, message: str) -> None:
    """An unprivileged user reads no secret that others could have read, and gets a remedy for each."""
    tmp_path.chmod(0o755)

    assert read_as_unprivileged_user(write_secret(tmp_path, mode, uid=uid)) == message


@needs_root
@pytest.mark.parametrize(("mode", "uid"), [(0o600, 65532), (0o400, 65532), (0o640, 0)])
def test_private_secret_of_an_unprivileged_user(tmp_path: Path, mode: int, uid: int) -> None:
    """An unprivileged user reads its own private secret, and a secret of root that its group may read."""
    tmp_path.chmod(0o755)
    path = write_secret(tmp_path, mode, uid=uid, gid=1001)

    assert read_as_unprivileged_user(path).split() == ["s3cret", "None"]


@pytest.mark.parametrize("length", [0, 6, 7])
def test_largest_file_is_read(tmp_path: Path, length: int) -> None:
    """A file of exactly the largest length is read whole."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * length)

    assert files.read(str(path), 7) == b"x" * length


@pytest.mark.parametrize("name", ["absent", "a\0b", "directory"])
def test_exposure_of_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    """What cannot be read as a file has no exposure: reading it gives the reason."""
    (tmp_path / "directory").mkdir()

    assert files.exposure(str(tmp_path / name)) is None


def test_refused_files_leave_no_descriptor_open(tmp_path: Path) -> None:
    """A file that is refused, or that is not a regular file, is closed."""
    path = write_secret(tmp_path, 0o644)
    for name in (path, tmp_path):
        with pytest.raises(files.Unreadable):
            files.read_secret(str(name), 100)

    assert opened(str(tmp_path)) == []


ROOT_HOME = pwd.getpwnam("root").pw_dir


@pytest.mark.parametrize(
    ("path", "home", "expected"),
    [
        ("~", "/home/user", "/home/user"),
        ("~/a/~", "/home/user", "/home/user/a/~"),
        ("~root", "/home/user", ROOT_HOME),
        ("/a/~", "/home/user", "/a/~"),
        ("a", "/home/user", "a"),
        ("~root/a", None, f"{ROOT_HOME}/a"),
    ],
)
def test_tilde_is_expanded(path: str, home: str | None, expected: str) -> None:
    """`~` is the home directory that is given, `~name` that account's."""
    assert files.expanded(path, home) == expected


@pytest.mark.parametrize("home", [None, ""])
@pytest.mark.parametrize("path", ["~", "~/a"])
def test_tilde_without_home(path: str, home: str | None) -> None:
    """Without a home directory, `~` is the account's own."""
    assert files.expanded(path, home) == os.path.expanduser(path)


@pytest.mark.parametrize(
    ("mode", "private", "private_to_write"),
    [
        (0o600, True, True),
        (0o700, True, True),
        (0o640, False, True),
        (0o644, False, True),
        (0o755, False, True),
        (0o620, False, False),
        (0o602, False, False),
        (0o610, False, True),
    ],
)
def test_private_to_user(tmp_path: Path, mode: int, private: bool, private_to_write: bool) -> None:
    """A private file gives other users no permission; a readable one may let them read, but never write."""
    path = write_secret(tmp_path, mode)
    reason = f"not private to this user (uid {os.geteuid()}, mode {mode:04o})"

    assert files.private_to_user(path.stat()) == (None if private else reason)
    assert files.private_to_user(path.stat(), readable=True) == (None if private_to_write else reason)


@needs_root
def test_file_of_another_user_is_not_private(tmp_path: Path) -> None:
    """A file of another user is not private to this one, whatever its mode."""
    path = write_secret(tmp_path, 0o600, uid=1001)

    assert files.private_to_user(path.stat()) == "not private to this user (uid 1001, mode 0600)"


@pytest.mark.parametrize(("name", "expected"), [("file", True), ("absent", False), ("file/below", False), (".", True)])
def test_exists(tmp_path: Path, name: str, expected: bool) -> None:
    """Only what is certainly absent does not exist."""
    (tmp_path / "file").touch()

    assert files.exists(f"{tmp_path}/{name}") is expected


def test_what_cannot_be_looked_at_exists(tmp_path: Path) -> None:
    """A path that cannot be looked at counts as existing, so that reading it gives the reason."""
    (tmp_path / "loop").symlink_to("loop")

    assert files.exists(str(tmp_path / "loop"))
    assert files.exists("~root")
