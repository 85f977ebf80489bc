"""Every kind of identity and exchange in one `serve` process; the `emulator` command is another process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.emulator.world.world import (
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
    PROVIDER_ARN,
    SCOPE,
    WORKLOAD_PROVIDER_ARN,
    role_arn,
)

from .processes import DEADLINE, PROGRAM, ROOT, EmulatedCloud, environment, serve, wait_until

MANAGED_PROFILE = "managed"
PRINTER = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1] + "/_emulator/token", data=b"{}", method="POST")
print(json.dumps({"access_token": json.load(urllib.request.urlopen(request))["token"]}))
"""


def emulator_post(cloud: EmulatedCloud, path: str) -> dict[str, str]:
    """Send a POST to an admin path of the emulator and return its document."""
    document: dict[str, str] = httpx.post(f"{cloud.url}/_emulator/{path}", trust_env=False).raise_for_status().json()
    return document


def identities(cloud: EmulatedCloud, directory: Path) -> dict[str, dict[str, Any]]:
    """Return one identity of each kind. Their files are written to `directory`."""
    token, issued = directory / "token", emulator_post(cloud, "certificate")
    token.write_text(emulator_post(cloud, "token")["token"])
    for name, key in (("tls.crt", "leafPem"), ("ca.crt", "chainPem"), ("tls.key", "keyPem")):
        (directory / name).write_text(issued[key])

    def idaas(method: str, **keys: Any) -> dict[str, Any]:
        return {
            "idaasInstanceId": INSTANCE_ID,
            "clientId": CLIENT_ID,
            "issuer": cloud.issuer,
            "tokenEndpoint": f"{cloud.url}/api/v2/iauths_system/oauth2/token",
            "openApiEndpoint": cloud.url,
            "scope": SCOPE,
            "authnConfiguration": {"authnMethod": method, "ecsMetadataEndpoint": cloud.url, **keys},
        }

    secret = {"clientSecretEnvVarName": "IDAAS_SECRET"}
    pca = {
        "privateKeyFile": str(directory / "tls.key"),
        "clientX509CertificateFile": str(directory / "tls.crt"),
        "x509CertChainsFile": str(directory / "ca.crt"),
    }
    file = {"type": "tokenFile", "tokenFile": str(token)}
    return {
        "secret": idaas("CLIENT_SECRET_JWT", **secret),
        "pkcs7": idaas("PKCS7", applicationFederatedCredentialName=FEDERATED_PKCS7),
        "oidc": idaas("OIDC", applicationFederatedCredentialName=FEDERATED_OIDC, oidcTokenFilePath=str(token)),
        "pca": idaas("PCA", applicationFederatedCredentialName=FEDERATED_PCA, **pca),
        "plugin": idaas("PLUGIN"),
        "exchanged": idaas("CLIENT_SECRET_POST", **secret) | {"tokenExchange": {"subject": file}},
        "client": {
            "type": "oidcClient",
            "issuer": f"{cloud.tls_url}/workload",
            "clientId": OIDC_CLIENT_ID,
            "clientAuthentication": {"method": "client_secret_basic", "clientSecretEnvVarName": "OIDC_SECRET"},
            "audience": OIDC_AUDIENCE,
        },
        "file": file,
        "command": {"type": "command", "command": [sys.executable, "-c", PRINTER, cloud.url]},
    }


def configuration(cloud: EmulatedCloud, directory: Path) -> dict[str, Any]:
    """Return a profile for each identity, with STS and two chained roles, and one for a role that IDaaS manages."""
    profiles: dict[str, Any] = {}
    for name, identity in identities(cloud, directory).items():
        own_issuer = name in ("client", "file", "command")
        exchange = {
            "roleArn": role_arn("default"),
            "oidcProviderArn": WORKLOAD_PROVIDER_ARN if own_issuer else PROVIDER_ARN,
            "endpoints": [cloud.url],
        }
        chain = [
            {"roleArn": CHAINED_ROLE_ARN, "endpoints": [cloud.url]},
            {"roleArn": EXTERNAL_ROLE_ARN, "endpoints": [cloud.url], "externalId": EXTERNAL_ID},
        ]
        profiles[name] = {"identity": identity, "exchange": exchange, "chain": chain}
    managed = profiles["secret"]["identity"] | {"scope": None, "developerApiEndpoint": cloud.url}
    profiles[MANAGED_PROFILE] = {"identity": managed, "exchange": {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN}}
    return {
        "configVersion": "1.0",
        "profiles": profiles,
        "server": {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "tls": {"caFile": str(cloud.ca_file)},
    }


NAMESPACE = 'ip link set lo up && ip address add 100.100.100.200/32 dev lo && exec "$@"'
AVAILABLE = os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare")


@pytest.mark.skipif(
    not AVAILABLE and not os.environ.get("CI"), reason="skipped: needs root, ip and unshare (iproute2, util-linux)"
)
@pytest.mark.parametrize("method", ["PKCS7", "PLUGIN"])
def test_own_address_is_not_used_as_metadata_service(method: str, tmp_path: Path) -> None:
    """In a namespace that has 100.100.100.200 itself, no metadata request is sent: exit code 2, and the cure."""
    identity = {
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": "https://idaas.example.com",
        "tokenEndpoint": "https://idaas.example.com/token",
        "openApiEndpoint": "eiam.example.com",
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": method, "applicationFederatedCredentialName": FEDERATED_PKCS7},
    }
    exchange = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN}
    profiles = {"default": {"identity": identity, "exchange": exchange}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"configVersion": "1.0", "profiles": profiles}))

    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", NAMESPACE, "sh", *PROGRAM, "get", "--config", str(path)],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )

    assert done.returncode == 2, done.stderr
    assert "http://100.100.100.200: that address belongs to this network namespace" in done.stderr
    assert "remove the address from the interface" in done.stderr


def test_all_identities(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each of the ten profiles serves its own credentials; metrics and status name them, and no secret appears."""
    config = configuration(cloud, tmp_path)
    environ = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET}
    with serve(config, home=tmp_path, env=environ) as sidecar, httpx.Client(trust_env=False) as http:
        ops, credentials = sidecar.urls["ops"], sidecar.urls["credentials"]
        wait_until(lambda: http.get(f"{ops}/readyz").status_code == 200)
        credentials_of = {name: http.get(f"{credentials}/credentials/{name}").json() for name in config["profiles"]}
        metrics = http.get(f"{ops}/metrics").text
        status = {row["profile"]: row for row in http.get(f"{ops}/status.json").json()["profiles"]}
        log = "\n".join(sidecar.process.stderr.lines())

    assert {document["Code"] for document in credentials_of.values()} == {"Success"}
    assert len({document["AccessKeyId"] for document in credentials_of.values()}) == len(config["profiles"])
    for document in credentials_of.values():
        end = datetime.strptime(document["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        assert 3500 < end - time.time() < 3700
    assert status["pkcs7"]["role"] == EXTERNAL_ROLE_ARN
    assert (status[MANAGED_PROFILE]["role"], status[MANAGED_PROFILE]["state"]) == (MANAGED_ROLE_ARN, "fresh")
    assert 'stage="chain[1]"' in metrics
    assert 'identity_not_after_timestamp_seconds{kind="certificate",profile="pca"}' in metrics
    secrets = [document[key] for document in credentials_of.values() for key in ("AccessKeySecret", "SecurityToken")]
    secrets += [CLIENT_SECRET, OIDC_CLIENT_SECRET, (tmp_path / "token").read_text(), "eyJ", "PRIVATE KEY"]
    assert not [text for text in secrets if text in log + metrics + json.dumps(status)]
