"""The models of `conformance` against the clients that can be run: both at the same odd server, with the same end."""

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
from app.conformance.probe.target import Once
from app.conformance.probe.walk import Scene, walk_ecs, walk_uri
from app.conformance.wire.address import Address, address
from app.conformance.wire.exchange import Budget, Wire

from ..e2e.credential_server import KEYS, Asked, Careless, CredentialServer, Given, Streaming, error, listening, text
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
    """Right but for its members, or but for each of its answers."""

    change: Callable[[dict[str, object]], dict[str, object]] = lambda found: found
    dress: Callable[[Given], Given] = lambda given: given

    def members(self) -> dict[str, object]:
        found = self.change(super().members())
        return {name: value for name, value in found.items() if value is not None}

    def credentials(self) -> Given:
        return self.dress(super().credentials())


class Failing(CredentialServer):
    """500 with the keys in its body."""

    def credentials(self) -> Given:
        return replace(super().credentials(), status=500)


class Unnamed(CredentialServer):
    """A token path that breaks off with 500."""

    def token(self) -> Given:
        return error(500, "InternalError")


class LineEnds(CredentialServer):
    """A line end behind the token."""

    def token(self) -> Given:
        return Given(200, super().token().body + b"\n", TEXT)


class Redirecting(CredentialServer):
    """Each credential is one step away."""

    def uri(self, asked: Asked) -> Given:
        there = asked.path.startswith("/there")
        return super().uri(asked) if there else Given(302, b"", (*TEXT, "Location: /there/credentials"))


def members(**changes: Any) -> CredentialServer:
    return Altered(change=lambda found: found | changes)


def end(suffix: str) -> CredentialServer:
    """Expiration with another ending in the place of Z."""
    return Altered(change=lambda found: found | {"Expiration": str(found["Expiration"])[:-1] + suffix})


def ends_in(seconds: float) -> CredentialServer:
    return members(Expiration=text(time.time() + seconds), LastUpdated=text(time.time() + seconds - 3600))


def zipped(given: Given) -> Given:
    return replace(given, body=gzip.compress(given.body), headers=(*given.headers, "Content-Encoding: gzip"))


BODIES: dict[str, Callable[[], CredentialServer]] = {
    "right": CredentialServer,
    "fraction of 3": lambda: end(".123Z"),
    "fraction of 6": lambda: end(".123456Z"),
    "offset": lambda: end("+00:00"),
    "no Code": lambda: members(Code=None),
    "another Code": lambda: members(Code="Failed"),
    "no Expiration": lambda: members(Expiration=None),
    "nested": lambda: members(Other={"a": [1]}),
    "ends in 600 s": lambda: ends_in(600),
    "ended": lambda: ends_in(-600),
    "500 with keys": Failing,
    "gzip": lambda: Altered(dress=zipped),
    "no Content-Type": lambda: Altered(dress=lambda given: replace(given, headers=())),
}
URI_SERVERS = BODIES | {"redirect": Redirecting, "Host with port": Careless}
ECS_SERVERS = BODIES | {"line ends, 405": Streaming, "500 for a token": Unnamed, "line end behind the token": LineEnds}


def succeeds(client: Client, home: Path, *arguments: str) -> bool:
    """Whether the program, asked once, gives the true values."""
    environment = {**bare_environment(home), **client.kit.environment, **client.environment}
    with Program([*client.kit.start(client.program), *arguments], environment, home / "stderr") as program:
        return program.ask() == KEYS


def scene(where: Address) -> Scene:
    wire = Wire(where, Budget())
    return Scene(Once(lambda ask: wire.ask(ask.raw)), time.time())


@pytest.mark.parametrize("server", URI_SERVERS.values(), ids=URI_SERVERS)
@pytest.mark.parametrize("client", rows(*(PROGRAMS[name] for name in URI_MODELS)))
def test_uri(client: Client, server: Callable[[], CredentialServer], tmp_path: Path) -> None:
    """A client of the URI gets its credentials exactly where its model says so."""
    model = next(model for model in URI_CLIENTS if model.name == URI_MODELS[client.name])
    with listening(server()) as base:
        where = address(f"{base}/credentials")
        said = walk_uri(model, where, scene(where))

        assert succeeds(client, tmp_path, f"{base}/credentials") is (said.state == "works"), said.unmet


@pytest.mark.parametrize("server", ECS_SERVERS.values(), ids=ECS_SERVERS)
@pytest.mark.parametrize("client", rows(*(PROGRAMS[name] for name in ECS_MODELS)))
def test_ecs(client: Client, server: Callable[[], CredentialServer], tmp_path: Path) -> None:
    """So does a client of the metadata address, at that address."""
    model = next(model for model in ECS_CLIENTS if model.name == ECS_MODELS[client.name])
    with metadata_namespace(), listening(server(), (METADATA, 80)) as base:
        said = walk_ecs(model, scene(address(base)))

        assert succeeds(client, tmp_path) is (said.state == "works"), said.unmet
