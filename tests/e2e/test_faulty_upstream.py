"""A cloud that lies: clear errors, bounded time and memory, nothing of the lie repeated, the last session served."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from .fault_proxy import FaultProxy, Reply, fault_proxy
from .processes import EmulatedCloud, RunningSidecar, emulator, environment, run, serve, wait_until
from .test_floods import memory
from .cloud import ENV, config
from .wire import fetch

CANARY = b"canary-0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOTAL = 6.0
"""Seconds: the limit of the token leg as configured here, to connect and two times to the next byte."""

LARGEST_GROWTH = 16 * 1_048_576
"""Bytes: libuv takes up to 32 pieces of 256 KiB from an endless stream before anybody can tell it to stop."""


def whole(body: bytes, *lines: bytes, head: bytes = HEAD) -> Callable[[], Reply]:
    """An answer with this body and its true length."""
    extra = b"".join(line + b"\r\n" for line in (*lines, b"Content-Length: %d" % len(body)))
    return lambda: [head + extra + b"\r\n" + body]


def endless_body() -> Reply:
    yield HEAD + b"\r\n" + b'{"a":"' + CANARY
    yield from itertools.repeat(CANARY * 1_000, 100_000)


def endless_head() -> Reply:
    yield HEAD
    yield from (b"X-%d: %s\r\n" % (number, CANARY * 100) for number in range(100_000))


def slow_body() -> Reply:
    yield HEAD + b"Content-Length: 100000\r\n\r\n"
    for _ in range(60):
        yield b"{"
        time.sleep(0.5)


def cut_short() -> Reply:
    return [HEAD + b'Content-Length: 1000\r\n\r\n{"a": "' + CANARY]


def silence() -> Reply:
    time.sleep(60)
    return []


BOMB = gzip.compress(CANARY + b"\0" * 50_000_000, 9)
LIES: dict[str, tuple[Callable[[], Reply], str]] = {
    "huge body": (endless_body, "an answer of more than 262144 bytes"),
    "endless head": (endless_head, "RemoteProtocolError"),
    "cut short": (cut_short, "RemoteProtocolError"),
    "redirect": (
        whole(b"", b"Location: http://127.0.0.1:1/" + CANARY, head=b"HTTP/1.1 302 Found\r\n"),
        "HTTP 302, a redirect, which is not followed",
    ),
    "HTML": (whole(b"<html>" + CANARY, head=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"), "of HTML or XML"),
    "wrong type": (whole(CANARY, head=b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"), "bytes that are neither"),
    "empty": (whole(b""), "an empty body"),
    "gzip bomb": (whole(BOMB, b"Content-Encoding: gzip"), "a compressed answer, which was not requested"),
    "truncated JSON": (whole(b'{"access_token": "' + CANARY), "bytes that are neither"),
    "nonsense": (whole(b'{"access_token": {"' + CANARY + b'": 1}, "Credentials": "' + CANARY + b'"}'), ""),
    "no HTTP": (lambda: [CANARY * 100], "RemoteProtocolError"),
    "error with a long code": (
        whole(json.dumps({"Code": "eyJ" + CANARY.decode() * 40, "error": "eyJ" + CANARY.decode() * 40}).encode(),
              head=b"HTTP/1.1 400 Bad Request\r\n"), "HTTP 400",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def between(cloud: EmulatedCloud) -> Iterator[FaultProxy]:
    with fault_proxy(cloud.url) as server:
        yield server


@pytest.fixture(autouse=True)
def honest(between: FaultProxy) -> Iterator[None]:
    yield
    between.lie = between.certificate = None


@pytest.fixture(scope="module")
def sidecar(
    cloud: EmulatedCloud, between: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSidecar]:
    home = tmp_path_factory.mktemp("sidecar")
    with serve(through(cloud, between, home), home=home, env=ENV) as running:
        for name in ("token", "sts"):
            running.process.event("credentials_issued", profile=name)
        everything_said(running)  # loads what is loaded once, and would be taken for a lie's doing
        yield running


def through(cloud: EmulatedCloud, between: FaultProxy, home: Path) -> dict[str, Any]:
    """One profile whose token endpoint is the liar, one whose STS it is."""
    settings = config(cloud, logging={"level": "debug"})
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    profile = json.dumps(settings["profiles"]["default"])
    token, sts = json.loads(profile), json.loads(profile)
    token["identity"]["httpConfiguration"] = {"connectTimeout": 2000, "readTimeout": 2000}
    token["identity"]["tokenEndpoint"] = f"{between.url}/api/v2/iauths_system/oauth2/token"
    sts["exchange"]["endpoints"] = [between.url]
    settings["profiles"] = {"token": token, "sts": sts}
    return settings


def refresh(sidecar: RunningSidecar, profile: str) -> tuple[dict[str, Any], float]:
    """What comes of proving the identity anew, and how long that took."""
    home = sidecar.config_path.parent
    started = time.monotonic()
    done = run(
        "refresh",
        "--config",
        str(sidecar.config_path),
        "--profile",
        profile,
        "--json",
        env=environment(home),
        seconds=60,
    )
    return json.loads(done.out)[0], time.monotonic() - started


@pytest.mark.parametrize("profile", ["token", "sts"])
@pytest.mark.parametrize("name", LIES)
def test_a_lie(sidecar: RunningSidecar, between: FaultProxy, name: str, profile: str) -> None:
    """One clear line, bounded memory, the last good session for clients; and the truth is believed again."""
    lie, words = LIES[name]
    held = fetch(sidecar.urls["credentials"], f"/credentials/{profile}")
    before = memory(sidecar.process.pid)
    between.lie, between.told = Again(lie), 0
    found, took = refresh(sidecar, profile)
    grown = memory(sidecar.process.pid) - before

    assert between.told >= 1
    assert (found["state"], found["last_error"] is None) == ("stale", False)
    assert words in found["last_error"]
    assert between.url in found["last_error"]
    assert "\n" not in found["last_error"]
    assert len(found["last_error"]) < 400
    assert took < 5
    assert grown < LARGEST_GROWTH
    assert fetch(sidecar.urls["credentials"], f"/credentials/{profile}").body == held.body
    assert CANARY.decode() not in everything_said(sidecar)
    between.lie = None
    assert refresh(sidecar, profile)[0]["state"] == "fresh"


class Again:
    """A lie that can be told more than once."""

    def __init__(self, lie: Callable[[], Reply]) -> None:
        self._lie = lie

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lie())


def everything_said(sidecar: RunningSidecar) -> str:
    ops = sidecar.urls["ops"]
    pages = [fetch(ops, path).body.decode() for path in ("/metrics", "/status", "/status.json", "/readyz")]
    return "\n".join([*sidecar.process.stderr.lines(), *pages])


@pytest.mark.parametrize(("name", "lie"), [("slow body", slow_body), ("silence", silence)])
def test_slowness(sidecar: RunningSidecar, between: FaultProxy, name: str, lie: Callable[[], Reply]) -> None:
    """An answer that trickles, or never comes, is given up in bounded time."""
    between.lie = Again(lie)
    found, took = refresh(sidecar, "token")

    assert found["state"] == "stale"
    assert "no complete answer within" in found["last_error"] or "no answer in time" in found["last_error"]
    assert took < TOTAL + 3
    assert fetch(sidecar.urls["credentials"], "/credentials/token").status == 200


@pytest.mark.parametrize("wrong", ["unknown CA", "another host"])
def test_a_wrong_certificate(cloud: EmulatedCloud, between: FaultProxy, tmp_path: Path, wrong: str) -> None:
    """A certificate of a CA that is not ours, or for another host, ends the call before anything is sent."""
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    issuer, host = (theirs, "127.0.0.1") if wrong == "unknown CA" else (ours, "other.example")
    between.certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(host).configure_cert(between.certificate)
    between.lie, between.told = [HEAD], 0
    settings = config(cloud, tls={"caFile": str(tmp_path / "ca.pem")})
    settings["profiles"]["default"]["exchange"]["endpoints"] = [between.url.replace("http:", "https:")]
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        error = sidecar.process.event("refresh_failed")["error"]

    assert "could not connect" in error
    assert "certificate" in error.lower()
    assert between.told == 0


def test_the_liar_can_be_heard(between: FaultProxy) -> None:
    """The lies of this file do reach who asks for them."""
    between.lie = [CANARY]
    host, port = between.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: between.told > 0)

        assert client.recv(100) == CANARY
