"""An upstream that sends faulty responses: clear errors, bounded time and memory, no content repeated.

Meanwhile the last session is served.
"""

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

from .cloud import ENV, config
from .fault_proxy import FaultProxy, Reply, fault_proxy
from .processes import DEADLINE, EmulatedCloud, RunningSidecar, environment, run, serve, wait_until
from .wire import fetch

CANARY = b"canary-0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TIME_LIMIT_ERRORS = ("no complete answer within", "no answer in time")
"""Texts of the errors after a time limit."""

LARGEST_GROWTH = 16 * 1_048_576
"""Bytes. libuv reads up to 32 pieces of 256 KiB from an endless stream before the program can stop it."""


def complete(body: bytes, *lines: bytes, head: bytes = HEAD) -> Callable[[], Reply]:
    """Return a reply with this body and its true length."""
    extra = b"".join(line + b"\r\n" for line in (*lines, b"Content-Length: %d" % len(body)))
    return lambda: [head + extra + b"\r\n" + body]


def endless_body() -> Reply:
    """A body that does not end."""
    yield HEAD + b"\r\n" + b'{"a":"' + CANARY
    yield from itertools.repeat(CANARY * 1_000, 100_000)


def endless_head() -> Reply:
    """A head that does not end."""
    yield HEAD
    yield from (b"X-%d: %s\r\n" % (number, CANARY * 100) for number in range(100_000))


def endless_interim_answers() -> Reply:
    """Interim answers without a final one."""
    yield from itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nLink: " + CANARY + b"\r\n\r\n", 1_000_000)


def slow_body() -> Reply:
    """A body of one byte every half second."""
    yield HEAD + b"Content-Length: 100000\r\n\r\n"
    for _ in range(1_000):
        yield b"{"
        time.sleep(0.5)


def truncated() -> Reply:
    """A body that is shorter than its Content-Length."""
    return [HEAD + b'Content-Length: 1000\r\n\r\n{"a": "' + CANARY]


def silence() -> Reply:
    """No byte at all, for longer than any deadline."""
    time.sleep(600)
    return []


