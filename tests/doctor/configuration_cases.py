"""Misconfigurations of the file, and of the files and variables that it names."""

from __future__ import annotations

import json
from typing import Any

from app.emulator.world.world import CLIENT_SECRET, PROVIDER_ARN, WORKLOAD_PROVIDER_ARN, role_arn

from ..conftest import BASE, TOKEN_ENDPOINT, identity
from .scenario import REMOVED, Case, Scenario, changed

IDENTITY, EXCHANGE = "identity", "exchange"
SECRET_NAME = "identity.authnConfiguration.clientSecretEnvVarName"
AUTHN = "identity.authnConfiguration"


def misspell(scenario: Scenario) -> None:
    """Write roleARN instead of roleArn."""
    scenario.put("exchange.roleARN", role_arn("default"))
    scenario.put("exchange.roleArn", REMOVED)


def spell(scenario: Scenario) -> None:
    """Write roleArn."""
    scenario.put("exchange.roleARN", REMOVED)
    scenario.put("exchange.roleArn", role_arn("default"))


def name_a_secret_file(scenario: Scenario) -> None:
    """Name a file that does not exist."""
    scenario.put(AUTHN, {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(scenario.directory / "secret")})


def write_the_secret(scenario: Scenario, text: str = CLIENT_SECRET, mode: int = 0o600) -> None:
    """Write the secret's file."""
    path = scenario.directory / "secret"
    path.write_text(text)
    path.chmod(mode)


def sdk_file(scenario: Scenario, **changes: Any) -> str:
    """Write the IDaaS SDK's file and return its path."""
    members = {key: value for key, value in (identity() | changes).items() if key != "type"}
    return scenario.workload.write_file("client-config.json", json.dumps(members))


def use_the_sdk_file(scenario: Scenario, **changes: Any) -> None:
    """Name the SDK's file in the configuration."""
    scenario.put(IDENTITY, {"type": "idaas", "clientConfigPath": sdk_file(scenario, **changes)})


def give_the_sdk_file(scenario: Scenario) -> None:
    """Give the SDK's file as the configuration."""
    sdk_file(scenario)
    scenario.path = "client-config.json"


def two_identities(scenario: Scenario) -> None:
    """Use the environment, with the SDK's file and a token file."""
    scenario.path = None
    scenario.environ.update(
        CLOUD_IDAAS_CONFIG_PATH=sdk_file(scenario),
        ALIBABA_CLOUD_ROLE_ARN=role_arn("default"),
        ALIBABA_CLOUD_OIDC_PROVIDER_ARN=PROVIDER_ARN,
        ALIBABA_CLOUD_OIDC_TOKEN_FILE=scenario.workload.write_file("token", scenario.workload.token),
    )


