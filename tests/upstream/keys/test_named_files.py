"""The files that a connection names, and the errors about files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import ConfigError, NotThereYet
from app.upstream.keys import named_files

PLACE = "network.caFile"


def test_public_file_may_be_readable_by_all(tmp_path: Path) -> None:
    """Only a secret must be closed to other users: a certificate need not be."""
    path = tmp_path / "file"
    path.write_bytes(b"text")
    path.chmod(0o644)

    assert named_files.read(str(path), PLACE, 4) == b"text"
    with pytest.raises(ConfigError, match="other users can read it") as caught:
        named_files.read(str(path), PLACE, 4, secret=True)
    assert caught.value.error_code == "IDS-115"


def test_too_large_file(tmp_path: Path) -> None:
    """A file above its limit is an error of the configuration, with the code for files of a connection."""
    path = tmp_path / "file"
    path.write_bytes(b"text")

    with pytest.raises(ConfigError, match=f"{PLACE}: {path}: ") as caught:
        named_files.read(str(path), PLACE, 3)
    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize("content", [None, b"", b" \n"], ids=["missing", "empty", "white space"])
def test_file_that_is_still_to_come(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing or empty may be written soon."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(NotThereYet, match=f"{PLACE}: {path}: "):
        named_files.read(str(path), PLACE, 4)
