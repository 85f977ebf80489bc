"""Misconfigurations of IDaaS and other issuers, of RAM and of STS."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from app.emulator import Fault
from app.emulator.world.entities import Role
from app.emulator.world.world import (
    ACCOUNT,
    AUDIENCE,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    CLIENT_SECRET,
    EXTERNAL_ID,
    EXTERNAL_ROLE_ARN,
    ISSUER,
    PROVIDER_ARN,
    WORKLOAD_PROVIDER_ARN,
    role_arn,
)
from app.setup.trust_policy import OidcTrust, document

from .configuration_cases import command
from .network_cases import faulty
from .scenario import PRESENTED, Case, Scenario, changed

ROLE = role_arn("default")
TOKEN_AUDIENCE = "api.demo.example"


def role(scenario: Scenario, **changes: Any) -> None:
    """Change the role in RAM."""
    roles = scenario.workload.emulator.world.roles
    scenario.world(roles={**roles, ROLE: replace(roles[ROLE], **changes)})


def provider(scenario: Scenario, **changes: Any) -> None:
    """Change the OIDC provider in RAM."""
    providers = scenario.workload.emulator.world.oidc_providers
    scenario.world(oidc_providers={**providers, PROVIDER_ARN: replace(providers[PROVIDER_ARN], **changes)})


def trusts(scenario: Scenario, principal: str = PROVIDER_ARN, **condition: str) -> None:
    """Let the role trust other tokens; `iss`, `aud` and `sub` replace the values of the condition."""
    values = {"oidc:iss": ISSUER, "oidc:aud": TOKEN_AUDIENCE, "oidc:sub": CLIENT_ID}
    values |= {f"oidc:{key}": value for key, value in condition.items()}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": [principal]},
        "Condition": {"StringEquals": values},
    }
    role(scenario, trust_policy={"Version": "1", "Statement": [statement]})


def without_role(scenario: Scenario) -> None:
    """Remove the role from RAM; its trust policy is known from a file."""
    roles = dict(scenario.workload.emulator.world.roles)
    scenario.trust_policy = json.dumps(roles.pop(ROLE).trust_policy)
    scenario.world(roles=roles)


def token_file(scenario: Scenario, text: str | None = None) -> None:
    """Use a token file with the workload's token, or with `text`."""
    path = scenario.workload.write_file("token", scenario.workload.token if text is None else text)
    scenario.put("identity", {"type": "tokenFile", "tokenFile": path})
    scenario.put("exchange.oidcProviderArn", WORKLOAD_PROVIDER_ARN)


def absent_token_file(scenario: Scenario) -> None:
    """Use a token file before the program that writes it has started."""
    token_file(scenario)
    (scenario.directory / "token").unlink()


def failing_command(scenario: Scenario) -> None:
    """Use a command that fails."""
    path = scenario.directory / "token.sh"
    path.write_text("#!/bin/sh\necho no vault >&2\nexit 1\n")
    path.chmod(0o700)
    scenario.put("identity", {"type": "command", "command": [str(path)]})


def chain(external_id: str) -> list[dict[str, str]]:
    """Return a chain of two roles, the second with an external id."""
    return [{"roleArn": CHAINED_ROLE_ARN}, {"roleArn": EXTERNAL_ROLE_ARN, "externalId": external_id}]


def client(scenario: Scenario, **changes: Any) -> None:
    """Change the application in IDaaS."""
    clients = scenario.workload.emulator.world.clients
    scenario.world(clients={**clients, CLIENT_ID: replace(clients[CLIENT_ID], **changes)})


def resource_server(scenario: Scenario, **changes: Any) -> None:
    """Change the resource server in IDaaS."""
    servers = scenario.workload.emulator.world.resource_servers
    scenario.world(resource_servers={**servers, AUDIENCE: replace(servers[AUDIENCE], **changes)})


