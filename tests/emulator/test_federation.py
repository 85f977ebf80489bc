"""PKCS7, OIDC and PCA: a correct request is accepted, and each single change to it is refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.emulator.crypto.pkcs7 import sign
from app.emulator.crypto.pki import Authority, pem
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


async def authentication_outcome(cloud: Cloud, kind: str, name: str, assertion: str | None, **changes: Any) -> str:
    """Send a token request with a federated credential; return "ok" or the error code."""
    credential = {
        "client_secret": None,
        "application_federated_credential_name": name,
        "client_assertion_type": TYPE + kind,
        "client_assertion": assertion,
    }
    body = (await cloud.request_token(**{**credential, **changes})).json()
    return str(body.get("error", "ok"))


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
    """A cluster's token must match issuer, audience, subject and time, and the credential its name and kind."""
    token = cloud.emulator.workload_token(**claims)

    assert await authentication_outcome(cloud, "id-token-bearer", FEDERATED_OIDC, token, **changes) == outcome


async def test_oidc_signature(cloud: Cloud, signing_key: Any) -> None:
    """A token with correct claims is refused if the cluster did not sign it, even with the key of IDaaS."""
    claims = json.loads(base64.urlsafe_b64decode(cloud.emulator.workload_token().split(".")[1] + "=="))

    forged = signed(claims, signing_key, "RS256")

    assert await authentication_outcome(cloud, "id-token-bearer", FEDERATED_OIDC, forged) == "invalid_client"


# --- PCA --------------------------------------------------------------------------------------------------------------


async def pca(cloud: Cloud, changes: Changes, claims: Changes, **details: Any) -> str:
    """Send a request with a certificate and an assertion signed by its key; return the outcome."""
    authority = details.pop("authority", None)
    name = details.pop("name", CLIENT_ID)
    issued = authority.issue(name) if authority else cloud.emulator.issue_certificate(name, **details)
    key: Any = load_pem_private_key(issued.key_pem.encode(), None)
    assertion = signed(cloud.claims(**claims), key, "ES256")
    fields = {"client_x509": issued.leaf_pem, "client_x509_chain": issued.chain_pem}
    return await authentication_outcome(cloud, "x509-jwt-bearer", FEDERATED_PCA, assertion, **(fields | changes))


