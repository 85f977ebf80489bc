"""Every mistake of a file in one run: each is one line with its place and its code, and none follows from another."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import examine, load
from app.core.errors import ConfigError

from ..conftest import ENVIRON, configuration, exchange, identity
from .configurations import profile, write_file

ENVIRONMENT = {**ENVIRON, "SHORT": "short", "CACHE_KEY": "0" * 32, "PATH_TOKEN": "a-long-enough-path-token"}


def sound(tmp_path: Path) -> dict[str, Any]:
    """Return a valid configuration with every section, every kind of identity and both exchanges."""
    client = {
        "type": "oidcClient",
        "issuer": "https://idp.example.com",
        "clientId": "c",
        "clientAuthentication": {"method": "client_secret_basic", "clientSecretEnvVarName": "IDAAS_SECRET"},
    }
    managed = {"type": "developerApi", "roleArn": exchange()["roleArn"], "regionId": "cn-hangzhou"}
    chain = [{"roleArn": exchange()["roleArn"]}, {"roleArn": exchange()["roleArn"], "regionId": "cn-beijing"}]
    return configuration(
        profiles={
            "first": profile(chain=chain, files=[{"path": str(tmp_path / "a")}], callers={"uids": [1]}),
            "second": profile(identity=client, exchange=exchange(endpoints=["a.example.com", "b.example.com"])),
            "third": profile(identity={"type": "command", "command": ["/bin/sh"]}),
            "fourth": profile(identity={"type": "tokenFile", "tokenEnvVarName": "IDAAS_SECRET"}),
            "fifth": profile(identity=identity(scope=None), exchange=managed),
        },
        server={"bind": "127.0.0.1:1", "ops": "127.0.0.1:2", "metadata": None, "adminSocket": "@a"},
        metadata={"values": {"region-id": "cn-hangzhou", "vpc-id": "vpc-1"}},
        access={"allowedHosts": ["localhost", "127.0.0.1"], "pathToken": {"envVarName": "PATH_TOKEN"}},
        tls={"caFile": None},
        proxy="http://proxy.example.com:1",
        startup={"timeoutSeconds": 60},
        shutdown={"drainSeconds": 1},
        refresh={"maxRetrySeconds": 240},
        cache={"directory": "/c", "keyEnvVarName": "CACHE_KEY"},
        logging={"level": "info"},
        telemetry={"tracesEndpoint": None},
    )


SEEDS: list[tuple[str, Any]] = [
    ("profiles.first.identity.issuer", "http://idaas.example.com"),
    ("profiles.first.identity.tokenEndpoint", "nowhere"),
    ("profiles.first.identity.scope", "openid"),
    ("profiles.first.identity.idaasInstanceId", None),
    ("profiles.first.identity.clientId", 5),
    ("profiles.first.identity.httpConfiguration", {"readTimeout": 5}),
    ("profiles.first.identity.connection", {"proxy": "socks5://p:1"}),
    ("profiles.first.identity.authnConfiguration", {"authnMethod": "PKCS8"}),
    ("profiles.first.exchange.roleArn", "acs:ram::1:user/x"),
    ("profiles.first.exchange.oidcProviderArn", "x"),
    ("profiles.first.exchange.roleSessionName", "x"),
    ("profiles.first.exchange.policy", "[]"),
    ("profiles.first.exchange.durationSeconds", "1h"),
    ("profiles.first.exchange.endpoints", []),
    ("profiles.first.chain[0].roleArn", "x"),
    ("profiles.first.chain[0].policy", "{"),
    ("profiles.first.chain[1].roleArn", 3),
    ("profiles.first.chain[1].regionId", "CN"),
    ("profiles.first.files[0].path", "a"),
    ("profiles.first.callers", {}),
    ("profiles.first.onDenied", "exit"),
    ("profiles.second.identity.issuer", "https://idp.example.com?x"),
    ("profiles.second.identity.clientAuthentication.clientSecretEnvVarName", "NOT_SET"),
    ("profiles.second.exchange.endpoints[0]", "http://a.example.com"),
    ("profiles.second.exchange.endpoints[1]", "http://b.example.com"),
    ("profiles.third.identity.command", ["sh"]),
    ("profiles.third.identity.timeoutSeconds", 0),
    ("profiles.third.exchange", []),
    ("profiles.fourth.identity.tokenEnvVarName", "${NOT_SET}"),
    ("profiles.fourth.identity.tokenFiel", "/x"),
    ("profiles.fourth.exchange.policy", {"x": "y" * 2048}),
    ("profiles.fifth.exchange.regionId", "?"),
    ("profiles.fifth.exchange.roleArn", "x"),
    ("profiles.fifth.identity.idaasInstanceId", None),
    ("server.bind", "localhost"),
    ("server.ops", "7118"),
    ("server.adminSocket", "a"),
    ("metadata.values.vpc-id", ""),
    ("metadata.values.region-id", 1),
    ("metadata.identityDocument", "yes"),
    ("access.allowedHosts[0]", "a:80"),
    ("access.allowedHosts[1]", "b/"),
    ("access.pathToken", "secret"),
    ("access.hopLimit", 0),
    ("access.browsers", "never"),
    ("tls.caFile", "/nowhere.pem"),
    ("proxy", "proxy:1"),
    ("startup.timeoutSeconds", 0),
    ("shutdown.drainSeconds", -1),
    ("refresh.maxRetrySeconds", 3600),
    ("refresh.jitter", 1),
    ("cache.directory", "c"),
    ("cache.keyEnvVarName", "SHORT"),
    ("logging.level", "warn"),
    ("telemetry.tracesEndpoint", "collector"),
    ("severs", {}),
]
"""Where a mistake is put, and its value. Each is independent of all others."""

PLACES = {
    "profiles.first.identity.httpConfiguration": "profiles.first.identity.httpConfiguration.readTimeout",
    "profiles.first.identity.connection": "profiles.first.identity.connection.proxy",
    "profiles.first.identity.authnConfiguration": "profiles.first.identity.authnConfiguration.authnMethod",
    "profiles.third.identity.command": "profiles.third.identity.command[0]",
    "refresh.maxRetrySeconds": "refresh.permanentRetrySeconds",
    "cache.keyEnvVarName": "cache",
}
"""The place that a mistake is reported at, where that is another one."""


def planted(config: dict[str, Any], seeds: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the configuration with these mistakes."""
    found = copy.deepcopy(config)
    for place, value in seeds:
        *above, last = [int(word[1:-1]) if word[0] == "[" else word for word in re.findall(r"\[\d+\]|[^.\[]+", place)]
        part: Any = found
        for step in above:
            part = part[step]
        part[last] = value
    return found


