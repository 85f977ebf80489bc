"""The results of real clients with twenty responses, and the same responses given to the models of the clients."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.conformance.models.client import UriClient
from app.conformance.models.uri_clients import URI_CLIENTS
from app.conformance.probe.context import Context
from app.conformance.probe.uri_sequence import run_uri_client
from app.conformance.wire.request import Request
from app.conformance.wire.response import Outcome, Response
from app.conformance.wire.url import HttpUrl, parse_url
from app.core.formats import timestamp, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
URL = parse_url("http://127.0.0.1:7117/credentials")
CLIENTS = {client.name: client for client in URI_CLIENTS}
COLUMNS = (
    "credentials-python",
    "credentials-python async",
    "credentials-nodejs",
    "credentials-go",
    "credentials-java",
    "credentials-php",
    "oss2",
)


def session(seconds_left: float = 3600.0) -> Credentials:
    return Credentials(
        "STS.key", "se/cr+et=", "to/ke+n==", issued_at=NOW - 3600 + seconds_left, expires_at=NOW + seconds_left
    )


def make_response(content: bytes, *, kind: str | None = "application/json; charset=utf-8", **changes: Any) -> Response:
    headers = () if kind is None else (("content-type", kind),)
    return Response(changes.pop("status", 200), (*headers, *changes.pop("headers", ())), content, **changes)


def with_members(**changes: Any) -> Response:
    """A correct response with members changed; None removes a member."""
    members = json.loads(uri_document(session())) | changes
    return make_response(json.dumps({name: value for name, value in members.items() if value is not None}).encode())


PLAIN = uri_document(session())
END = timestamp(NOW + 3600)[:-1]
GZIPPED = make_response(gzip.compress(PLAIN), headers=(("content-encoding", "gzip"),))

# Seven letters, in the order of COLUMNS: o = works, x = fails, - = not run.
RUNS: list[tuple[str, str, Response]] = [
    ("correct response", "ooooooo", make_response(PLAIN)),
    ("fraction of 3", "xxooxox", with_members(Expiration=f"{END}.123Z")),
    ("fraction of 6", "xxxoxo-", with_members(Expiration=f"{END}.123456Z")),
    ("offset", "xxxxxox", with_members(Expiration=f"{END}+00:00")),
    ("Code missing", "xxooxox", with_members(Code=None)),
    ("Code Failed, keys present", "xxooxo-", with_members(Code="Failed")),
    ("extra scalar, object, array", "ooooooo", with_members(Extra="x", Other={"a": 1}, More=[1])),
    ("SecurityToken missing", "xxxxxx-", with_members(SecurityToken=None)),
    ("Expiration missing", "xxxxxx-", with_members(Expiration=None)),
    ("404", "xxxxxxx", make_response(PLAIN, status=404)),
    ("500", "xxxxxxx", make_response(PLAIN, status=500)),
    ("302 to a correct response", "ooxoxoo", make_response(b"", status=302, headers=(("location", "/good"),))),
    ("chunked", "ooooooo", make_response(PLAIN, framing="chunked")),
    ("gzip without Accept-Encoding", "ooooxo-", GZIPPED),
    ("text/plain", "oooooo-", make_response(PLAIN, kind="text/plain")),
    ("no Content-Type", "oooooo-", make_response(PLAIN, kind=None)),
    ("600 s left", "ooooooo", make_response(uri_document(session(600)))),
    ("expired for 10 s", "xxooxx-", make_response(uri_document(session(-10)))),
]


def state(client: UriClient, response: Response, url: HttpUrl = URL) -> str:
    """Return the model's verdict at a server that sends `response`, and a correct response at /good."""

    def send(request: Request, _purpose: str) -> Outcome:
        return make_response(PLAIN) if request.target == "/good" else response

    return run_uri_client(client, url, Context(send, NOW)).state


def states(response: Response, url: HttpUrl = URL) -> str:
    """Return one letter for each client in COLUMNS: o = works, x = fails."""
    letters = {"works": "o", "fails": "x"}
    return "".join(letters[state(CLIENTS[name], response, url)] for name in COLUMNS)


@pytest.mark.parametrize(("expected", "response"), [run[1:] for run in RUNS], ids=[run[0] for run in RUNS])
def test_models_agree_with_the_recorded_runs(expected: str, response: Response) -> None:
    """The model of each client accepts the responses that the client accepted, and rejects those that it rejected."""
    modelled = states(response)

    assert modelled == "".join(mine if run == "-" else run for mine, run in zip(modelled, expected, strict=True))


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://localhost:7117/credentials", "ooooooo"), ("http://[::1]:7117/credentials", "xxooooo")],
)
def test_hosts(url: str, expected: str) -> None:
    """All clients work with localhost. Python loses the brackets of [::1] and fails."""
    assert states(make_response(PLAIN), parse_url(url)) == expected


@pytest.mark.parametrize(
    ("client", "seconds_left", "expected"),
    [
        *((f"credentials-{name}", 901.0, False) for name in ("python", "nodejs", "java", "php")),
        *((f"credentials-{name}", 900.0, True) for name in ("python", "nodejs", "java", "php")),
        ("credentials-go", 181.0, False),
        ("credentials-go", 180.0, True),
        ("oss2", 600.0, False),
        ("oss2", 539.0, True),
        ("ack-ram-tool", 1861.0, False),
        ("ack-ram-tool", 1860.0, True),
        ("OSS Java EcsRamRoleCredentialsProvider", 3200.0, True),
        ("aliyun-java-sdk-core", 3600.0, True),
    ],
)
def test_margins(client: str, seconds_left: float, expected: bool) -> None:
    """A model fetches on every call if the client did so when it was run, or if its source says so."""
    context = Context(
        lambda _request, _purpose: make_response(uri_document(session(seconds_left))), NOW, seconds_left, 3600.0
    )

    remarks = run_uri_client(CLIENTS[client], URL, context).remarks

    assert any(text.startswith("fetches credentials on every call") for text in remarks) is expected


@pytest.mark.parametrize(
    ("client", "first_byte", "total", "expected"),
    [
        ("credentials-nodejs", 4.9, 4.9, "works"),
        ("credentials-nodejs", 5.0, 5.1, "fails"),
        ("credentials-python", 6.0, 6.0, "works"),
        ("credentials-python", 10.0, 10.0, "fails"),
        ("credentials-go", 6.0, 15.0, "fails"),
        ("ecctl", 6.0, 14.0, "works"),
        ("aliyun-cli", 100.0, 1000.0, "works"),
    ],
)
def test_timeouts(client: str, first_byte: float, total: float, expected: str) -> None:
    """Timeouts are those of the runs: Node 5 s until the first byte, Python 10 s, aliyun-cli none."""
    response = make_response(PLAIN, first_byte_seconds=first_byte, total_seconds=total)

    assert state(CLIENTS[client], response) == expected


def test_the_request_of_python() -> None:
    """Python sends Host without the port. It writes spaces as +, keeps the last duplicate and drops empty values."""
    url = parse_url("http://127.0.0.1:7117/ok/path?user=a%20b&x=1&x=2&blank=")

    python, node = (CLIENTS[name].request(url) for name in ("credentials-python", "credentials-nodejs"))

    assert (python.target, python.host) == ("/ok/path?user=a+b&x=2", "127.0.0.1")
    assert (node.target, node.host) == ("/ok/path?user=a%20b&x=1&x=2&blank=", "127.0.0.1:7117")
