"""The generated path token and its directory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app.core.errors import ConfigError
from app.system import runtime_dir

UID = os.geteuid()


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/a"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/idaas-sidecar"),
        ({}, 0, "/run/idaas-sidecar"),
        ({}, 7, "/tmp/idaas-sidecar-7"),
    ],
)
def test_runtime_directory(environ: dict[str, str], uid: int, expected: str) -> None:
    """systemd's directory comes first, then the user's runtime directory, then one with the user's id."""
    assert runtime_dir.directory(environ, uid) == expected


def test_path_token_is_generated_once(tmp_path: Path) -> None:
    """The token is random and long, private under any umask, and the same after a restart."""
    before = os.umask(0)
    try:
        path = tmp_path / "deep" / "run" / "path-token-7117"
        first = runtime_dir.generated_path_token(str(path))
    finally:
        os.umask(before)
    other = runtime_dir.generated_path_token(str(path.with_name("path-token-7118")))

    assert len(first) == 32
    assert first != other
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert runtime_dir.generated_path_token(str(path)) == runtime_dir.read_path_token(str(path)) == first
    assert sorted(os.listdir(path.parent)) == ["path-token-7117", "path-token-7118"]


def test_untrusted_directory_is_refused(tmp_path: Path) -> None:
    """A link, a file, or a directory that others can enter is refused, because any user can create it in /tmp."""
    link, file, shared = tmp_path / "link", tmp_path / "file", tmp_path / "shared"
    link.symlink_to(tmp_path)
    file.touch()
    shared.mkdir()
    shared.chmod(0o777)
    for path in (link, file, shared):
        with pytest.raises(ConfigError, match="is not a directory that only this user"):
            runtime_dir.generated_path_token(str(path / "path-token-1"))


def test_readable_path_token_is_refused(tmp_path: Path) -> None:
    """A token that other users may have read is refused."""
    path = tmp_path / "path-token-1"
    path.write_text("known-to-everybody-0123456789\n")
    path.chmod(0o644)

    with pytest.raises(ConfigError, match=r"other users can read it \(mode 0644\)"):
        runtime_dir.generated_path_token(str(path))


def test_missing_path_token_names_its_creator(tmp_path: Path) -> None:
    """If no sidecar has run yet, the error says that `serve` creates the token."""
    with pytest.raises(ConfigError, match="no such file; `serve` creates it, for its own user"):
        runtime_dir.read_path_token(str(tmp_path / "path-token-1"))


def test_session_key_is_kept_per_port(tmp_path: Path) -> None:
    """The key of the session tokens has 32 bytes, is the same after a restart and another one at another port."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    key = runtime_dir.kept_session_key(environ, UID, 7117)

    assert key is not None
    assert len(key) == 32
    assert runtime_dir.kept_session_key(environ, UID, 7117) == key
    assert runtime_dir.kept_session_key(environ, UID, 7118) not in {key, None}
    assert stat.S_IMODE((tmp_path / "idaas-sidecar" / "session-key-7117").stat().st_mode) == 0o600


@pytest.mark.parametrize("broken", ["directory", "file"])
def test_session_key_that_others_can_read_is_not_used(tmp_path: Path, broken: str) -> None:
    """There is no kept key in a directory of others, or in a file that others can read."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    runtime_dir.kept_session_key(environ, UID, 7117)
    directory = tmp_path / "idaas-sidecar"
    (directory if broken == "directory" else directory / "session-key-7117").chmod(0o777)

    assert runtime_dir.kept_session_key(environ, UID, 7117) is None


def test_session_key_of_an_empty_file_is_not_used(tmp_path: Path) -> None:
    """The key of a file that lost its content is known to everybody, so that anybody could make tokens."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    runtime_dir.kept_session_key(environ, UID, 7117)
    (tmp_path / "idaas-sidecar" / "session-key-7117").write_text("\n")

    assert runtime_dir.kept_session_key(environ, UID, 7117) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"with/a/slash-0123456789", b"\xff" * 32])
def test_damaged_path_token_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file without a path token is refused: with an empty token, //credentials would be served."""
    path = tmp_path / "path-token-1"
    path.touch(0o600)
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="not a path token; remove the file, and restart `serve`"):
        runtime_dir.generated_path_token(str(path))