def mistakes(tmp_path: Path, config: dict[str, Any], environ: dict[str, str]) -> list[tuple[str, str]]:
    """Return place and code of each line of the refusal."""
    path = write_file(tmp_path / "config.json", config)
    with pytest.raises(ConfigError) as caught:
        load(str(path), environ, hostname="h", now=lambda: 0.0)
    lines = caught.value.mistakes
    assert str(caught.value).splitlines() == list(lines)
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [(line.removeprefix(f"{path}: ").partition(": ")[0], line.error_code) for line in lines]


def test_the_configuration_without_mistakes_is_valid(tmp_path: Path) -> None:
    """The configuration into which mistakes are planted has none."""
    load(str(write_file(tmp_path / "c.json", sound(tmp_path))), ENVIRONMENT, hostname="h", now=lambda: 0.0)


@pytest.mark.parametrize("seed", SEEDS, ids=[place for place, _ in SEEDS])
def test_one_mistake_is_one_line(seed: tuple[str, Any], tmp_path: Path) -> None:
    """A single mistake is one line: nothing that follows from it is listed."""
    found = mistakes(tmp_path, planted(sound(tmp_path), [seed]), ENVIRONMENT)

    assert [place for place, _ in found] == [PLACES.get(seed[0], seed[0])]


def test_a_mistake_in_every_section_and_profile_at_once(tmp_path: Path) -> None:
    """All mistakes of a file are listed by one run, each with its place and a code of its own kind."""
    found = mistakes(tmp_path, planted(sound(tmp_path), SEEDS), ENVIRONMENT)

    assert sorted(place for place, _ in found) == sorted(PLACES.get(place, place) for place, _ in SEEDS)
    assert "IDS-100" not in {code for _, code in found}
    assert {place.split(".")[0].partition("[")[0] for place, _ in found} == set(sound(tmp_path)) - {"configVersion"} | {
        "severs"
    }


@pytest.mark.parametrize("number", range(60))
def test_as_many_lines_as_independent_mistakes(number: int, tmp_path: Path) -> None:
    """Any choice of k independent mistakes is reported as k lines."""
    rng = random.Random(number)
    seeds = rng.sample(SEEDS, rng.randint(2, len(SEEDS)))

    found = mistakes(tmp_path, planted(sound(tmp_path), seeds), ENVIRONMENT)

    assert sorted(place for place, _ in found) == sorted(PLACES.get(place, place) for place, _ in seeds)


