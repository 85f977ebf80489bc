"""A network for one test: a user, network and mount namespace. It needs no root where user namespaces are allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from .processes import DEADLINE, ROOT

UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
REASON = "skipped: needs user namespaces, ip, unshare and nsenter (iproute2, util-linux)"


@cache
def available() -> bool:
    """Return whether this machine lets a test make a namespace."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return False
    return subprocess.run((*UNSHARE, "true"), capture_output=True, timeout=DEADLINE).returncode == 0


needs_namespaces = pytest.mark.skipif(not available() and not os.environ.get("CI"), reason=REASON)


@contextmanager
def namespace(setup: str) -> Iterator[tuple[str, ...]]:
    """
    Run the shell commands `setup` in a new namespace, and yield the command that runs a program there.

    The namespace has a loopback interface and nothing else.
    """
    script = f"ip link set lo up; {setup}; echo ready; exec sleep infinity"
    holder = subprocess.Popen((*UNSHARE, "sh", "-euc", script), stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        yield (
            "nsenter",
            f"--target={holder.pid}",
            "--user",
            "--net",
            "--mount",
            f"--wd={ROOT}",
            "--preserve-credentials",
        )
    finally:
        holder.kill()
        holder.communicate()


DNS_SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
dead = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dead.bind(("127.0.0.2", 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(4096)
    if b"\\x04hang\\x04test" in query or os.path.exists(sys.argv[1]):
        continue
    end = query.index(b"\\0", 12) + 5
    name, family = query[12 : end - 4], query[end - 4 : end - 2]
    if name != b"\\x09localhost\\0":
        answer = b"\\x81\\x83\\0\\1" + 6 * b"\\0" + query[12:end]
    elif family == b"\\0\\1":
        record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4\\x7f\\0\\0\\1"
        answer = b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + query[12:end] + record
    else:
        answer = b"\\x81\\x80\\0\\1" + 6 * b"\\0" + query[12:end]
    server.sendto(query[:2] + answer, client)
"""
"""
Knows `localhost` alone, and answers NXDOMAIN for other names.

Answers nothing for `*.hang.test`, and nothing at all while the file of its argument exists.
"""


@contextmanager
def partly_silent_dns(directory: Path, *, first: str = "") -> Iterator[tuple[str, ...]]:
    """
    Run a namespace whose resolver is silent for `*.hang.test`, for longer than a test, and knows `localhost` alone.

    The resolver is silent for all names while the file `silent` exists in `directory`. `first`: a nameserver before it,
    in lines of resolv.conf; the address 127.0.0.2 has a socket that answers nothing.
    """
    resolv_conf, hosts = directory / "resolv.conf", directory / "hosts"
    options = "" if first else "options timeout:30 attempts:5\n"
    resolv_conf.write_text(f"{first}nameserver 127.0.0.1\n{options}")
    hosts.write_text("")
    program = (sys.executable, "-c", DNS_SERVER, str(directory / "silent"))
    with namespace(f"mount --bind {resolv_conf} /etc/resolv.conf; mount --bind {hosts} /etc/hosts") as enter:
        server = subprocess.Popen((*enter, *program), stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield enter
        finally:
            server.kill()
            server.communicate()
