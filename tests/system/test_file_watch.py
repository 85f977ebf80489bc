"""The file watch: which directories are watched, and which changes of a file the kernel reports."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from pathlib import Path

import pytest

from app.system.file_watch import PAUSE, POLL, FileWatch
from app.system.inotify import Inotify
from app.system.probe import probe
from app.system.survey import Survey, directories

from ..simulated_loop import simulated

TIMEOUT = 60.0


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
    found = FileWatch(reports.queue.put_nowait, quiet=0.02, pause=0.05)
    found.start()
    running = asyncio.create_task(found.run())
    yield found
    running.cancel()
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
    await watch.follow([str(one), str(other)])
    change(one)

    assert await reports.next() == {str(one)}


async def test_created_file_is_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """A file that does not exist yet, nor its directory, is reported when it is created."""
    path = tmp_path / "a" / "b" / "token"
    await watch.follow([str(path)])
    path.parent.mkdir(parents=True)
    path.write_text("x")

    assert await reports.next() == {str(path)}


async def test_swapped_link_of_a_volume_is_reported_each_time(
    watch: FileWatch, reports: Reports, tmp_path: Path
) -> None:
    """Each swap of a Kubernetes volume's link is reported."""
    volume = tmp_path / "volume"
    write_volume(volume, 1, config="1", secret="1")
    await watch.follow([str(volume / "config"), str(volume / "secret")])

    for revision in (2, 3, 4):
        write_volume(volume, revision, config=str(revision), secret="1")
        assert await reports.next() >= {str(volume / "config")}


async def test_swapped_link_in_the_path_is_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """A changed symbolic link in the middle of a path is reported."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "current").symlink_to("first")
    await watch.follow([str(tmp_path / "current" / "file")])
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")

    assert await reports.next() == {str(tmp_path / "current" / "file")}


async def test_change_of_another_file_is_not_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """Changes of a neighbouring file are not reported."""
    path = tmp_path / "file"
    path.write_text("x")
    await watch.follow([str(path)])
    for number in range(20):
        (tmp_path / "neighbour").write_text(str(number))
        await asyncio.sleep(0)
    write_in_place(path)

    assert await reports.next() == {str(path)}
    assert reports.queue.empty()


@simulated
async def test_many_changes_are_few_reports(tmp_path: Path) -> None:
    """A hundred changes in a row cause few reports, and the last change is among them."""
    path, reports = tmp_path / "file", Reports()
    path.write_text("x")
    watch = FileWatch(reports.queue.put_nowait, quiet=0.01)
    watch.start()
    await watch.follow([str(path)])
    running = asyncio.create_task(watch.run())
    for number in range(100):
        path.write_text("x" * number)
        await asyncio.sleep(0)
    first = await reports.next()
    path.write_text("the last")
    await asyncio.sleep(2 * POLL + PAUSE)
    later = [reports.queue.get_nowait() for _ in range(reports.queue.qsize())]
    running.cancel()
    watch.stop()

    assert first == later[-1] == {str(path)}
    assert len(later) < 5


async def test_follow_replaces_the_paths(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """After a second `follow` only the new paths are reported."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    await watch.follow([str(one)])
    await watch.follow([str(other)])
    write_in_place(one)
    write_in_place(other)

    assert await reports.next() == {str(other)}


# --- without the kernel's reports -------------------------------------------------------------------------------------


def no_instance_left() -> Inotify:
    """Fail as the kernel does when `user.max_inotify_instances` is used up."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class NoWatchLeft(Inotify):
    """An inotify instance of a user who has used up `max_user_watches`."""

    def watch(self, directory: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("open_inotify", [no_instance_left, NoWatchLeft])
@simulated
async def test_files_are_polled_without_inotify(tmp_path: Path, open_inotify: Callable[[], Inotify]) -> None:
    """Where the kernel reports nothing, each change is reported within POLL seconds, and the reason is told once."""
    path, reports, reasons = tmp_path / "token", Reports(), list[str]()
    watch = FileWatch(reports.queue.put_nowait, reasons.append, open_inotify=open_inotify)
    watch.start()
    await watch.follow([str(path)])
    running = asyncio.create_task(watch.run())
    for text in ("first", "and second"):
        path.write_text(text)
        await asyncio.sleep(POLL + PAUSE)
        assert reports.queue.get_nowait() == {str(path)}
    running.cancel()
    watch.stop()

    assert len(reasons) == 1


class UnreadableDirectory(Inotify):
    """An inotify instance of a user who may not read the directory `closed`. It records what is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[str] = []

    def watch(self, directory: str) -> None:
        if os.path.basename(directory) == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.watched.append(directory)
        super().watch(directory)


async def test_parent_of_an_unreadable_directory_is_watched(tmp_path: Path) -> None:
    """The kernel reports a corrected mode of a directory to those who watch its parent."""
    path, reports = tmp_path / "closed" / "token", Reports()
    path.parent.mkdir()
    inotify = UnreadableDirectory()
    watch = FileWatch(reports.queue.put_nowait, open_inotify=lambda: inotify)
    watch.start()
    await watch.follow([str(path)])
    watch.stop()

    assert str(tmp_path) in inotify.watched


