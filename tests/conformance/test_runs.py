"""The table of what real clients made of twenty answers: the models make the same of them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.conformance.models.client import UriClient
from app.conformance.models.uri_clients import URI_CLIENTS
from app.conformance.probe.walk import Scene, walk_uri
from app.conformance.wire.address import Address, address
from app.conformance.wire.answer import Answer, Reply
from app.core.formats import timestamp, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
URL = address("http://127.0.0.1:7117/credentials")
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


def session(left: float = 3600.0) -> Credentials:
    return Credentials("STS.key", "se/cr+et=", "to/ke+n==", issued_at=NOW - 3600 + left, expires_at=NOW + left)


def good(content: bytes, *, kind: str | None = "application/json; charset=utf-8", **changes: Any) -> Answer:
    headers = () if kind is None else (("content-type", kind),)
    return Answer(changes.pop("status", 200), (*headers, *changes.pop("headers", ())), content, **changes)


def altered(**changes: Any) -> Answer:
    """The good answer with members changed, or taken away by None."""
    found = json.loads(uri_document(session())) | changes
    return good(json.dumps({name: value for name, value in found.items() if value is not None}).encode())


PLAIN = uri_document(session())
END = timestamp(NOW + 3600)[:-1]
ZIPPED = good(gzip.compress(PLAIN), headers=(("content-encoding", "gzip"),))

# Seven letters, in the order of COLUMNS: o works, x fails, - was not run.
RUNS: list[tuple[str, str, Answer]] = [
    ("plain good answer", "ooooooo", good(PLAIN)),
    ("fraction of 3", "xxooxox", altered(Expiration=f"{END}.123Z")),
    ("fraction of 6", "xxxoxo-", altered(Expiration=f"{END}.123456Z")),
    ("offset", "xxxxxox", altered(Expiration=f"{END}+00:00")),
    ("Code missing", "xxooxox", altered(Code=None)),
    ("Code Failed, keys present", "xxooxo-", altered(Code="Failed")),
    ("extra scalar, object, array", "ooooooo", altered(Extra="x", Other={"a": 1}, More=[1])),
    ("SecurityToken missing", "xxxxxx-", altered(SecurityToken=None)),
    ("Expiration missing", "xxxxxx-", altered(Expiration=None)),
    ("404", "xxxxxxx", good(PLAIN, status=404)),
    ("500", "xxxxxxx", good(PLAIN, status=500)),
    ("302 to a good answer", "ooxoxoo", good(b"", status=302, headers=(("location", "/good"),))),
    ("chunked", "ooooooo", good(PLAIN, framing="chunked")),
    ("gzip unasked", "ooooxo-", ZIPPED),
    ("text/plain", "oooooo-", good(PLAIN, kind="text/plain")),
    ("no Content-Type", "oooooo-", good(PLAIN, kind=None)),
    ("life 600", "ooooooo", good(uri_document(session(600)))),
    ("life -10", "xxooxx-", good(uri_document(session(-10)))),
]


def walked(client: UriClient, answer: Answer, where: Address = URL) -> str:
    """`works` or `fails`, where the server gives this answer, and a good one at /good."""

    def asking(ask: Any, _turn: str) -> Reply:
        return good(PLAIN) if ask.target == "/good" else answer

    return walk_uri(client, where, Scene(asking, NOW)).state


@pytest.mark.parametrize(("expected", "answer"), [run[1:] for run in RUNS], ids=[run[0] for run in RUNS])
def test_the_models_do_as_the_clients_did(expected: str, answer: Answer) -> None:
    """Each answer is taken and refused by the models of those clients that took and refused it when they were run."""
    letters = {"works": "o", "fails": "x"}
    got = "".join(letters[walked(CLIENTS[name], answer)] for name in COLUMNS)

    assert got == "".join(mine if theirs == "-" else theirs for mine, theirs in zip(got, expected, strict=True))


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://localhost:7117/credentials", "ooooooo"), ("http://[::1]:7117/credentials", "xxooooo")],
)
def test_hosts(url: str, expected: str) -> None:
    """localhost works everywhere; Python loses the brackets of [::1]."""
    letters = {"works": "o", "fails": "x"}

    assert "".join(letters[walked(CLIENTS[name], good(PLAIN), address(url))] for name in COLUMNS) == expected


@pytest.mark.parametrize(
    ("client", "left", "expected"),
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
def test_margins(client: str, left: float, expected: bool) -> None:
    """Who asks on every call is who did so when it was run, or is said to by its source."""
    scene = Scene(lambda _ask, _turn: good(uri_document(session(left))), NOW, left, 3600.0)

    remarks = walk_uri(CLIENTS[client], URL, scene).remarks

    assert any(text.startswith("asks on every call") for text in remarks) is expected


@pytest.mark.parametrize(
    ("client", "first_byte", "whole", "state"),
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
def test_patience(client: str, first_byte: float, whole: float, state: str) -> None:
    """Who gives up when is as it was run: Node after 5 s without a byte, Python after 10, aliyun-cli never."""
    assert walked(CLIENTS[client], good(PLAIN, first_byte=first_byte, seconds=whole)) == state


def test_python_asks_its_own_query() -> None:
    """Python sends Host without the port, and a query with blanks as +, the last of duplicates, no empty values."""
    where = address("http://127.0.0.1:7117/ok/path?user=a%20b&x=1&x=2&blank=")

    python, node = (CLIENTS[name].ask(where) for name in ("credentials-python", "credentials-nodejs"))

    assert (python.target, python.host) == ("/ok/path?user=a+b&x=2", "127.0.0.1")
    assert (node.target, node.host) == ("/ok/path?user=a%20b&x=1&x=2&blank=", "127.0.0.1:7117")
