"""Credential files: written as a whole, with their format and mode, and removed when they are not wanted."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from app.cli.arguments import credentials
from app.config.loader import Loaded
from app.config.settings import CredentialFile, Profile
from app.core.errors import ConfigError
from app.core.formats import FORMATS
from app.store.credential_files import CredentialFiles, not_written, write
from app.store.errors import EntryError

from ..conftest import configuration
from .sessions import OTHER_SESSION, SESSION, mode_of

WithFiles = Callable[..., Profile]


@pytest.fixture
def with_files(loaded: Callable[..., Loaded]) -> WithFiles:
    """Build a profile that writes these files."""

    def build(*files: Path | dict[str, str]) -> Profile:
        config = configuration()
        entries = [file if isinstance(file, dict) else {"path": str(file)} for file in files]
        config["profiles"]["default"]["files"] = entries
        return loaded(config).settings.profiles["default"]

    return build


@pytest.fixture
def files() -> CredentialFiles:
    """A writer that has written nothing."""
    return CredentialFiles()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of the credential files."""
    path = tmp_path / "files"
    path.mkdir()
    return path


def test_names_of_formats() -> None:
    """The formats of files are those of `get --format`."""
    of_files = get_type_hints(CredentialFile, include_extras=True)["format"].__origin__

    assert set(FORMATS) == set(credentials.FORMATS) == set(get_args(of_files))


@pytest.mark.parametrize("name", FORMATS)
def test_formats(files: CredentialFiles, with_files: WithFiles, folder: Path, name: str) -> None:
    """A file has its format and ends with one newline; it contains the secret."""
    files.write("default", with_files({"path": str(folder / "file"), "format": name}), SESSION)
    text = (folder / "file").read_text()

    assert text == FORMATS[name](SESSION) + "\n"
    assert "canary-secret" in text
    if name in ("uri", "external", "json"):
        json.loads(text)


@pytest.mark.usefixtures("lax_umask")
@pytest.mark.parametrize("mode", ["0600", "0400", "0640", "0440"])
def test_modes(files: CredentialFiles, with_files: WithFiles, folder: Path, mode: str) -> None:
    """A file has its configured mode under any umask."""
    files.write("default", with_files({"path": str(folder / "file"), "mode": mode}), SESSION)

    assert mode_of(folder / "file") == int(mode, 8)


@pytest.mark.usefixtures("lax_umask")
def test_written_file_is_private_by_default(folder: Path) -> None:
    """`write` makes a file for its owner alone, unless it is given a mode."""
    write(str(folder / "file"), "aliyun", SESSION)
    write(str(folder / "shared"), "aliyun", SESSION, 0o640)

    assert (mode_of(folder / "file"), mode_of(folder / "shared")) == (0o600, 0o640)