class SilentInotify(Inotify):
    """An inotify instance without events, as for a network file system."""

    def watch(self, directory: str) -> None: ...


def write_first(path: Path) -> None:
    """Write the file for the first time."""
    path.write_text("x")


def rename_above(path: Path) -> None:
    """Rename an ancestor directory, and put another directory in its place."""
    top = path.parents[1]
    top.rename(top.with_name("old"))
    path.parent.mkdir(parents=True)
    path.write_text("new")


@pytest.mark.parametrize("change", [write_first, rename_above])
@pytest.mark.parametrize("open_inotify", [SilentInotify, Inotify])
@simulated
async def test_change_without_an_event_is_found_later(
    tmp_path: Path, change: Callable[[Path], None], open_inotify: Callable[[], Inotify]
) -> None:
    """A change that the kernel does not report, as on a network file system, is found within POLL seconds."""
    path, reports = tmp_path / "top" / "middle" / "token", Reports()
    path.parent.mkdir(parents=True)
    if change is rename_above:
        path.write_text("old")
    watch = FileWatch(reports.queue.put_nowait, open_inotify=open_inotify)
    watch.start()
    await watch.follow([str(path)])
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(PAUSE)
    change(path)
    await asyncio.sleep(POLL + PAUSE)
    running.cancel()
    watch.stop()

    assert reports.queue.get_nowait() == {str(path)}


async def test_write_within_one_tick_is_reported(watch: FileWatch, reports: Reports, tmp_path: Path) -> None:
    """A second write of the same size, so soon that size and times stay, is reported."""
    path = tmp_path / "token"
    for number in range(20):
        path.write_text(f"one {number:02}")
        await watch.follow([str(path)])
        path.write_text(f"two {number:02}")

        assert await reports.next() == {str(path)}
        await watch.follow([])


# --- file systems that hang -------------------------------------------------------------------------------------------


class HangingFileSystem:
    """`os.stat` of paths below `place` returns when `answers` is set, as on an NFS mount whose server is gone."""

    def __init__(self, place: Path) -> None:
        self._place = str(place)
        self.answers = threading.Event()

    def stamp(self, path: str) -> Hashable:
        """Return the state of the file, once the file system answers."""
        if path.startswith(self._place):
            self.answers.wait(60)
        return probe(path)


async def test_hanging_directory_stops_nothing(reports: Reports, tmp_path: Path) -> None:
    """While one directory hangs, changes elsewhere are reported; what changed there is reported when it answers."""
    hung, healthy = tmp_path / "hung", tmp_path / "healthy"
    for place in (hung, healthy):
        place.mkdir()
        (place / "file").write_text("x")
    system = HangingFileSystem(hung)
    survey = Survey(stall=0.5, stamp=system.stamp)
    watch = FileWatch(reports.queue.put_nowait, quiet=0.02, pause=0.05, survey=survey)
    watch.start()
    await watch.follow([str(hung / "file"), str(hung / "other"), str(healthy / "file")])
    running = asyncio.create_task(watch.run())
    write_in_place(healthy / "file")

    assert await reports.next() == {str(healthy / "file")}
    assert survey.hanging() == [str(hung)]

    system.answers.set()
    assert str(hung / "file") in await reports.next()
    running.cancel()
    watch.stop()


class CountedHangs(HangingFileSystem):
    """A file system that hangs for each file below `place`, and counts the threads that wait for it."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.waiting = 0

    def stamp(self, path: str) -> Hashable:
        """Return the state of the file, links followed, once the file system answers."""
        real = os.path.realpath(path)
        self.waiting += real.startswith(str(self._place))
        return super().stamp(real)


@pytest.mark.parametrize("target", ["{hung}/{name}", "../hung/{name}"])
def test_links_to_a_hanging_place_wait_once(target: str, tmp_path: Path) -> None:
    """Files that are links into a place that hangs keep one thread, and delay no other file of their directory."""
    hung, healthy = tmp_path / "hung", tmp_path / "healthy"
    hung.mkdir()
    healthy.mkdir()
    (healthy / "file").write_text("x")
    names = [str(healthy / f"link{number}") for number in range(12)]
    for name in names:
        Path(name).symlink_to(target.format(hung=hung, name=Path(name).name))
    system = CountedHangs(hung)
    survey = Survey(stall=0.5, stamp=system.stamp)
    found = survey.look([*names, str(healthy / "file")])

    assert found.keys() == {str(healthy / "file")}
    assert survey.hanging() == [str(hung)]
    assert all(map(survey.hangs, names))
    assert {survey.directory(name) for name in names} == {str(hung)}
    assert survey.directory(str(healthy / "file")) == str(healthy)
    assert system.waiting == 1

    survey.forget_others(())
    assert survey.directory(names[0]) == str(healthy)
    system.answers.set()


def test_path_with_two_slashes_ends(tmp_path: Path) -> None:
    """A path that begins with two slashes, which POSIX keeps, is followed like one with one."""
    assert list(directories(f"/{tmp_path}/file")) == list(directories(f"{tmp_path}/file"))


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
    assert probe(str(tmp_path / "a")) is None