CONSEQUENCES: list[tuple[list[tuple[str, Any]], list[str]]] = [
    # A name that is misspelt is not missing as well, also where another key depends on it.
    ([("profiles.first.exchange", {"rolearn": "x", "oidcProviderArn": exchange()["oidcProviderArn"]})], ["rolearn"]),
    ([("profiles.second.exchange.regionID", "x"), ("profiles.second.exchange.vpc", True)], ["regionID"]),
    (
        [("profiles.second.identity.clientAuthentication", {"clientSecret": "x"})],
        ["clientSecret"],
    ),
    # The region of the exchange is that of its chain.
    (
        [
            ("profiles.first.exchange.endpoints", None),
            ("profiles.first.exchange.regionId", "?"),
            ("profiles.first.exchange.vpc", True),
        ],
        ["regionId"],
    ),
    # What cannot be read is not compared with anything.
    ([("server.bind", 5), ("server.ops", "127.0.0.1:7117")], ["bind"]),
    ([("access.metadataTokens", "require"), ("server.metadata", "127.0.0.1:80")], ["metadataTokens"]),
    ([("cache.keyEnvVarName", 5)], ["keyEnvVarName"]),
    ([("cache.directory", 5)], ["directory"]),
    ([("refresh.minRetrySeconds", "1"), ("refresh.maxRetrySeconds", 1)], ["minRetrySeconds"]),
    ([("profiles.first.callers", {"uids": ["x"]})], ["uids[0]"]),
    ([("profiles.first.identity", {"clientConfigPath": "/nowhere.json"})], ["clientConfigPath"]),
    ([("profiles.first.identity", {"clientConfigPath": 5})], ["clientConfigPath"]),
    ([("profiles.first.identity", {"clientConfigPath": "${NOT_SET}/c.json"})], ["clientConfigPath"]),
    ([("profiles.fifth.identity", 3)], ["identity"]),
    ([("profiles.fifth.exchange.regionId", 3), ("profiles.fifth.exchange.vpc", True)], ["regionId"]),
    (
        [("metadata.values", {"Instance-id": "x"}), ("metadata.identityDocument", 1)],
        ["identityDocument", "Instance-id"],
    ),
]


@pytest.mark.parametrize(("seeds", "ends"), CONSEQUENCES, ids=range(len(CONSEQUENCES)))
def test_a_consequence_is_not_listed(seeds: list[tuple[str, Any]], ends: list[str], tmp_path: Path) -> None:
    """A mistake that ends when another one is corrected is not listed beside it."""
    found = mistakes(tmp_path, planted(sound(tmp_path), seeds), ENVIRONMENT)

    assert len(found) == len(ends)
    assert [place.rpartition(".")[2] for place, _ in found] == ends


@pytest.mark.parametrize("name", ["Two", "two words", "zwölf", 'a"b', "a\nb", ""])
def test_a_profile_keeps_one_place_whatever_its_name(name: str, tmp_path: Path) -> None:
    """A wrong name of a profile does not hide what could not be read below it: no consequence is listed."""
    wrong = {"identity": {"type": "magic"}, "files": [{"path": "relative", "format": "x"}]}
    config = sound(tmp_path)
    config["profiles"][name] = wrong

    found = mistakes(tmp_path, config, ENVIRONMENT)

    place = found[0][0]
    below = ["", ".identity.type", ".exchange", ".files[0].format", ".files[0].path"]
    assert sorted(found_place for found_place, _ in found) == sorted(f"{place}{end}" for end in below)


def test_mistakes_of_the_form_do_not_hide_others(tmp_path: Path) -> None:
    """Comments, duplicate keys, numbers that JSON does not have and last commas are reported with other mistakes."""
    text = json.dumps(configuration(shutdown={"drainSeconds": "1"}, prxy="x"), indent=1)
    text = text[:-2] + ',\n "startup": {"timeoutSeconds": NaN, // 60\n  "gate": "none", "gate": "never"},\n}'
    path = write_file(tmp_path / "config.json", text)
    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON, hostname="h", now=lambda: 0.0)
    found = [re.sub(r"config\.json:[0-9:]+", "config.json:", line.rpartition("/")[2]) for line in caught.value.mistakes]

    assert [line.partition(";")[0] for line in found] == [
        "config.json: NaN is not a number of JSON",
        "config.json: a comment, which JSON does not have",
        'config.json: the key "gate" appears twice in one object',
        "config.json: a comma after the last member, which JSON does not allow",
        "config.json: shutdown.drainSeconds: must be a number, not a string",
        "config.json: prxy: unknown key",
        "config.json: startup.gate: 'never' is not known in this version, which accepts credentials, listening, "
        "timeout",
    ]


@pytest.mark.parametrize("wrong", [("configVersion",), ("type",), ("policy", "Statement", 0, "Effect")])
def test_value_that_is_no_number_is_one_mistake(wrong: tuple[Any, ...], tmp_path: Path) -> None:
    """NaN is one mistake of the file, also as a tag and within a policy. STS gets the policy as JSON."""
    document = configuration()
    section = document["profiles"]["default"]["exchange" if len(wrong) > 1 else "identity"]
    if len(wrong) > 1:
        section["policy"] = {"Version": "1", "Statement": [{"Effect": "NO NUMBER", "Action": "*", "Resource": "*"}]}
    elif wrong == ("type",):
        section["type"] = "NO NUMBER"
    else:
        document["configVersion"] = "NO NUMBER"
    path = write_file(tmp_path / "config.json", json.dumps(document).replace('"NO NUMBER"', "NaN"))
    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON, hostname="h", now=lambda: 0.0)

    assert [line.partition(": ")[2] for line in caught.value.mistakes] == ["NaN is not a number of JSON"]


def test_name_of_the_file_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake at a line of `server.json` does not belong to the section `server`."""
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "server.json", json.dumps(configuration())[:-1] + "} // a comment")
    examined = examine("server.json", ENVIRON, hostname="h")

    assert len(examined.found) == 1
    assert "server" not in examined.wrong_sections()
