"""Every identity with every exchange, and with a chain of roles: complete fetches, verified by the emulated cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from app.core.events import StageTimed
from app.emulator import Emulator
from app.emulator.world.world import (
    AUDIENCE,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    CLIENT_SECRET,
    EXTERNAL_ROLE_ARN,
    INSTANCE_ID,
    PAM_AUDIENCE,
    PAM_SCOPE,
    PROVIDER_ARN,
    SCOPE,
    role_arn,
)

from ..conftest import TOKEN_ENDPOINT, Offline, exchange, managed_exchange
from ..identity.identities import (
    CHAIN,
    IDAAS_IDENTITIES,
    IDENTITIES,
    OTHER_IDENTITIES,
    client_secret,
    one_profile,
    sts_exchange,
)
from ..workload import Workload

Build = Callable[..., Offline]


@pytest.mark.parametrize("name", IDENTITIES)
async def test_identity_with_sts(name: str, workload: Workload, offline: Build) -> None:
    """Each identity obtains a session of a role that trusts its issuer, and no request is refused on the way."""
    identity = IDENTITIES[name](workload)

    credentials = await offline(one_profile(identity, sts_exchange(name)), workload.environ).fetch()

    assert credentials.expires_at - credentials.issued_at == 3600
    assert {call.outcome for call in workload.emulator.journal} == {"ok"}
    assert workload.emulator.journal[-1].fields["RoleArn"] == role_arn("default")


@pytest.mark.parametrize("name", IDAAS_IDENTITIES)
async def test_idaas_identity_with_the_developer_api(name: str, workload: Workload, offline: Build) -> None:
    """Each identity of IDaaS obtains a session of a role that IDaaS manages, without a scope in its settings."""
    workload.scope = ""
    identity = IDAAS_IDENTITIES[name](workload)

    credentials = await offline(one_profile(identity, managed_exchange()), workload.environ).fetch()

    assert credentials.expires_at - credentials.issued_at == 3600
    assert {call.outcome for call in workload.emulator.journal} == {"ok"}
    assert workload.emulator.journal[-1].kind == "developerapi"


# IDaaS takes the token of another issuer in its own method OIDC, not in the standard's client_assertion.
@pytest.mark.parametrize("name", [name for name in OTHER_IDENTITIES if name != "client_assertion"])
async def test_other_identity_with_the_developer_api(name: str, workload: Workload, offline: Build) -> None:
    """An identity with a token for the DeveloperAPI needs no application of IDaaS, but names the instance."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(workload.emulator)) as http:  # type: ignore[arg-type]
        workload.token = (await http.post(TOKEN_ENDPOINT, data={**form, "scope": PAM_SCOPE})).json()["access_token"]
    by_instance = managed_exchange(idaasInstanceId=INSTANCE_ID, durationSeconds=1800)
    identity = OTHER_IDENTITIES[name](workload)
    if identity["type"] == "oidcClient":
        identity |= {
            "issuer": workload.emulator.world.issuer,
            "clientId": CLIENT_ID,
            "scope": PAM_SCOPE,
            "audience": None,
        }
    if name == "private_key_jwt":
        workload.register_key(CLIENT_ID)

    credentials = await offline(
        one_profile(identity, by_instance), workload.environ | {"OIDC_SECRET": CLIENT_SECRET}
    ).fetch()

    assert credentials.expires_at - credentials.issued_at == 1800
    assert workload.emulator.journal[-1].kind == "developerapi"


@pytest.mark.parametrize("name", IDENTITIES)
async def test_identity_with_a_chain(name: str, workload: Workload, offline: Build) -> None:
    """Each identity can be followed by two more roles, the second with an external id, and each role is timed."""
    identity = IDENTITIES[name](workload)
    sidecar = offline(one_profile(identity, sts_exchange(name), chain=CHAIN), workload.environ)

    await sidecar.fetch()

    roles = [call.fields["RoleArn"] for call in workload.emulator.journal if call.kind == "sts"]
    assert roles == [role_arn("default"), CHAINED_ROLE_ARN, EXTERNAL_ROLE_ARN]
    stages = [event.stage for event in sidecar.events if isinstance(event, StageTimed)]
    assert stages == ["token", "exchange", "chain[0]", "chain[1]"]


@pytest.mark.parametrize("name", [*(name for name in IDAAS_IDENTITIES if name != "token exchange"), *OTHER_IDENTITIES])
async def test_identity_as_the_subject_of_a_token_exchange(name: str, workload: Workload, offline: Build) -> None:
    """Any identity's token can be exchanged (RFC 8693), and the new token names the same subject."""
    subject = IDENTITIES[name](workload)
    identity = client_secret("CLIENT_SECRET_POST")(workload) | {"tokenExchange": {"subject": subject}}
    trust_any_subject(workload.emulator)

    await offline(one_profile(identity, exchange()), workload.environ).fetch()

    forms = [request.fields for request in workload.emulator.journal if "subject_token" in request.fields]
    assert {request.outcome for request in workload.emulator.journal} == {"ok"}
    assert [fields["grant_type"] for fields in forms] == ["urn:ietf:params:oauth:grant-type:token-exchange"]


def trust_any_subject(emulator: Emulator) -> None:
    """Remove oidc:sub from the default role's trust policy: the subject is the one that the exchanged token names."""
    condition = {"StringEquals": {"oidc:iss": [emulator.world.issuer], "oidc:aud": [AUDIENCE]}}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": condition,
    }
    role = replace(emulator.world.roles[role_arn("default")], trust_policy={"Version": "1", "Statement": [statement]})
    emulator.world = replace(emulator.world, roles={role_arn("default"): role})


def test_developer_api_has_its_own_audience() -> None:
    """The DeveloperAPI's audience differs from the resource server's, so one token cannot serve both exchanges."""
    assert PAM_SCOPE.startswith(f"{PAM_AUDIENCE}|")
    assert not SCOPE.startswith(PAM_AUDIENCE)
