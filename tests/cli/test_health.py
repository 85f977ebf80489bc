"""The command `health`: the address that it requests, and configurations without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.cli.commands import health

from .calls import fails, written


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({}, ("127.0.0.1", 7118)),
        ({"server": {}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "127.0.0.1:80"}}, ("127.0.0.1", 80)),
        ({"server": {"ops": "0.0.0.0:7118"}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "[::]:7118"}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "localhost:7118"}}, ("127.0.0.1", 7118)),
    ],
)
def test_address_of_health(config: Any, address: tuple[str, int], tmp_path: Path) -> None:
    """`health` connects to the ops listener, at an address that a client can connect to."""
    assert health.ops_address(written(tmp_path, config), required=True) == address


def test_health_without_a_file() -> None:
    """Without a configuration file `health` uses the default address."""
    assert health.ops_address("/nowhere.json", required=False) == ("127.0.0.1", 7118)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"server": {"ops": None}}, "server.ops: null or not of the form HOST:PORT, so there is no listener to check"),
        ({"server": {"ops": 7118}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "127.0.0.1\0:7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "localhost\r:7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": []}, "server.ops: null or not of the form HOST:PORT"),
        ([], "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "127.0.0.1:0"}}, "server.ops: port 0 takes a free port, which this command cannot know"),
    ],
)
def test_health_without_an_address(config: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without an ops listener is exit 1 with one line."""
    path = written(tmp_path, config)

    code, line = fails(capsys, "health", "--config", path)

    assert code == 1
    assert line.startswith(f"idaas-sidecar health: {path}: {words}")


def test_health_with_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not JSON, or that does not exist, is exit 1 with one line that names the file."""
    path = tmp_path / "config.json"
    path.write_text("{")

    code, line = fails(capsys, "health", "--config", str(path))
    assert code == 1
    assert line.startswith(f"idaas-sidecar health: {path}: ")
    assert fails(capsys, "health", "--config", "/nowhere.json") == (
        1,
        "idaas-sidecar health: /nowhere.json: no such file (IDS-102)",
    )
