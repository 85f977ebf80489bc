"""Authentication methods that pass the checks, and the message for each mistake in their settings and secrets."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.checks import require
from app.core.connection import Connection
from app.core.display import HIDDEN
from app.core.errors import ConfigError, NotThereYet
from app.emulator.world.world import CLIENT_ID

from ..workload import Workload
from .configured_methods import JWT, PLUGIN, Change, certificate, facts, locked, method_of
from .test_private_key import EC, ED, PASSWORD, der, pem

CERTIFICATE = Connection(certificate_file="/tls.pem")
FED = {"applicationFederatedCredentialName": "fed-1"}
NAMED_SECRET = {"clientSecretEnvVarName": "IDAAS_SECRET"}
NAMED_KEY = {"privateKeyFile": "/key.pem"}
CHAIN = {"clientX509CertificateFile": "/leaf.pem", "x509CertChainsFile": "/chain.pem"}
EIAM_FACTS = {"open_api_endpoint": "eiam.example.com"}
VALID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"authnMethod": "CLIENT_SECRET_POST", **NAMED_SECRET}, {}),
    ({"method": "client_secret_jwt", **NAMED_SECRET}, {}),
    (
        {"method": "client_secret_jwt", **NAMED_SECRET, "assertionAudience": "issuer"},
        {"issuer": "https://idp.example.com"},
    ),
    ({"method": "private_key_jwt", **NAMED_KEY, "assertionAudience": "issuer"}, {"issuer": "https://idp.example.com"}),
    ({"method": "tls_client_auth"}, {"connection": CERTIFICATE}),
    ({"authnMethod": "PCA", **FED, **NAMED_KEY, **CHAIN}, {}),
    ({"authnMethod": "PKCS7", **FED}, {}),
    ({"authnMethod": "PKCS7", **FED, "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"}, {}),
    ({"authnMethod": "OIDC", **FED}, {}),
    ({"authnMethod": "OIDC", **FED, "clientDeployEnvironment": "KUBERNETES"}, {}),
    (PLUGIN, EIAM_FACTS),
    (PLUGIN | {"pluginName": "alibabacloudPluginCredentialProvider"}, EIAM_FACTS),
]


@pytest.mark.parametrize(("method", "changes"), VALID, ids=range(len(VALID)))
def test_complete_method_passes(method: dict[str, Any], changes: dict[str, Any]) -> None:
    """A method with all that it needs passes; a client has no token exchange unless its facts say so."""
    require(method_of(method).checks("p.m", facts(**changes)))
    assert not facts(**changes).exchanges_tokens


INVALID: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {"method": "client_secret_jwt", **NAMED_SECRET, "assertionAudience": "issuer"},
        {},
        "p.issuer: required where assertionAudience is issuer",
        "IDS-106",
    ),
    (
        {"method": "private_key_jwt", **NAMED_KEY, "assertionAudience": "issuer"},
        {"issuer": ""},
        "p.issuer: required where assertionAudience is issuer",
        "IDS-106",
    ),
    ({"method": "tls_client_auth"}, {}, "p.connection.certificateFile: required with tls_client_auth", "IDS-106"),
    (
        {"authnMethod": "PCA", **NAMED_KEY, **CHAIN},
        {},
        "p.m.applicationFederatedCredentialName: required with PCA",
        "IDS-106",
    ),
    ({"authnMethod": "PKCS7"}, {}, "p.m.applicationFederatedCredentialName: required with PKCS7", "IDS-106"),
    ({"authnMethod": "OIDC"}, {}, "p.m.applicationFederatedCredentialName: required with OIDC", "IDS-106"),
    (
        {"authnMethod": "PKCS7", **FED, "clientDeployEnvironment": "KUBERNETES"},
        {},
        "p.m.clientDeployEnvironment: PKCS7 works only in ALIBABA_CLOUD_ECS",
        "IDS-113",
    ),
    (
        {"authnMethod": "OIDC", **FED, "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"},
        {},
        "p.m.clientDeployEnvironment: OIDC works only in KUBERNETES",
        "IDS-113",
    ),
    (
        {"authnMethod": "PKCS7", **FED, "ecsMetadataEndpoint": "http://10.0.0.1"},
        {},
        "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is neither",
        "IDS-112",
    ),
    ({"authnMethod": "CLIENT_SECRET_BASIC"}, {}, "p.m: clientSecretEnvVarName or clientSecretFile is req", "IDS-106"),
    ({"method": "client_secret_jwt"}, {}, "p.m: clientSecretEnvVarName or clientSecretFile is required", "IDS-106"),
    ({"method": "private_key_jwt"}, {}, "p.m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    ({"authnMethod": "PCA", **FED, **CHAIN}, {}, "p.m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    ({"authnMethod": "PCA", **FED, **NAMED_KEY}, {}, "p.m: clientX509Certificate or clientX509Certifi", "IDS-106"),
    (
        {"authnMethod": "PRIVATE_KEY_JWT", **NAMED_KEY, "privateKeyEnvVarName": "IDAAS_KEY"},
        {},
        "p.m: privateKeyEnvVarName and privateKeyFile are both set",
        "IDS-113",
    ),
    (
        {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "hunter2!"},
        {},
        f"p.m.clientSecretEnvVarName: {HIDDEN} is not the name of an environment variable",
        "IDS-108",
    ),
    (
        {"authnMethod": "PRIVATE_KEY_JWT", **NAMED_KEY, "privateKeyPasswordEnvVarName": "$PASSWORD"},
        {},
        f"p.m.privateKeyPasswordEnvVarName: {HIDDEN} is not the name of an environment variable",
        "IDS-108",
    ),
    ({"method": "client_assertion"}, {}, "p.m: tokenEnvVarName or tokenFile is required", "IDS-106"),
    (PLUGIN, {}, "p.openApiEndpoint: required with PLUGIN", "IDS-106"),
    (
        PLUGIN,
        {"open_api_endpoint": "http://eiam.example.com"},
        "p.openApiEndpoint: 'http://eiam.example.com' would",
        "IDS-112",
    ),
    (
        PLUGIN | {"pluginName": "other"},
        EIAM_FACTS,
        "p.m.pluginName: 'other' is not known here; there is alibabacloud",
        "IDS-105",
    ),
    (PLUGIN, EIAM_FACTS | {"exchanges_tokens": True}, "p.tokenExchange: cannot be combined with PLUGIN", "IDS-113"),
    (
        PLUGIN | {"ecsMetadataEndpoint": "http://10.0.0.1"},
        EIAM_FACTS,
        "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is",
        "IDS-112",
    ),
]


@pytest.mark.parametrize(
    ("method", "changes", "message", "error_code"), INVALID, ids=[message for _, _, message, _ in INVALID]
)
def test_incomplete_method_is_refused(
    method: dict[str, Any], changes: dict[str, Any], message: str, error_code: str
) -> None:
    """What a method lacks, or cannot be combined with, is refused with its key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        require(method_of(method).checks("p.m", facts(**changes)))

    assert caught.value.error_code == error_code


