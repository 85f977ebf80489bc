"""The models of `conformance` and the real clients, each at the same servers with faults: both must agree."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.uri_clients import URI_CLIENTS
from app.conformance.probe.caching_sender import CachingSender
from app.conformance.probe.context import Context
from app.conformance.probe.ecs_sequence import run_ecs_client
from app.conformance.probe.uri_sequence import run_uri_client
from app.conformance.wire.budget import Budget
from app.conformance.wire.sender import SocketSender
from app.conformance.wire.url import HttpUrl, parse_url

from ..e2e.credential_server import (
    KEYS,
    Careless,
    CredentialServer,
    FrameworkDefaults,
    ReceivedRequest,
    ServerResponse,
    error,
    listening,
    timestamp,
)
from .clients import CLIENTS, Client
from .conftest import bare_environment
from .namespace import METADATA, metadata_namespace
from .program import Program
from .test_clients import rows

PROGRAMS = {client.name: client for client in CLIENTS}
URI_MODELS = {
    "python-sync": "credentials-python",
    "python-async": "credentials-python async",
    "oss2-uri": "oss2",
    "node-uri": "credentials-nodejs",
}
ECS_MODELS = {"python-ecs-list": "credentials-python", "node-ecs-list": "credentials-nodejs"}
TEXT = ("Content-Type: text/plain",)


@dataclass
class Altered(CredentialServer):
    """A server with the members or the whole response changed."""

    change_members: Callable[[dict[str, object]], dict[str, object]] = lambda found: found
    change_response: Callable[[ServerResponse], ServerResponse] = lambda response: response

    def members(self) -> dict[str, object]:
        found = self.change_members(super().members())
        return {name: value for name, value in found.items() if value is not None}

    def credentials(self) -> ServerResponse:
        return self.change_response(super().credentials())


class ErrorWithKeys(CredentialServer):
    """A server that responds with 500 and the keys in the body."""

    def credentials(self) -> ServerResponse:
        return replace(super().credentials(), status=500)


class TokenPathFails(CredentialServer):
    """A server whose token path responds with 500."""

    def token(self) -> ServerResponse:
        return error(500, "InternalError")


class TokenWithLineEnd(CredentialServer):
    """A server with a line end after the token."""

    def token(self) -> ServerResponse:
        return ServerResponse(200, super().token().body + b"\n", TEXT)


class Redirecting(CredentialServer):
    """A server that redirects to the credentials."""

    def uri(self, request: ReceivedRequest) -> ServerResponse:
        redirected = request.path.startswith("/there")
        return super().uri(request) if redirected else ServerResponse(302, b"", (*TEXT, "Location: /there/credentials"))


def members(**changes: Any) -> CredentialServer:
    return Altered(change_members=lambda found: found | changes)


def expiration_ending(suffix: str) -> CredentialServer:
    """A server whose Expiration ends with `suffix` instead of Z."""
    return Altered(change_members=lambda found: found | {"Expiration": str(found["Expiration"])[:-1] + suffix})


def expires_in(seconds: float) -> CredentialServer:
    return members(Expiration=timestamp(time.time() + seconds), LastUpdated=timestamp(time.time() + seconds - 3600))


def gzipped(response: ServerResponse) -> ServerResponse:
    return replace(response, body=gzip.compress(response.body), headers=(*response.headers, "Content-Encoding: gzip"))


BODIES: dict[str, Callable[[], CredentialServer]] = {
    "correct": CredentialServer,
    "fraction of 3": lambda: expiration_ending(".123Z"),
    "fraction of 6": lambda: expiration_ending(".123456Z"),
    "offset": lambda: expiration_ending("+00:00"),
    "no Code": lambda: members(Code=None),
    "another Code": lambda: members(Code="Failed"),
    "no Expiration": lambda: members(Expiration=None),
    "nested": lambda: members(Other={"a": [1]}),
    "expires in 600 s": lambda: expires_in(600),
    "expired": lambda: expires_in(-600),
    "500 with keys": ErrorWithKeys,
    "gzip": lambda: Altered(change_response=gzipped),
    "no Content-Type": lambda: Altered(change_response=lambda response: replace(response, headers=())),
}
URI_SERVERS = BODIES | {"redirect": Redirecting, "Host with port": Careless}
ECS_SERVERS = BODIES | {
    "line ends, 405": FrameworkDefaults,
    "500 for a token": TokenPathFails,
    "line end after the token": TokenWithLineEnd,
}


def succeeds(client: Client, home: Path, *arguments: str) -> bool:
    """Whether the program gets the correct keys on its first call."""
    environment = {**bare_environment(home), **client.kit.environment, **client.environment}
    with Program([*client.kit.start(client.program), *arguments], environment, home / "stderr") as program:
        return program.call() == KEYS


def context(url: HttpUrl) -> Context:
    sender = SocketSender(url, Budget())
    return Context(CachingSender(lambda request: sender.send(request.raw)), time.time())


@pytest.mark.parametrize("server", URI_SERVERS.values(), ids=URI_SERVERS)
@pytest.mark.parametrize("client", rows(*(PROGRAMS[name] for name in URI_MODELS)))
def test_uri(client: Client, server: Callable[[], CredentialServer], tmp_path: Path) -> None:
    """A credentials URI client gets its credentials from a server exactly if its model works with that server."""
    model = next(model for model in URI_CLIENTS if model.name == URI_MODELS[client.name])
    with listening(server()) as base:
        url = parse_url(f"{base}/credentials")
        verdict = run_uri_client(model, url, context(url))

        assert succeeds(client, tmp_path, f"{base}/credentials") is (verdict.state == "works"), verdict.unmet


@pytest.mark.parametrize("server", ECS_SERVERS.values(), ids=ECS_SERVERS)
@pytest.mark.parametrize("client", rows(*(PROGRAMS[name] for name in ECS_MODELS)))
def test_ecs(client: Client, server: Callable[[], CredentialServer], tmp_path: Path) -> None:
    """An ECS metadata client gets its credentials at 100.100.100.200 exactly if its model works with that server."""
    model = next(model for model in ECS_CLIENTS if model.name == ECS_MODELS[client.name])
    with metadata_namespace(), listening(server(), (METADATA, 80)) as base:
        verdict = run_ecs_client(model, context(parse_url(base)))

        assert succeeds(client, tmp_path) is (verdict.state == "works"), verdict.unmet
