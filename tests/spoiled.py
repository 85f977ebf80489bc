"""Ways in which another program spoils a small file that the sidecar writes and reads again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

NOBODY = 65_534


def _link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(path.rename(elsewhere / "target"))


def _dangling_link(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere / "nothing")


def _fifo(path: Path, _elsewhere: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _foreign(path: Path, _elsewhere: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("skipped: needs root, to give a file to another user")
    os.chown(path, NOBODY, NOBODY)


_WAYS: dict[str, Callable[[Path, Path], object]] = {
    "emptied": lambda path, _: path.write_bytes(b""),
    "zeroed": lambda path, _: path.write_bytes(bytes(len(path.read_bytes()))),
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:7]),
    "longer": lambda path, _: path.write_bytes(path.read_bytes() + b"x" * 100_000),
    "readable": lambda path, _: path.chmod(0o644),
    "link": _link,
    "dangling link": _dangling_link,
    "second name": lambda path, elsewhere: os.link(path, elsewhere / "second name"),
    "FIFO": _fifo,
    "foreign": _foreign,
}


def spoil(path: Path, how: str, elsewhere: Path) -> None:
    """Spoil the file at `path`. `elsewhere`: a directory for what is needed beside it."""
    _WAYS[how](path, elsewhere)
