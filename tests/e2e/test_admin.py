"""The admin socket of a real process: refresh, purge and log level, only for the user of the sidecar and root."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, SECRET, add_fault, calls_of, config, emulator_admin, replace_config, served_key
from .processes import (
    DEADLINE,
    CommandResult,
    EmulatedCloud,
    RunningSidecar,
    emulator,
    environment,
    run,
    serve,
    wait_until,
)
from .users import needs_root
from .wire import admin_request, fetch, request_head

pytestmark = pytest.mark.usefixtures("clear_faults")


@pytest.fixture(params=["path", "abstract"])
def socket_name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A path and an abstract name."""
    return str(tmp_path / "admin.sock") if request.param == "path" else f"@idaas-sidecar-test-{os.getpid()}"


@pytest.fixture
def sidecar(cloud: EmulatedCloud, tmp_path: Path, socket_name: str) -> Iterator[RunningSidecar]:
    """A sidecar with an admin socket and two profiles that have credentials."""
    settings = with_socket(cloud, socket_name)
    settings["profiles"]["p2"] = settings["profiles"]["default"]
    with serve(settings, home=tmp_path, env=ENV) as running:
        running.process.event("credentials_issued", profile="default")
        running.process.event("credentials_issued", profile="p2")
        yield running


def with_socket(cloud: EmulatedCloud, socket_name: str) -> dict[str, Any]:
    """Return a configuration with an admin socket."""
    settings = config(cloud)
    settings["server"]["adminSocket"] = socket_name
    return settings


def command(sidecar: RunningSidecar, *arguments: str) -> CommandResult:
    """Run a command that uses the running sidecar, without any of its secrets in the environment."""
    home = sidecar.config_path.parent
    return run(*arguments, "--config", str(sidecar.config_path), env=environment(home))


def serves_another(sidecar: RunningSidecar, key: str) -> bool:
    """Return whether the profile `default` has credentials, and others than those with the AccessKeyId `key`."""
    found = fetch(sidecar.urls["credentials"], "/credentials/default")
    return found.status == 200 and json.loads(found.body)["AccessKeyId"] != key


def test_refresh_renews_one_profile(sidecar: RunningSidecar, cloud: EmulatedCloud) -> None:
    """`refresh --profile` fetches a new token and a new session for that profile and keeps those of the others."""
    before = served_key(sidecar), served_key(sidecar, "p2")
    emulator_admin(cloud.url, "DELETE", "journal")
    done = command(sidecar, "refresh", "--profile", "default")
    calls = calls_of(cloud)

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("default: refreshed; valid until 20")
    assert [call["kind"] for call in calls] == ["token", "sts"]
    assert served_key(sidecar) != before[0]
    assert served_key(sidecar, "p2") == before[1]


def test_refresh_renews_all_profiles(sidecar: RunningSidecar) -> None:
    """Without --profile, `refresh` renews every profile, and --json reports each of them."""
    before = {served_key(sidecar), served_key(sidecar, "p2")}
    done = command(sidecar, "refresh", "--json")

    assert [(item["profile"], item["state"]) for item in json.loads(done.out)] == [
        ("default", "fresh"),
        ("p2", "fresh"),
    ]
    assert not before & {served_key(sidecar), served_key(sidecar, "p2")}


def test_refresh_while_a_change_is_refused(sidecar: RunningSidecar) -> None:
    """`refresh` says that the previous configuration was refreshed, and why the changed one is not used."""
    sidecar.process.event("watching")
    settings = json.loads(sidecar.config_path.read_text())
    replace_config(sidecar, settings | {"unknown": 1})
    error = sidecar.process.event("config_reload_failed")["error"]
    done = command(sidecar, "refresh")

    assert (done.code, done.err) == (0, "")
    *profiles, reason = done.out.splitlines()
    assert [line.partition("; valid until ")[0] for line in profiles] == [
        f"{name}: refreshed with the previous settings" for name in ("default", "p2")
    ]
    assert reason == f"the changed configuration is not used, and the previous one serves: {error} (IDS-104)"
    assert {each["config_error"] for each in json.loads(command(sidecar, "refresh", "--json").out)} == {error}


