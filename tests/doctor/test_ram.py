"""Reading RAM for `doctor`: what is read, what is compared, and that the AccessKey is never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.core.errors import ConfigError, SidecarError, Unreachable
from app.doctor import output, ram
from app.doctor.finding import Step
from app.doctor.ram import Provider
from app.doctor.reading import Reading, not_read
from app.doctor.steps import provider, trust
from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ACCOUNT, PROVIDER_ARN, role_arn
from app.identity.jwt_claims import Claims
from app.upstream.acs3 import KeyPair
from app.upstream.response import UpstreamResponse

from ..clock import Clock
from ..conftest import configuration
from ..workload import Workload
from .ram_cases import key
from .scenario import PRESENTED, Cloud, Scenario

NOW = 1_000_000.0
CLAIMS = Claims("https://issuer.example", ("api.example",), "app", NOW - 7200, NOW + 600)
KNOWN = Provider(PROVIDER_ARN, "https://issuer.example", ("api.example",), (PRESENTED.fingerprint,), 12)


@pytest.fixture
def scenario(workload: Workload, clock: Clock) -> Scenario:
    """A healthy workload whose role is read from RAM."""
    return Scenario(workload, clock.clocks, Cloud(workload, clock.time), policy_file=False)


def profile(scenario: Scenario):
    """Return the profile of the scenario's configuration."""
    from app.config.loader import load

    path = scenario.workload.write_file("profile.json", json.dumps(configuration()))
    environ = scenario.environ
    return load(path, environ, hostname="h", now=scenario.clocks.wall, look=False).settings.profiles["default"]


def compared(scenario: Scenario, found: Provider, claims: Claims = CLAIMS) -> list[str]:
    """Return the codes of the step for a provider that RAM has."""
    reading = Reading(ram.Role(role_arn("default"), "{}"), found, PRESENTED)
    return [each.code for each in provider.run("default", profile(scenario), reading, claims, NOW).findings]


async def test_the_key_is_never_shown(scenario: Scenario) -> None:
    """Neither output has the AccessKey, whether RAM answers or refuses it."""
    for changes in ({}, {"may": ()}, {"active": False}):
        key(scenario, **changes)
        steps = await scenario.steps()
        text = "\n".join(line for step in steps for line in output.lines(step)) + json.dumps(output.document(steps))
        assert ACCESS_KEY_ID not in text + repr(steps)
        assert ACCESS_KEY_SECRET not in text + repr(steps)


async def test_only_role_and_provider_are_read(scenario: Scenario) -> None:
    """RAM receives one GetRole and one GetOIDCProvider, with signatures."""
    steps = await scenario.steps()

    calls = [call for call in scenario.workload.emulator.journal if call.kind == "ram"]
    assert [call.outcome for call in calls] == ["ok", "ok"]
    facts = next(step for step in steps if step.name == "OIDC provider").facts
    assert facts["client_ids"] == ["api.demo.example"]


def test_equal_values_have_no_finding(scenario: Scenario) -> None:
    """A provider that fits the token and the issuer's chain has no finding."""
    assert compared(scenario, KNOWN) == []


def test_old_token(scenario: Scenario) -> None:
    """A token that is older than the provider's issuance window is found before STS refuses it."""
    assert compared(scenario, replace(KNOWN, issuance_hours=1)) == ["IDS-406"]


def test_provider_of_another_account(scenario: Scenario) -> None:
    """RAM answers by name from the AccessKey's own account: another account's provider is not compared."""
    other = replace(KNOWN, arn=KNOWN.arn.replace(ACCOUNT, "9" * 16), issuer="https://other.example")

    assert compared(scenario, other) == ["IDS-436"]


def test_role_of_another_account(scenario: Scenario) -> None:
    """A role of the same name in another account is not compared."""
    reading = Reading(ram.Role(role_arn("default").replace(ACCOUNT, "9" * 16), "{}"), KNOWN, PRESENTED)
    step = trust.run("default", profile(scenario), None, reading, CLAIMS)

    assert [each.code for each in step.findings] == ["IDS-436"]


