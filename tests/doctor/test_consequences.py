"""app/doctor/consequences.py: one mistake is one finding, and what follows from it is marked."""

from __future__ import annotations

import pytest

from app.doctor.consequences import Consequences, independent
from app.doctor.finding import Step, broken

from ..conftest import configuration
from .configuration_cases import name_a_secret_file, write_the_secret
from .scenario import Scenario


def codes(steps: list[Step]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the code of each finding, and the codes that it follows from."""
    return [(each.code, each.follows) for step in steps for each in step.findings]


def failing(code: str, state: str) -> dict[str, object]:
    """Return the members of a running profile whose last refresh failed."""
    return {"profile": "default", "state": state, "failure": {"error_code": code, "message": "HTTP 404", "cure": "x"}}


async def test_mode_of_a_secret_file_is_one_mistake(scenario: Scenario) -> None:
    """A secret that others can read is refused, is readable, and makes the running profile stale: one mistake."""
    name_a_secret_file(scenario)
    write_the_secret(scenario, mode=0o644)
    scenario.state |= failing("IDS-108", "stale")

    assert codes(await scenario.steps()) == [("IDS-108", ()), ("IDS-130", ("IDS-108",)), ("IDS-505", ("IDS-108",))]


@pytest.mark.parametrize(("state", "code"), [("denied", "IDS-504"), ("stale", "IDS-505")])
async def test_state_of_the_running_profile_follows(state: str, code: str, scenario: Scenario) -> None:
    """The running sidecar's profile fails with the code that the exchange has: one mistake."""
    scenario.put("exchange.roleArn", f"{scenario.value('exchange.roleArn')}x")
    scenario.ram, scenario.policy_file = None, False
    scenario.state |= failing("IDS-412", state)

    assert codes(await scenario.steps()) == [("IDS-412", ()), (code, ("IDS-412",))]


async def test_another_failure_of_the_running_profile_is_a_finding(scenario: Scenario) -> None:
    """A running profile that fails with a code that no step has found is a mistake of its own."""
    scenario.state |= failing("IDS-204", "stale")

    assert codes(await scenario.steps()) == [("IDS-505", ())]


async def test_findings_of_another_profile_explain_nothing(scenario: Scenario) -> None:
    """The state of a running profile does not follow from the same code of another profile."""
    scenario.config = configuration("default", "p2")
    scenario.config["profiles"]["p2"]["exchange"]["roleArn"] += "x"
    scenario.ram, scenario.policy_file = None, False
    scenario.running["profiles"] = [failing("IDS-412", "denied"), {"profile": "p2", "state": "fresh"}]

    assert codes(await scenario.steps()) == [("IDS-412", ()), ("IDS-504", ())]


async def test_file_with_a_mistake_is_one_finding(scenario: Scenario) -> None:
    """The running sidecar does not use the changed file for the mistake that the step `configuration` has found."""
    scenario.text = "{"
    scenario.running |= {"config_error": "line 1: not JSON", "config_error_code": "IDS-103", "profiles": []}

    assert codes(await scenario.steps()) == [("IDS-103", ()), ("IDS-506", ("IDS-103",))]


async def test_wrong_account_in_both_arns_is_one_finding(scenario: Scenario) -> None:
    """RAM answers for another account than that of both ARNs, and STS therefore knows no such provider."""
    for key in ("exchange.roleArn", "exchange.oidcProviderArn"):
        scenario.put(key, scenario.value(key).replace("::1", "::9", 1))
    scenario.policy_file = False
    steps = await scenario.steps()

    assert codes(steps) == [("IDS-436", ()), ("IDS-402", ("IDS-436",))]
    assert "into both ARNs" in independent(steps)[0].cure


def test_missing_ca_file_of_all_servers_is_one_mistake() -> None:
    """Each server needs the CA file that the configuration lacks; another missing file is a mistake of its own."""
    consequences = Consequences()
    lacking = "tls.caFile: /etc/ca.pem: no such file"
    steps = [
        Step("configuration", "", findings=[broken("IDS-124", f"/etc/config.json: {lacking}")]),
        Step("endpoint", "", "default", findings=[broken("IDS-124", lacking)]),
        Step("token", "", "default", findings=[broken("IDS-124", "identity.tokenFile: /run/token: no such file")]),
    ]

    assert codes([consequences.added(step) for step in steps]) == [
        ("IDS-124", ()),
        ("IDS-124", ("IDS-124",)),
        ("IDS-124", ()),
    ]
