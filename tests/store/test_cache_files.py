"""Files in the cache's directory that the cache does not trust: links, other owners and modes, foreign directories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config.settings import Profile
from app.store.errors import StoreError
from app.store.sealed_cache import SealedCache, content
from app.system import files

from ..descriptors import opened
from .sessions import OTHER_SESSION, assert_refused, mode_of, needs_root


def test_symbolic_link_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A symbolic link in place of an entry is not followed, even if it leads to a valid entry."""
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to("elsewhere")

    assert_refused(cache, profile, "default.sealed: a symbolic link")


def test_hard_link_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file with a second name is refused, because another user may hold it open."""
    os.link(entry, entry.with_name("elsewhere"))

    assert_refused(cache, profile, "not a file with one name")


def test_entry_replaced_while_it_is_opened(entry: Path) -> None:
    """An entry that is replaced between its opening and its checks is read: it is the previous entry, complete."""
    before = entry.read_bytes()
    descriptor = os.open(entry, os.O_RDONLY)
    files.replace(str(entry), b"the next entry")

    assert content(descriptor, entry.name) == before
    os.close(descriptor)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_other_file_types_are_refused(
    make: Callable[[Path], None], cache: SealedCache, profile: Profile, entry: Path
) -> None:
    """A directory or a pipe is refused, and the read of a pipe does not block."""
    entry.unlink()
    make(entry)

    assert_refused(cache, profile, "not a file with one name")


@pytest.mark.parametrize("loose", [0o640, 0o604, 0o620, 0o602, 0o610])
def test_file_that_others_can_access_is_refused(loose: int, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file that other users may read or write is refused."""
    entry.chmod(loose)

    assert_refused(cache, profile, f"mode {loose:04o}")


@needs_root
def test_file_of_another_user_is_refused(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A file of another user is refused, whatever its mode."""
    os.chown(entry, 1001, -1)

    assert_refused(cache, profile, "uid 1001")


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "fifo", "mode"])
def test_untrusted_file_is_replaced_by_a_write(kind: str, cache: SealedCache, profile: Profile, entry: Path) -> None:
    """The next write replaces an untrusted file, and writes nothing through it."""
    elsewhere = entry.with_name("elsewhere")
    elsewhere.write_text("theirs")
    if kind != "mode":
        entry.unlink()
    match kind:
        case "symbolic link":
            entry.symlink_to("elsewhere")
        case "hard link":
            os.link(elsewhere, entry)
        case "fifo":
            os.mkfifo(entry)
        case _:
            entry.chmod(0o666)
    cache.write("default", profile, OTHER_SESSION)

    assert cache.read("default", profile) == OTHER_SESSION
    assert mode_of(entry) == 0o600
    assert elsewhere.read_text() == "theirs"


def test_existing_draft_is_replaced(cache: SealedCache, profile: Profile, entry: Path) -> None:
    """A draft of a killed writer, or a link in its place, is replaced and not written through."""
    elsewhere = entry.with_name("elsewhere")
    elsewhere.write_text("theirs")
    (entry.parent / "default.sealed.new").symlink_to("elsewhere")
    cache.write("default", profile, OTHER_SESSION)

    assert cache.read("default", profile) == OTHER_SESSION
    assert elsewhere.read_text() == "theirs"


@pytest.mark.parametrize("damage", ["mode", "link", "owner", "file"])
def test_untrusted_directory_is_not_used(
    damage: str, cache: SealedCache, profile: Profile, entry: Path, tmp_path: Path
) -> None:
    """In a directory that is open to others, a link, of another user, or a file, nothing is read or written."""
    directory = entry.parent
    if damage == "mode":
        directory.chmod(0o770)
    elif damage == "owner":
        if os.geteuid() != 0:
            pytest.skip("skipped: needs root, to give files away")
        os.chown(directory, 1001, -1)
    else:
        directory.rename(tmp_path / "moved")
        directory.symlink_to(tmp_path / "moved") if damage == "link" else directory.write_text("")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.sealed")}
    operations = (
        lambda: cache.read("default", profile),
        lambda: cache.write("default", profile, OTHER_SESSION),
        lambda: cache.remove("default"),
        lambda: cache.tidy([]),
    )
    for operation in operations:
        with pytest.raises(
            StoreError, match=r"idaas-sidecar: (not private to this user|Not a directory|Too many levels)"
        ):
            operation()

    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.sealed")}


def test_no_descriptor_stays_open(cache: SealedCache, profile: Profile, entry: Path, tmp_path: Path) -> None:
    """Valid and refused entries leave no file descriptor open."""
    cache.read("default", profile)
    entry.unlink()
    entry.mkdir()
    for _ in range(5):
        assert_refused(cache, profile, "not a file with one name")

    assert opened(str(tmp_path)) == []


def test_entry_that_cannot_be_removed(cache: SealedCache, entry: Path) -> None:
    """An entry that cannot be removed is an error that names the directory and the reason."""
    entry.unlink()
    entry.mkdir()
    for operation in (lambda: cache.remove("default"), lambda: cache.tidy([])):
        with pytest.raises(StoreError) as caught:
            operation()
        assert str(caught.value) == f"{entry.parent}: Is a directory"
