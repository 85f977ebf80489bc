"""Files that change: which directories tell of it, and what the kernel says of each way to replace a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.system.file_watch import FileWatch, directories, stamp

SECONDS = 5.0


class Heard:
    """What a watch told, and the next of it."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def next(self) -> frozenset[str]:
        return await asyncio.wait_for(self.told.get(), SECONDS)


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def watch(heard: Heard) -> AsyncIterator[FileWatch]:
    found = FileWatch(heard.told.put_nowait, settle=0.02, pause=0.05)
    assert found.start() is None
    yield found
    found.stop()


def as_kubernetes(volume: Path, revision: int, **files: str) -> None:
    """Writes a volume's files as kubelet does: a new directory, and one link to it that is swapped."""
    data = volume / f"..{revision}"
    data.mkdir(parents=True)
    for name, text in files.items():
        (data / name).write_text(text)
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")
    (volume / "..data_tmp").symlink_to(data.name)
    (volume / "..data_tmp").rename(volume / "..data")


def in_place(path: Path) -> None:
    path.write_text("new, and longer")


def replaced(path: Path) -> None:
    draft = path.with_name("draft")
    draft.write_text("new")
    draft.rename(path)


def removed(path: Path) -> None:
    path.unlink()


def removed_and_made(path: Path) -> None:
    path.unlink()
    path.write_text("new")


def touched(path: Path) -> None:
    path.touch()


def opened_to_us(path: Path) -> None:
    path.chmod(0o600)


@pytest.mark.parametrize("change", [in_place, replaced, removed, removed_and_made, touched, opened_to_us])
async def test_a_changed_file(watch: FileWatch, heard: Heard, tmp_path: Path, change: Callable[[Path], None]) -> None:
    """However a file is replaced, its name is told, and no other."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    watch.follow([str(one), str(other)])
    change(one)

    assert await heard.next() == {str(one)}


async def test_a_file_that_comes(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """A file that is not there yet, nor its directory, is told of when it comes."""
    path = tmp_path / "a" / "b" / "token"
    watch.follow([str(path)])
    path.parent.mkdir(parents=True)
    path.write_text("x")

    assert await heard.next() == {str(path)}


async def test_kubernetes_swaps_a_link(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """A volume whose one link is swapped is noticed time after time."""
    volume = tmp_path / "volume"
    as_kubernetes(volume, 1, config="1", secret="1")
    watch.follow([str(volume / "config"), str(volume / "secret")])

    for revision in (2, 3, 4):
        as_kubernetes(volume, revision, config=str(revision), secret="1")
        assert await heard.next() >= {str(volume / "config")}


async def test_a_linked_directory(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """A link in the middle of the way that comes to lead elsewhere."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "current").symlink_to("first")
    watch.follow([str(tmp_path / "current" / "file")])
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")

    assert await heard.next() == {str(tmp_path / "current" / "file")}


async def test_other_files_are_nobodys_business(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """A neighbour's change is noticed and told to nobody; so is a file that was touched back to what it was."""
    path = tmp_path / "file"
    path.write_text("x")
    watch.follow([str(path)])
    for number in range(20):
        (tmp_path / "neighbour").write_text(str(number))
    watch.check()

    assert heard.told.empty()


async def test_who_rewrites_without_end_is_looked_at_seldom(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """A hundred changes in a row are a few looks, and the last one is not missed."""
    path = tmp_path / "file"
    path.write_text("x")
    watch.follow([str(path)])
    for number in range(100):
        path.write_text("x" * number)
        await asyncio.sleep(0)
    first = await heard.next()
    path.write_text("the last")
    watch.check()
    later = [heard.told.get_nowait() for _ in range(heard.told.qsize())]

    assert first == later[-1] == {str(path)}
    assert len(later) < 5


async def test_names_can_be_others(watch: FileWatch, heard: Heard, tmp_path: Path) -> None:
    """From `follow` on it is the new names, as they are then."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    watch.follow([str(one)])
    watch.follow([str(other)])
    in_place(one)
    in_place(other)

    assert await heard.next() == {str(other)}


def test_the_way_to_a_file(tmp_path: Path) -> None:
    """Each link's directory, the file's own, and for one that is not there the nearest above it."""
    volume = tmp_path / "volume"
    as_kubernetes(volume, 1, config="1")
    real = Path(os.path.realpath(volume))

    assert {str(volume), str(volume / "..data")} <= set(directories(str(volume / "config")))
    assert str(real) in {os.path.realpath(item) for item in directories(str(volume / "config"))}
    assert list(directories(str(tmp_path / "a" / "b"))) == [str(tmp_path)]


def test_links_that_lead_in_a_circle(tmp_path: Path) -> None:
    """They end, like everything."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert set(directories(str(tmp_path / "a"))) == {str(tmp_path)}
    assert stamp(str(tmp_path / "a")) is None
