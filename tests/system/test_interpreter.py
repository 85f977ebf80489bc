"""The message about a program whose interpreter is missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from app.system.interpreter import unusable_interpreter


def script(path: Path, first_line: bytes) -> Path:
    """Return an executable script with the first line."""
    path.write_bytes(first_line + b"\nexit 3\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "first_line", [b"#!/bin/sh", b"#! /bin/sh -e", b"#!\t/usr/bin/env no-such-program", b"#!", b"#! ", b"exit 3", b""]
)
def test_usable_interpreter(first_line: bytes, tmp_path: Path) -> None:
    """Without a first line, or with an interpreter that exists, there is nothing to report."""
    assert unusable_interpreter(str(script(tmp_path / "a", first_line))) is None


@pytest.mark.parametrize(
    ("first_line", "cause", "cure", "may_follow"),
    [
        (b"#!/no/sh", "its interpreter '/no/sh' does not exist", "install the interpreter", True),
        (b"#! /no/sh\t-e", "its interpreter '/no/sh' does not exist", "install the interpreter", True),
        (b"#!/bin/sh\r", r"its interpreter '/bin/sh\r' does not exist", "line ends of Windows", False),
        (b"\x7fELF /lib/ld-none.so.1", "its loader '/lib/ld-none.so.1' does not exist", "C library", False),
        (b"#!/etc", "its interpreter '/etc' does not exist", "install the interpreter", False),
        (
            b"#!/etc/passwd",
            f"its interpreter '/etc/passwd' is not executable by this user (uid {os.getuid()})",
            "",
            True,
        ),
    ],
)
def test_unusable_interpreter(first_line: bytes, cause: str, cure: str, may_follow: bool, tmp_path: Path) -> None:
    """The reason names script, interpreter and cure. Another program may still install some interpreters."""
    path = script(tmp_path / "a", first_line)
    found = unusable_interpreter(str(path))

    assert found is not None
    assert found.reason.cause == f"{path}: {cause}"
    assert cure in found.reason.cure
    assert found.may_follow is may_follow


def test_interpreter_of_an_interpreter(tmp_path: Path) -> None:
    """An interpreter that is a script needs an interpreter, too; a circle ends."""
    inner = script(tmp_path / "inner", b"#!/no/sh")
    outer = script(tmp_path / "outer", f"#!{inner}".encode())
    circle = script(tmp_path / "circle", f"#!{tmp_path}/circle".encode())

    found = unusable_interpreter(str(outer))
    assert found is not None
    assert found.absent
    assert str(found.reason).startswith(f"{inner}: its interpreter '/no/sh' does not exist")
    assert unusable_interpreter(str(circle)) is None


def test_program_of_this_machine(tmp_path: Path) -> None:
    """A program whose loader exists, a file that cannot be read and a pipe are no findings."""
    assert unusable_interpreter(shutil.which("sh") or sys.executable) is None
    assert unusable_interpreter(str(tmp_path / "missing")) is None
    assert unusable_interpreter("\0") is None
    os.mkfifo(tmp_path / "pipe")
    assert unusable_interpreter(str(tmp_path / "pipe")) is None
