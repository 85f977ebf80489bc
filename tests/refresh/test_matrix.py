"""Every identity with every exchange, and with a chain behind it: the whole way, verified by the emulated cloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.events import StageTimed
from app.emulator import Emulator, PublicKey
from app.emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    AUDIENCE,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    CLIENT_SECRET,
    EXTERNAL_ID,
    EXTERNAL_ROLE_ARN,
    FEDERATED_OIDC,
    FEDERATED_PCA,
    FEDERATED_PKCS7,
    INSTANCE_ID,
    MANAGED_ROLE_ARN,
    OIDC_AUDIENCE,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET,
    PAM_AUDIENCE,
    PAM_SCOPE,
    PROVIDER_ARN,
    SCOPE,
    WORKLOAD_PROVIDER_ARN,
    role_arn,
    workload_issuer,
)

from ..conftest import BASE, TOKEN_ENDPOINT, Offline, configuration, exchange, identity

Build = Callable[..., Offline]
Maker = Callable[["Place"], dict[str, Any]]

METADATA = "http://127.0.0.1:7081"


class Place:
    """Where a test runs: its files, its environment, and the cloud that it prepares."""

    def __init__(self, directory: Path, emulator: Emulator) -> None:
        self.directory = directory
        self.emulator = emulator
        self.environ = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET, "HOME": str(directory)}
        self.scope = SCOPE
        self.token = emulator.workload_token()

    def file(self, name: str, text: str) -> str:
        """Writes a file; its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def key(self, client_id: str) -> str:
        """Registers a new key with a client; the path of its private half."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        world = self.emulator.world
        client = replace(world.clients[client_id], public_keys=(PublicKey(public.decode()),))
        self.emulator.world = replace(world, clients={**world.clients, client_id: client})
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self.file("key.pem", private.decode())

    def idaas(self, method: str, **keys: Any) -> dict[str, Any]:
        """An application of IDaaS that proves itself by `method`."""
        return identity(scope=self.scope, authnConfiguration={"authnMethod": method, **keys})


def by_secret(method: str) -> Maker:
    return lambda place: place.idaas(method, clientSecretEnvVarName="IDAAS_SECRET")


def by_private_key(place: Place) -> dict[str, Any]:
    return place.idaas("PRIVATE_KEY_JWT", privateKeyFile=place.key(CLIENT_ID))


def by_document(place: Place) -> dict[str, Any]:
    return place.idaas("PKCS7", applicationFederatedCredentialName=FEDERATED_PKCS7, ecsMetadataEndpoint=METADATA)


def by_cluster(place: Place) -> dict[str, Any]:
    path = place.file("token", place.token + "\n")
    return place.idaas("OIDC", applicationFederatedCredentialName=FEDERATED_OIDC, oidcTokenFilePath=path)


def by_certificate(place: Place, **details: Any) -> dict[str, Any]:
    issued = place.emulator.issue_certificate(CLIENT_ID, **details)
    return place.idaas(
        "PCA",
        applicationFederatedCredentialName=FEDERATED_PCA,
        privateKeyFile=place.file("tls.key", issued.key_pem),
        clientX509CertificateFile=place.file("tls.crt", issued.leaf_pem),
        x509CertChainsFile=place.file("ca.crt", issued.chain_pem),
    )


def by_access_key(place: Place) -> dict[str, Any]:
    place.environ |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
    }
    return place.idaas("PLUGIN") | {"openApiEndpoint": BASE}


def by_ecs_role(place: Place) -> dict[str, Any]:
    return place.idaas("PLUGIN", ecsMetadataEndpoint=METADATA) | {"openApiEndpoint": BASE}


def exchanged(place: Place) -> dict[str, Any]:
    path = place.file("token", place.emulator.workload_token())
    subject = {"subject": {"type": "tokenFile", "tokenFile": path}}
    return by_secret("CLIENT_SECRET_POST")(place) | {"tokenExchange": subject}


def oidc_client(method: str) -> Maker:
    """A client of the second issuer; what it is granted there decides what its token is for."""

    def make(place: Place) -> dict[str, Any]:
        keys = {"clientSecretEnvVarName": "OIDC_SECRET"}
        if method == "private_key_jwt":
            keys = {"privateKeyFile": place.key(OIDC_CLIENT_ID)}
        return {
            "type": "oidcClient",
            "issuer": workload_issuer(place.emulator.world),
            "clientId": OIDC_CLIENT_ID,
            "clientAuthentication": {"method": method, **keys},
            "audience": OIDC_AUDIENCE,
        }

    return make


def token_file(place: Place) -> dict[str, Any]:
    return {"type": "tokenFile", "tokenFile": place.file("token", place.token + "\n")}


def command(place: Place) -> dict[str, Any]:
    text = json.dumps({"access_token": place.token})
    return {"type": "command", "command": [sys.executable, "-c", f"print({text!r})"]}


IDAAS: dict[str, Maker] = {
    "CLIENT_SECRET_BASIC": by_secret("CLIENT_SECRET_BASIC"),
    "CLIENT_SECRET_POST": by_secret("CLIENT_SECRET_POST"),
    "CLIENT_SECRET_JWT": by_secret("CLIENT_SECRET_JWT"),
    "PRIVATE_KEY_JWT": by_private_key,
    "PKCS7": by_document,
    "OIDC": by_cluster,
    "PCA": by_certificate,
    "PLUGIN with an AccessKey": by_access_key,
    "PLUGIN with an ECS role": by_ecs_role,
    "token exchange": exchanged,
}
OTHERS: dict[str, Maker] = {
    "client_secret_basic": oidc_client("client_secret_basic"),
    "client_secret_post": oidc_client("client_secret_post"),
    "client_secret_jwt": oidc_client("client_secret_jwt"),
    "private_key_jwt": oidc_client("private_key_jwt"),
    "tokenFile": token_file,
    "command": command,
}
CHAIN = [
    {"roleArn": CHAINED_ROLE_ARN},
    {"roleArn": EXTERNAL_ROLE_ARN, "endpoints": [BASE], "externalId": EXTERNAL_ID, "sourceIdentity": "app-1"},
]


@pytest.fixture
def place(tmp_path: Path, emulator: Emulator) -> Place:
    return Place(tmp_path, emulator)


def profile(who: dict[str, Any], what: dict[str, Any], **more: Any) -> dict[str, Any]:
    return configuration(profiles={"default": {"identity": who, "exchange": what, **more}})


def sts(name: str) -> dict[str, Any]:
    """AssumeRoleWithOIDC by the provider that knows the identity's issuer."""
    return exchange() if name in IDAAS else exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)