BOMB = gzip.compress(CANARY + b"\0" * 50_000_000, 9)
REPLIES: dict[str, tuple[Callable[[], Reply], str]] = {
    "huge body": (endless_body, "an answer of more than 262144 bytes"),
    "endless head": (endless_head, "is not valid HTTP"),
    "endless interim answers": (endless_interim_answers, "more than 16 interim answers (1xx)"),
    "truncated body": (truncated, "closed the connection in the middle of the answer"),
    "redirect": (
        complete(b"", b"Location: https://127.0.0.1:1/login?state=" + CANARY, head=b"HTTP/1.1 302 Found\r\n"),
        "HTTP 302, a redirect, which is not followed",
    ),
    "HTML": (complete(b"<html>" + CANARY, head=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"), "of HTML or XML"),
    "wrong type": (complete(CANARY, head=b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"), "bytes of another kind"),
    "empty": (complete(b""), "an empty body"),
    "gzip bomb": (complete(BOMB, b"Content-Encoding: gzip"), "an answer compressed with gzip, which was not requested"),
    "truncated JSON": (complete(b'{"access_token": "' + CANARY), "bytes of another kind"),
    "wrong members": (complete(b'{"access_token": {"' + CANARY + b'": 1}, "Credentials": "' + CANARY + b'"}'), ""),
    "not HTTP": (lambda: [CANARY * 100], "does not speak HTTP"),
    "error with a long code": (
        complete(json.dumps({"Code": "eyJ" + CANARY.decode() * 40, "error": "eyJ" + CANARY.decode() * 40}).encode(),
              head=b"HTTP/1.1 400 Bad Request\r\n"), "HTTP 400",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def proxy(cloud: EmulatedCloud) -> Iterator[FaultProxy]:
    """A proxy in front of the emulated cloud."""
    with fault_proxy(cloud.url) as server:
        yield server


@pytest.fixture(autouse=True)
def forward_again(proxy: FaultProxy) -> Iterator[None]:
    """Remove the proxy's reply and certificate after each test."""
    yield
    proxy.reply = proxy.certificate = None


@pytest.fixture(scope="module")
def sidecar(
    cloud: EmulatedCloud, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningSidecar]:
    """A sidecar with the profiles of `through`, all with credentials."""
    home = tmp_path_factory.mktemp("sidecar")
    with serve(through(cloud, proxy, home), home=home, env=ENV) as running:
        for name in ("token", "sts", "impatient"):
            running.process.event("credentials_issued", profile=name)
        all_output(running)  # loads modules once, which would otherwise count as growth of memory
        yield running


def through(cloud: EmulatedCloud, proxy: FaultProxy, home: Path) -> dict[str, Any]:
    """
    Return a configuration of three profiles: `sts` reaches STS through the proxy, the others their token endpoint.

    Only `impatient` has time limits that a busy machine may exceed.
    """
    settings = config(cloud, logging={"level": "debug"})
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    profile = json.dumps(settings["profiles"]["default"])
    token, sts = json.loads(profile), json.loads(profile)
    token["identity"]["tokenEndpoint"] = f"{proxy.url}/api/v2/iauths_system/oauth2/token"
    sts["exchange"]["endpoints"] = [proxy.url]
    impatient = json.loads(json.dumps(token))
    impatient["identity"]["httpConfiguration"] = {"connectTimeout": 2000, "readTimeout": 2000}
    settings["profiles"] = {"token": token, "sts": sts, "impatient": impatient}
    return settings


def refresh(sidecar: RunningSidecar, profile: str) -> dict[str, Any]:
    """Refresh a profile and return its status."""
    home = sidecar.config_path.parent
    done = run(
        "refresh",
        "--config",
        str(sidecar.config_path),
        "--profile",
        profile,
        "--json",
        env=environment(home),
    )
    return dict(json.loads(done.out)[0])


@pytest.mark.parametrize("profile", ["token", "sts"])
@pytest.mark.parametrize("name", REPLIES)
def test_faulty_response(sidecar: RunningSidecar, proxy: FaultProxy, name: str, profile: str) -> None:
    """A faulty response gives one error line without its content, and the last session is served until a good one."""
    reply, words = REPLIES[name]
    served = fetch(sidecar.urls["credentials"], f"/credentials/{profile}")
    before = sidecar.process.anonymous_bytes()
    proxy.reply, proxy.replies_sent = Repeatable(reply), 0
    status = refresh(sidecar, profile)
    growth = sidecar.process.anonymous_bytes() - before

    assert proxy.replies_sent >= 1
    assert (status["state"], status["last_error"] is None) == ("stale", False)
    assert words in status["last_error"]
    assert proxy.url in status["last_error"]
    assert "\n" not in status["last_error"]
    assert len(status["last_error"]) < 400
    assert not [text for text in TIME_LIMIT_ERRORS if text in status["last_error"]]
    assert growth < LARGEST_GROWTH
    assert fetch(sidecar.urls["credentials"], f"/credentials/{profile}").body == served.body
    assert CANARY.decode() not in all_output(sidecar)
    proxy.reply = None
    assert refresh(sidecar, profile)["state"] == "fresh"


class Repeatable:
    """A reply that can be sent more than once."""

    def __init__(self, reply: Callable[[], Reply]) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply())


def all_output(sidecar: RunningSidecar) -> str:
    """Return the log, the metrics, the status pages and the readiness probe as one text."""
    ops = sidecar.urls["ops"]
    pages = [fetch(ops, path).body.decode() for path in ("/metrics", "/status", "/status.json", "/readyz")]
    return "\n".join([*sidecar.process.stderr.lines(), *pages])


@pytest.mark.parametrize(("name", "reply"), [("slow body", slow_body), ("silence", silence)])
def test_slow_response(sidecar: RunningSidecar, proxy: FaultProxy, name: str, reply: Callable[[], Reply]) -> None:
    """A response that is slow or never arrives is given up at the limit; the last session is served."""
    proxy.reply = Repeatable(reply)
    status = refresh(sidecar, "impatient")

    assert status["state"] == "stale"
    assert [text for text in TIME_LIMIT_ERRORS if text in status["last_error"]]
    assert fetch(sidecar.urls["credentials"], "/credentials/impatient").status == 200


@pytest.mark.parametrize("wrong", ["unknown CA", "another host"])
def test_wrong_certificate(cloud: EmulatedCloud, proxy: FaultProxy, tmp_path: Path, wrong: str) -> None:
    """A certificate of another CA or for another host ends the call before anything is sent."""
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca.pem")
    issuer, host = (theirs, "127.0.0.1") if wrong == "unknown CA" else (ours, "other.example")
    proxy.certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(host).configure_cert(proxy.certificate)
    proxy.reply, proxy.replies_sent = [HEAD], 0
    settings = config(cloud, tls={"caFile": str(tmp_path / "ca.pem")})
    settings["profiles"]["default"]["exchange"]["endpoints"] = [proxy.url.replace("http:", "https:")]
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        error = sidecar.process.event("refresh_failed")["error"]

    assert "could not connect" in error
    assert "certificate" in error.lower()
    assert proxy.replies_sent == 0


def test_proxy_sends_the_reply(proxy: FaultProxy) -> None:
    """The proxy of this file does send its reply to a client."""
    proxy.reply = [CANARY]
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), DEADLINE) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: proxy.replies_sent > 0)

        assert client.recv(100) == CANARY