def test_refresh_while_a_change_is_on_trial(sidecar: RunningSidecar) -> None:
    """`refresh` tries the changed settings too, and says that the previous ones serve until they work."""
    sidecar.process.event("watching")
    settings = json.loads(sidecar.config_path.read_text())
    settings["profiles"]["default"]["exchange"]["roleArn"] += "-missing"
    replace_config(sidecar, settings)
    sidecar.process.event("config_reloaded")
    done = command(sidecar, "refresh")

    assert (done.code, done.err) == (0, "")
    changed, other = done.out.splitlines()
    assert changed.startswith("default: refreshed with the previous settings; valid until 20")
    assert re.search("; the changed settings do not serve yet: .*EntityNotExist.Role.* [(]IDS-412[)]$", changed)
    assert other.startswith("p2: refreshed; valid until 20")


@pytest.mark.parametrize(
    ("members", "code"),
    [({"code": "AuthenticationFail.NoPermission"}, 3), ({"status": 503}, 4)],
    ids=["refused", "outage"],
)
def test_failed_refresh(sidecar: RunningSidecar, cloud: EmulatedCloud, members: dict[str, Any], code: int) -> None:
    """The exit code of a failed refresh is 3 after a refusal and 4 after an outage; the session is still served."""
    before = served_key(sidecar)
    add_fault(cloud, kind="sts", times=None, **members)
    done = command(sidecar, "refresh", "--profile", "default")

    assert done.code == code
    assert done.out.startswith("default: failed: ")
    assert re.search(r" \(IDS-[24][0-9]{2}\); the current", done.out)
    assert "the current credentials are valid until" in done.out
    assert served_key(sidecar) == before


def test_purge(sidecar: RunningSidecar, cloud: EmulatedCloud) -> None:
    """Purge drops the session at once: requests get 503 while the cloud refuses, and 200 after a new refresh."""
    add_fault(cloud, kind="sts", times=1, code="AuthenticationFail.NoPermission")
    done = command(sidecar, "purge", "--profile", "default")

    assert done.code == 3
    assert "the current credentials" not in done.out
    assert done.out.endswith(" (IDS-401)\n")
    assert fetch(sidecar.urls["credentials"], "/credentials").status == 503
    assert fetch(sidecar.urls["credentials"], "/credentials/p2").status == 200
    assert command(sidecar, "refresh").code == 0
    assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
    sidecar.process.event("purged", profile="default", uid=os.geteuid())


def test_purge_of_all_profiles_beside_a_hanging_cloud(
    sidecar: RunningSidecar, cloud: EmulatedCloud, socket_name: str
) -> None:
    """Purge drops the sessions of all profiles at once, although a refresh hangs and the refetch hangs, too."""
    add_fault(cloud, kind="*", times=None, delay=3600)
    address = "\0" + socket_name[1:] if socket_name.startswith("@") else socket_name
    with socket.socket(socket.AF_UNIX) as refresh, socket.socket(socket.AF_UNIX) as purge:
        for client, order in ((refresh, "/refresh"), (purge, "/purge")):
            client.connect(address)
            client.sendall(request_head("POST", order))
            sidecar.process.event("refresh_ordered", profile="p2")
        wait_until(lambda: states(sidecar) == {"dropped"})
        answered = select.select([purge], [], [], 0)[0]

    assert answered == []
    for profile in ("default", "p2"):
        sidecar.process.event("purged", profile=profile)


