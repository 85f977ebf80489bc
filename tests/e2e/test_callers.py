"""Two users of one machine get two roles at one port: the kernel reports the owner of a connection."""

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

from .cloud import ENV, config
from .processes import EmulatedCloud, RunningSidecar, serve
from .users import IMAGE_UID, fetch_as, needs_root, program_as
from .wire import fetch, request_head

pytestmark = needs_root

ROLES = "/latest/meta-data/ram/security-credentials"
FIRST, SECOND, THIRD = 1001, 1002, 1003
GROUP = 2000


def two_roles(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """Return a configuration with a profile for each of two users, and one for a group."""
    settings = config(cloud, **changes)
    profile = settings["profiles"]["default"]
    settings["profiles"] = {
        "first": profile | {"callers": {"uids": [FIRST]}},
        "second": profile | {"callers": {"uids": [SECOND]}},
        "group": profile | {"callers": {"gids": [GROUP]}},
    }
    return settings


@pytest.fixture(scope="module", params=["root", "unprivileged"])
def sidecar(
    request: pytest.FixtureRequest, cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSidecar]:
    """The sidecar as root, which may read every process, and as a user without privileges."""
    home = tmp_path_factory.mktemp(request.param)
    extra = {"program": program_as(IMAGE_UID, home=home)} if request.param == "unprivileged" else {}
    with serve(two_roles(cloud), home=home, env=ENV, **extra) as running:
        for name in ("first", "second", "group"):
            running.process.event("credentials_issued", profile=name)
        yield running


def port(sidecar: RunningSidecar) -> int:
    """Return the port of the credentials listener."""
    return int(sidecar.urls["credentials"].rpartition(":")[2])


def test_unprivileged_sidecar(sidecar: RunningSidecar, request: pytest.FixtureRequest) -> None:
    """The unprivileged sidecar has no root uid and no capability, and its own user cannot read its memory."""
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    fields = {name: rest.split() for name, _, rest in (line.partition(":") for line in status.splitlines())}

    if request.node.callspec.params["sidecar"] == "unprivileged":
        assert fields["Uid"] == [str(IMAGE_UID)] * 4
        assert fields["CapEff"] == ["0" * 16]
        for name in ("environ", "mem", "maps"):
            read = subprocess.run(
                ["/bin/cat", f"/proc/{sidecar.process.pid}/{name}"], user=IMAGE_UID, capture_output=True
            )
            assert read.stdout == b""
            assert b"Permission denied" in read.stderr


@pytest.mark.parametrize(
    ("uid", "statuses"), [(FIRST, [200, 403]), (SECOND, [403, 200]), (THIRD, [403, 403]), (0, [403, 403])]
)
def test_each_user_has_a_role(sidecar: RunningSidecar, uid: int, statuses: list[int]) -> None:
    """Only the users that a profile names get its credentials; root is refused unless it is named."""
    responses = [fetch_as(uid, port(sidecar), f"/credentials/{name}") for name in ("first", "second")]

    assert [status for status, _ in responses] == statuses
    refused = [json.loads(body)["Code"] for status, body in responses if status == 403]
    assert set(refused) == {"AccessDenied.Caller"}


@pytest.mark.parametrize(("uid", "role"), [(FIRST, b"first"), (SECOND, b"second")])
def test_role_list_names_the_role_of_the_caller(sidecar: RunningSidecar, uid: int, role: bytes) -> None:
    """The ECS role list names a role that the user may have, and that role's path returns 200."""
    assert fetch_as(uid, port(sidecar), f"{ROLES}/") == (200, role)
    assert fetch_as(uid, port(sidecar), f"{ROLES}/{role.decode()}")[0] == 200


def test_user_without_role_gets_no_list(sidecar: RunningSidecar) -> None:
    """A user that no profile names is refused at the role list."""
    status, body = fetch_as(THIRD, port(sidecar), f"{ROLES}/")

    assert (status, json.loads(body)["Code"]) == (403, "AccessDenied.Caller")


@pytest.mark.parametrize(
    ("gid", "groups", "status"),
    [(GROUP, (), 200), (THIRD, (GROUP,), 200), (THIRD, (), 403)],
    ids=["primary", "supplementary", "not a member"],
)
def test_groups(sidecar: RunningSidecar, gid: int, groups: tuple[int, ...], status: int) -> None:
    """
    A profile for a group is served to every process in the group, primary or supplementary.

    The sidecar refuses if it can neither see the owner of a socket nor be sure to see all processes of that user.
    """
    found, body = fetch_as(THIRD, port(sidecar), "/credentials/group", gid=gid, groups=groups)

    if may_see_sockets(sidecar) or sees_all_processes():
        assert found == status
    else:
        assert (found, json.loads(body)["Code"]) == (403, "AccessDenied.CallerUnknown")


def may_see_sockets(sidecar: RunningSidecar) -> bool:
    """Return whether the sidecar may see which process holds a socket."""
    return effective_uid(sidecar) == 0


def effective_uid(sidecar: RunningSidecar) -> int:
    """Return the effective uid of the sidecar."""
    lines = Path(f"/proc/{sidecar.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Uid:")).split()[2])


