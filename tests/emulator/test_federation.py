"""PKCS7, OIDC and PCA: one request is accepted, and each single change to it is refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.emulator import Fault
from app.emulator.crypto.pkcs7 import sign
from app.emulator.crypto.pki import Authority
from app.emulator.world.world import (
    CLIENT_ID,
    FEDERATED_OIDC,
    FEDERATED_PCA,
    FEDERATED_PKCS7,
    INSTANCE,
    INSTANCE_ID,
    WORKLOAD_AUDIENCE,
)

from .conftest import Changes, Cloud, changed, signed

TYPE = "urn:cloud:idaas:params:oauth:client-assertion-type:"
METADATA = "/latest/dynamic/instance-identity/pkcs7"


async def asked(cloud: Cloud, kind: str, name: str, assertion: str | None, **changes: Any) -> str:
    """The outcome of a token request with a federated credential: "ok", or the error code."""
    proof = {
        "client_secret": None,
        "application_federated_credential_name": name,
        "client_assertion_type": TYPE + kind,
        "client_assertion": assertion,
    }
    answer = (await cloud.ask(**{**proof, **changes})).json()
    return str(answer.get("error", "ok"))


# --- OIDC -------------------------------------------------------------------------------------------------------------

OIDC: list[tuple[Changes, Changes, str]] = [
    ({}, {}, "ok"),
    ({"iss": "https://elsewhere.example"}, {}, "invalid_client"),
    ({"aud": ["another"]}, {}, "invalid_client"),
    ({"aud": [WORKLOAD_AUDIENCE, "another"]}, {}, "ok"),
    ({"sub": "system:serviceaccount:other:app"}, {}, "invalid_client"),
    ({"exp": 1767323045}, {}, "invalid_client"),
    ({"exp": None}, {}, "invalid_client"),
    ({"iat": 1767323045 + 61}, {}, "invalid_client"),
    ({}, {"application_federated_credential_name": None}, "invalid_request"),
    ({}, {"application_federated_credential_name": "unknown"}, "invalid_client"),
    ({}, {"application_federated_credential_name": FEDERATED_PCA}, "invalid_client"),
    ({}, {"client_assertion": "no token"}, "invalid_client"),
    ({}, {"client_assertion_type": TYPE + "id-token"}, "invalid_client"),
    ({}, {"client_id": "app_other"}, "invalid_client"),
    ({}, {"client_secret": "demo-client-secret"}, "invalid_request"),
]


@pytest.mark.parametrize(("claims", "changes", "outcome"), OIDC)
async def test_oidc(claims: Changes, changes: Changes, outcome: str, cloud: Cloud) -> None:
    """The cluster's token: issuer, audience, subject, time, and the credential's name and kind."""
    token = cloud.emulator.workload_token(**claims)

    assert await asked(cloud, "id-token-bearer", FEDERATED_OIDC, token, **changes) == outcome


async def test_oidc_signature(cloud: Cloud, signing_key: Any) -> None:
    """A token with the right claims that the cluster did not sign is refused, be it IDaaS's own key."""
    claims = json.loads(base64.urlsafe_b64decode(cloud.emulator.workload_token().split(".")[1] + "=="))

    forged = signed(claims, signing_key, "RS256")

    assert await asked(cloud, "id-token-bearer", FEDERATED_OIDC, forged) == "invalid_client"


# --- PCA --------------------------------------------------------------------------------------------------------------


async def pca(cloud: Cloud, changes: Changes, claims: Changes, **details: Any) -> str:
    """A request with a certificate and an assertion that its key signed."""
    authority = details.pop("authority", None)
    name = details.pop("name", CLIENT_ID)
    issued = authority.issue(name) if authority else cloud.emulator.issue_certificate(name, **details)
    key: Any = load_pem_private_key(issued.key_pem.encode(), None)
    assertion = signed(cloud.claims(**claims), key, "ES256")
    fields = {"client_x509": issued.leaf_pem, "client_x509_chain": issued.chain_pem}
    return await asked(cloud, "x509-jwt-bearer", FEDERATED_PCA, assertion, **(fields | changes))


