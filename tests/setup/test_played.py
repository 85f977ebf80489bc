"""The outputs of `setup`, played against the RAM of the emulator; the sidecar with the printed configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.emulator.world.world import ACCOUNT, AUDIENCE, CLIENT_ID, CLIENT_SECRET, INSTANCE_ID, World

from ..e2e.cloud import emulator_admin
from ..e2e.processes import CommandResult, EmulatedCloud, emulator, environment, run
from .ram import RamRefusal, call, play_commands, play_terraform, world

ROLE = f"acs:ram::{ACCOUNT}:role/orders"
PROVIDER = f"acs:ram::{ACCOUNT}:oidc-provider/prod-idaas"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[EmulatedCloud]:
    """An emulated cloud whose RAM has no OIDC provider and no role."""
    with emulator(home=tmp_path) as running:
        empty = replace(World.default(issuer=running.issuer), oidc_providers={}, roles={})
        emulator_admin(running.url, "PUT", "world", json.loads(empty.to_json()))
        yield running


def workloads(cloud: EmulatedCloud) -> dict[str, Any]:
    """Return a `--from` file: a workload with a system policy, and one with a role chain and a policy of its own."""
    statement = {"Effect": "Allow", "Action": "oss:GetObject", "Resource": "acs:oss:*:*:logs/${acs:UserId}/*"}
    return {
        "account": ACCOUNT,
        "issuer": cloud.issuer,
        "provider": "prod-idaas",
        "idaasInstanceId": INSTANCE_ID,
        "audience": AUDIENCE,
        "clientId": CLIENT_ID,
        "workloads": [
            {"name": "default", "role": "orders", "policies": ["AliyunOSSReadOnlyAccess"]},
            {
                "name": "reports",
                "role": "reports",
                "sessionSeconds": 7200,
                "policyDocuments": {"read-logs": {"Version": "1", "Statement": [statement]}},
                "chain": [{"roleArn": f"acs:ram::{ACCOUNT}:role/archive.logs", "externalId": "ext-1"}],
            },
        ],
    }


@pytest.fixture
def setup(cloud: EmulatedCloud, tmp_path: Path) -> Callable[..., CommandResult]:
    """Run `setup` with the workloads."""
    path = tmp_path / "workloads.json"
    path.write_text(json.dumps(workloads(cloud)))
    env = environment(tmp_path, SSL_CERT_FILE=str(cloud.ca_file))

    def command(*arguments: str) -> CommandResult:
        return run("setup", "--from", str(path), *arguments, env=env)

    return command


@pytest.mark.parametrize(("output", "play"), [("aliyun-cli", play_commands), ("terraform", play_terraform)])
def test_what_setup_prints_makes_the_sidecar_work(
    cloud: EmulatedCloud, setup: Callable[..., CommandResult], tmp_path: Path, output: str, play: Callable[..., Any]
) -> None:
    """RAM accepts the output, and the sidecar then obtains credentials of both roles with the printed configuration."""
    plan = json.loads(setup("--format", "json").out)
    printed = setup("--format", output)
    assert printed.code == 0, printed.err
    config = prepared(plan["configuration"], cloud, tmp_path)
    env = environment(tmp_path, SSL_CERT_FILE=str(cloud.ca_file))
    before = run("get", "--config", config, env=env)
    assert (before.code, "NoPermission" in before.err) == (3, True)

    actions = play(cloud.url, printed.out)

    assert sorted(set(actions)) == ["AttachPolicyToRole", "CreateOIDCProvider", "CreatePolicy", "CreateRole"]
    for profile in ("default", "reports"):
        got = run("get", "--config", config, "--profile", profile, env=env)
        assert got.code == 0, got.err
    created = world(cloud.url)
    assert created["oidcProviders"][PROVIDER]["clientIds"] == [AUDIENCE]
    assert created["roles"][ROLE]["policies"] == ["AliyunOSSReadOnlyAccess"]
    assert created["policies"]["read-logs"]["Statement"][0]["Resource"] == "acs:oss:*:*:logs/${acs:UserId}/*"
    assert [each["trustPolicy"] for each in plan["roles"]] == [
        each["trustPolicy"] for each in created["roles"].values()
    ]


def prepared(config: dict[str, Any], cloud: EmulatedCloud, tmp_path: Path) -> str:
    """Write the printed configuration with the secret in a file, and STS at the emulator."""
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    for profile in config["profiles"].values():
        profile["identity"]["authnConfiguration"]["clientSecretFile"] = str(secret)
        profile["exchange"]["endpoints"] = [cloud.url]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return str(path)


def test_the_trust_policy_names_issuer_audience_and_subject(
    cloud: EmulatedCloud, setup: Callable[..., CommandResult]
) -> None:
    """Each role that trusts the issuer has conditions for oidc:iss, oidc:aud and oidc:sub."""
    role = json.loads(setup("--format", "json").out)["roles"][0]
    condition = role["trustPolicy"]["Statement"][0]["Condition"]

    assert condition == {"StringEquals": {"oidc:iss": [cloud.issuer], "oidc:aud": [AUDIENCE], "oidc:sub": [CLIENT_ID]}}


def test_another_fingerprint_is_refused_by_sts(
    cloud: EmulatedCloud, setup: Callable[..., CommandResult], tmp_path: Path
) -> None:
    """With another fingerprint in RAM STS refuses, and `setup fingerprint` names the command that cures it."""
    play_commands(cloud.url, setup("--format", "aliyun-cli").out)
    config = prepared(json.loads(setup("--format", "json").out)["configuration"], cloud, tmp_path)
    env = environment(tmp_path, SSL_CERT_FILE=str(cloud.ca_file))
    name, right = {"OIDCProviderName": "prod-idaas"}, world(cloud.url)["oidcProviders"][PROVIDER]["fingerprints"][0]
    call(cloud.url, "ims", "AddFingerprintToOIDCProvider", {**name, "Fingerprint": "a" * 40})
    call(cloud.url, "ims", "RemoveFingerprintFromOIDCProvider", {**name, "Fingerprint": right})
    refused = run("get", "--config", config, env=env)
    assert (refused.code, "PublicKeyFingerprintMismatch" in refused.err) == (3, True)

    arguments = ("setup", "fingerprint", cloud.issuer, "--registered", "A" * 40, "--provider", "prod-idaas", "--json")
    found = run(*arguments, env=env)
    state = json.loads(found.out)
    cure = state["steps"][0].partition(": ")[2]

    assert (found.code, state["works"], state["fingerprint"]) == (1, False, right)
    play_commands(cloud.url, f"\nset -eu\n\n{cure}")
    assert run("get", "--config", config, env=env).code == 0


def test_ram_refuses_what_the_limits_forbid(cloud: EmulatedCloud, setup: Callable[..., CommandResult]) -> None:
    """A second run of the commands is refused by RAM, because the provider exists."""
    script = setup("--format", "aliyun-cli").out
    play_commands(cloud.url, script)

    with pytest.raises(RamRefusal, match="EntityAlreadyExists"):
        play_commands(cloud.url, script)