def sees_all_processes() -> bool:
    """Return whether this is the PID namespace of the machine."""
    return os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC


def test_audit_names_the_uid(sidecar: RunningSidecar) -> None:
    """The audit names the uid of each served and each refused request."""
    _, body = fetch_as(FIRST, port(sidecar), "/credentials/first")
    fetch_as(THIRD, port(sidecar), "/credentials/second")
    served = sidecar.process.event("credentials_served", uid=FIRST)
    denied = sidecar.process.event("denied", uid=THIRD, profile="second")

    assert (served["profile"], served["access_key_id"]) == ("first", json.loads(body)["AccessKeyId"])
    assert served.keys() >= {"identity", "role", "session", "expires_at", "sts_request_id"}
    assert (denied["reason"], denied["listener"]) == ("Caller", "credentials")


def test_caller_that_is_gone(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A request is refused if its sender has closed the connection before the sidecar looks up the owner."""
    with serve(two_roles(cloud), home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="group")
        running.process.send(signal.SIGSTOP)
        try:
            client = socket.create_connection(("127.0.0.1", port(running)))
            client.sendall(request_head("GET", "/credentials/first"))
            client.close()
        finally:
            running.process.send(signal.SIGCONT)
        running.process.event("denied", reason="CallerUnknown", profile="first")


def test_port_taken_over_by_another_user(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A request that one user left behind is not answered to another user that now has the port."""
    with serve(two_roles(cloud), home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="group")
        running.process.send(signal.SIGSTOP)
        try:
            connection = take_over_port(port(running), "/credentials/first", uid=FIRST)
        finally:
            running.process.send(signal.SIGCONT)
        # The new owner has sent no request, so it must get no response. A later connection is answered after the first.
        assert fetch(running.urls["credentials"], "/healthz").status == 200
        metrics = fetch(running.urls["ops"], "/metrics").body.decode()
        connection.close()

    assert 'code="200",endpoint="credentials"' not in metrics


def take_over_port(to: int, target: str, *, uid: int) -> socket.socket:
    """Return a connection of `uid` from a source port that another client has just left."""
    # Ports below the ephemeral range: on a busy machine the kernel would soon give any other port to a client.
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for source in range(first_ephemeral - 1, first_ephemeral - 200, -1):
        with suppress(OSError):
            leave_request(source, to, target)
            return connect_from(source, to, uid=uid)
    raise AssertionError("other programs use all of these ports")


def leave_request(source: int, to: int, target: str) -> None:
    """Send a request from the port `source` and reset the connection at once."""
    client = socket.create_connection(("127.0.0.1", to), source_address=("127.0.0.1", source))
    client.sendall(request_head("GET", target))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def connect_from(source: int, to: int, *, uid: int) -> socket.socket:
    """Return a connection from the port `source` of `uid`: a socket belongs to the effective uid at its creation."""
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


FORKING = """
# Import all: the other user may not read the interpreter.
import ctypes, encodings.idna, itertools, os, signal, socket, sys, time
port, uid = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: like an init that reaps at once
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    sys.stdout.write(os.read(reading, 100).decode())
    try:
        os.wait()  # returns when no child is left, because ignored children are reaped by the kernel
    except ChildProcessError:
        sys.exit()
os.setgroups([]); os.setgid(uid); os.setuid(uid)
connection = socket.socket()
connection.connect(("127.0.0.1", port))
connection.setblocking(False)
ends = time.monotonic() + 240
for number in itertools.takewhile(lambda _: time.monotonic() < ends, itertools.count()):
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


def test_process_that_forks_all_the_time(sidecar: RunningSidecar) -> None:
    """A process that is a new one at every look does not get the groups of the user's other processes."""
    with subprocess.Popen(["/bin/sleep", "3600"], user=THIRD, group=THIRD, extra_groups=[GROUP]) as member:
        try:
            for _ in range(5):
                forking = subprocess.run(
                    [sys.executable, "-c", FORKING, str(port(sidecar)), str(THIRD)], capture_output=True, timeout=300
                )

                assert forking.stdout == b"403", forking.stderr
        finally:
            member.kill()


def test_changed_role_on_trial(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While the new role of a profile fails, the old role is served only to users that the old rule named too."""
    settings = config(cloud)
    profile = settings["profiles"]["default"] | {"callers": {"uids": [FIRST, THIRD]}}
    changed = json.loads(json.dumps(profile)) | {"callers": {"uids": [SECOND, THIRD]}}
    changed["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/not-there"
    with serve(settings | {"profiles": {"default": profile}}, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        before = [fetch_as(uid, port(sidecar), "/credentials")[0] for uid in (FIRST, SECOND, THIRD)]
        sidecar.config_path.write_text(json.dumps(settings | {"profiles": {"default": changed}}))
        sidecar.process.send(signal.SIGHUP)
        sidecar.process.event("refresh_failed")
        after = [fetch_as(uid, port(sidecar), "/credentials")[0] for uid in (FIRST, SECOND, THIRD)]

        assert (before, after) == ([200, 403, 200], [403, 403, 200])
