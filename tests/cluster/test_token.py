"""The projected token of a running pod is replaced by kubelet: the next refresh uses the new one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ..golden_pods import pod
from .cloud import calls, container, delete, install_world, node, running, with_cloud
from .conftest import WORK, get, kubectl, until

NAME, NAMESPACE = "rotated", "shop"
LOG = WORK / "run" / "log" / "kubelet.log"

EXPIRY = """
import base64, json
payload = open("/var/run/secrets/idaas-sidecar/token").read().split(".")[1]
print(json.loads(base64.urlsafe_b64decode(payload + "==="))["exp"])
"""


@pytest.fixture(scope="module", autouse=True)
def rotated() -> Iterator[None]:
    """Run a pod in the emulated cloud."""
    install_world()
    kubectl("create", "-f", "-", given=with_cloud(pod(NAME, NAMESPACE)))
    until(lambda: running(NAME, NAMESPACE))
    yield
    delete(NAME, namespace=NAMESPACE)


def in_sidecar(*command: str) -> str:
    """Run a command in the sidecar's container and return its output."""
    return kubectl("exec", NAME, "-n", NAMESPACE, "-c", "idaas-sidecar", "--", *command).stdout


def expiry_of_file() -> int:
    """Return the Unix time at which the token in the volume expires."""
    return int(in_sidecar("python3", "-c", EXPIRY))


def expiry_in_use() -> int:
    """Return the Unix time at which the token of the last refresh expires, by the sidecar's metrics."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{NAME}:7118/proxy/metrics"
    found = re.search(
        r'identity_not_after_timestamp_seconds\{.*kind="tokenFile".*\} (\S+)', kubectl("get", "--raw", path).stdout
    )
    assert found is not None
    return int(float(found[1]))


def restart_kubelet() -> None:
    """
    Start kubelet again with the same arguments.

    Its tokens are in its memory, so each volume gets a new one. Otherwise a token of 600 s, the shortest, is replaced
    after 480 s.
    """
    (process,) = node("pgrep", "-f", "^[^ ]*/kubelet ").split()
    arguments = node("cat", f"/proc/{process}/cmdline").rstrip("\0").split("\0")
    environment = node("cat", f"/proc/{process}/environ").rstrip("\0").split("\0")
    node("kill", process)
    until(lambda: not node("sh", "-c", f"ls -d /proc/{process} 2>/dev/null; true"))
    detached = f'setsid "$@" >>{LOG} 2>&1 </dev/null &'
    node("sh", "-c", detached, "sh", "env", "-i", *environment, *arguments)
    until(
        lambda: kubectl("exec", NAME, "-n", NAMESPACE, "-c", "idaas-sidecar", "--", "true", check=False).returncode == 0
    )


def test_the_next_refresh_uses_the_new_token() -> None:
    """A token that kubelet has replaced is used at the next refresh, without a restart and without a failed call."""
    first = expiry_of_file()
    assert expiry_in_use() == first

    restart_kubelet()
    second = until(lambda: (found := expiry_of_file()) > first and found, 180)
    assert expiry_in_use() in (first, second)  # a refresh between the two is possible
    in_sidecar("idaas-sidecar", "refresh")

    assert until(lambda: expiry_in_use() == second)
    assert container(NAME, NAMESPACE)["restartCount"] == 0
    assert all(each["ok"] for each in calls(NAME, NAMESPACE))
    assert get("pod", NAME, "-n", NAMESPACE)["status"]["phase"] == "Running"
