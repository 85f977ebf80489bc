"""Helpers around a `serve` that uses the emulated cloud: its configuration, its metrics, the emulator's admin paths."""

from __future__ import annotations

import http.client
import json
from typing import Any

from .processes import DEADLINE, Demo, EmulatedCloud, RunningSidecar
from .wire import Response, fetch

SECRET = "demo-client-secret"
ENV = {"DEMO_SECRET": SECRET}
QUICK_RETRIES = {"minRetrySeconds": 0.1, "maxRetrySeconds": 1, "permanentRetrySeconds": 10}


def config(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """Return a `serve` configuration for the emulated cloud, on free ports."""
    identity = {
        "idaasInstanceId": "idaas_demo",
        "clientId": "app_demo",
        "issuer": cloud.issuer,
        "tokenEndpoint": f"{cloud.url}/api/v2/iauths_system/oauth2/token",
        "scope": "api.demo.example|.all",
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "DEMO_SECRET"},
    }
    exchange = {
        "roleArn": "acs:ram::1234567890123456:role/demo-default",
        "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/idaas-demo",
        "endpoints": [cloud.url],
    }
    return {
        "configVersion": "1.0",
        "profiles": {"default": {"identity": identity, "exchange": exchange}},
        "server": {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "shutdown": {"drainSeconds": 0},
    } | changes


def emulator_admin(base: str, method: str, path: str, body: dict[str, Any] | None = None) -> Response:
    """Send a request to an admin path of the emulator at `base`. Fails if the status is not 2xx."""
    text = json.dumps(body or {})
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=DEADLINE)
    connection.request(method, f"/_emulator/{path}", text, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status < 300, content
    return Response(response.status, {}, content)


def add_fault(cloud: EmulatedCloud | Demo, **members: object) -> None:
    """Add a fault to the emulator; the members are those of `POST /_emulator/faults`."""
    base = cloud.url if isinstance(cloud, EmulatedCloud) else cloud.emulator_url
    emulator_admin(base, "POST", "faults", members)


def workload_token(cloud: EmulatedCloud) -> str:
    """Return a new token of the emulated cluster."""
    return str(json.loads(emulator_admin(cloud.url, "POST", "token").body)["token"])


def calls_of(cloud: EmulatedCloud) -> list[dict[str, Any]]:
    """Return the calls that the emulator has received."""
    return list(json.loads(emulator_admin(cloud.url, "GET", "journal").body)["calls"])


def replace_config(sidecar: RunningSidecar, settings: dict[str, Any] | str) -> None:
    """Replace the configuration file by a rename, as careful tools do. A string is written as it is."""
    draft = sidecar.config_path.with_name("draft")
    draft.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    draft.rename(sidecar.config_path)


def served_key(sidecar: RunningSidecar, profile: str = "default") -> str:
    """Return the AccessKeyId that the sidecar serves for a profile. Fails unless the status is 200."""
    answer = fetch(sidecar.urls["credentials"], f"/credentials/{profile}")
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["AccessKeyId"])


def metric(sidecar: RunningSidecar, sample: str) -> float:
    """Return the value of one sample. `sample`: the name without `idaas_sidecar_`, with all labels."""
    lines = fetch(sidecar.urls["ops"], "/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"idaas_sidecar_{sample} ")).rpartition(" ")[2])
