"""Reading RAM for `doctor`: what is read, what is compared, and that the AccessKey is never shown."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.core.clocks import Clocks
from app.core.errors import ConfigError, SidecarError, Unreachable
from app.doctor import output, ram
from app.doctor.consequences import independent
from app.doctor.finding import Step
from app.doctor.ram import Provider, RamAccess
from app.doctor.reading import Reading, not_read
from app.doctor.steps import account, provider, trust
from app.emulator import Fault
from app.emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    ACCOUNT,
    ISSUER,
    OIDC_AUDIENCE,
    OIDC_CLIENT_ID,
    PROVIDER_ARN,
    WORKLOAD_AUDIENCE,
    role_arn,
    workload_issuer,
)
from app.identity.jwt_claims import Claims
from app.upstream.acs3 import KeyPair
from app.upstream.response import UpstreamResponse

from ..clock import Clock
from ..conftest import configuration
from ..workload import Workload
from .cloud_cases import provider as provider_in_ram
from .cloud_cases import token_file, trusts
from .network_cases import unconnected
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


OTHER = "9" * 16


def test_another_account_is_not_compared(scenario: Scenario) -> None:
    """RAM answers by name from the AccessKey's own account: its role and provider are not compared with other ARNs."""
    known = replace(KNOWN, arn=KNOWN.arn.replace(ACCOUNT, OTHER), issuer="https://other.example")
    reading = Reading(ram.Role(role_arn("default").replace(ACCOUNT, OTHER), "{}"), known, PRESENTED, OTHER)
    steps = [
        account.run("default", profile(scenario), reading),
        provider.run("default", profile(scenario), reading, CLAIMS, NOW),
        trust.run("default", profile(scenario), None, reading, CLAIMS),
    ]

    assert [step.state for step in steps] == ["warning", "skipped", "skipped"]
    assert _codes(steps[0]) == ["IDS-436"]
    assert f"use an AccessKey of the account {ACCOUNT}" in steps[0].findings[0].cure


@pytest.mark.parametrize("policy_file", [True, False], ids=["policy in a file", "policy from RAM"])
async def test_account_typo_in_the_provider(policy_file: bool, scenario: Scenario) -> None:
    """A typo in oidcProviderArn is the one finding; its cure names the right ARN, and none changes the policy."""
    scenario.policy_file = policy_file
    scenario.put("exchange.oidcProviderArn", PROVIDER_ARN.replace(ACCOUNT, OTHER))
    steps = await scenario.steps()

    (found,) = independent(steps)
    assert (found.code, found.cure) == ("IDS-402", f"write {PROVIDER_ARN} into oidcProviderArn")
    assert "write oidcProviderArn into" not in json.dumps(output.document(steps))
    assert [(each.code, each.follows) for each in _step(steps, "exchange").findings] == [("IDS-402", ("IDS-402",))]
    assert output.verdict(steps).startswith("1 finding: IDS-402;")


async def test_account_typo_in_the_role(scenario: Scenario) -> None:
    """A typo in roleArn is the one finding; its cure names the right ARN."""
    scenario.put("exchange.roleArn", role_arn("default").replace(ACCOUNT, OTHER))
    (found,) = independent(await scenario.steps())

    assert (found.code, found.cure) == ("IDS-412", f"write {role_arn('default')} into roleArn")


async def test_account_typo_without_reading(scenario: Scenario) -> None:
    """Without RAM, two accounts are found before STS refuses, and the policy of a file is not blamed."""
    scenario.ram, scenario.policy_file = None, True
    scenario.put("exchange.oidcProviderArn", PROVIDER_ARN.replace(ACCOUNT, OTHER))
    steps = await scenario.steps()

    (found,) = independent(steps)
    assert found.code == "IDS-402"
    assert "into roleArn and oidcProviderArn" in found.cure
    assert _step(steps, "trust policy").state == "skipped"


async def test_account_of_an_access_key_that_finds_nothing(scenario: Scenario) -> None:
    """Where RAM has neither role nor provider, STS tells the AccessKey's account, and RAM's answers mean nothing."""
    for key_name, arn in (("oidcProviderArn", PROVIDER_ARN), ("roleArn", role_arn("default"))):
        scenario.put(f"exchange.{key_name}", f"{arn.replace(ACCOUNT, OTHER)}-absent")
    steps = await scenario.steps()

    assert _codes(_step(steps, "account")) == ["IDS-436"]
    assert [_step(steps, name).state for name in ("OIDC provider", "trust policy")] == ["skipped", "skipped"]


async def test_findings_are_in_the_order_of_repair(scenario: Scenario) -> None:
    """The provider's issuer comes first; the policy has the same issuer, so its finding and STS's refusal follow."""
    provider_in_ram(scenario, issuer_url=f"{ISSUER}/")
    trusts(scenario, iss=f"{ISSUER}/")
    steps = await scenario.steps()

    assert [each.code for each in independent(steps)] == ["IDS-405"]
    (condition,) = _step(steps, "trust policy").findings
    assert (condition.code, condition.follows) == ("IDS-430", ("IDS-405",))
    (refusal,) = _step(steps, "exchange").findings
    assert (refusal.code, refusal.follows) == ("IDS-408", ("IDS-405",))
    assert refusal.cure == "correct IDS-405 above; this follows from it"


