"""The settings of every identity that the emulated cloud accepts, and the files and keys that they need."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from app.emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    EXTERNAL_ID,
    EXTERNAL_ROLE_ARN,
    FEDERATED_OIDC,
    FEDERATED_PCA,
    FEDERATED_PKCS7,
    OIDC_AUDIENCE,
    OIDC_CLIENT_ID,
    WORKLOAD_PROVIDER_ARN,
    workload_issuer,
)

from ..conftest import BASE, configuration, exchange, identity
from ..workload import Workload

METADATA_ENDPOINT = "http://127.0.0.1:7081"

MakeIdentity = Callable[[Workload], dict[str, Any]]
"""Returns the settings of an identity, and prepares what it needs in the workload."""


def idaas(workload: Workload, method: str, **keys: Any) -> dict[str, Any]:
    """Return an application of IDaaS that authenticates by `method`."""
    return identity(scope=workload.scope, authnConfiguration={"authnMethod": method, **keys})


def client_secret(method: str) -> MakeIdentity:
    """An application of IDaaS with a client secret, used by `method`."""
    return lambda workload: idaas(workload, method, clientSecretEnvVarName="IDAAS_SECRET")


def private_key_jwt(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS with a private key."""
    return idaas(workload, "PRIVATE_KEY_JWT", privateKeyFile=workload.register_key(CLIENT_ID))


def pkcs7(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS with the signed identity document of an ECS instance."""
    return idaas(
        workload, "PKCS7", applicationFederatedCredentialName=FEDERATED_PKCS7, ecsMetadataEndpoint=METADATA_ENDPOINT
    )


def oidc_token(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS with the service account token of a cluster."""
    path = workload.write_file("token", workload.token + "\n")
    return idaas(workload, "OIDC", applicationFederatedCredentialName=FEDERATED_OIDC, oidcTokenFilePath=path)


def pca(workload: Workload, **details: Any) -> dict[str, Any]:
    """An application of IDaaS with a certificate. `details` go to the emulator's certificate authority."""
    issued = workload.emulator.issue_certificate(CLIENT_ID, **details)
    return idaas(
        workload,
        "PCA",
        applicationFederatedCredentialName=FEDERATED_PCA,
        privateKeyFile=workload.write_file("tls.key", issued.key_pem),
        clientX509CertificateFile=workload.write_file("tls.crt", issued.leaf_pem),
        x509CertChainsFile=workload.write_file("ca.crt", issued.chain_pem),
    )


def plugin_access_key(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS with the PLUGIN method and an AccessKey of the environment."""
    workload.environ |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
    }
    return idaas(workload, "PLUGIN") | {"openApiEndpoint": BASE}


def plugin_ecs_role(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS with the PLUGIN method and the RAM role of an ECS instance."""
    return idaas(workload, "PLUGIN", ecsMetadataEndpoint=METADATA_ENDPOINT) | {"openApiEndpoint": BASE}


def token_exchange(workload: Workload) -> dict[str, Any]:
    """An application of IDaaS that exchanges the token of a file for its own token."""
    path = workload.write_file("token", workload.emulator.workload_token())
    subject = {"subject": {"type": "tokenFile", "tokenFile": path}}
    return client_secret("CLIENT_SECRET_POST")(workload) | {"tokenExchange": subject}


def oidc_client(method: str) -> MakeIdentity:
    """A client of the second issuer. The scope or audience that it is granted there decides what its token is for."""

    def make(workload: Workload) -> dict[str, Any]:
        keys = {"clientSecretEnvVarName": "OIDC_SECRET"}
        if method == "private_key_jwt":
            keys = {"privateKeyFile": workload.register_key(OIDC_CLIENT_ID)}
        return {
            "type": "oidcClient",
            "issuer": workload_issuer(workload.emulator.world),
            "clientId": OIDC_CLIENT_ID,
            "clientAuthentication": {"method": method, **keys},
            "audience": OIDC_AUDIENCE,
        }

    return make


def client_assertion(workload: Workload) -> dict[str, Any]:
    """A client of the second issuer that proves itself with a projected service account token."""
    issuer = workload_issuer(workload.emulator.world)
    token = workload.emulator.workload_token(aud=[issuer])
    return oidc_client("client_secret_post")(workload) | {
        "clientAuthentication": {"method": "client_assertion", "tokenFile": workload.write_file("projected", token)}
    }


def token_variable(workload: Workload) -> dict[str, Any]:
    """A token in an environment variable."""
    workload.environ["JOB_TOKEN"] = workload.token
    return {"type": "tokenFile", "tokenEnvVarName": "JOB_TOKEN"}


def token_file(workload: Workload) -> dict[str, Any]:
    """A token in a file."""
    return {"type": "tokenFile", "tokenFile": workload.write_file("token", workload.token + "\n")}


def command(workload: Workload) -> dict[str, Any]:
    """A command that prints a token."""
    text = json.dumps({"access_token": workload.token})
    return {"type": "command", "command": [sys.executable, "-c", f"print({text!r})"]}


IDAAS_IDENTITIES: dict[str, MakeIdentity] = {
    "CLIENT_SECRET_BASIC": client_secret("CLIENT_SECRET_BASIC"),
    "CLIENT_SECRET_POST": client_secret("CLIENT_SECRET_POST"),
    "CLIENT_SECRET_JWT": client_secret("CLIENT_SECRET_JWT"),
    "PRIVATE_KEY_JWT": private_key_jwt,
    "PKCS7": pkcs7,
    "OIDC": oidc_token,
    "PCA": pca,
    "PLUGIN with an AccessKey": plugin_access_key,
    "PLUGIN with an ECS role": plugin_ecs_role,
    "token exchange": token_exchange,
}
OTHER_IDENTITIES: dict[str, MakeIdentity] = {
    "client_secret_basic": oidc_client("client_secret_basic"),
    "client_secret_post": oidc_client("client_secret_post"),
    "client_secret_jwt": oidc_client("client_secret_jwt"),
    "private_key_jwt": oidc_client("private_key_jwt"),
    "client_assertion": client_assertion,
    "tokenFile": token_file,
    "tokenEnvVarName": token_variable,
    "command": command,
}
IDENTITIES = IDAAS_IDENTITIES | OTHER_IDENTITIES

CHAIN = [
    {"roleArn": CHAINED_ROLE_ARN},
    {"roleArn": EXTERNAL_ROLE_ARN, "endpoints": [BASE], "externalId": EXTERNAL_ID, "sourceIdentity": "app-1"},
]
"""Two more roles behind the first one; the second needs an external id."""


def sts_exchange(name: str) -> dict[str, Any]:
    """Return AssumeRoleWithOIDC by the OIDC provider that knows the issuer of the identity `name`."""
    return exchange() if name in IDAAS_IDENTITIES else exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)


def one_profile(identity: dict[str, Any], exchange: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a configuration with the profile `default` of this identity and exchange."""
    return configuration(profiles={"default": {"identity": identity, "exchange": exchange, **members}})
