"""The CronJob of `doctor.enabled`, started as `kubectl create job --from` does, with the emulated cloud beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ..golden_pods import PROVIDER
from .cloud import EMULATOR, VOLUMES, install_world
from .conftest import CHART, INJECTION, get, helm, install, kubectl, until

Object = dict[str, Any]
HOME = "idaas-sidecar"
CRON_JOB = "idaas-sidecar-doctor"
ANSWERS = "import socket; socket.create_connection(('127.0.0.1', 7140), 1)"
ACCOUNT = "acs:ram::1234567890123456"


def profile(role: str) -> Object:
    """Return a profile of `doctor.profiles` that asks the emulated cloud of the pod."""
    endpoints = ["http://127.0.0.1:7140"]
    return {"name": role, "roleArn": f"{ACCOUNT}:role/{role}", "oidcProviderArn": PROVIDER, "endpoints": endpoints}


def enable(role: str) -> None:
    """Install the chart with the CronJob and a profile with this role."""
    values = {"enabled": True, "profiles": [profile(role)]}
    helm("upgrade", "sidecar", str(CHART), "-n", HOME, "--reuse-values", "--set-json", f"doctor={json.dumps(values)}")


@pytest.fixture(scope="module", autouse=True)
def cloud() -> Iterator[None]:
    """Put the emulated cloud into the chart's namespace; remove it and the CronJob at the end."""
    install_world(HOME)
    yield
    install(INJECTION)
    kubectl("delete", "configmap", "world", "-n", HOME)


def examine(name: str) -> tuple[int, Object]:
    """Start a job of the CronJob; return the exit code of its container, and the document of its log."""
    made = kubectl(
        "create", "job", name, f"--from=cronjob/{CRON_JOB}", "-n", HOME, "--dry-run=client", "-o", "json"
    ).stdout
    job = json.loads(made)
    spec = job["spec"]["template"]["spec"]
    probe = {"exec": {"command": ["python3", "-c", ANSWERS]}, "periodSeconds": 1, "failureThreshold": 60}
    spec["initContainers"] = [{**EMULATOR, "startupProbe": probe}]
    spec["volumes"] += VOLUMES
    kubectl("create", "-f", "-", given=job)
    try:
        until(lambda: get("job", name, "-n", HOME)["status"].keys() & {"succeeded", "failed"})
        (pod,) = get("pods", "-n", HOME, "-l", f"job-name={name}")["items"]
        (status,) = pod["status"]["containerStatuses"]
        log = kubectl("logs", pod["metadata"]["name"], "-n", HOME, "-c", "doctor").stdout
        return status["state"]["terminated"]["exitCode"], json.loads(log)
    finally:
        kubectl("delete", "job", name, "-n", HOME)


def steps(document: Object, state: str) -> set[str]:
    """Return the names of the steps that have a state."""
    return {step["step"] for step in document["steps"] if step["state"] == state}


def test_healthy() -> None:
    """With a role that trusts the job's service account the job succeeds, and its document has no finding."""
    enable("doctor")
    code, document = examine(f"{CRON_JOB}-healthy")

    assert [finding for step in document["steps"] for finding in step["findings"]] == []
    assert code == 0
    assert {"configuration", "token", "exchange", "session"} <= steps(document, "ok")


def test_findings() -> None:
    """With a role that trusts another service account the job fails, and the document has code and cure."""
    enable("orders")
    code, document = examine(f"{CRON_JOB}-findings")

    assert code == 1
    (found,) = [finding for step in document["steps"] if step["step"] == "exchange" for finding in step["findings"]]
    assert found["code"] == "IDS-401"
    assert found["cure"]