async def test_issuer_that_cannot_be_reached_is_no_finding(scenario: Scenario) -> None:
    """Where the issuer's certificate cannot be read, the other values are compared."""

    def presented(_url: str) -> None:
        raise Unreachable("127.0.0.1:443: connection refused")

    scenario.presented = presented  # type: ignore[assignment]
    found = {step.name: step for step in await scenario.steps()}

    assert _codes(found["OIDC provider"]) == []


def test_variable_that_is_not_set() -> None:
    """An AccessKey without its secret names the variable that is not set."""
    with pytest.raises(ConfigError, match=r"^SECRET: not set"):
        ram.keys_of(("ID", "SECRET", "TOKEN"), {"ID": "x"})

    assert ram.keys_of(("ID", "SECRET", "TOKEN"), {"ID": "x", "SECRET": "y", "TOKEN": "z"}).token == "z"


def _codes(step: Step) -> list[str]:
    return [each.code for each in step.findings]


class Answers:
    """Answers each request with the same JSON text."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> UpstreamResponse:
        """Return the text with status 200."""
        return UpstreamResponse(200, self.text.encode())


def reader(text: str) -> ram.RamReader:
    """Return a reader of a RAM that answers with `text`."""
    return ram.RamReader(Answers(text), ram.RamAccess(), KeyPair("ID", "SECRET", None), lambda: NOW, lambda: "nonce")


NO_OBJECTS = ('"text"', "7", "true", '["a"]', "[{}]", "1.5", "null", "[]", "0", '""')


@pytest.mark.parametrize("value", NO_OBJECTS)
@pytest.mark.parametrize("member", ["Role", "OIDCProvider"])
async def test_an_answer_without_the_object_is_a_finding(member: str, value: str) -> None:
    """RAM's answer whose role or provider is no object is a finding with the endpoint; no crash."""
    ram_reader = reader(f'{{"{member}": {value}}}')
    with pytest.raises(SidecarError) as caught:
        await (ram_reader.role(role_arn("default")) if member == "Role" else ram_reader.provider(PROVIDER_ARN))
    found = not_read(caught.value)

    assert found.state == "warning"
    assert found.message.startswith("reading RAM: https://")
    assert found.cure


@pytest.mark.parametrize("text", ['"Role"', "[]", "7", "null", "<html>", "", '{"Role": ' * 2_000])
async def test_an_answer_that_is_no_object_is_a_finding(text: str) -> None:
    """An answer of RAM that is no JSON object is a finding with the endpoint; no crash."""
    with pytest.raises(Unreachable) as caught:
        await reader(text).role(role_arn("default"))

    assert not_read(caught.value).message.startswith("reading RAM: https://")


MEMBERS = ('["a"]', "{}", "7", "-1", "1e99", "true", "null", '"text"', '"99999999999"')


@pytest.mark.parametrize("value", MEMBERS)
async def test_members_of_a_wrong_type_are_compared_as_they_are(scenario: Scenario, value: str) -> None:
    """A role and a provider whose members have other types than documented are read, and compared without a crash."""
    names = ("Arn", "AssumeRolePolicyDocument", "MaxSessionDuration", "IssuerUrl", "ClientIds", "Fingerprints")
    wrong = ", ".join(f'"{name}": {value}' for name in (*names, "IssuanceLimitTime"))
    ram_reader = reader(f'{{"Role": {{{wrong}}}, "OIDCProvider": {{{wrong}}}}}')
    role, found = await ram_reader.role(role_arn("default")), await ram_reader.provider(PROVIDER_ARN)

    answered = Reading(role, found, PRESENTED)
    named = Reading(replace(role, arn=role_arn("default")), replace(found, arn=PROVIDER_ARN), PRESENTED)
    for reading in (answered, named):  # of other objects, and of those that were asked for
        assert provider.run("default", profile(scenario), reading, CLAIMS, NOW).state != "ok"
        assert trust.run("default", profile(scenario), None, reading, CLAIMS).state != "ok"
    assert role.max_session in (0, 7)