def private_key(scenario: Scenario, path: str) -> None:
    """Use a private key."""
    scenario.put(AUTHN, {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": path})


def command(scenario: Scenario, mode: int) -> None:
    """Let a command print the workload's token."""
    path = scenario.directory / "token.sh"
    path.write_text(f"#!/bin/sh\nprintf %s {scenario.workload.token}\n")
    path.chmod(mode)
    scenario.put(IDENTITY, {"type": "command", "command": [str(path)]})
    scenario.put("exchange.oidcProviderArn", WORKLOAD_PROVIDER_ARN)


def set_text(text: str | None) -> Any:
    """Return what replaces the text of the whole file."""
    return lambda scenario: setattr(scenario, "text", text)


CASES = [
    Case("unknown key", "IDS-104", "did you mean roleArn?", misspell, spell),
    changed("missing key", "IDS-106", "oidcProviderArn: required", "exchange.oidcProviderArn", REMOVED, PROVIDER_ARN),
    changed("missing scope", "IDS-106", "<audience>|<value>", "identity.scope", REMOVED, identity()["scope"]),
    changed("text for a number", "IDS-105", "must be a whole number", "exchange.durationSeconds", "3600", 3600),
    changed("duration too short", "IDS-105", "must be at least 900", "exchange.durationSeconds", 60, 3600),
    changed(
        "unknown method", "IDS-105", "did you mean CLIENT_SECRET_POST?", f"{AUTHN}.authnMethod", "CLIENT_SECRET_POTS"
    ),
    Case(
        "unset variable",
        "IDS-107",
        "the environment variable ROLE is not set",
        lambda scenario: scenario.put("exchange.roleArn", "${ROLE}"),
        lambda scenario: scenario.environ.update(ROLE=role_arn("default")),
    ),
    Case(
        "unset secret",
        "IDS-108",
        "IDAAS_SECRET is not set or empty | set the variable to the secret",
        lambda scenario: scenario.environ.pop("IDAAS_SECRET"),
        lambda scenario: scenario.environ.update(IDAAS_SECRET=CLIENT_SECRET),
    ),
    Case(
        "missing secret file",
        "IDS-124",
        "no such file | write the secret into the file with mode 0600",
        name_a_secret_file,
        write_the_secret,
    ),
    Case(
        "placeholder in the secret's variable",
        "IDS-109",
        "the environment variable IDAAS_SECRET still has the placeholder of an example | set the variable to your own",
        lambda scenario: scenario.environ.update(IDAAS_SECRET="..."),
        lambda scenario: scenario.environ.update(IDAAS_SECRET=CLIENT_SECRET),
    ),
    Case(
        "placeholder in the secret's file",
        "IDS-109",
        "write your own value into the file",
        lambda scenario: (name_a_secret_file(scenario), write_the_secret(scenario, "<client secret>\n")),
        write_the_secret,
    ),
    Case(
        "empty secret file",
        "IDS-124",
        "empty",
        lambda scenario: (name_a_secret_file(scenario), write_the_secret(scenario, "")),
        write_the_secret,
    ),
    Case(
        "secret readable by others",
        "IDS-108",
        "mode",
        lambda scenario: (name_a_secret_file(scenario), write_the_secret(scenario, mode=0o644)),
        lambda scenario: write_the_secret(scenario, mode=0o600),
    ),
    Case(
        "placeholder of an example",
        "IDS-109",
        "still has the placeholder [region_id] of an example | write your own value",
        lambda scenario: use_the_sdk_file(scenario, clientId="app_[region_id]"),
        use_the_sdk_file,
    ),
    changed("exchanged ARNs", "IDS-110", "acs:ram::<account id>:role/<name>", "exchange.roleArn", PROVIDER_ARN),
    changed("malformed ARN", "IDS-110", "oidc-provider/<name>", "exchange.oidcProviderArn", "idaas-demo"),
    changed("scope without a value", "IDS-111", "<audience>|<value>", "identity.scope", "api.demo.example"),
    changed("two audiences", "IDS-111", "a token has one", "identity.scope", "a.example|.all b.example|.all"),
    changed("issuer without TLS", "IDS-112", "use https://", "identity.issuer", "http://idaas.example/oauth2"),
    changed(
        "URL with a query",
        "IDS-112",
        "has a query or a fragment | write the URL as https://host/path",
        "identity.tokenEndpoint",
        f"{TOKEN_ENDPOINT}?a=b",
    ),
    Case(
        "two secrets",
        "IDS-113",
        "are both set | keep one",
        lambda scenario: (
            write_the_secret(scenario),
            scenario.put(f"{AUTHN}.clientSecretFile", str(scenario.directory / "secret")),
        ),
        lambda scenario: scenario.put(SECRET_NAME, REMOVED),
    ),
    Case(
        "misspelled region",
        "IDS-114",
        "such as cn-hangzhou",
        lambda scenario: (scenario.put("exchange.endpoints", REMOVED), scenario.put("exchange.regionId", "Hangzhou!")),
        lambda scenario: scenario.put("exchange.regionId", "cn-hangzhou"),
    ),
    Case(
        "unusable private key",
        "IDS-115",
        "no usable private key",
        lambda scenario: private_key(scenario, scenario.workload.write_file("key.pem", "not a key")),
        lambda scenario: private_key(scenario, scenario.workload.register_key("app_demo")),
    ),
    Case(
        "the SDK's file as the configuration",
        "IDS-116",
        "identity.clientConfigPath",
        give_the_sdk_file,
        lambda scenario: (setattr(scenario, "path", "config.json"), use_the_sdk_file(scenario)),
    ),
    changed("another configVersion", "IDS-117", "this program reads 1.x", "/configVersion", "2.0"),
    changed("session policy", "IDS-118", "not JSON", "exchange.policy", "{", {"Version": "1", "Statement": []}),
    Case(
        "two identities in the environment",
        "IDS-119",
        "remove one",
        two_identities,
        lambda scenario: scenario.environ.pop("ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
    ),
    changed("listener for the whole network", "IDS-121", "use 127.0.0.1", "/server", {"bind": "0.0.0.0:7117"}, {}),
    changed("one port twice", "IDS-121", "choose another port", "/server", {"bind": "127.0.0.1:7118"}, {}),
    changed(
        "relative admin socket",
        "IDS-121",
        "write an absolute path, such as",
        "/server",
        {"adminSocket": "./admin.sock"},
        {},
    ),
    Case(
        "command without the right to execute",
        "IDS-123",
        "not executable",
        lambda scenario: command(scenario, 0o600),
        lambda scenario: command(scenario, 0o700),
    ),
    Case("not JSON", "IDS-103", "config.json:1:", set_text('{"configVersion": "1.0"]'), set_text(None)),
    Case(
        "another path",
        "IDS-102",
        "no such file",
        lambda scenario: setattr(scenario, "path", "confg.json"),
        lambda scenario: setattr(scenario, "path", "config.json"),
    ),
    Case(
        "no configuration",
        "IDS-101",
        "start from the output of `idaas-sidecar config --example`",
        lambda scenario: setattr(scenario, "path", None),
        lambda scenario: setattr(scenario, "path", "config.json"),
    ),
    changed("misspelled endpoint list", "IDS-105", "must be an array", "exchange.endpoints", BASE),
]