UNREADABLE: list[tuple[Change, str, str]] = [
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST"},
        "m: clientSecretEnvVarName or clientSecretFile is required",
        "IDS-106",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S", "clientSecretFile": "/s"},
        "m: clientSecretEnvVarName and clientSecretFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/no/s"},
        "m.clientSecretFile: /no/s: no",
        "IDS-124",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
        "m.clientSecretEnvVarName: the environment variable S is not set",
        "IDS-108",
    ),
    (lambda _: {"authnMethod": "PRIVATE_KEY_JWT"}, "m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    (
        lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": "/no/k"},
        "m.privateKeyFile: /no/k: no such file",
        "IDS-124",
    ),
    (
        lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "K"},
        "m.privateKeyEnvVarName: the environment variable K is not set",
        "IDS-108",
    ),
    (
        locked,
        "m.privateKeyFile: */key.pem: no usable private key: it is encrypted; name its password with "
        "privateKeyPasswordEnvVarName",
        "IDS-115",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="WRONG"),
        "m.privateKeyFile: */key.pem: no usable private key: the password is wrong, or the key damaged",
        "IDS-115",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="MISSING"),
        "m.privateKeyPasswordEnvVarName: the environment variable MISSING is not set",
        "IDS-108",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="RS256"),
        "m.algorithm: RS256 does not fit the key, whose own is ES256",
        "IDS-115",
    ),
    (
        lambda workload: {
            "authnMethod": "PRIVATE_KEY_JWT",
            "privateKeyFile": workload.write_file("key.pem", pem(ec.generate_private_key(ec.BrainpoolP256R1()))),
        },
        "m.privateKeyFile: */key.pem: the curve brainpoolP256r1 is none of P-256, P-384, P-521",
        "IDS-115",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None),
        "m: clientX509Certificate or clientX509CertificateFile is required",
        "IDS-106",
    ),
    (
        lambda workload: certificate(workload, clientX509CertificateFile="/c"),
        "m: clientX509Certificate and clientX509CertificateFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None, clientX509CertificateFile="/no/c"),
        "m.clientX509CertificateFile: /no/c: no such file",
        "IDS-124",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None),
        "m: x509CertChains or x509CertChainsFile is required",
        "IDS-106",
    ),
    (
        lambda workload: certificate(workload, x509CertChainsFile="/c"),
        "m: x509CertChains and x509CertChainsFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None, x509CertChainsFile="/no/c"),
        "m.x509CertChainsFile: /no/c: no such file",
        "IDS-124",
    ),
    (
        lambda workload: certificate(workload, x509CertChains="a word"),
        "m.x509CertChains: no usable certificate, neither PEM",
        "IDS-115",
    ),
    (
        lambda workload: certificate(
            workload, x509CertChains=None, x509CertChainsFile=workload.write_file("chain.pem", "a word")
        ),
        "m.x509CertChainsFile: */chain.pem: no usable certificate, neither PEM",
        "IDS-115",
    ),
    (
        lambda workload: certificate(workload, privateKeyFile=workload.register_key(CLIENT_ID)),
        "m.privateKeyFile: */key.pem: the private key does not belong to the certificate in m.clientX509Certificate",
        "IDS-115",
    ),
    (
        lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": workload.write_file("key.pem", pem(ED))},
        "m.privateKeyFile: */key.pem: neither an RSA nor an EC key; IDaaS takes no other",
        "IDS-115",
    ),
    (
        lambda workload: {
            "method": "private_key_jwt",
            "privateKeyFile": workload.write_file("key.pem", pem(ec.generate_private_key(ec.BrainpoolP256R1()))),
        },
        "m.privateKeyFile: */key.pem: the curve brainpoolP256r1 is none of P-256, P-384, P-521",
        "IDS-115",
    ),
]


