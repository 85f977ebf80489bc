"""Commands that are called in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app import cli

from ..conftest import ENVIRON


def written(tmp_path: Path, config: Any) -> str:
    """Write a configuration file and return its path."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return str(file)


def exit_code(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Return the exit code of a command, also where argparse raises SystemExit."""
    try:
        return cli.main(argv, environ)
    except SystemExit as end:
        return int(str(end.code))


def fails(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> tuple[int, str]:
    """Return the exit code and the one line on stderr of a command that fails."""
    code = exit_code(argv, environ)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1, printed.err
    return code, printed.err.rstrip("\n")


def prints(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Return the output of a command that succeeds, with nothing on stderr."""
    assert exit_code(argv, environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out
