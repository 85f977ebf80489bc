"""Whether a file has changed: by its state, and by its content where the state stays."""

from __future__ import annotations

import os
from pathlib import Path

from app.system import files
from app.system.probe import Probe, probe


def test_probe_changes_with_the_file(tmp_path: Path) -> None:
    """The probe of an unchanged file is constant. It changes with content, replacement, mode and removal."""
    path = tmp_path / "file"
    probes = [probe(str(path))]
    path.write_text("1")
    probes.append(probe(str(path)))
    assert probe(str(path)) == probes[-1]
    os.utime(path, (1, 1))
    probes.append(probe(str(path)))
    path.write_text("22")
    os.utime(path, (1, 1))
    probes.append(probe(str(path)))
    files.replace(str(path), b"22")
    os.utime(path, (1, 1))
    probes.append(probe(str(path)))
    path.chmod(0o640)
    probes.append(probe(str(path)))

    assert probes[0] is None
    assert len(set(probes)) == len(probes)


def test_probe_changes_with_the_content(tmp_path: Path) -> None:
    """A write of the same size within one tick of the kernel's clock changes the probe, which contains no secret."""
    path, probes = tmp_path / "file", []
    for number in range(200):
        path.write_text(f"s3cr3t-{number:03}")
        probes.append(probe(str(path)))

    assert len(set(probes)) == 200
    assert "s3cr3t" not in str(probes)
    assert probe(str(path)) == probes[-1]


def test_probe_of_what_cannot_be_read(tmp_path: Path) -> None:
    """A file whose content cannot be read is compared by its state; a missing file has no probe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    known = probe(str(pipe))
    assert known is not None
    assert known == probe(str(pipe))
    assert known == Probe(known.state, 1) != Probe(known.state, 2)
    pipe.chmod(0o600)

    assert known != probe(str(pipe))
    assert probe(str(tmp_path)) == probe(str(tmp_path)) is not None
    assert probe(str(tmp_path / "none")) is probe("a\0b") is None