PCA: list[tuple[Changes, Changes, Changes, str]] = [
    ({}, {}, {}, "ok"),
    ({}, {}, {"name": "somebody"}, "invalid_client"),
    ({}, {}, {"since": -3, "days": 1}, "invalid_client"),
    ({}, {}, {"since": 2}, "invalid_client"),
    ({"client_x509": None}, {}, {}, "invalid_request"),
    ({"client_x509_chain": None}, {}, {}, "invalid_request"),
    ({"client_x509": "no PEM"}, {}, {}, "invalid_request"),
    ({"client_x509_chain": "no PEM"}, {}, {}, "invalid_request"),
    ({"application_federated_credential_name": FEDERATED_OIDC}, {}, {}, "invalid_client"),
    ({}, {"iss": "app_other"}, {}, "invalid_client"),
    ({}, {"sub": "app_other"}, {}, "invalid_client"),
    ({}, {"aud": "https://elsewhere.example/token"}, {}, "invalid_client"),
    ({}, {"exp": 1767323045}, {}, "invalid_client"),
    ({}, {"jti": None}, {}, "invalid_client"),
]


@pytest.mark.parametrize(("changes", "claims", "details", "outcome"), PCA)
async def test_pca(changes: Changes, claims: Changes, details: Changes, outcome: str, cloud: Cloud) -> None:
    """The certificate's chain, life and subject, and the assertion as with a plain key."""
    assert await pca(cloud, changes, claims, **details) == outcome


async def test_pca_of_another_authority(cloud: Cloud) -> None:
    """A chain that is sound in itself, but does not lead to the registered root."""
    assert await pca(cloud, {}, {}, authority=Authority("emulated workloads", cloud.clock)) == "invalid_client"


async def test_pca_without_the_intermediate(cloud: Cloud) -> None:
    """The leaf in the intermediate's place is no authority."""
    leaf = cloud.emulator.issue_certificate().leaf_pem

    assert await pca(cloud, {"client_x509_chain": leaf}, {}) == "invalid_client"


async def test_pca_with_another_key(cloud: Cloud, ec_key: ec.EllipticCurvePrivateKey) -> None:
    """The certificate is public: only its key proves anything."""
    issued = cloud.emulator.issue_certificate()
    assertion = signed(cloud.claims(), ec_key, "ES256")
    fields = {"client_x509": issued.leaf_pem, "client_x509_chain": issued.chain_pem}

    assert await asked(cloud, "x509-jwt-bearer", FEDERATED_PCA, assertion, **fields) == "invalid_client"


async def test_pca_assertion_is_used_once(cloud: Cloud) -> None:
    """A jti that was used is used up."""
    assert [await pca(cloud, {}, {}), await pca(cloud, {}, {})] == ["ok", "invalid_client"]


# --- PKCS7 ------------------------------------------------------------------------------------------------------------


async def metadata(cloud: Cloud, path: str, **params: str) -> str:
    """An answer of the metadata service, asked as it wants to be."""
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
    token = (await cloud.http.put("/latest/api/token", headers=ttl)).text
    return (await cloud.http.get(path, params=params, headers={"X-aliyun-ecs-metadata-token": token})).text


def audience(**changes: Any) -> str:
    return json.dumps(changed({"aud": INSTANCE_ID, "signingTime": 1767323045}, changes))


PKCS7: list[tuple[Changes, float, str]] = [
    ({}, 0, "ok"),
    ({}, 3600, "ok"),
    ({}, 3601, "invalid_client"),
    ({}, -61, "invalid_client"),
    ({"aud": "idaas_other"}, 0, "invalid_client"),
    ({"aud": None}, 0, "invalid_client"),
    ({"signingTime": None}, 0, "invalid_client"),
    ({"signingTime": "1767323045"}, 0, "invalid_client"),
]


@pytest.mark.parametrize(("changes", "later", "outcome"), PKCS7)
async def test_pkcs7(changes: Changes, later: float, outcome: str, cloud: Cloud) -> None:
    """The instance's document: for this instance of IDaaS, not too old, not from the future."""
    document = await metadata(cloud, METADATA, audience=audience(**changes))
    cloud.clock.at += later

    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == outcome