@contextmanager
def unconnectable() -> Iterator[int]:
    """Yield the port of a listener whose queue is full, so that the kernel answers no further connection."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_purge_beside_servers_that_hang_before_a_request(
    cloud: EmulatedCloud, tmp_path: Path, socket_name: str
) -> None:
    """
    Where one server does not answer a TCP connection and another no TLS handshake, a healthy profile is purged and
    has a new session while the order still waits. Clients that order again and leave do not change this.
    """
    settings = with_socket(cloud, socket_name)
    healthy = settings["profiles"]["default"]
    address = "\0" + socket_name[1:] if socket_name.startswith("@") else socket_name
    http = {"httpConfiguration": {"connectTimeout": 60_000, "readTimeout": 60_000}}
    with unconnectable() as tcp, socket.create_server(("127.0.0.1", 0)) as tls:
        for name, url in (("tcp", f"http://127.0.0.1:{tcp}"), ("tls", f"https://127.0.0.1:{tls.getsockname()[1]}")):
            identity = healthy["identity"] | http | {"tokenEndpoint": f"{url}/token", "clientId": f"app_{name}"}
            settings["profiles"][name] = healthy | {"identity": identity}
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            sidecar.process.event("credentials_issued", profile="default")
            before = served_key(sidecar, "default")
            for order in ("/refresh", "/purge") * 20:
                with socket.socket(socket.AF_UNIX) as leaving:
                    leaving.connect(address)
                    leaving.sendall(request_head("POST", order))
            with socket.socket(socket.AF_UNIX) as waiting:
                waiting.connect(address)
                waiting.sendall(request_head("POST", "/purge"))
                wait_until(lambda: serves_another(sidecar, before))
                answered = select.select([waiting], [], [], 0)[0]

    assert answered == []


def test_purges_of_fifty_profiles_around_a_reload(tmp_path: Path, socket_name: str) -> None:
    """Two purges with a reload between them, while the cloud is frozen, drop fifty sessions; all come back."""
    names = [f"p{number}" for number in range(50)]
    with emulator(home=tmp_path) as cloud:
        settings = with_socket(cloud, socket_name)
        settings["profiles"] = {name: settings["profiles"]["default"] for name in names}
        address = "\0" + socket_name[1:] if socket_name.startswith("@") else socket_name
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            for name in names:
                sidecar.process.event("credentials_issued", profile=name)
            before = {served_key(sidecar, name) for name in names}
            cloud.process.send(signal.SIGSTOP)
            with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
                for client in (first, second):
                    client.connect(address)
                    client.sendall(request_head("POST", "/purge"))
                    wait_until(lambda: states(sidecar) == {"dropped"})
                    changed = settings["profiles"]["p0"] | {"required": False}
                    exchange = changed["exchange"] | {"durationSeconds": 1800}
                    settings["profiles"] |= {"p0": changed | {"exchange": exchange}}
                    replace_config(sidecar, settings)
                    sidecar.process.event("config_reloaded")
                cloud.process.send(signal.SIGCONT)
                wait_until(lambda: states(sidecar) == {"fresh"})
            after = {served_key(sidecar, name) for name in names}

    assert len(before) == len(after) == 50
    assert not before & after


def test_purge_during_a_start(tmp_path: Path, socket_name: str) -> None:
    """A purge while the first fetches hang ends well: what they bring later is dropped, and fetched again."""
    with emulator(home=tmp_path) as cloud:
        settings = with_socket(cloud, socket_name)
        add_fault(cloud, kind="token", times=1, delay=5)
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            # Not the command `purge`: on a busy machine it would start after the first fetch.
            assert admin_request(socket_name, "POST", "/purge/default") == 200
            assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
            assert len(sidecar.process.events("credentials_issued")) == 1


def states(sidecar: RunningSidecar) -> set[str]:
    """Return the states of the profiles."""
    return {profile["state"] for profile in status(sidecar)["profiles"]}


def status(sidecar: RunningSidecar) -> dict[str, Any]:
    """Return the members of `/status.json`."""
    found: dict[str, Any] = json.loads(fetch(sidecar.urls["ops"], "/status.json").body)
    return found


def test_log_level(sidecar: RunningSidecar) -> None:
    """A new log level takes effect with the response to the command."""
    assert command(sidecar, "log-level", "error").code == 0
    fetch(sidecar.urls["credentials"], "/credentials", host="evil.example")
    # The line about a refusal follows the look-up of its caller, and the status has the caller after the line.
    wait_until(lambda: status(sidecar)["refused_callers"])
    assert command(sidecar, "log-level", "info").code == 0
    command(sidecar, "refresh", "--profile", "p2")
    sidecar.process.event("refresh_ordered", profile="p2")

    assert sidecar.process.events("denied") == []
    assert [line["now"] for line in sidecar.process.events("log_level_changed")] == ["info"]


@pytest.mark.parametrize(
    ("arguments", "error_line"),
    [
        (("refresh", "--profile", "nobody"), "there is no such profile; there is default, p2 (IDS-120)"),
        (("log-level", "loud"), "argument level: invalid choice: 'loud'"),
    ],
)
def test_invalid_arguments(sidecar: RunningSidecar, arguments: tuple[str, ...], error_line: str) -> None:
    """An argument that is not possible gives exit code 2 and one line on stderr."""
    done = command(sidecar, *arguments)

    assert done.code == 2
    assert error_line in done.error_line


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
def test_admin_socket_serves_nothing_else(
    sidecar: RunningSidecar, socket_name: str, method: str, target: str, status: int
) -> None:
    """The admin socket accepts its commands only; it serves no credential, metric or page."""
    assert admin_request(socket_name, method, target) == status


@pytest.mark.parametrize("target", ["/refresh", "/purge", "/log-level/debug"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_admin_commands_are_not_served_over_tcp(sidecar: RunningSidecar, method: str, target: str) -> None:
    """No TCP listener accepts an admin command."""
    assert {fetch(base, target, method=method).status for base in tcp_listeners(sidecar)} == {404}


def tcp_listeners(sidecar: RunningSidecar) -> list[str]:
    """Return the base URLs of the TCP listeners."""
    return [sidecar.urls["credentials"], sidecar.urls["ops"]]


@needs_root
def test_another_user(sidecar: RunningSidecar, socket_name: str) -> None:
    """Another user is refused: at a path by the file mode, at an abstract name by the uid from the kernel."""
    os.seteuid(1001)
    try:
        if socket_name.startswith("@"):
            assert admin_request(socket_name, "POST", "/purge") == 403
        else:
            with pytest.raises(PermissionError):
                admin_request(socket_name, "POST", "/purge")
    finally:
        os.seteuid(0)
    assert fetch(sidecar.urls["credentials"], "/credentials").status == 200


def test_socket_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The file has mode 0600; a file left by a killed sidecar is replaced, the file of a running sidecar is not."""
    path = tmp_path / "admin.sock"
    settings = with_socket(cloud, str(path))
    (tmp_path / "first").mkdir()
    with serve(settings, home=tmp_path / "first", env=ENV) as first:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = run("serve", "--config", str(first.config_path), env=environment(tmp_path, **ENV))
        assert again.code == 2
        assert "server.adminSocket: cannot listen on" in again.error_line
        assert "it is in use" in again.error_line
    with serve(settings, home=tmp_path, env=ENV) as second:
        assert command(second, "refresh").code == 0