def moved(issuer: str) -> Any:
    """Return what lets IDaaS issue tokens with another `iss`; RAM has the same."""

    def change(scenario: Scenario) -> None:
        provider(scenario, issuer_url=issuer)
        trusts(scenario, iss=issuer)
        scenario.world(issuer=issuer)

    return change


def printed_policy(scenario: Scenario) -> None:
    """Give the role the trust policy that `setup` prints for the token's issuer, audience and subject."""
    trust = OidcTrust(PROVIDER_ARN, ISSUER, TOKEN_AUDIENCE, (CLIENT_ID,))
    role(scenario, trust_policy=document([trust]))


def created_role(scenario: Scenario) -> None:
    """Create the role that `setup` prints."""
    trust = OidcTrust(PROVIDER_ARN, ISSUER, TOKEN_AUDIENCE, (CLIENT_ID,))
    roles = scenario.workload.emulator.world.roles
    scenario.world(roles={**roles, ROLE: Role(trust_policy=document([trust]))})
    scenario.trust_policy = None


def registered(issuer: str) -> Any:
    """Return what registers the provider in RAM with another URL; STS alone says so."""

    def change(scenario: Scenario) -> None:
        scenario.ram = None
        provider(scenario, issuer_url=issuer)

    return change


def presented(scenario: Scenario) -> None:
    """Let the issuer's server present a certificate whose root RAM does not know; STS alone says so."""
    scenario.ram = None
    scenario.workload.emulator.tls_fingerprint = PRESENTED.fingerprint
    provider(scenario, fingerprints=("a" * 40,))


def unknown_policy(scenario: Scenario) -> None:
    """Let the role trust another application; STS alone says so."""
    scenario.policy_file, scenario.ram = False, None
    trusts(scenario, sub="app_other")


def policy_text(text: str | None) -> Any:
    """Return what replaces the text of the trust policy's file."""
    return lambda scenario: setattr(scenario, "trust_policy", text)


def no_subject(scenario: Scenario) -> None:
    """Let the trust policy have no condition on the subject."""
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": {"StringEquals": {"oidc:iss": ISSUER, "oidc:aud": TOKEN_AUDIENCE}},
    }
    role(scenario, trust_policy={"Version": "1", "Statement": [statement]})


def from_addresses(scenario: Scenario) -> None:
    """Let the file of the policy have a condition on the sender's address, which STS alone can decide."""
    trust = OidcTrust(PROVIDER_ARN, ISSUER, TOKEN_AUDIENCE, (CLIENT_ID,))
    policy = document([trust])
    policy["Statement"][0]["Condition"]["IpAddress"] = {"acs:SourceIp": ["192.0.2.0/24"]}
    scenario.trust_policy, scenario.ram = json.dumps(policy), None
    trusts(scenario, sub="app_other")


def printed_policy_alone(scenario: Scenario) -> None:
    """Replace the policy with that of `setup`, in RAM and in the file."""
    scenario.trust_policy = None
    printed_policy(scenario)


def denied(scenario: Scenario) -> None:
    """Let the trust policy deny the application beside its Allow."""
    policy = scenario.workload.emulator.world.roles[ROLE].trust_policy
    denial = {
        "Effect": "Deny",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": {"StringLike": {"oidc:sub": "app_*"}},
    }
    role(scenario, trust_policy={**policy, "Statement": [*policy["Statement"], denial]})


def without_denial(scenario: Scenario) -> None:
    """Remove the Deny from the trust policy."""
    policy = scenario.workload.emulator.world.roles[ROLE].trust_policy
    allowed = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    role(scenario, trust_policy={**policy, "Statement": allowed})


def long_chain(scenario: Scenario) -> None:
    """Let the second role of a chain have longer sessions than the first one, whose session ends it."""
    roles = scenario.workload.emulator.world.roles
    longer = replace(roles[CHAINED_ROLE_ARN], max_session_duration=43_200)
    scenario.world(roles={**roles, CHAINED_ROLE_ARN: longer})
    scenario.put("chain", [{"roleArn": CHAINED_ROLE_ARN, "durationSeconds": 7200}])