async def test_token_of_another_audience_is_one_mistake(scenario: Scenario) -> None:
    """The cure is a token for the provider's audience. A change in RAM comes second, and says what RAM then accepts."""
    token_file(scenario, scenario.workload.emulator.workload_token(aud=["vault.demo.example"]))
    steps = await scenario.steps()

    (found,) = independent(steps)
    audiences = " or ".join(map(repr, (WORKLOAD_AUDIENCE, OIDC_AUDIENCE, OIDC_CLIENT_ID)))
    assert found.cure.startswith(f"request the token with the audience {audiences}: correct the program that writes /")
    _, _, change = found.cure.partition("; if this token is right, ")
    assert change.startswith("add the token's aud by `aliyun ims AddClientIdToOIDCProvider")
    issuer = workload_issuer(scenario.workload.emulator.world)
    assert f"RAM then accepts every token that {issuer} issues for 'vault.demo.example'" in change
    (condition,) = _step(steps, "trust policy").findings
    assert (condition.code, condition.follows) == ("IDS-429", ("IDS-404",))


async def test_different_audiences_in_ram_are_two_mistakes(scenario: Scenario) -> None:
    """A policy with an audience that the provider lacks does not follow from the provider's finding."""
    provider_in_ram(scenario, client_ids=("other.example",))
    trusts(scenario, aud="third.example")

    assert [each.code for each in independent(await scenario.steps())] == ["IDS-404", "IDS-429"]


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("aud", "profiles.default.identity.scope"),
        ("sub", "profiles.default.identity.clientId, with that client's own secret or key"),
        ("iss", "profiles.default.identity.tokenEndpoint"),
    ],
)
async def test_cure_names_what_determines_the_claim(claim: str, source: str, scenario: Scenario) -> None:
    """For an identity with a server, the first cure names the key of the configuration behind the claim."""
    trusts(scenario, **{claim: "another"})
    (found,) = _step(await scenario.steps(), "trust policy").findings

    assert f" 'another': correct {source}; if this token is right, write " in found.cure
    assert found.cure.endswith("that meets the other conditions may then assume the role")


async def test_cure_does_not_advise_what_is_done(scenario: Scenario) -> None:
    """Where RAM was read and fits, the cure of a refusal does not advise to read RAM."""
    scenario.workload.emulator.faults.add(Fault("sts", code="AuthenticationFail.NoPermission", times=None))
    (found,) = _step(await scenario.steps(), "exchange").findings
    assert found.code == "IDS-401"
    assert "doctor" not in found.cure

    scenario.ram = None
    (found,) = _step(await scenario.steps(), "exchange").findings
    assert "`idaas-sidecar doctor --read-ram` shows both" in found.cure


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        (None, "allow this machine to reach ram.aliyuncs.com, ims.aliyuncs.com, sts.aliyuncs.com, or name another URL"),
        ("https://ram.example", "correct the URL of --ram-endpoint, or leave it out"),
    ],
)
async def test_ram_that_cannot_be_reached(endpoint: str | None, says: str, scenario: Scenario) -> None:
    """RAM's host is not in the configuration: the cure does not send the reader there."""
    scenario.ram = RamAccess(("RAM_ID", "RAM_SECRET", ""), endpoint=endpoint)
    for host in ("ram.aliyuncs.com", "ims.aliyuncs.com", "sts.aliyuncs.com", "ram.example"):
        scenario.cloud.failures[host] = unconnected(errno.ECONNREFUSED)
    steps = await scenario.steps()

    (found,) = independent(steps)
    assert (found.code, found.state) == ("IDS-203", "warning")
    assert says in found.cure


async def test_clock_that_is_off(scenario: Scenario) -> None:
    """A clock 20 minutes ahead is found before the token, whose life is judged by the servers' clock."""
    behind = scenario.clocks
    scenario.clocks = Clocks(lambda: behind.wall() + 1200, behind.monotonic)
    scenario.cloud.clock_offset = 0.001
    steps = await scenario.steps()

    assert [each.code for each in independent(steps)] == ["IDS-214"]
    names = [step.name for step in steps]
    assert names.index("clock") < names.index("token")
    assert re.search(r"expires in 1[12][0-9][0-9] s", _step(steps, "token").summary)


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


def _step(steps: list[Step], name: str) -> Step:
    return next(step for step in steps if step.name == name)


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
    return ram.RamReader(Answers(text), ram.RamAccess(), KeyPair("ID", "SECRET", None), lambda _: NOW, lambda: "nonce")


NO_OBJECTS = ('"text"', "7", "true", '["a"]', "[{}]", "1.5", "null", "[]", "0", '""')


@pytest.mark.parametrize("value", NO_OBJECTS)
@pytest.mark.parametrize("member", ["Role", "OIDCProvider"])
async def test_an_answer_without_the_object_is_a_finding(member: str, value: str) -> None:
    """RAM's answer whose role or provider is no object is a finding with the endpoint; no crash."""
    ram_reader = reader(f'{{"{member}": {value}}}')
    with pytest.raises(SidecarError) as caught:
        await (ram_reader.role(role_arn("default")) if member == "Role" else ram_reader.provider(PROVIDER_ARN))
    found = not_read(caught.value, None)

    assert found.state == "warning"
    assert found.message.startswith("reading RAM: https://")
    assert found.cure


@pytest.mark.parametrize("text", ['"Role"', "[]", "7", "null", "<html>", "", '{"Role": ' * 2_000])
async def test_an_answer_that_is_no_object_is_a_finding(text: str) -> None:
    """An answer of RAM that is no JSON object is a finding with the endpoint; no crash."""
    with pytest.raises(Unreachable) as caught:
        await reader(text).role(role_arn("default"))

    assert not_read(caught.value, None).message.startswith("reading RAM: https://")


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
