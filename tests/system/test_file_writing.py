"""How files are written: complete, private, and without remaining drafts."""

from __future__ import annotations

import errno
import inspect
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.system import files

from ..descriptors import opened


@dataclass
class Disk:
    """The state of things at each call of fsync: what is synced, its mode and content, and the file's content then."""

    path: Path
    calls: list[tuple[str, int, bytes, bytes | None]] = field(default_factory=list)
    error: int | None = None

    def sync(self, descriptor: int) -> None:
        """Record a call; raise `error`, if there is one."""
        mode = os.fstat(descriptor).st_mode
        draft = b"" if stat.S_ISDIR(mode) else Path(f"/proc/self/fd/{descriptor}").read_bytes()
        kind = "directory" if stat.S_ISDIR(mode) else "file"
        self.calls.append((kind, stat.S_IMODE(mode), draft, self.path.read_bytes() if self.path.exists() else None))
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))


@pytest.mark.usefixtures("lax_umask")
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_replaced_file_is_complete_on_the_disk(tmp_path: Path, mode: int) -> None:
    """The new file is private until it is complete and synced; only then it gets its mode and its name."""
    path = tmp_path / "file"
    path.write_bytes(b"previous")
    disk = Disk(path)
    files.replace(str(path), b"next", mode, sync=disk.sync)

    assert disk.calls == [("file", 0o600, b"next", b"previous")]
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"next", mode)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.usefixtures("lax_umask")
def test_file_below_a_directory_is_synced_with_it(tmp_path: Path) -> None:
    """A file below an open directory is synced, renamed, and then the directory is synced, which keeps the name."""
    tmp_path.chmod(0o700)
    directory = os.open(tmp_path, os.O_RDONLY)
    disk = Disk(tmp_path / "file")
    files.replace("file", b"content", directory=directory, sync=disk.sync)
    os.close(directory)

    assert disk.calls == [("file", 0o600, b"content", None), ("directory", 0o700, b"", b"content")]
    assert stat.S_IMODE(disk.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("write", [files.replace, files.create])
def test_files_are_synced_by_default(write: Callable[..., None]) -> None:
    """Unless a test observes the disk, a writer calls fsync."""
    assert inspect.signature(write).parameters["sync"].default is os.fsync


@pytest.mark.usefixtures("lax_umask")
@pytest.mark.parametrize("write", [files.replace, files.create])
def test_written_files_are_private_by_default(tmp_path: Path, write: Callable[..., None]) -> None:
    """Without a mode, a file is for its owner alone under any umask, and its descriptor is closed."""
    write(str(tmp_path / "file"), b"content")

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert opened(str(tmp_path)) == []


@pytest.mark.usefixtures("lax_umask")
def test_created_file_is_complete_on_the_disk(tmp_path: Path) -> None:
    """A created file is synced before it has its name, and leaves no draft."""
    disk = Disk(tmp_path / "file")
    files.create(str(disk.path), b"content", 0o640, sync=disk.sync)

    assert disk.calls == [("file", 0o600, b"content", None)]
    assert (disk.path.read_bytes(), stat.S_IMODE(disk.path.stat().st_mode)) == (b"content", 0o640)
    assert os.listdir(tmp_path) == ["file"]


def test_existing_file_is_not_created(tmp_path: Path) -> None:
    """Creating a file that exists fails and changes nothing."""
    (tmp_path / "file").write_text("theirs")

    with pytest.raises(FileExistsError):
        files.create(str(tmp_path / "file"), b"ours")
    assert (tmp_path / "file").read_text() == "theirs"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture(params=[False, True], ids=["by path", "below a directory"])
def replace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Disk, bytes], None]]:
    """`files.replace` with a file's whole path, and with its name below an open directory."""
    directory = os.open(tmp_path, os.O_RDONLY)

    def write(disk: Disk, content: bytes) -> None:
        if request.param:
            files.replace(disk.path.name, content, directory=directory, sync=disk.sync)
        else:
            files.replace(str(disk.path), content, sync=disk.sync)

    yield write
    os.close(directory)


def test_failed_write_keeps_the_previous_file(tmp_path: Path, replace: Callable[[Disk, bytes], None]) -> None:
    """If the disk fails, the previous file stays, no draft stays, and no descriptor stays open."""
    path = tmp_path / "file"
    path.write_text("previous")
    before = opened(str(tmp_path))
    with pytest.raises(OSError, match="No space left on device"):
        replace(Disk(path, error=errno.ENOSPC), b"next")

    assert path.read_text() == "previous"
    assert os.listdir(tmp_path) == ["file"]
    assert opened(str(tmp_path)) == before


def test_writers_of_one_file_have_drafts_of_their_own(tmp_path: Path) -> None:
    """Two writers with one process number, as process 1 of two containers, do not write to each other's draft."""
    path = str(tmp_path / "file")

    def interrupt(descriptor: int) -> None:
        files.replace(path, b"of the other")
        assert (tmp_path / "file").read_bytes() == b"of the other"
        os.fsync(descriptor)

    files.replace(path, b"of one", sync=interrupt)

    assert (tmp_path / "file").read_bytes() == b"of one"
    assert os.listdir(tmp_path) == ["file"]


def test_drafts_of_killed_writers_are_removed(tmp_path: Path) -> None:
    """Old drafts of a file are removed. Young ones may be under way, and other files are not touched."""
    path = tmp_path / "file"
    random, theirs = "file.0123456789abcdef.new", "file.backup.new"
    for name in ("file.0123.new", "file.4567.new", "file.json", "other.0123.new", "file.json.0123.new", random, theirs):
        (tmp_path / name).write_text("half")
    path.write_text("content")
    written = path.stat().st_mtime
    ages = {"file.0123.new": 3601, "file.4567.new": 3599, "file.json": 9999, "other.0123.new": 9999}
    for name, age in (ages | {random: 9999, theirs: 9999, "file.json.0123.new": 9999}).items():
        os.utime(tmp_path / name, (written, written - age))
    files.remove_drafts(str(path))

    left = ["file", "file.4567.new", theirs, "file.json", "file.json.0123.new", "other.0123.new"]
    assert sorted(os.listdir(tmp_path)) == left


def test_drafts_that_cannot_be_removed(tmp_path: Path) -> None:
    """A draft that cannot be removed, such as a directory, does not prevent the removal of other drafts."""
    path = tmp_path / "file"
    path.write_text("content")
    written = path.stat().st_mtime
    for number in range(10):  # in every order of the directory's entries
        stuck, draft = tmp_path / f"file.{number}0.new", tmp_path / f"file.{number}1.new"
        stuck.mkdir()
        draft.write_text("half")
        for each in (stuck, draft):
            os.utime(each, (written, written - 9999))
    files.remove_drafts(str(path))

    assert sorted(os.listdir(tmp_path)) == ["file", *(f"file.{number}0.new" for number in range(10))]
