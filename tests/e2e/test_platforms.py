"""Without the interfaces of Linux, as on macOS: `exec`, `get` and `demo` work, and what needs the kernel refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from .processes import PROGRAM, demo, environment, run

WITHOUT_LINUX = """
import ctypes, socket

for name in ("AF_NETLINK", "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "TCP_USER_TIMEOUT"):
    delattr(socket, name)


class Library(ctypes.CDLL):
    def __getattr__(self, name):
        if name.startswith(("inotify", "prctl")):
            raise AttributeError(name)
        return super().__getattr__(name)


ctypes.CDLL = Library
"""
"""A `sitecustomize` module: Python without the names that macOS lacks. /proc stays, because no test can hide it."""


READ = "import os, urllib.request as r; print(r.urlopen(os.environ['ALIBABA_CLOUD_CREDENTIALS_URI']).read().decode())"
"""A program that reads the credentials, without a tool that a machine may lack."""


@pytest.fixture
def lacking(tmp_path: Path) -> dict[str, str]:
    """The variables of a process without the interfaces of Linux."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_LINUX)
    return {"PYTHONPATH": str(tmp_path / "site")}


def test_the_interfaces_are_missing(lacking: Mapping[str, str], tmp_path: Path) -> None:
    """The processes of this file really lack them."""
    code = "import socket, ctypes; print(hasattr(socket, 'SO_PEERCRED'), hasattr(ctypes.CDLL(None), 'inotify_init1'))"
    done = subprocess.run(
        [PROGRAM[0], "-c", code], env=environment(tmp_path, **lacking), capture_output=True, text=True
    )

    assert done.stdout == "False False\n", done.stderr


def test_demo_get_and_exec(lacking: Mapping[str, str], tmp_path: Path) -> None:
    """`demo` serves credentials, `get` prints some, and `exec` runs a command that obtains some."""
    with demo(home=tmp_path, env=lacking) as running:
        env = environment(tmp_path, **lacking, IDAAS_SIDECAR_CONFIG=str(running.config_path))
        got = run("get", env=env)
        executed = run("exec", "--", sys.executable, "-c", READ, env=env)
        status = run("status", env=env)
        ordered = run("refresh", env=env)

    assert json.loads(got.out)["AccessKeyId"].startswith("STS.")
    assert json.loads(executed.out)["Code"] == "Success", executed.err
    assert (status.code, "default" in status.out) == (0, True)
    assert ordered.code != 0
