"""The memory limit of a cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.system.memory_limit import memory_limit


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {"": "67108864\n"}, 67_108_864),
        ("0::/\n", {"": "max\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/b": "max\n", "a": "2000\n", "": "3000\n"}, 2000),
        ("0::/a/b\n", {"a/b": "1000\n", "a": "2000\n"}, 1000),
        ("0::/../other\n", {"": "1000\n"}, None),
        ("4:cpu:/a\n0::/\n", {"a": "1000\n"}, None),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a": "1000\n", "memory": "2000\n", "cpu/a": "500\n"}, 1000),
        ("4:memory:/of/the/host\n", {"memory": "2000\n"}, 2000),
        ("4:memory:/\n", {"memory": "9223372036854771712\n"}, None),
        ("4:memory:/../a\n", {"memory": "2000\n"}, None),
        ("", {"": "1000\n"}, None),
        (None, {"": "1000\n"}, None),
    ],
)
def test_memory_limit(tmp_path: Path, own: str | None, limits: dict[str, str], expected: int | None) -> None:
    """The limit is the smallest of the cgroup's own and of those above it; without one, none."""
    if own is not None:
        (tmp_path / "own").write_text(own)
    for path, value in limits.items():
        (tmp_path / "root" / path).mkdir(parents=True, exist_ok=True)
        name = "memory.limit_in_bytes" if path.startswith("memory") else "memory.max"
        (tmp_path / "root" / path / name).write_text(value)

    assert memory_limit(tmp_path / "root", tmp_path / "own") == expected
