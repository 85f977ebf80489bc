"""The admin socket of a real process: refresh, purge and log level, by its own user and root alone."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import EmulatedCloud, Ended, Serving, emulator, environment, run, serve
from .test_service import ENV, SECRET, admin, config, fault
from .users import needs_root
from .wire import ask, head


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def fair_weather(cloud: EmulatedCloud) -> Iterator[None]:
    yield
    admin(cloud.url, "DELETE", "faults")


@pytest.fixture(params=["path", "abstract"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "admin.sock") if request.param == "path" else f"@idaas-sidecar-test-{os.getpid()}"


@pytest.fixture
def sidecar(cloud: EmulatedCloud, tmp_path: Path, name: str) -> Iterator[Serving]:
    settings = with_socket(cloud, name)
    settings["profiles"]["p2"] = settings["profiles"]["default"]
    with serve(settings, home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="default")
        running.process.event("credentials_issued", profile="p2")
        yield running


def with_socket(cloud: EmulatedCloud, name: str) -> dict[str, Any]:
    settings = config(cloud)
    settings["server"]["adminSocket"] = name
    return settings


def order(sidecar: Serving, *arguments: str) -> Ended:
    """A command to the running sidecar, in an environment that has none of its secrets."""
    home = sidecar.config_path.parent
    return run(*arguments, "--config", str(sidecar.config_path), env=environment(home))


def key(sidecar: Serving, profile: str = "default") -> str:
    return str(json.loads(ask(sidecar.urls["credentials"], f"/credentials/{profile}").body)["AccessKeyId"])


def test_refresh(sidecar: Serving, cloud: EmulatedCloud) -> None:
    """One profile gets a new session for a new token, now; its neighbour keeps its own."""
    before = key(sidecar), key(sidecar, "p2")
    admin(cloud.url, "DELETE", "journal")
    done = order(sidecar, "refresh", "--profile", "default")
    calls = json.loads(admin(cloud.url, "GET", "journal").body)["calls"]

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("default: refreshed; valid until 20")
    assert [call["kind"] for call in calls] == ["token", "sts"]
    assert key(sidecar) != before[0]
    assert key(sidecar, "p2") == before[1]


def test_refresh_of_all(sidecar: Serving) -> None:
    """Without a profile's name all are renewed; --json tells of each."""
    before = {key(sidecar), key(sidecar, "p2")}
    done = order(sidecar, "refresh", "--json")

    assert [(item["profile"], item["state"]) for item in json.loads(done.out)] == [
        ("default", "fresh"),
        ("p2", "fresh"),
    ]
    assert not before & {key(sidecar), key(sidecar, "p2")}


@pytest.mark.parametrize(
    ("members", "code"),
    [({"code": "AuthenticationFail.NoPermission"}, 3), ({"status": 503}, 4)],
    ids=["refused", "away"],
)
def test_a_refresh_that_fails(sidecar: Serving, cloud: EmulatedCloud, members: dict[str, Any], code: int) -> None:
    """The exit code says whether the cloud refused or was away; what is held is served on."""
    before = key(sidecar)
    fault(cloud, kind="sts", times=None, **members)
    done = order(sidecar, "refresh", "--profile", "default")

    assert done.code == code
    assert done.out.startswith("default: failed: ")
    assert "the current credentials are valid until" in done.out
    assert key(sidecar) == before


def test_purge(sidecar: Serving, cloud: EmulatedCloud) -> None:
    """What is held is dropped at once: while the cloud refuses, clients get 503; then a new session comes by itself."""
    fault(cloud, kind="sts", times=1, code="AuthenticationFail.NoPermission")
    done = order(sidecar, "purge", "--profile", "default")

    assert done.code == 3
    assert "the current credentials" not in done.out
    assert ask(sidecar.urls["credentials"], "/credentials").status == 503
    assert ask(sidecar.urls["credentials"], "/credentials/p2").status == 200
    assert order(sidecar, "refresh").code == 0
    assert ask(sidecar.urls["credentials"], "/credentials").status == 200
    sidecar.process.event("purged", profile="default")


