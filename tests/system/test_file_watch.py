"""The file watch: which directories are watched, and which changes of a file the kernel reports."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.system.file_watch import FileWatch, directories, stamp

from ..simulated_loop import simulated

TIMEOUT = 5.0


class Reports:
    """The changes that a watch has reported."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def next(self) -> frozenset[str]:
        """Return the paths of the next report."""
        return await asyncio.wait_for(self.queue.get(), TIMEOUT)


@pytest.fixture
async def reports() -> Reports:
    """An empty list of reports."""
    return Reports()


@pytest.fixture
async def watch(reports: Reports) -> AsyncIterator[FileWatch]:
    """A running watch."""
    found = FileWatch(reports.queue.put_nowait, settle=0.02, pause=0.05)
    assert found.start() is None
    yield found
    found.stop()


def write_volume(volume: Path, revision: int, **files: str) -> None:
    """Write a volume's files as kubelet does: into a new directory, and with one swapped symbolic link to it."""
    data = volume / f"..{revision}"
    data.mkdir(parents=True)
    for name, text in files.items():
        (data / name).write_text(text)
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")
    (volume / "..data_tmp").symlink_to(data.name)
    (volume / "..data_tmp").rename(volume / "..data")


def write_in_place(path: Path) -> None:
    """Write into the existing file."""
    path.write_text("new, and longer")


def replace(path: Path) -> None:
    """Replace the file by a rename."""
    draft = path.with_name("draft")
    draft.write_text("new")
    draft.rename(path)


def remove(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def remove_and_create(path: Path) -> None:
    """Remove the file and create it again."""
    path.unlink()
    path.write_text("new")


def touch(path: Path) -> None:
    """Change the modification time."""
    path.touch()


def change_mode(path: Path) -> None:
    """Change the mode."""
    path.chmod(0o600)


@pytest.mark.parametrize("change", [write_in_place, replace, remove, remove_and_create, touch, change_mode])
async def test_changed_file_is_reported(
    watch: FileWatch, reports: Reports, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """However a file changes, its path is reported and no other."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    watch.follow([str(one), str(other)])
    change(one)

    assert await reports.next() == {str(one)}


async def test_created_file_is_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """A file that does not exist yet, nor its directory, is reported when it is created."""
    path = tmp_path / "a" / "b" / "token"
    watch.follow([str(path)])
    path.parent.mkdir(parents=True)
    path.write_text("x")

    assert await reports.next() == {str(path)}


async def test_swapped_link_of_a_volume_is_reported_each_time(
    watch: FileWatch, reports: Reports, tmp_path: Path
) -> None:
    """Each swap of a Kubernetes volume's link is reported."""
    volume = tmp_path / "volume"
    write_volume(volume, 1, config="1", secret="1")
    watch.follow([str(volume / "config"), str(volume / "secret")])

    for revision in (2, 3, 4):
        write_volume(volume, revision, config=str(revision), secret="1")
        assert await reports.next() >= {str(volume / "config")}


async def test_swapped_link_in_the_path_is_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """A changed symbolic link in the middle of a path is reported."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "current").symlink_to("first")
    watch.follow([str(tmp_path / "current" / "file")])
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")

    assert await reports.next() == {str(tmp_path / "current" / "file")}


async def test_change_of_another_file_is_not_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """Changes of a neighbouring file are not reported."""
    path = tmp_path / "file"
    path.write_text("x")
    watch.follow([str(path)])
    for number in range(20):
        (tmp_path / "neighbour").write_text(str(number))
    watch.check()

    assert reports.queue.empty()


@simulated
async def test_many_changes_are_few_reports(tmp_path: Path) -> None:
    """A hundred changes in a row cause few reports, and the last change is among them."""
    path, reports = tmp_path / "file", Reports()
    path.write_text("x")
    watch = FileWatch(reports.queue.put_nowait, settle=0.01)
    watch.start()
    watch.follow([str(path)])
    for number in range(100):
        path.write_text("x" * number)
        await asyncio.sleep(0)
    first = await reports.next()
    path.write_text("the last")
    watch.check()
    later = [reports.queue.get_nowait() for _ in range(reports.queue.qsize())]
    watch.stop()

    assert first == later[-1] == {str(path)}
    assert len(later) < 5


async def test_follow_replaces_the_paths(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """After a second `follow` only the new paths are reported."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    watch.follow([str(one)])
    watch.follow([str(other)])
    write_in_place(one)
    write_in_place(other)

    assert await reports.next() == {str(other)}


def test_directories_on_the_path_of_a_file(tmp_path: Path) -> None:
    """Watched are the directory of each link, the file's own, and for a missing file the nearest existing one."""
    volume = tmp_path / "volume"
    write_volume(volume, 1, config="1")
    real = Path(os.path.realpath(volume))

    assert {str(volume), str(volume / "..data")} <= set(directories(str(volume / "config")))
    assert str(real) in {os.path.realpath(item) for item in directories(str(volume / "config"))}
    assert list(directories(str(tmp_path / "a" / "b"))) == [str(tmp_path)]


def test_circular_links_end(tmp_path: Path) -> None:
    """Circular symbolic links end, and have no file."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert set(directories(str(tmp_path / "a"))) == {str(tmp_path)}
    assert stamp(str(tmp_path / "a")) is None