@pytest.mark.parametrize(("make", "message", "error_code"), UNREADABLE, ids=[message for _, message, _ in UNREADABLE])
def test_unreadable_secret_is_reported(make: Change, message: str, error_code: str, workload: Workload) -> None:
    """A secret, key or certificate that is missing, ambiguous or unusable is reported with its key and file."""
    error = NotThereYet if "/no/" in message else ConfigError
    pattern = re.escape(message).replace(r"\*", "/[^ :]+")
    with pytest.raises(error, match=f"^{pattern}") as caught:
        require(method_of(make(workload)).read_checks("m", {"PASSWORD": PASSWORD, "WRONG": "another"}))

    assert caught.value.error_code == error_code


def binary_key(workload: Workload) -> str:
    """Write a private key as DER; return its path."""
    path = Path(workload.write_file("key.der", ""))
    path.write_bytes(base64.b64decode(der(EC)))
    return str(path)


READABLE: list[Change] = [
    lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
    lambda workload: {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretFile": workload.write_file("s", "s")},
    lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": workload.register_key(CLIENT_ID)},
    lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="ES256"),
    certificate,
    lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": binary_key(workload)},
    lambda workload: {"method": "private_key_jwt", "privateKeyFile": workload.write_file("key.pem", pem(ED))},
    lambda _: {"method": "tls_client_auth"},
]


@pytest.mark.parametrize("make", READABLE, ids=range(len(READABLE)))
def test_readable_secret_is_accepted(make: Change, workload: Workload) -> None:
    """A secret in a variable or a file, an encrypted key with its password, and a certificate with its key pass."""
    require(method_of(make(workload)).read_checks("m", {"S": "s", "PASSWORD": PASSWORD}))


def test_token_of_another_issuer_may_be_public(workload: Workload) -> None:
    """Other users may read a projected token, which another program writes; it may not exist yet."""
    path = Path(workload.write_file("projected", JWT))
    path.chmod(0o644)
    method = {"method": "client_assertion", "tokenFile": str(path)}

    require(method_of(method).token_checks("m", {}))
    path.unlink()
    with pytest.raises(NotThereYet, match=rf"^m\.tokenFile: {path}: no such file"):
        require(method_of(method).token_checks("m", {}))
