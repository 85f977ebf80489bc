"""Misconfigurations of RAM that `doctor` finds by reading the role and the OIDC provider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.doctor.ram import RamAccess
from app.emulator.world.entities import Provider
from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ISSUER, PROVIDER_ARN

from ..conftest import BASE
from .cloud_cases import ROLE, TOKEN_AUDIENCE, created_role, printed_policy, provider, role, trusts
from .scenario import PRESENTED, Case, Scenario


def read(name: str, code: str, says: str, breaks: Callable[[Scenario], Any], cures: Callable[[Scenario], Any]) -> Case:
    """Return a case that is found by reading RAM: no file with the trust policy is given."""

    def break_without_file(scenario: Scenario) -> None:
        scenario.policy_file = False
        breaks(scenario)

    return Case(f"RAM: {name}", code, says, break_without_file, cures)


def key(scenario: Scenario, **changes: Any) -> None:
    """Change the AccessKey that reads RAM."""
    keys = scenario.workload.emulator.world.access_keys
    scenario.world(access_keys={**keys, ACCESS_KEY_ID: replace(keys[ACCESS_KEY_ID], **changes)})


def without(scenario: Scenario, part: str, name: str) -> None:
    """Remove an object from RAM."""
    known = dict(getattr(scenario.workload.emulator.world, part))
    del known[name]
    scenario.world(**{part: known})


def created_provider(scenario: Scenario) -> None:
    """Create the OIDC provider that `setup` prints."""
    providers = scenario.workload.emulator.world.oidc_providers
    made = Provider(ISSUER, (TOKEN_AUDIENCE,), fingerprints=(PRESENTED.fingerprint,))
    scenario.world(oidc_providers={**providers, PROVIDER_ARN: made})


def reading_profile(scenario: Scenario) -> None:
    """Let the session of the profile read RAM, which it may not."""
    scenario.ram = RamAccess(profile="default", endpoint=BASE)


def allow_reading(scenario: Scenario) -> None:
    """Allow sessions to read RAM."""
    scenario.world(sessions_may=("ram:GetRole", "ims:GetOIDCProvider"))


CASES = [
    read("subject", "IDS-431", ">>m<<", lambda scenario: trusts(scenario, sub="app_demom"), printed_policy),
    read(
        "issuer of the policy", "IDS-430", ">>/<<", lambda scenario: trusts(scenario, iss=f"{ISSUER}/"), printed_policy
    ),
    read(
        "audience of the policy",
        "IDS-429",
        "oidc:aud",
        lambda scenario: trusts(scenario, aud="api.demo.exmple"),
        printed_policy,
    ),
    read(
        "role that is gone",
        "IDS-412",
        "create the role with `idaas-sidecar setup`",
        lambda scenario: without(scenario, "roles", ROLE),
        created_role,
    ),
    read(
        "session longer than the role's maximum",
        "IDS-413",
        "set durationSeconds to 3600, or MaxSessionDuration of the role to 7200",
        lambda scenario: (role(scenario, max_session_duration=3600), scenario.put("exchange.durationSeconds", 7200)),
        lambda scenario: scenario.put("exchange.durationSeconds", 3600),
    ),
    read(
        "provider that is gone",
        "IDS-402",
        "create the OIDC provider with `idaas-sidecar setup`",
        lambda scenario: without(scenario, "oidc_providers", PROVIDER_ARN),
        created_provider,
    ),
    read(
        "issuer of the provider",
        "IDS-405",
        "IssuerUrl of the provider is",
        lambda scenario: provider(scenario, issuer_url=f"{ISSUER}/"),
        lambda scenario: provider(scenario, issuer_url=ISSUER),
    ),
    read(
        "client ids of the provider",
        "IDS-404",
        "AddClientIdToOIDCProvider --OIDCProviderName idaas-demo --ClientId api.demo.example",
        lambda scenario: provider(scenario, client_ids=("api.demo.exmple",)),
        lambda scenario: provider(scenario, client_ids=("api.demo.exmple", TOKEN_AUDIENCE)),
    ),
    read(
        "fingerprint of the provider",
        "IDS-410",
        f"--Fingerprint {PRESENTED.fingerprint}",
        lambda scenario: provider(scenario, fingerprints=("a" * 40,)),
        lambda scenario: provider(scenario, fingerprints=("a" * 40, PRESENTED.fingerprint)),
    ),
    read(
        "AccessKey without rights",
        "IDS-436",
        "AliyunRAMReadOnlyAccess",
        lambda scenario: key(scenario, may=()),
        lambda scenario: key(scenario, may=("ram:GetRole", "ims:GetOIDCProvider")),
    ),
    read(
        "AccessKey that is disabled",
        "IDS-418",
        "activate the AccessKey",
        lambda scenario: key(scenario, active=False),
        lambda scenario: key(scenario, active=True),
    ),
    read(
        "AccessKey that does not exist",
        "IDS-417",
        "AccessKey that exists",
        lambda scenario: scenario.environ.update(RAM_ID="LTAIgone"),
        lambda scenario: scenario.environ.update(RAM_ID=ACCESS_KEY_ID),
    ),
    read(
        "wrong secret of the AccessKey",
        "IDS-419",
        "copy the AccessKey's secret again",
        lambda scenario: scenario.environ.update(RAM_SECRET="old"),
        lambda scenario: scenario.environ.update(RAM_SECRET=ACCESS_KEY_SECRET),
    ),
    read("profile without rights", "IDS-436", "AliyunRAMReadOnlyAccess", reading_profile, allow_reading),
]
