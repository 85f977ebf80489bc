"""The generated path token and its directory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.errors import ConfigError
from app.system import runtime_dir
from app.system.runtime_dir import KeptKey

from ..spoiled import spoil

ROOT = Path(__file__).parents[2]
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


@pytest.mark.usefixtures("lax_umask")
def test_path_token_is_generated_once(tmp_path: Path) -> None:
    """The token is random and long, private under any umask, and the same after a restart."""
    path = tmp_path / "deep" / "run" / "path-token-7117"
    first = runtime_dir.generated_path_token(str(path))
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

    assert key.key is not None
    assert (len(key.key), key.lost) == (32, "")
    assert runtime_dir.kept_session_key(environ, UID, 7117) == key
    assert runtime_dir.kept_session_key(environ, UID, 7118) != key
    assert stat.S_IMODE((tmp_path / "idaas-sidecar" / "session-key-7117").stat().st_mode) == 0o600


def test_session_key_needs_a_directory_of_this_user(tmp_path: Path) -> None:
    """There is no kept key in a directory of others. The reason names the directory."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    runtime_dir.kept_session_key(environ, UID, 7117)
    (tmp_path / "idaas-sidecar").chmod(0o777)

    kept = runtime_dir.kept_session_key(environ, UID, 7117)

    assert kept.key is None
    assert kept.lost.startswith(f"access.metadataTokens: {tmp_path}/idaas-sidecar: is not a directory that only this")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("emptied", "has lost its content"),
        ("cut", "has lost its content"),
        ("zeroed", "has lost its content"),
        ("longer", "larger than 1024 bytes, so it is the wrong file"),
        ("readable", "other users can read it (mode 0644)"),
        ("dangling link", None),
        ("FIFO", "not a regular file"),
        ("foreign", "belongs to uid 65534, who could read and change it"),
    ],
)
def test_damaged_session_key_is_replaced(tmp_path: Path, broken: str, why: str | None) -> None:
    """A file that was emptied, exchanged or made readable has no key that is secret. A new key survives restarts."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    before = runtime_dir.kept_session_key(environ, UID, 7117)
    path = tmp_path / "idaas-sidecar" / "session-key-7117"
    spoil(path, broken, tmp_path)

    after = runtime_dir.kept_session_key(environ, UID, 7117)

    assert after.lost == (f"{path}: {why}; a new key replaces it" if why else "")
    assert (after.key is not None, after.key != before.key) == (True, True)
    assert (stat.S_IMODE(path.lstat().st_mode), stat.S_ISREG(path.lstat().st_mode)) == (0o600, True)
    assert runtime_dir.kept_session_key(environ, UID, 7117) == KeptKey(after.key)
    assert os.listdir(path.parent) == [path.name]


ON_A_FULL_DISK = """
import os, resource, sys
from app.system import runtime_dir
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
kept = runtime_dir.kept_session_key({"XDG_RUNTIME_DIR": sys.argv[1]}, os.geteuid(), 7117)
print(kept.key, kept.lost, end="")
"""
"""The limit is for all threads of a process, so it is set in a process of its own."""


def test_session_key_on_a_full_disk_is_reported(tmp_path: Path) -> None:
    """If the key cannot be written, the reason says so, and no half file is left."""
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    path = tmp_path / "idaas-sidecar" / "session-key-7117"
    assert done.stdout == f"None {path}: cannot be written: File too large", done.stderr
    assert os.listdir(path.parent) == []


def test_session_key_that_is_a_directory_is_reported(tmp_path: Path) -> None:
    """A directory cannot be replaced by a file. The reason names it, and the sidecar uses a key of this process."""
    path = tmp_path / "idaas-sidecar" / "session-key-7117"
    (path / "inside").mkdir(parents=True)
    path.parent.chmod(0o700)

    kept = runtime_dir.kept_session_key({"XDG_RUNTIME_DIR": str(tmp_path)}, UID, 7117)

    assert kept == KeptKey(None, f"{path}: not a regular file: cannot be replaced: Is a directory")
    assert (path / "inside").exists()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"with/a/slash-0123456789", b"\xff" * 32])
def test_damaged_path_token_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file without a path token is refused: with an empty token, //credentials would be served."""
    path = tmp_path / "path-token-1"
    path.touch(0o600)
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="not a path token; remove the file, and restart `serve`"):
        runtime_dir.generated_path_token(str(path))
