"""Real client SDKs, each in a process of its own, against a real `demo` process."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter

import pytest

from .clients import CLIENTS, KITS, Client, Kit, in_ci
from .conftest import Sidecar

CLIENT_SECONDS = 60
STATIC = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIstatic", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "static"}

Environment = dict[str, str]


def rows(*clients: Client) -> list[object]:
    """The clients as parameters; those not installed are skipped, though never in CI."""
    return [pytest.param(each, id=each.name, marks=_marks(each)) for each in clients]


def _marks(client: Client) -> list[pytest.MarkDecorator]:
    lacks = client.kit.lacks
    skip = pytest.mark.skipif(lacks is not None and not in_ci(), reason=f"skipped: {lacks}")
    return [pytest.mark.interop, skip]


def run(client: Client, sidecar: Sidecar, profile: str, environment: Environment, calls: int = 1) -> dict[str, str]:
    """What the client program got with its last call."""
    lacks = client.kit.lacks
    assert lacks is None, f"{client.name}: {lacks}"
    arguments, variables = told(client, sidecar, profile)
    completed = subprocess.run(
        [*client.kit.start(client.program), *arguments],
        env={**environment, **client.kit.environment, **client.environment, **variables, "INTEROP_CALLS": str(calls)},
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    (line,) = completed.stdout.splitlines()
    return json.loads(line)


def told(client: Client, sidecar: Sidecar, profile: str) -> tuple[list[str], Environment]:
    """The arguments and variables that lead the client to the profile."""
    uri = sidecar.uri_of(profile)
    match client.protocol:
        case "uri":
            return [uri], {}
        case "chain":
            return [], {**sidecar.variables, "ALIBABA_CLOUD_CREDENTIALS_URI": uri}
        case "ecs":
            return [sidecar.metadata_url, profile], {}
        case _:
            return [sidecar.metadata_url], {}


def times(calls: int, client: Client) -> Counter[tuple[str, str]]:
    """What so many calls of the client cost: all answered with 200."""
    factor = calls if client.every_call else 1
    return Counter({(endpoint, "200"): count * factor for endpoint, count in client.costs.items()})


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_what_the_sidecar_holds(client: Client, sidecar: Sidecar, environment: Environment) -> None:
    """Every client reads the default profile's three values, as a plain GET does."""
    before = sidecar.held("default")
    read = run(client, sidecar, "default", environment)

    # A refresh may fall between; then the client has the newer ones.
    assert read in (before, sidecar.held("default"))


@pytest.mark.parametrize("client", rows(*(each for each in CLIENTS if each.protocol != "ecs-list")))
def test_gets_the_profile_it_names(client: Client, sidecar: Sidecar, environment: Environment) -> None:
    """By its URI, or as its ECS role name, every client reaches another profile than the default one."""
    before = sidecar.held("p2")
    read = run(client, sidecar, "p2", environment)

    assert read in (before, sidecar.held("p2"))
    assert read != sidecar.held("default")


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_asks_no_more_than_its_margin_says(client: Client, sidecar: Sidecar, environment: Environment) -> None:
    """Five calls cost one fetch, unless the margin is as long as the session; and no request is refused or repeated."""
    before = sidecar.answered()
    run(client, sidecar, "default", environment, calls=5)

    assert sidecar.answered() - before == times(5, client)


@pytest.mark.parametrize("client", rows(*(each for each in CLIENTS if each.protocol == "chain")))
def test_static_keys_beat_the_sidecar(client: Client, sidecar: Sidecar, environment: Environment) -> None:
    """The trap: with an AccessKey in the environment the default chain never asks the sidecar."""
    before = sidecar.answered()
    read = run(client, sidecar, "default", {**environment, **STATIC})

    assert (read["AccessKeyId"], read["AccessKeySecret"]) == tuple(STATIC.values())
    assert sidecar.answered() == before


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_pins_are_hashes_and_name_no_registry(kit: Kit) -> None:
    """The locks install from whatever index pip and npm are set up for, and only what they have the hash of."""
    lock = kit.lock.read_text()

    assert re.search(r"sha256:|sha512-", lock)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|\"resolved\"", lock)