@pytest.mark.parametrize("name", [*IDAAS, *OTHERS])
async def test_sts(name: str, place: Place, offline: Build) -> None:
    """Each identity obtains a session of a role that trusts its issuer; nobody was refused on the way."""
    who = (IDAAS | OTHERS)[name](place)

    credentials = await offline(profile(who, sts(name)), place.environ).fetch()

    assert credentials.expires_at - credentials.issued_at == 3600
    assert {call.outcome for call in place.emulator.journal} == {"ok"}
    assert place.emulator.journal[-1].fields["RoleArn"] == role_arn("default")


@pytest.mark.parametrize("name", IDAAS)
async def test_developer_api(name: str, place: Place, offline: Build) -> None:
    """Each identity of IDaaS obtains a session of a role that IDaaS manages, and needs to name no scope for it."""
    place.scope = ""
    who = IDAAS[name](place)

    credentials = await offline(
        profile(who, {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, "endpoint": BASE}), place.environ
    ).fetch()

    assert credentials.expires_at - credentials.issued_at == 3600
    assert {call.outcome for call in place.emulator.journal} == {"ok"}
    assert place.emulator.journal[-1].kind == "developerapi"


@pytest.mark.parametrize("name", OTHERS)
async def test_developer_api_by_others(name: str, place: Place, offline: Build) -> None:
    """Whoever brings a token of IDaaS's for the API needs no application of ours: the instance is named instead."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(place.emulator)) as http:  # type: ignore[arg-type]
        place.token = (await http.post(TOKEN_ENDPOINT, data={**form, "scope": PAM_SCOPE})).json()["access_token"]
    what = {
        "type": "developerApi",
        "roleArn": MANAGED_ROLE_ARN,
        "endpoint": BASE,
        "idaasInstanceId": INSTANCE_ID,
        "durationSeconds": 1800,
    }
    who = OTHERS[name](place)
    if who["type"] == "oidcClient":
        who |= {"issuer": place.emulator.world.issuer, "clientId": CLIENT_ID, "scope": PAM_SCOPE, "audience": None}
    if name == "private_key_jwt":
        place.key(CLIENT_ID)

    credentials = await offline(profile(who, what), place.environ | {"OIDC_SECRET": CLIENT_SECRET}).fetch()

    assert credentials.expires_at - credentials.issued_at == 1800
    assert place.emulator.journal[-1].kind == "developerapi"


@pytest.mark.parametrize("name", [*IDAAS, *OTHERS])
async def test_chain(name: str, place: Place, offline: Build) -> None:
    """Behind each identity a chain of two more roles, the second with an external id; each link is timed by itself."""
    who = (IDAAS | OTHERS)[name](place)
    sidecar = offline(profile(who, sts(name), chain=CHAIN), place.environ)

    await sidecar.fetch()

    roles = [call.fields["RoleArn"] for call in place.emulator.journal if call.kind == "sts"]
    assert roles == [role_arn("default"), CHAINED_ROLE_ARN, EXTERNAL_ROLE_ARN]
    stages = [event.stage for event in sidecar.events if isinstance(event, StageTimed)]
    assert stages == ["token", "exchange", "chain[0]", "chain[1]"]


@pytest.mark.parametrize("name", [*(name for name in IDAAS if name != "token exchange"), *OTHERS])
async def test_any_identity_can_be_the_subject(name: str, place: Place, offline: Build) -> None:
    """RFC 8693: whatever obtains a token can be exchanged; the token that comes back speaks of that subject."""
    subject = (IDAAS | OTHERS)[name](place)
    who = by_secret("CLIENT_SECRET_POST")(place) | {"tokenExchange": {"subject": subject}}
    trust_everybody(place.emulator)

    await offline(profile(who, exchange()), place.environ).fetch()

    asked = [call.fields for call in place.emulator.journal if "subject_token" in call.fields]
    assert {call.outcome for call in place.emulator.journal} == {"ok"}
    assert [fields["grant_type"] for fields in asked] == ["urn:ietf:params:oauth:grant-type:token-exchange"]


def trust_everybody(emulator: Emulator) -> None:
    """The default role without oidc:sub: the subject is whoever the exchanged token speaks of."""
    condition = {"StringEquals": {"oidc:iss": [emulator.world.issuer], "oidc:aud": [AUDIENCE]}}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": condition,
    }
    role = replace(emulator.world.roles[role_arn("default")], trust_policy={"Version": "1", "Statement": [statement]})
    emulator.world = replace(emulator.world, roles={role_arn("default"): role})


def test_the_api_has_an_audience_of_its_own() -> None:
    """The DeveloperAPI's scope is not the resource server's: one token cannot serve both exchanges."""
    assert PAM_SCOPE.startswith(f"{PAM_AUDIENCE}|")
    assert not SCOPE.startswith(PAM_AUDIENCE)
