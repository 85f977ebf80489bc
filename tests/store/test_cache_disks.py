"""The sealed cache on a full disk, a read-only disk, and without a directory."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.config.settings import Profile
from app.store.errors import StoreError
from app.store.sealed_cache import SealedCache

from .sessions import KEY, needs_root


def run_in_a_mount_namespace(*commands: str, directory: Path, tmp_path: Path) -> dict[str, Any]:
    """
    Return the outcome of each cache operation in a process with a mount namespace of its own.

    The process uses the cache after the shell `commands`. The outcomes are the errors of writing, reading, tidying and
    removing, the AccessKeyId that is read, and the names of the files.
    """
    script = """
import json, os, sys
from app.store.sealed_cache import SealedCache
from app.store.errors import StoreError
from app.config.loader import load
from app.core.values import Credentials
config, directory, key = sys.argv[1:]
profile = load(config, {"IDAAS_SECRET": "x"}, hostname="host-1", now=lambda: 0).settings.profiles["default"]
cache, outcomes = SealedCache(directory, lambda: key), {}
def attempt(name, operation):
    try:
        outcomes[name] = operation()
    except StoreError as error:
        outcomes[name] = str(error)
attempt("write", lambda: cache.write("default", profile, Credentials("STS.key-2", "x" * 9000, "t", 1.0, 2.0)))
attempt("read", lambda: getattr(cache.read("default", profile), "access_key_id", None))
attempt("tidy", lambda: cache.tidy(["default"]))
attempt("absent", lambda: cache.remove("absent"))
outcomes["names"] = sorted(os.listdir(directory + "/idaas-sidecar"))
attempt("remove", lambda: cache.remove("default"))
print(json.dumps(outcomes))
"""
    shell = "\n".join((*commands, 'exec "$@"'))
    program = (sys.executable, "-c", script, str(tmp_path / "config.json"), str(directory), KEY)
    result = subprocess.run(
        ("unshare", "--mount", "sh", "-euc", shell, "sh", *program),
        env={"PATH": os.environ["PATH"]},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


@needs_root
def test_full_disk_keeps_the_last_entry(directory: Path, entry: Path, tmp_path: Path) -> None:
    """On a full disk a write fails with an error, the last entry stays readable, and no draft stays."""
    fill_the_disk = (
        f"mkdir {tmp_path}/kept; cp -a {directory}/. {tmp_path}/kept",
        f"mount -t tmpfs -o size=16k,mode=0700 none {directory}",
        f"cp -a {tmp_path}/kept/. {directory}",
        f"head -c 9000 /dev/zero >{directory}/ballast || true",
    )
    outcomes = run_in_a_mount_namespace(*fill_the_disk, directory=directory, tmp_path=tmp_path)

    assert outcomes["write"] == f"{directory}/idaas-sidecar: {os.strerror(errno.ENOSPC)}"
    assert (outcomes["read"], outcomes["tidy"], outcomes["remove"]) == ("STS.key-1", None, None)
    assert outcomes["names"] == ["default.sealed"]


@needs_root
def test_read_only_disk_is_readable(directory: Path, entry: Path, tmp_path: Path) -> None:
    """On a read-only disk entries are read, and only operations that change something fail with an error."""
    outcomes = run_in_a_mount_namespace(
        f"mount --bind {directory} {directory}",
        f"mount -o remount,ro,bind {directory}",
        directory=directory,
        tmp_path=tmp_path,
    )

    read_only = f"{directory}/idaas-sidecar: {os.strerror(errno.EROFS)}"
    assert (outcomes["write"], outcomes["remove"]) == (read_only, read_only)
    assert (outcomes["read"], outcomes["tidy"], outcomes["absent"]) == ("STS.key-1", None, None)


def test_impossible_directory_is_an_error(directory: Path, profile: Profile) -> None:
    """If the directory cannot be created, every operation fails with an error."""
    directory.write_text("a file")
    cache = SealedCache(str(directory / "deep"), lambda: KEY)
    for operation in (lambda: cache.read("default", profile), lambda: cache.remove("default"), lambda: cache.tidy([])):
        with pytest.raises(StoreError, match="Not a directory"):
            operation()