async def test_pkcs7_with_and_without_line_breaks(cloud: Cloud) -> None:
    """The official SDK sends the text as it came, the CLI in one line: both are one document."""
    document = await metadata(cloud, METADATA, audience=audience())

    assert "\n" in document.strip()
    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == "ok"
    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, "".join(document.split())) == "ok"


async def test_pkcs7_of_another_instance(cloud: Cloud) -> None:
    """The trust condition names the instances that may."""
    client = cloud.emulator.world.clients[CLIENT_ID]
    known = replace(client.federated[FEDERATED_PKCS7], subject="i-other")
    client = replace(client, federated={**client.federated, FEDERATED_PKCS7: known})
    cloud.emulator.world = replace(cloud.emulator.world, clients={CLIENT_ID: client})
    document = await metadata(cloud, METADATA, audience=audience())

    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == "invalid_client"


async def test_pkcs7_of_somebody_else(cloud: Cloud) -> None:
    """A document that is right in every member, signed by another authority of the same name."""
    signer = Authority("emulated ECS", cloud.clock).issue("ecs-identity")
    text = json.dumps({"instance-id": INSTANCE, "audience": audience()})

    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, sign(text.encode(), signer)) == "invalid_client"


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
async def test_pkcs7_tampered(at: float, cloud: Cloud) -> None:
    """A flipped bit anywhere in content, certificate, attributes or signature is no document any more."""
    der = bytearray(base64.b64decode(await metadata(cloud, METADATA, audience=audience())))
    der[int(len(der) * at)] ^= 1
    text = base64.b64encode(der).decode()

    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, text) == "invalid_client"


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", "MIIB", "MAMCAQE=", "MAYwADACMAA=", "MA0GCSqGSIb3DQEHAqAA"])
async def test_pkcs7_nonsense(text: str, cloud: Cloud) -> None:
    """What is no SignedData is refused, not an error of the emulator's."""
    assert await asked(cloud, "pkcs7-bearer", FEDERATED_PKCS7, text) == "invalid_client"


# --- the metadata service ---------------------------------------------------------------------------------------------

TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PUT", {TTL: "1"}, 200),
        ("PUT", {TTL: "21600"}, 200),
        ("PUT", {TTL: "0"}, 400),
        ("PUT", {TTL: "21601"}, 400),
        ("PUT", {TTL: "x"}, 400),
        ("PUT", {}, 400),
        ("GET", {TTL: "60"}, 400),
        ("PUT", {TTL: "60", "Via": "1.1 proxy"}, 403),
        ("PUT", {TTL: "60", "X-Forwarded-For": "127.0.0.1"}, 403),
    ],
)
async def test_session_tokens(method: str, headers: dict[str, str], status: int, cloud: Cloud) -> None:
    """A token is had by PUT, with a life within bounds, and not through a proxy."""
    assert (await cloud.http.request(method, "/latest/api/token", headers=headers)).status_code == status


async def test_a_session_token_is_needed_and_ends(cloud: Cloud) -> None:
    """Without one, with another's, or after its life: 403; where the world does not insist, none is needed."""
    path, header = "/latest/meta-data/instance-id", "X-aliyun-ecs-metadata-token"
    token = (await cloud.http.put("/latest/api/token", headers={TTL: "60"})).text

    async def status(headers: dict[str, str]) -> int:
        return (await cloud.http.get(path, headers=headers)).status_code

    assert [await status({header: token}), await status({header: "x"}), await status({})] == [200, 403, 403]
    cloud.clock.at += 60
    assert await status({header: token}) == 403
    cloud.emulator.world = replace(cloud.emulator.world, metadata_tokens_required=False)
    assert await status({}) == 200


async def test_metadata_faults(cloud: Cloud) -> None:
    """The metadata service fails on demand like everything else."""
    cloud.emulator.faults.add(Fault("metadata", status=503))

    assert (await cloud.http.put("/latest/api/token", headers={TTL: "60"})).status_code == 503