PCA: list[tuple[Changes, Changes, Changes, str]] = [
    ({}, {}, {}, "ok"),
    ({}, {}, {"name": "somebody"}, "invalid_client"),
    ({}, {}, {"starts_in_days": -3, "days": 1}, "invalid_client"),
    ({}, {}, {"starts_in_days": 2}, "invalid_client"),
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
    """Validity and subject of the certificate are checked, and the assertion as with a registered key."""
    assert await pca(cloud, changes, claims, **details) == outcome


async def test_pca_of_another_authority(cloud: Cloud) -> None:
    """A valid chain is refused if it does not lead to the registered root."""
    assert await pca(cloud, {}, {}, authority=Authority("emulated workloads", cloud.clock)) == "invalid_client"


async def test_pca_without_the_intermediate(cloud: Cloud) -> None:
    """A chain is refused if a leaf takes the place of the intermediate."""
    leaf = cloud.emulator.issue_certificate().leaf_pem

    assert await pca(cloud, {"client_x509_chain": leaf}, {}) == "invalid_client"


async def test_pca_under_a_leaf(cloud: Cloud, ec_key: ec.EllipticCurvePrivateKey) -> None:
    """A certificate is refused if a leaf of the registered CA signed it: a leaf is no certification authority."""
    issued = cloud.emulator.issue_certificate()
    issuer = x509.load_pem_x509_certificate(issued.leaf_pem.encode())
    key: Any = load_pem_private_key(issued.key_pem.encode(), None)
    builder = x509.CertificateBuilder(issuer.subject, issuer.subject, ec_key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(issuer.not_valid_after_utc)
    forged = builder.sign(key, SHA256())
    fields = {"client_x509": pem(forged), "client_x509_chain": issued.leaf_pem + issued.chain_pem}
    assertion = signed(cloud.claims(), ec_key, "ES256")

    outcome = await authentication_outcome(cloud, "x509-jwt-bearer", FEDERATED_PCA, assertion, **fields)

    assert outcome == "invalid_client"


async def test_pca_with_another_key(cloud: Cloud, ec_key: ec.EllipticCurvePrivateKey) -> None:
    """An assertion is refused if another key than the certificate's signed it; the certificate itself is public."""
    issued = cloud.emulator.issue_certificate()
    assertion = signed(cloud.claims(), ec_key, "ES256")
    fields = {"client_x509": issued.leaf_pem, "client_x509_chain": issued.chain_pem}

    assert (
        await authentication_outcome(cloud, "x509-jwt-bearer", FEDERATED_PCA, assertion, **fields) == "invalid_client"
    )


async def test_pca_assertion_is_used_once(cloud: Cloud) -> None:
    """The jti of an assertion is accepted once."""
    assert [await pca(cloud, {}, {}), await pca(cloud, {}, {})] == ["ok", "invalid_client"]


# --- PKCS7 ------------------------------------------------------------------------------------------------------------


async def metadata(cloud: Cloud, path: str, **params: str) -> str:
    """Request `path` of the metadata service with a session token; return the body."""
    ttl = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
    token = (await cloud.http.put("/latest/api/token", headers=ttl)).text
    return (await cloud.http.get(path, params=params, headers={"X-aliyun-ecs-metadata-token": token})).text


def audience(**changes: Any) -> str:
    """Return the audience parameter of an identity document."""
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
    """An identity document must be for this IDaaS instance, not too old and not from the future."""
    document = await metadata(cloud, METADATA, audience=audience(**changes))
    cloud.clock.at += later

    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == outcome


async def test_pkcs7_with_and_without_line_breaks(cloud: Cloud) -> None:
    """A document is accepted with line breaks, as the official SDK sends it, and in one line, as the CLI does."""
    document = await metadata(cloud, METADATA, audience=audience())

    assert "\n" in document.strip()
    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == "ok"
    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, "".join(document.split())) == "ok"


async def test_pkcs7_of_another_instance(cloud: Cloud) -> None:
    """A document of an instance that the trust condition does not allow is refused."""
    client = cloud.emulator.world.clients[CLIENT_ID]
    credential = replace(client.federated[FEDERATED_PKCS7], subject="i-other")
    client = replace(client, federated={**client.federated, FEDERATED_PKCS7: credential})
    cloud.emulator.world = replace(cloud.emulator.world, clients={CLIENT_ID: client})
    document = await metadata(cloud, METADATA, audience=audience())

    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, document) == "invalid_client"


async def test_pkcs7_of_another_authority(cloud: Cloud) -> None:
    """A correct document is refused if another authority of the same name signed it."""
    signer = Authority("emulated ECS", cloud.clock).issue("ecs-identity")
    text = json.dumps({"instance-id": INSTANCE, "audience": audience()})

    assert (
        await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, sign(text.encode(), signer))
        == "invalid_client"
    )


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
async def test_pkcs7_tampered(at: float, cloud: Cloud) -> None:
    """A document with a flipped bit in content, certificate, attributes or signature is refused."""
    der = bytearray(base64.b64decode(await metadata(cloud, METADATA, audience=audience())))
    der[int(len(der) * at)] ^= 1
    text = base64.b64encode(der).decode()

    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, text) == "invalid_client"


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", "MIIB", "MAMCAQE=", "MAYwADACMAA=", "MA0GCSqGSIb3DQEHAqAA"])
async def test_pkcs7_nonsense(text: str, cloud: Cloud) -> None:
    """A text that is not SignedData is refused and causes no error of the emulator."""
    assert await authentication_outcome(cloud, "pkcs7-bearer", FEDERATED_PKCS7, text) == "invalid_client"
