"""What a test may not change in the process that it shares with other tests, and with the threads of its fixtures."""

from __future__ import annotations

import ast
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from .http_server import Handler, HttpServer, serving

TESTS = Path(__file__).parent

SHARED = {
    "faulthandler.cancel_dump_traceback_later",
    "faulthandler.disable",
    "locale.setlocale",
    "os.chdir",
    "os.chroot",
    "os.environ.clear",
    "os.environ.pop",
    "os.environ.setdefault",
    "os.environ.update",
    "os.fork",
    "os.nice",
    "os.putenv",
    "os.sched_setaffinity",
    "os.setegid",
    "os.seteuid",
    "os.setgid",
    "os.setgroups",
    "os.setpriority",
    "os.setresgid",
    "os.setresuid",
    "os.setuid",
    "os.umask",
    "os.unsetenv",
    "os.unshare",
    "random.seed",
    "resource.prlimit",
    "resource.setrlimit",
    "signal.alarm",
    "signal.pthread_sigmask",
    "signal.set_wakeup_fd",
    "signal.setitimer",
    "signal.signal",
    "socket.setdefaulttimeout",
    "sys.path.append",
    "sys.path.insert",
    "sys.setrecursionlimit",
    "sys.setswitchinterval",
    "warnings.filterwarnings",
    "warnings.simplefilter",
}
"""Calls that every thread of the process notices. pytest's `monkeypatch` has the harmless ones, and undoes them."""

THREADS = {"handle_request", "serve_forever"}
"""Methods of servers that run in threads, which only http_server.py ends in every case."""

WHOLE_PROCESS = "/proc/self/fd"
"""The descriptors of all threads; descriptors.py finds those of a test."""

ALLOWED = {
    "conftest.py: os.environ.setdefault": "once, before all tests",
    "conftest.py: os.umask": "no thread of a fixture creates files",
    "descriptors.py: /proc/self/fd": "finds the descriptors of a test",
    "e2e/attacks.py: resource.setrlimit": "raises the limit for a thousand connections, for no thread too low",
    "e2e/test_admin.py: os.seteuid": "for two calls: the kernel notes the user who binds a socket",
    "e2e/test_callers.py: os.seteuid": "for one call: the kernel notes the user who makes a socket",
    "http_server.py: serve_forever": "ends the thread in every case",
    "journeys/stand_ins.py: os.chdir": "a program of its own",
    "system/test_file_writing.py: /proc/self/fd": "one descriptor, which a writer holds",
}
"""Uses by file, and why they disturb nobody."""


def shared_changes(path: Path) -> Iterator[str]:
    """Yield what a file does to the process that it runs in. The texts of programs that it starts do not count."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in SHARED:
            yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in THREADS:
            yield node.attr
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            if ast.unparse(node.value) in ("os.environ", "sys.modules"):
                yield ast.unparse(node.value)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr.endswith("excepthook"):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(WHOLE_PROCESS):
            yield WHOLE_PROCESS


def test_no_test_changes_what_others_share() -> None:
    """Resource limits, user, directory, variables and signals belong to a process of its own, and so does a count."""
    found = {
        f"{path.relative_to(TESTS)}: {change}"
        for path in TESTS.rglob("*.py")
        if path != Path(__file__)
        for change in shared_changes(path)
    }

    assert found == ALLOWED.keys()


def test_shared_changes_are_found(tmp_path: Path) -> None:
    """The check finds calls, assignments and paths, and leaves reads and the texts of other programs alone."""
    path = tmp_path / "bad.py"
    path.write_text(
        "resource.setrlimit(1, 2)\nos.environ['A'] = 'a'\ndel os.environ['A']\nthreading.excepthook = f\n"
        "Thread(target=server.serve_forever)\nlen(os.listdir('/proc/self/fd'))\nos.readlink(f'/proc/self/fd/{1}')\n"
        "os.environ['PATH']\nresource.getrlimit(1)\n'os.chdir(1)'\n'import os; open(\"/proc/self/fd\")'\n"
    )

    assert sorted(shared_changes(path)) == sorted(
        ["resource.setrlimit", *["os.environ"] * 2, "excepthook", "serve_forever", *["/proc/self/fd"] * 2]
    )


def _fail_beside(client: socket.socket, server: HttpServer) -> None:
    """Send the server a half request, and fail."""
    client.connect(server.server_address)
    client.sendall(b"GET / HTTP/1.1\r\n")
    raise ZeroDivisionError


def test_server_ends_where_its_test_fails() -> None:
    """A failing block leaves no thread and no open connection, and its own error is the one that is reported."""
    before = set(threading.enumerate())
    with socket.socket() as client:
        client.settimeout(60)
        with pytest.raises(ZeroDivisionError), serving(HttpServer(Handler)) as server:
            _fail_beside(client, server)
        with suppress(ConnectionError):
            assert client.recv(1) == b""

    assert server.socket.fileno() == -1
    assert not [thread for thread in threading.enumerate() if thread not in before and "serve" in thread.name]
