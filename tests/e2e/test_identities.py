"""Every kind of identity and exchange in one `serve` process, against the `emulator` command as another one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
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

from .processes import PROGRAM, ROOT, SECONDS, EmulatedCloud, emulator, environment, serve, until

MANAGED = "managed"
PRINTER = """
import json, sys, urllib.request
asked = urllib.request.Request(sys.argv[1] + "/_emulator/token", data=b"{}", method="POST")
print(json.dumps({"access_token": json.load(urllib.request.urlopen(asked))["token"]}))
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def admin(cloud: EmulatedCloud, path: str) -> dict[str, str]:
    """What the emulator's own path makes for a test."""
    answer: dict[str, str] = httpx.post(f"{cloud.url}/_emulator/{path}", trust_env=False).raise_for_status().json()
    return answer


def identities(cloud: EmulatedCloud, directory: Path) -> dict[str, dict[str, Any]]:
    """One of each kind; their files lie in `directory`."""
    token, issued = directory / "token", admin(cloud, "certificate")
    token.write_text(admin(cloud, "token")["token"])
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
    """A profile for each identity with STS and a chain behind it; one for the role that IDaaS manages."""
    profiles: dict[str, Any] = {}
    for name, identity in identities(cloud, directory).items():
        foreign = name in ("client", "file", "command")
        exchange = {
            "roleArn": role_arn("default"),
            "oidcProviderArn": WORKLOAD_PROVIDER_ARN if foreign else PROVIDER_ARN,
            "endpoints": [cloud.url],
        }
        chain = [
            {"roleArn": CHAINED_ROLE_ARN, "endpoints": [cloud.url]},
            {"roleArn": EXTERNAL_ROLE_ARN, "endpoints": [cloud.url], "externalId": EXTERNAL_ID},
        ]
        profiles[name] = {"identity": identity, "exchange": exchange, "chain": chain}
    managed = profiles["secret"]["identity"] | {"scope": None, "developerApiEndpoint": cloud.url}
    profiles[MANAGED] = {"identity": managed, "exchange": {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN}}
    return {
        "configVersion": "1.0",
        "profiles": profiles,
        "server": {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "tls": {"caFile": str(cloud.ca_file)},
    }


NAMESPACE = 'ip link set lo up && ip address add 100.100.100.200/32 dev lo && exec "$@"'
CAN = os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare")


@pytest.mark.skipif(
    not CAN and not os.environ.get("CI"), reason="skipped: needs root, ip and unshare (iproute2, util-linux)"
)
@pytest.mark.parametrize("method", ["PKCS7", "PLUGIN"])
def test_it_never_asks_itself(method: str, tmp_path: Path) -> None:
    """In a network namespace that has 100.100.100.200 itself no metadata service is asked: exit 2, and the cure."""
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
        timeout=SECONDS,
    )

    assert done.returncode == 2, done.stderr
    assert "http://100.100.100.200: that address belongs to this network namespace" in done.stderr
    assert "remove it from the interface" in done.stderr


def test_all_of_them(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Ten profiles, no two alike: each serves credentials of its role; stages, ends and audit lines name them."""
    config = configuration(cloud, tmp_path)
    environ = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET}
    with serve(config, home=tmp_path, env=environ) as sidecar, httpx.Client(trust_env=False) as http:
        ops, credentials = sidecar.urls["ops"], sidecar.urls["credentials"]
        until(lambda: http.get(f"{ops}/readyz").status_code == 200)
        found = {name: http.get(f"{credentials}/credentials/{name}").json() for name in config["profiles"]}
        metrics = http.get(f"{ops}/metrics").text
        status = {row["profile"]: row for row in http.get(f"{ops}/status.json").json()["profiles"]}
        told = "\n".join(sidecar.process.stderr.so_far())

    assert {answer["Code"] for answer in found.values()} == {"Success"}
    assert len({answer["AccessKeyId"] for answer in found.values()}) == len(config["profiles"])
    for answer in found.values():
        end = datetime.strptime(answer["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        assert 3500 < end - time.time() < 3700
    assert status["pkcs7"]["role"] == EXTERNAL_ROLE_ARN
    assert (status[MANAGED]["role"], status[MANAGED]["state"]) == (MANAGED_ROLE_ARN, "fresh")
    assert 'stage="chain[1]"' in metrics
    assert 'identity_not_after_timestamp_seconds{kind="certificate",profile="pca"}' in metrics
    secrets = [answer[key] for answer in found.values() for key in ("AccessKeySecret", "SecurityToken")]
    secrets += [CLIENT_SECRET, OIDC_CLIENT_SECRET, (tmp_path / "token").read_text(), "eyJ", "PRIVATE KEY"]
    assert not [text for text in secrets if text in told + metrics + json.dumps(status)]