def test_write_replaces(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """A new session replaces the previous one as a whole file, and leaves no draft."""
    profile = with_files(folder / "a", folder / "b")
    files.write("default", profile, SESSION)
    inode = (folder / "a").stat().st_ino
    files.write("default", profile, OTHER_SESSION)

    assert [(folder / name).read_text() for name in "ab"] == [FORMATS["aliyun"](OTHER_SESSION) + "\n"] * 2
    assert (folder / "a").stat().st_ino != inode
    assert sorted(os.listdir(folder)) == ["a", "b"]


def test_nothing_is_read(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """The files are for other programs: none is read at a start."""
    profile = with_files(folder / "a")
    files.write("default", profile, SESSION)

    assert files.read("default", profile) is None  # type: ignore[func-returns-value]


def test_files_that_are_no_longer_configured_are_removed(
    files: CredentialFiles, with_files: WithFiles, folder: Path
) -> None:
    """After a reload, the next session removes the files that the profile no longer has, and no others."""
    (folder / "other").touch()
    files.write("default", with_files(folder / "a", folder / "b"), SESSION)
    files.write("default", with_files(folder / "b", folder / "c"), SESSION)
    assert sorted(os.listdir(folder)) == ["b", "c", "other"]
    files.write("default", with_files(), SESSION)
    assert sorted(os.listdir(folder)) == ["other"]


def test_remove(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """The files of one profile are removed; a file that is absent, and a profile without files, is no error."""
    files.write("default", with_files(folder / "a", folder / "b"), SESSION)
    files.write("p2", with_files(folder / "c"), SESSION)
    (folder / "a").unlink()
    for _ in range(2):
        files.remove("default")
        files.remove("nobody")

    assert os.listdir(folder) == ["c"]


def test_removed_files_are_forgotten(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """A file that another program makes at the path of a removed one stays."""
    files.write("default", with_files(folder / "a"), SESSION)
    files.remove("default")
    (folder / "a").write_text("theirs")
    files.remove("default")
    files.write("default", with_files(), SESSION)
    files.tidy([])

    assert (folder / "a").read_text() == "theirs"


@pytest.mark.parametrize(("names", "left"), [(["default"], ["a"]), (["p2", "p3"], ["b", "c"]), ([], [])])
def test_tidy(files: CredentialFiles, with_files: WithFiles, folder: Path, names: list[str], left: list[str]) -> None:
    """The files of profiles that no longer exist are removed."""
    for name, file in (("default", "a"), ("p2", "b"), ("p3", "c")):
        files.write(name, with_files(folder / file), SESSION)
    files.tidy(names)

    assert sorted(os.listdir(folder)) == left


def test_file_that_another_profile_has_taken_over(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """When two profiles exchange their files, neither removes the file that the other one has written."""
    files.write("default", with_files(folder / "a"), SESSION)
    files.write("p2", with_files(folder / "b"), SESSION)
    files.write("default", with_files(folder / "b"), OTHER_SESSION)
    files.write("p2", with_files(folder / "a"), OTHER_SESSION)
    assert sorted(os.listdir(folder)) == ["a", "b"]

    files.remove("p2")
    assert os.listdir(folder) == ["b"]


def test_failed_write(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """A file that cannot be written is named with its place in the configuration; the others are written."""
    with pytest.raises(EntryError) as caught:
        files.write("default", with_files(folder / "no" / "a", folder / "b", folder / "no" / "c"), SESSION)

    advice = "create its directory"
    assert str(caught.value) == (
        f"profiles.default.files[0]: {folder}/no/a: cannot be written: No such file or directory; {advice}; "
        f"profiles.default.files[2]: {folder}/no/c: cannot be written: No such file or directory; {advice}"
    )
    assert os.listdir(folder) == ["b"]


def test_failed_write_of_one_file(folder: Path) -> None:
    """`write` raises ConfigError with the path and the reason."""
    with pytest.raises(ConfigError) as caught:
        write(str(folder / "no" / "a"), "aliyun", SESSION)

    assert caught.value.cause == f"{folder}/no/a: cannot be written: No such file or directory"
    assert caught.value.cure == "create its directory"
    assert caught.value.error_code == "IDS-603"


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOENT, "create its directory"),
        (errno.ENOTDIR, "create its directory"),
        (errno.EACCES, "let this user write to its directory"),
        (errno.EPERM, "let this user write to its directory"),
        (errno.EROFS, "make its volume writable"),
        (errno.ENOSPC, "make room on its volume"),
        (errno.EIO, ""),
    ],
)
def test_cure_of_a_failed_write(number: int, cure: str) -> None:
    """The cure depends on the errno. For other numbers, the errors index has the cure."""
    error = not_written("/x", OSError(number, os.strerror(number)))

    assert (error.cause, error.cure) == (f"/x: cannot be written: {os.strerror(number)}", cure)


def made_unremovable(path: Path) -> None:
    """Replace a file by a directory, which cannot be unlinked."""
    path.unlink()
    path.mkdir()


Removal = Callable[[CredentialFiles, Profile], Any]


@pytest.mark.parametrize(
    "removal",
    [
        lambda files, _: files.remove("default"),
        lambda files, _: files.tidy([]),
        lambda files, without: files.write("default", without, OTHER_SESSION),
    ],
    ids=["remove", "tidy", "write"],
)
def test_failed_removal(files: CredentialFiles, with_files: WithFiles, folder: Path, removal: Removal) -> None:
    """A file that cannot be removed is reported and stops no other file; the next time it is tried again."""
    files.write("default", with_files(folder / "a", folder / "b", folder / "c"), SESSION)
    made_unremovable(folder / "a")
    made_unremovable(folder / "b")
    for _ in range(2):
        with pytest.raises(EntryError) as caught:
            removal(files, with_files())

        assert str(caught.value) == "; ".join(f"{folder}/{name}: cannot be removed: Is a directory" for name in "ab")
        assert sorted(os.listdir(folder)) == ["a", "b"]
    for name in "ab":
        (folder / name).rmdir()
        (folder / name).touch()
    removal(files, with_files())

    assert os.listdir(folder) == []


def test_failed_removal_does_not_stop_a_write(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """If a previous file cannot be removed, the new file is written nevertheless."""
    files.write("default", with_files(folder / "a"), SESSION)
    made_unremovable(folder / "a")
    with pytest.raises(EntryError, match="cannot be removed"):
        files.write("default", with_files(folder / "b"), OTHER_SESSION)

    assert (folder / "b").read_text() == FORMATS["aliyun"](OTHER_SESSION) + "\n"


def test_draft_of_a_killed_writer_is_removed(files: CredentialFiles, with_files: WithFiles, folder: Path) -> None:
    """The first write of a file removes an old draft, which has credentials that a killed sidecar wrote."""
    draft = folder / "a.json.0123456789abcdef.new"
    draft.write_text("half")
    os.utime(draft, (0, 0))
    files.write("default", with_files(folder / "a.json"), SESSION)

    assert os.listdir(folder) == ["a.json"]