def test_log_level(sidecar: Serving) -> None:
    """The level holds from the order on."""
    assert order(sidecar, "log-level", "error").code == 0
    ask(sidecar.urls["credentials"], "/credentials", host="evil.example")
    assert order(sidecar, "log-level", "info").code == 0
    order(sidecar, "refresh", "--profile", "p2")
    sidecar.process.event("refresh_ordered", profile="p2")

    assert sidecar.process.events("denied") == []
    assert [line["now"] for line in sidecar.process.events("log_level_changed")] == ["info"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("refresh", "--profile", "nobody"), "there is no such profile; there is default, p2"),
        (("log-level", "loud"), "argument level: invalid choice: 'loud'"),
    ],
)
def test_wrong_orders(sidecar: Serving, arguments: tuple[str, ...], complaint: str) -> None:
    """What cannot be done is one line and exit 2."""
    done = order(sidecar, *arguments)

    assert done.code == 2
    assert complaint in done.complaint


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/refresh", 405),
        ("POST", "/log-level/info", 405),
        ("PUT", "/log-level/loud", 400),
        ("PUT", "/log-level", 400),
        ("POST", "/refresh/default/more", 404),
        ("GET", "/credentials", 404),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
    ],
)
def test_nothing_else_by_this_way(sidecar: Serving, name: str, method: str, target: str, status: int) -> None:
    """The socket takes orders, and gives no credential, metric or page."""
    assert ask_unix(name, method, target) == status


@pytest.mark.parametrize("target", ["/refresh", "/purge", "/log-level/debug"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_nothing_of_it_over_tcp(sidecar: Serving, method: str, target: str) -> None:
    """No port takes an order."""
    assert {ask(base, target, method=method).status for base in tcp(sidecar)} == {404}


def tcp(sidecar: Serving) -> list[str]:
    return [sidecar.urls["credentials"], sidecar.urls["ops"]]


def ask_unix(name: str, method: str, target: str) -> int:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect("\0" + name[1:] if name.startswith("@") else name)
        client.sendall(head(method, target))
        return int(client.recv(4096).split(b" ")[1])


@needs_root
def test_another_user(sidecar: Serving, name: str) -> None:
    """Another user is kept out: of a path by its mode, of an abstract name by what the kernel says of it."""
    os.seteuid(1001)
    try:
        if name.startswith("@"):
            assert ask_unix(name, "POST", "/purge") == 403
        else:
            with pytest.raises(PermissionError):
                ask_unix(name, "POST", "/purge")
    finally:
        os.seteuid(0)
    assert ask(sidecar.urls["credentials"], "/credentials").status == 200


def test_the_socket_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The file is of mode 0600; what a killed sidecar left behind is replaced, what one still answers at is not."""
    path = tmp_path / "admin.sock"
    settings = with_socket(cloud, str(path))
    (tmp_path / "first").mkdir()
    with serve(settings, home=tmp_path / "first", env=ENV) as first:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = run("serve", "--config", str(first.config_path), env=environment(tmp_path, **ENV))
        assert again.code == 2
        assert "server.adminSocket: cannot listen on" in again.complaint
        assert "it is in use" in again.complaint
    with serve(settings, home=tmp_path, env=ENV) as second:
        assert order(second, "refresh").code == 0


def test_nobody_listens(tmp_path: Path, cloud: EmulatedCloud) -> None:
    """No sidecar is exit 4, no configured socket exit 2, and each says what to do."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(with_socket(cloud, str(tmp_path / "absent.sock"))))
    away = run("refresh", "--config", str(path), env=environment(tmp_path))
    path.write_text(json.dumps(config(cloud)))
    unset = run("refresh", "--config", str(path), env=environment(tmp_path))

    assert (away.code, unset.code) == (4, 2)
    assert "is the sidecar running?" in away.complaint
    assert "server.adminSocket: not set" in unset.complaint


@needs_root
def test_a_socket_of_somebody_elses(tmp_path: Path, cloud: EmulatedCloud) -> None:
    """An abstract name that another user took first is not believed."""
    name = f"@idaas-sidecar-taken-{os.getpid()}"
    path = tmp_path / "config.json"
    path.write_text(json.dumps(with_socket(cloud, name)))
    os.seteuid(1001)
    try:
        impostor = socket.socket(socket.AF_UNIX)
        impostor.bind("\0" + name[1:])
        impostor.listen()
    finally:
        os.seteuid(0)
    with impostor:
        done = run("refresh", "--config", str(path), env=environment(tmp_path))

    assert done.code == 2
    assert "the listener belongs to another user (uid 1001)" in done.complaint


def test_no_secret_in_what_it_says(sidecar: Serving) -> None:
    """Neither answers nor log lines of orders hold anything secret."""
    done = order(sidecar, "purge", "--json")
    body = json.loads(ask(sidecar.urls["credentials"], "/credentials").body)
    text = "\n".join([done.out, done.err, *sidecar.process.stderr.so_far()])

    assert not [word for word in (SECRET, body["AccessKeySecret"], body["SecurityToken"], "eyJ") if word in text]