def test_no_sidecar_listens(tmp_path: Path, cloud: EmulatedCloud) -> None:
    """The exit code is 4 without a sidecar and 2 without a configured socket; both messages name the cure."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(with_socket(cloud, str(tmp_path / "absent.sock"))))
    absent = run("refresh", "--config", str(path), env=environment(tmp_path))
    path.write_text(json.dumps(config(cloud)))
    unset = run("refresh", "--config", str(path), env=environment(tmp_path))

    assert (absent.code, unset.code) == (4, 2)
    assert "check that the sidecar is running" in absent.error_line
    assert "server.adminSocket: not set" in unset.error_line


@needs_root
def test_socket_of_another_user(tmp_path: Path, cloud: EmulatedCloud) -> None:
    """The client does not use an abstract name that another user has bound."""
    socket_name = f"@idaas-sidecar-taken-{os.getpid()}"
    path = tmp_path / "config.json"
    path.write_text(json.dumps(with_socket(cloud, socket_name)))
    os.seteuid(1001)
    try:
        impostor = socket.socket(socket.AF_UNIX)
        impostor.bind("\0" + socket_name[1:])
        impostor.listen()
    finally:
        os.seteuid(0)
    with impostor:
        done = run("refresh", "--config", str(path), env=environment(tmp_path))

    assert done.code == 2
    assert "the listener belongs to another user (uid 1001)" in done.error_line


def accept_one(listener: socket.socket) -> None:
    """Close the first connection."""
    with contextlib.suppress(OSError):
        listener.accept()[0].close()


@needs_root
@pytest.mark.parametrize(("mode", "trusted"), [(0o700, True), (0o777, False)])
def test_root_and_a_socket_of_another_user(mode: int, trusted: bool, tmp_path: Path, cloud: EmulatedCloud) -> None:
    """Root uses the socket of a user in whose own directory it is, and none in a directory that others can write to."""
    directory = tmp_path / "run"
    directory.mkdir(mode=mode)
    directory.chmod(mode)
    os.chown(directory, 1001, 1001)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(with_socket(cloud, str(directory / "admin.sock"))))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "admin.sock"))
    os.seteuid(1001)
    try:
        listener.listen()  # the kernel notes the user of this moment
    finally:
        os.seteuid(0)
    with listener:
        thread = threading.Thread(target=accept_one, args=(listener,), daemon=True)
        thread.start()
        done = run("refresh", "--config", str(path), env=environment(tmp_path))
        listener.shutdown(socket.SHUT_RDWR)  # ends `accept`, which no client may have ended
        thread.join(DEADLINE)

    assert ("belongs to another user (uid 1001)" in done.error_line) is not trusted
    assert done.code == (4 if trusted else 2)


def test_no_secret_in_output_or_log(sidecar: RunningSidecar) -> None:
    """Neither the output of a command nor a log line contains a secret."""
    done = command(sidecar, "purge", "--json")
    body = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)
    text = "\n".join([done.out, done.err, *sidecar.process.stderr.lines()])

    assert not [word for word in (SECRET, body["AccessKeySecret"], body["SecurityToken"], "eyJ") if word in text]


def config_file(directory: Path, settings: dict[str, Any]) -> str:
    """Write a configuration and return its path."""
    path = directory / "get.json"
    path.write_text(json.dumps(settings))
    return str(path)


def test_get_asks_the_running_sidecar(
    cloud: EmulatedCloud, sidecar: RunningSidecar, socket_name: str, tmp_path: Path
) -> None:
    """`get` prints what the running sidecar holds, without a request to the cloud, and the log says who asked."""
    path = config_file(tmp_path, with_socket(cloud, socket_name))
    before = len(calls_of(cloud))

    found = run("get", "--config", path, env=environment(tmp_path, **ENV))

    held = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)
    assert found.code == 0
    assert {key: held[key] for key in ("AccessKeyId", "SecurityToken")} == {
        key: json.loads(found.out)[key] for key in ("AccessKeyId", "SecurityToken")
    }
    assert len(calls_of(cloud)) == before
    sidecar.process.event("credentials_given", profile="default", uid=os.geteuid())


def test_get_has_the_reason_of_the_running_sidecar(
    cloud: EmulatedCloud, sidecar: RunningSidecar, socket_name: str, tmp_path: Path
) -> None:
    """Where the running sidecar holds nothing, `get` ends with its reason and asks nobody else."""
    path = config_file(tmp_path, with_socket(cloud, socket_name))
    add_fault(cloud, kind="sts", times=None, status=403, code="NoPermission")
    run("purge", "--config", path, env=environment(tmp_path))

    found = run("get", "--config", path, env=environment(tmp_path, **ENV))

    assert found.code == 4
    assert "the running sidecar" in found.error_line
    assert "NoPermission" in found.error_line
    assert found.error_line.endswith(" (IDS-416)")


def test_get_of_an_unknown_profile_reads_no_more_than_the_file(
    cloud: EmulatedCloud, socket_name: str, tmp_path: Path
) -> None:
    """`get` refuses a profile that the file does not have, and does not load what checks a whole configuration."""
    path = config_file(tmp_path, with_socket(cloud, socket_name))
    verbose = {**environment(tmp_path, **ENV), "PYTHONPROFILEIMPORTTIME": "1"}

    found = run("get", "--config", path, "--profile", "absent", env=verbose)
    imports = {line.rpartition("|")[2].strip() for line in found.err.splitlines() if "import time:" in line}

    assert found.code == 2
    assert f"there is no profile 'absent' in {path}; there is default" in found.err
    assert "app.config.locate" in imports
    assert not {"app.config.loader", "app.cli.fetch", "httpx"} & imports


def test_get_without_a_running_sidecar(cloud: EmulatedCloud, socket_name: str, tmp_path: Path) -> None:
    """Where no sidecar listens at the configured socket, `get` fetches the credentials itself."""
    path = config_file(tmp_path, with_socket(cloud, socket_name))

    found = run("get", "--config", path, env=environment(tmp_path, **ENV))

    assert found.code == 0
    assert json.loads(found.out)["AccessKeyId"].startswith("STS.")
