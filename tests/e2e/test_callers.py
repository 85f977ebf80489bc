"""Two users on one machine get two roles on one port: the kernel says whose a connection is."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .processes import EmulatedCloud, Serving, emulator, serve, until
from .test_service import ENV, config
from .users import NOBODY, ask_as, needs_root, program_as
from .wire import ask, head

pytestmark = needs_root

ROLES = "/latest/meta-data/ram/security-credentials"
FIRST, SECOND, THIRD = 1001, 1002, 1003
GROUP = 2000


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


def two_roles(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """Profiles for one user each, and one for a group."""
    settings = config(cloud, **changes)
    profile = settings["profiles"]["default"]
    settings["profiles"] = {
        "first": profile | {"callers": {"uids": [FIRST]}},
        "second": profile | {"callers": {"uids": [SECOND]}},
        "group": profile | {"callers": {"gids": [GROUP]}},
    }
    return settings


@pytest.fixture(scope="module", params=["root", "nobody"])
def sidecar(
    request: pytest.FixtureRequest, cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """The sidecar as root, who sees everything, and as a user who may do nothing special."""
    home = tmp_path_factory.mktemp(request.param)
    extra = {"program": program_as(NOBODY, home=home)} if request.param == "nobody" else {}
    with serve(two_roles(cloud), home=home, env=ENV, **extra) as running:
        for name in ("first", "second", "group"):
            running.process.event("credentials_issued", profile=name)
        yield running


def port(sidecar: Serving) -> int:
    return int(sidecar.urls["credentials"].rpartition(":")[2])


def test_it_runs_as_it_should(sidecar: Serving, request: pytest.FixtureRequest) -> None:
    """The unprivileged sidecar is one: no root, no capability; and not even its own user may look into it."""
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    words = {name: rest.split() for name, _, rest in (line.partition(":") for line in status.splitlines())}

    if request.node.callspec.params["sidecar"] == "nobody":
        assert words["Uid"] == [str(NOBODY)] * 4
        assert words["CapEff"] == ["0" * 16]
        for name in ("environ", "mem", "maps"):
            look = subprocess.run(["/bin/cat", f"/proc/{sidecar.process.pid}/{name}"], user=NOBODY, capture_output=True)
            assert look.stdout == b""
            assert b"Permission denied" in look.stderr


@pytest.mark.parametrize(
    ("uid", "statuses"), [(FIRST, [200, 403]), (SECOND, [403, 200]), (THIRD, [403, 403]), (0, [403, 403])]
)
def test_each_user_has_a_role(sidecar: Serving, uid: int, statuses: list[int]) -> None:
    """A profile is for the users that it names; root is none of them unless it is named."""
    answers = [ask_as(uid, port(sidecar), f"/credentials/{name}") for name in ("first", "second")]

    assert [status for status, _ in answers] == statuses
    refused = [json.loads(body)["Code"] for status, body in answers if status == 403]
    assert set(refused) == {"AccessDenied.Caller"}


@pytest.mark.parametrize(("uid", "role"), [(FIRST, b"first"), (SECOND, b"second")])
def test_the_role_list_names_the_callers_own(sidecar: Serving, uid: int, role: bytes) -> None:
    """On the ECS side each user is shown a role that it may have, and gets that one."""
    assert ask_as(uid, port(sidecar), f"{ROLES}/") == (200, role)
    assert ask_as(uid, port(sidecar), f"{ROLES}/{role.decode()}")[0] == 200


def test_who_has_no_role_gets_no_list(sidecar: Serving) -> None:
    """A user for whom there is no profile is refused already at the list."""
    status, body = ask_as(THIRD, port(sidecar), f"{ROLES}/")

    assert (status, json.loads(body)["Code"]) == (403, "AccessDenied.Caller")


@pytest.mark.parametrize(
    ("gid", "groups", "status"),
    [(GROUP, (), 200), (THIRD, (GROUP,), 200), (THIRD, (), 403)],
    ids=["primary", "one of", "no"],
)
def test_groups(sidecar: Serving, gid: int, groups: tuple[int, ...], status: int) -> None:
    """
    A profile for a group is for every process that is in it, by its own group or another.

    Where the sidecar may neither see whose socket it is nor be sure to see all of that user's processes, it refuses.
    """
    found, body = ask_as(THIRD, port(sidecar), "/credentials/group", gid=gid, groups=groups)

    if may_see_sockets(sidecar) or in_sight_of_all():
        assert found == status
    else:
        assert (found, json.loads(body)["Code"]) == (403, "AccessDenied.CallerUnknown")


def may_see_sockets(sidecar: Serving) -> bool:
    return effective_uid(sidecar) == 0


def effective_uid(sidecar: Serving) -> int:
    lines = Path(f"/proc/{sidecar.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Uid:")).split()[2])


def in_sight_of_all() -> bool:
    """Whether this is the machine's own PID namespace."""
    return os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC


def test_the_audit_says_who(sidecar: Serving) -> None:
    """Who got a session, and who was refused which profile, with uid, and never a secret."""
    _, body = ask_as(FIRST, port(sidecar), "/credentials/first")
    ask_as(THIRD, port(sidecar), "/credentials/second")
    served = sidecar.process.event("credentials_served", uid=FIRST)
    denied = sidecar.process.event("denied", uid=THIRD, profile="second")

    assert (served["profile"], served["access_key_id"]) == ("first", json.loads(body)["AccessKeyId"])
    assert served.keys() >= {"identity", "role", "session", "expires_at", "sts_request_id"}
    assert (denied["reason"], denied["listener"]) == ("Caller", "credentials")


def test_a_caller_that_is_gone(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A request whose sender has gone before anybody looked is refused: nobody can say any more whose it was."""
    with serve(two_roles(cloud), home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="group")
        running.process.send(signal.SIGSTOP)
        try:
            client = socket.create_connection(("127.0.0.1", port(running)))
            client.sendall(head("GET", "/credentials/first"))
            client.close()
        finally:
            running.process.send(signal.SIGCONT)
        running.process.event("denied", reason="CallerUnknown", profile="first")


def test_a_port_that_another_user_took_over(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A request left behind by one user is not answered because another now has its port."""
    with serve(two_roles(cloud), home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="group")
        running.process.send(signal.SIGSTOP)
        try:
            taken_over = takes_over(port(running), "/credentials/first", uid=FIRST)
        finally:
            running.process.send(signal.SIGCONT)
        # The new owner has said nothing, so it gets nothing, until it asks itself.
        until(lambda: ask(running.urls["ops"], "/metrics").status == 200)
        metrics = ask(running.urls["ops"], "/metrics").body.decode()
        taken_over.close()

    assert 'code="200",endpoint="credentials"' not in metrics


def takes_over(to: int, target: str, *, uid: int) -> socket.socket:
    """A connection of `uid` from the port that somebody left behind a moment before."""
    # From ports that the kernel gives to nobody: any other would soon be somebody's, on a busy machine.
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for source in range(first_given - 1, first_given - 200, -1):
        with suppress(OSError):
            left_behind(source, to, target)
            return connected_from(source, to, uid=uid)
    raise AssertionError("each port was taken by somebody else")


def left_behind(source: int, to: int, target: str) -> None:
    """Sends a request from the port `source` and resets the connection at once."""
    client = socket.create_connection(("127.0.0.1", to), source_address=("127.0.0.1", source))
    client.sendall(head("GET", target))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def connected_from(source: int, to: int, *, uid: int) -> socket.socket:
    """A connection from the port `source` that belongs to `uid`: a socket is whose effective user makes it."""
    os.seteuid(uid)
    try:
        client = socket.socket()
    finally:
        os.seteuid(0)
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("127.0.0.1", source))
        client.connect(("127.0.0.1", to))
    except OSError:
        client.close()
        raise
    return client


HOPPING = """
import ctypes, encodings.idna, os, signal, socket, sys  # all now: another user may not see the interpreter's files
port, uid = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, as an init that reaps at once
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    sys.stdout.write(os.read(reading, 100).decode())
    try:
        os.wait()  # children that are ignored are reaped by themselves: it returns when there is none any more
    except ChildProcessError:
        sys.exit()
os.setgroups([]); os.setgid(uid); os.setuid(uid)
connection = socket.socket()
connection.connect(("127.0.0.1", port))
connection.setblocking(False)
for number in range(20_000):
    if os.fork():
        os._exit(0)
    if number == 20:
        connection.send(b"GET /credentials/group HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    try:
        os.write(writing, connection.recv(100)[9:12])
        break
    except BlockingIOError:
        continue
"""


def test_who_hops_from_process_to_process(sidecar: Serving) -> None:
    """Groups of a user's other processes are not those of one that is a new process whenever somebody looks."""
    with subprocess.Popen(["/bin/sleep", "60"], user=THIRD, group=THIRD, extra_groups=[GROUP]) as member:
        try:
            for _ in range(5):
                hopping = subprocess.run(
                    [sys.executable, "-c", HOPPING, str(port(sidecar)), str(THIRD)], capture_output=True, timeout=60
                )

                assert hopping.stdout == b"403", hopping.stderr
        finally:
            member.kill()


def test_another_role_on_trial(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While a profile's new role does not work, its old one goes to nobody whom the old rule did not name."""
    settings = config(cloud)
    profile = settings["profiles"]["default"] | {"callers": {"uids": [FIRST, THIRD]}}
    changed = json.loads(json.dumps(profile)) | {"callers": {"uids": [SECOND, THIRD]}}
    changed["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/not-there"
    with serve(settings | {"profiles": {"default": profile}}, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        before = [ask_as(uid, port(sidecar), "/credentials")[0] for uid in (FIRST, SECOND, THIRD)]
        sidecar.config_path.write_text(json.dumps(settings | {"profiles": {"default": changed}}))
        sidecar.process.send(signal.SIGHUP)
        sidecar.process.event("refresh_failed")
        after = [ask_as(uid, port(sidecar), "/credentials")[0] for uid in (FIRST, SECOND, THIRD)]

        assert (before, after) == ([200, 403, 200], [403, 403, 200])
