"""A network that fails: each cause has a message of its own, and one profile's misfortune costs no other profile."""

from __future__ import annotations

import json
import select
import socket
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, QUICK_RETRIES, config
from .namespaces import namespace, needs_namespaces, partly_silent_dns
from .processes import PROGRAM, EmulatedCloud, RunningSidecar, emulator, environment, run, serve, wait_until
from .wire import request_head

pytestmark = needs_namespaces

NOWHERE = EmulatedCloud(None, "http://127.0.0.1:1", "", "https://idaas.test", Path())  # type: ignore[arg-type]


def profile(cloud: EmulatedCloud, *, token: str | None = None, sts: list[str] | None = None) -> dict[str, Any]:
    """Return a profile of the emulated cloud, with another token endpoint or other STS endpoints."""
    found: dict[str, Any] = config(cloud)["profiles"]["default"]
    identity = found["identity"] | ({"tokenEndpoint": token} if token else {})
    return {"identity": identity, "exchange": found["exchange"] | ({"endpoints": sts} if sts else {})}


CAUSES = {
    "refused": ("true", "127.0.0.1:9", "could not connect to 127.0.0.1:9: connection refused; correct host and port"),
    "no network": (
        "true",
        "192.0.2.1",
        "could not connect to 192.0.2.1:443: this machine has no route to that network",
    ),
    "no route": (
        "ip route add unreachable 192.0.2.1",
        "192.0.2.1",
        "could not connect to 192.0.2.1:443: no route to that host; allow this machine to reach the host",
    ),
    "prohibited": (
        "ip route add prohibit 192.0.2.1",
        "192.0.2.1",
        "could not connect to 192.0.2.1:443: a firewall, network policy or route of this machine prohibits it",
    ),
    "blackhole": (
        "ip route add blackhole 192.0.2.1",
        "192.0.2.1:8443",
        "could not connect to 192.0.2.1:8443: a firewall, network policy or route of this machine prohibits it",
    ),
    "IPv6": (
        "ip route add unreachable 2001:db8::1",
        "[2001:db8::1]",
        "could not connect to [2001:db8::1]:443: no route to that host; allow this machine to reach the host",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_cause_is_named(cause: str, tmp_path: Path) -> None:
    """The error of a connection names the address that was tried, the cause, and the remedy for that cause."""
    setup, host, expected = CAUSES[cause]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(NOWHERE, profiles={"default": profile(NOWHERE, token=f"https://{host}/token")})))
    with namespace(setup) as enter:
        result = run("get", "--config", str(path), env=environment(tmp_path, **ENV), program=(*enter, *PROGRAM))

    assert (result.code, f"https://{host}/token: {expected}" in result.error_line) == (4, True), result.err


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("nobody.test", "could not connect: the name nobody.test does not exist in DNS; correct the host name"),
        ("sts.hang.test", "could not connect: the name sts.hang.test was not resolved within 2 s: no answer from DNS"),
    ],
)
def test_name_that_is_not_resolved(host: str, expected: str, tmp_path: Path) -> None:
    """The error of a look-up names the name, and says that it is DNS; silence is told from a name that is wrong."""
    changed = profile(NOWHERE, token=f"https://{host}/token")
    changed["identity"]["httpConfiguration"] = {"connectTimeout": 2000 if ".hang." in host else 60_000}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(NOWHERE, profiles={"default": changed})))
    with partly_silent_dns(tmp_path) as enter:
        result = run("get", "--config", str(path), env=environment(tmp_path, **ENV), program=(*enter, *PROGRAM))

    assert (result.code, f"https://{host}/token: {expected}" in result.error_line) == (4, True), result.err