NAME = f"acs:ram::{ACCOUNT}:oidc-provider/idaas-dmeo"
CASES = [
    Case(
        "wrong secret",
        "IDS-301",
        "a current secret from the application's page into profiles.default.identity.clientId and the variable "
        "IDAAS_SECRET",
        lambda scenario: scenario.environ.update(IDAAS_SECRET="old"),
        lambda scenario: scenario.environ.update(IDAAS_SECRET=CLIENT_SECRET),
    ),
    changed("another application", "IDS-301", "copy clientId", "identity.clientId", "app_other"),
    Case(
        "method that the application lacks",
        "IDS-301",
        "enable the method CLIENT_SECRET_POST there",
        lambda scenario: client(scenario, methods=("PRIVATE_KEY_JWT",)),
        lambda scenario: client(scenario, methods=("PRIVATE_KEY_JWT", "CLIENT_SECRET_POST")),
    ),
    Case(
        "application that is no M2M client",
        "IDS-306",
        "enable client credentials for the application",
        lambda scenario: client(scenario, grant_types=()),
        lambda scenario: client(scenario, grant_types=("client_credentials",)),
    ),
    changed("scope of another server", "IDS-303", "copy the scope from", "identity.scope", "other.example|.all"),
    Case(
        "token file that is not a JWT",
        "IDS-321",
        "not a JWT",
        lambda scenario: token_file(scenario, "opaque"),
        token_file,
    ),
    Case(
        "command that fails",
        "IDS-324",
        "run the command by hand",
        failing_command,
        lambda scenario: command(scenario, 0o700),
    ),
    Case(
        "issuer with a slash",
        "IDS-331",
        ">>/<<",
        lambda scenario: scenario.put("identity.issuer", f"{ISSUER}/"),
        lambda scenario: scenario.put("identity.issuer", ISSUER),
    ),
    Case(
        "custom domain",
        "IDS-331",
        "write issuer exactly as the token names it",
        moved("https://login.example/api/v2/iauths_system/oauth2"),
        lambda scenario: scenario.put("identity.issuer", "https://login.example/api/v2/iauths_system/oauth2"),
    ),
    faulty("server without tokens", "IDS-320", "without access_token", Fault("token", body=b"{}", times=None)),
    Case(
        "server with opaque tokens",
        "IDS-321",
        "switch the resource server to JWT access tokens",
        lambda scenario: resource_server(scenario, opaque=True),
        lambda scenario: resource_server(scenario, opaque=False),
    ),
    Case(
        "token file that is not there yet",
        "IDS-124",
        "start the program that writes it",
        absent_token_file,
        lambda scenario: scenario.workload.write_file("token", scenario.workload.token),
    ),
    Case(
        "short tokens",
        "IDS-333",
        "raise the lifetime",
        lambda scenario: scenario.world(token_seconds=30),
        lambda scenario: scenario.world(token_seconds=600),
    ),
    Case("role that is gone", "IDS-412", "create the role with `idaas-sidecar setup`", without_role, created_role),
    changed("misspelled role", "IDS-412", "correct roleArn", "exchange.roleArn", f"{ROLE}x", ROLE),
    changed(
        "misspelled provider", "IDS-402", "correct oidcProviderArn", "exchange.oidcProviderArn", NAME, PROVIDER_ARN
    ),
    changed("provider beside the policy", "IDS-432", ">>", "exchange.oidcProviderArn", NAME, PROVIDER_ARN),
    Case("subject, by STS", "IDS-401", "trust policy", unknown_policy, printed_policy),
    Case(
        "subject, beside the token",
        "IDS-431",
        "app_demo",
        lambda scenario: trusts(scenario, sub="app_dmeo"),
        printed_policy,
    ),
    Case(
        "wildcard that is compared as text",
        "IDS-431",
        "write 'app_demo' into oidc:sub",
        lambda scenario: trusts(scenario, sub="app_*"),
        printed_policy,
    ),
    Case(
        "condition on the sender's address",
        "IDS-401",
        "under the condition IpAddress on acs:SourceIp of the role's trust policy",
        from_addresses,
        printed_policy_alone,
    ),
    Case(
        "version of another cloud's policies",
        "IDS-433",
        'write "Version": "1"',
        policy_text('{"Version": "2012-10-17", "Statement": []}'),
        policy_text(None),
    ),
    Case(
        "audience, beside the token",
        "IDS-429",
        "oidc:aud",
        lambda scenario: trusts(scenario, aud="api.demo.exmple"),
        printed_policy,
    ),
    Case(
        "issuer, beside the token",
        "IDS-430",
        ">>/<<",
        lambda scenario: trusts(scenario, iss=f"{ISSUER}/"),
        printed_policy,
    ),
    Case(
        "subject without a condition", "IDS-434", "`idaas-sidecar setup` prints the policy", no_subject, printed_policy
    ),
    Case("denial in the trust policy", "IDS-438", "StringLike on oidc:sub", denied, without_denial),
    Case("file without a policy", "IDS-433", "aliyun ram GetRole", policy_text("{}"), policy_text(None)),
    Case(
        "client id that the provider lacks",
        "IDS-404",
        "add the token's aud",
        lambda scenario: provider(scenario, client_ids=("other.example",)),
        lambda scenario: provider(scenario, client_ids=("other.example", TOKEN_AUDIENCE)),
    ),
    Case(
        "provider of another issuer",
        "IDS-405",
        "write the token's iss, to the letter",
        registered(ISSUER.replace("https://", "https://other-")),
        registered(ISSUER),
    ),
    Case(
        "fingerprint",
        "IDS-410",
        "add the fingerprint that `idaas-sidecar setup fingerprint` prints to the provider",
        presented,
        lambda scenario: provider(scenario, fingerprints=("a" * 40, PRESENTED.fingerprint)),
    ),
    faulty(
        "chain of the issuer",
        "IDS-409",
        "add the provider's fingerprint",
        Fault("sts", code="AuthenticationFail.OIDCToken.HttpsUrlInvalid", times=None),
    ),
    Case(
        "keys that STS cannot load",
        "IDS-411",
        "publish /.well-known/openid-configuration and the JWKS",
        lambda scenario: scenario.world(keys_published=False),
        lambda scenario: scenario.world(keys_published=True),
    ),
    Case(
        "keys of another issuer",
        "IDS-408",
        "with the token's iss, to the letter, as its URL, or write the ARN of the one that has it",
        registered(f"{ISSUER}/"),
        registered(ISSUER),
    ),
    Case(
        "session longer than the role allows",
        "IDS-413",
        "MaxSessionDuration",
        lambda scenario: (role(scenario, max_session_duration=3600), scenario.put("exchange.durationSeconds", 7200)),
        lambda scenario: scenario.put("exchange.durationSeconds", 3600),
    ),
    changed("external id", "IDS-416", "correct externalId", "chain", chain("wrong"), chain(EXTERNAL_ID)),
    Case(
        "session shorter than asked for",
        "IDS-437",
        "set exchange.durationSeconds to 3600, or raise MaxSessionDuration of the role to 7200",
        lambda scenario: (
            role(scenario, max_session_duration=43_200),
            scenario.world(session_seconds=3600),
            scenario.put("exchange.durationSeconds", 7200),
        ),
        lambda scenario: scenario.put("exchange.durationSeconds", 3600),
    ),
    Case(
        "chain shorter than asked for",
        "IDS-437",
        "chain[0].durationSeconds to 3600",
        long_chain,
        lambda scenario: scenario.put("chain", [{"roleArn": CHAINED_ROLE_ARN, "durationSeconds": 3600}]),
    ),
    changed("session of 900 s", "IDS-122", "set durationSeconds to 3600", "exchange.durationSeconds", 900, 3600),
]
