"""Seeded misconfigurations: each is found, named by its code, and cured by what the message says."""

from __future__ import annotations

import pytest

from app.core.error_index.index import INDEX
from app.doctor.consequences import independent
from app.doctor.finding import Step

from ..core.test_error_index import VERBS
from ..test_cures import CURE
from . import cloud_cases, configuration_cases, network_cases, ram_cases, serving_cases
from .scenario import Case, Scenario

CASES = [
    *configuration_cases.CASES,
    *network_cases.CASES,
    *cloud_cases.CASES,
    *ram_cases.CASES,
    *serving_cases.CASES,
]


WIDENS_TRUST = ("IDS-401", "IDS-404", "IDS-405", "IDS-429", "IDS-430", "IDS-431", "IDS-438")
"""Findings that a change in RAM would end, but a change after which RAM also trusts other tokens."""


def test_no_entry_widens_trust_first() -> None:
    """The index advises another token first, and a change in RAM only under a condition."""
    for code in WIDENS_TRUST:
        assert INDEX[code].cure.startswith("request ")
        assert " if " in INDEX[code].cure


def shown(steps: list[Step]) -> list[str]:
    """Return all findings, for the message of an assertion."""
    return [f"{step.name}: {each.code} {each.message} | {each.cure}" for step in steps for each in step.findings]


def test_there_are_enough_cases() -> None:
    """There are more than 40 cases, with different names; together they have more than 40 codes."""
    assert len({case.name for case in CASES}) == len(CASES) > 40
    assert {case.code for case in CASES} <= set(INDEX)
    assert len({case.code for case in CASES}) > 40


async def test_a_healthy_workload_has_no_finding(scenario: Scenario) -> None:
    """Without a misconfiguration every step is `ok`."""
    steps = await scenario.steps()

    assert shown(steps) == []
    assert {step.state for step in steps} == {"ok"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_misconfiguration_is_found_and_cured(case: Case, scenario: Scenario) -> None:
    """
    The finding has the code and names the cure; when the cure is applied, nothing is found.

    Every finding has a cure that is an action, and that is no part of the cause. No cure widens trust first.
    One mistake is one finding, and others follow from it.
    """
    case.breaks(scenario)
    broken = await scenario.steps()
    for each in (each for step in broken for each in step.findings):
        assert each.cure[0].islower(), each
        assert not each.cure.endswith("."), each
        assert each.cure.startswith("did you mean ") or each.cure.split()[0].strip(",.:").lower() in VERBS, each
        assert each.cure.rstrip(".").lower() not in each.message.lower()
        if each.code in WIDENS_TRUST:
            assert each.cure.startswith(("request ", "correct IDS-", "try again")), each
        assert not CURE.search(each.message.partition('; it says "')[0])

    assert len(independent(broken)) == 1, shown(broken)
    found = [each for step in broken for each in step.findings if each.code == case.code]
    assert found, shown(broken)
    assert any(case.says in f"{each.message} | {each.cure}" for each in found), shown(broken)

    case.cures(scenario)
    cured = await scenario.steps()
    assert shown(cured) == []
    assert {step.state for step in cured} <= {"ok", "skipped"}