def test_silent_resolver_of_other_profiles(tmp_path: Path) -> None:
    """Profiles whose names DNS does not answer delay no other profile, and fail over to their second endpoint."""
    with partly_silent_dns(tmp_path) as enter, emulator(home=tmp_path, program=(*enter, *PROGRAM)) as cloud:
        port = cloud.url.rpartition(":")[2]
        by_name = f"http://localhost:{port}"  # a look-up, too
        names = [f"second{number}" for number in range(8)]
        profiles = {f"hang{n}": profile(cloud, token=f"https://t{n}.hang.test/token") for n in range(8)}
        profiles |= {name: profile(cloud, sts=[f"https://{name}.hang.test", cloud.url]) for name in names}
        profiles |= {"healthy": profile(cloud, token=f"{by_name}/api/v2/iauths_system/oauth2/token", sts=[by_name])}
        with serve(config(cloud, profiles=profiles), home=tmp_path, env=ENV, program=(*enter, *PROGRAM)) as sidecar:
            for name in ("healthy", *names):
                sidecar.process.event("credentials_issued", profile=name)
            error = sidecar.process.event("refresh_failed", profile="hang7")["error"]
            assert sidecar.process.stop() == 0  # although look-ups hang in threads

    assert "the name t7.hang.test was not resolved within 5 s: no answer from DNS" in error


def test_dead_nameserver_before_a_healthy_one(tmp_path: Path) -> None:
    """A first nameserver that is dead delays each answer beyond the connect limit; the next attempt uses the answer."""
    dns = partly_silent_dns(tmp_path, first="nameserver 127.0.0.2\n")
    with dns as enter, emulator(home=tmp_path, program=(*enter, *PROGRAM)) as cloud:
        by_name = f"http://localhost:{cloud.url.rpartition(':')[2]}"
        named = profile(cloud, token=f"{by_name}/api/v2/iauths_system/oauth2/token", sts=[by_name])
        named["identity"]["httpConfiguration"] = {"connectTimeout": 3000}
        with serve(
            config(cloud, profiles={"default": named}), home=tmp_path, env=ENV, program=(*enter, *PROGRAM)
        ) as sidecar:
            sidecar.process.event("credentials_issued")
            failed = sidecar.process.events("refresh_failed")[0]["error"]

    assert "the name localhost was not resolved within 3 s: no answer from DNS" in failed


def states(sidecar: RunningSidecar, home: Path, program: tuple[str, ...]) -> dict[str, str]:
    """Return the state of each profile, as `status` prints it."""
    result = run("status", "--json", "--config", str(sidecar.config_path), env=environment(home), program=program)
    return {found["profile"]: found["state"] for found in json.loads(result.out)["profiles"]}


def is_connected(sidecar: RunningSidecar, port: int) -> bool:
    """Return whether the sidecar's network has an established connection to this port."""
    rows = [row.split() for row in Path(f"/proc/{sidecar.process.pid}/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_purge_while_dns_is_silent(tmp_path: Path) -> None:
    """
    A purge drops all sessions at once while DNS answers nothing. A fetch by an address waits for no look-up.

    When DNS answers again, the next attempts use it, although earlier look-ups still hang.
    """
    silent = tmp_path / "silent"
    with partly_silent_dns(tmp_path) as enter, emulator(home=tmp_path, program=(*enter, *PROGRAM)) as cloud:
        program = (*enter, *PROGRAM)
        port = int(cloud.url.rpartition(":")[2])
        by_name = f"http://localhost:{port}"
        named = profile(cloud, token=f"{by_name}/api/v2/iauths_system/oauth2/token", sts=[by_name])
        names = {f"named{number}" for number in range(6)}
        socket_path = tmp_path / "admin.sock"
        settings = config(cloud, profiles=dict.fromkeys(names, named) | {"address": profile(cloud)})
        settings["server"]["adminSocket"] = str(socket_path)
        settings["refresh"] = QUICK_RETRIES
        with serve(settings, home=tmp_path, env=ENV, program=program) as sidecar:
            for name in (*names, "address"):
                sidecar.process.event("credentials_issued", profile=name)
            wait_until(lambda: not is_connected(sidecar, port))  # a request over a kept connection needs no look-up
            silent.write_text("")
            with socket.socket(socket.AF_UNIX) as purge:
                purge.connect(str(socket_path))
                purge.sendall(request_head("POST", "/purge"))
                wanted = dict.fromkeys(names, "dropped") | {"address": "fresh"}
                for name in wanted:
                    sidecar.process.event("purged", profile=name)
                wait_until(lambda: states(sidecar, tmp_path, program) == wanted)
                answered = select.select([purge], [], [], 0)[0]
            silent.unlink()
            wait_until(lambda: set(states(sidecar, tmp_path, program).values()) == {"fresh"})

    assert answered == []
