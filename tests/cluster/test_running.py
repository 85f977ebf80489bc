"""Injected pods that run: an application with the real SDK, the sidecar, and the emulated cloud in the same pod."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from app import __version__

from ..golden_pods import NAMESPACES, PROVIDER, RESTRICTED, plain, pod, policy, profile
from .conftest import WORK, dry_run, get, kubectl, until

Object = dict[str, Any]
PREFIX = "idaas-sidecar.internal"
EMULATOR: Object = {
    "name": "emulator",
    "image": f"idaas-credential-sidecar:{__version__}-emulator",
    "restartPolicy": "Always",
    "args": ["emulator", "--json", "--port", "7140", "--world", "/etc/emulator/world.json"],
    "securityContext": RESTRICTED,
    "volumeMounts": [{"name": "world", "mountPath": "/etc/emulator"}, {"name": "scratch", "mountPath": "/tmp"}],
}
VOLUMES: list[Object] = [{"name": "world", "configMap": {"name": "world"}}, {"name": "scratch", "emptyDir": {}}]


def world() -> Object:
    """Return the emulated cloud: it verifies tokens of this cluster, and each role trusts one service account."""
    issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)["issuer"]
    roles = {}
    for role, subject in {"orders": "shop:orders", "shared": "shop:orders", "ledger": "bank:ledger"}.items():
        wanted = {
            "oidc:iss": [issuer],
            "oidc:aud": ["sts.aliyuncs.com"],
            "oidc:sub": [f"system:serviceaccount:{subject}"],
        }
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Federated": PROVIDER},
            "Condition": {"StringEquals": wanted},
        }
        trust = {"Version": "1", "Statement": [statement]}
        roles[f"acs:ram::1234567890123456:role/{role}"] = {"trustPolicy": trust, "maxSessionDuration": 3600}
    jwks = json.loads(kubectl("get", "--raw", "/openid/v1/jwks").stdout)
    return {
        "clients": {},
        "resourceServers": {"api.demo.example": {"scopes": ["read"]}},
        "oidcProviders": {PROVIDER: {"issuerUrl": issuer, "clientIds": ["sts.aliyuncs.com"], "jwks": jwks}},
        "roles": roles,
    }


@pytest.fixture(scope="module", autouse=True)
def emulated_cloud() -> None:
    """Put the emulated cloud into each namespace."""
    for namespace in NAMESPACES:
        metadata = {"name": "world", "namespace": namespace}
        data = {"world.json": json.dumps(world())}
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        kubectl("apply", "-f", "-", given=given)


def with_cloud(wanted: Object) -> Object:
    """Return what the injection makes of a pod, with the emulator in front of the sidecar."""
    injected = plain(dry_run(wanted))
    injected["spec"]["initContainers"].insert(0, EMULATOR)
    injected["spec"]["volumes"] += VOLUMES
    return injected


def container(name: str, namespace: str, of: str = "idaas-sidecar") -> Object:
    """Return the status of a container of a pod."""
    status = get("pod", name, "-n", namespace)["status"]
    found = [each for each in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]]
    return next((each for each in found if each["name"] == of), {})


def running(name: str, namespace: str) -> bool:
    """Whether every container of the pod is ready."""
    conditions = get("pod", name, "-n", namespace)["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def calls(name: str, namespace: str) -> list[Object]:
    """Return what the application reported: one line for each request of the SDK."""
    log = kubectl("logs", name, "-n", namespace, "-c", "app").stdout
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]  # the SDK prints text
    return [line for line in lines if "ok" in line]


@pytest.mark.parametrize("namespace", ["shop", "bank"])
def test_the_application_gets_credentials(namespace: str) -> None:
    """In a `restricted` namespace the SDK's default chain gets the credentials of the team's own profile."""
    kubectl("create", "-f", "-", given=with_cloud(pod("runs", namespace)))
    until(lambda: running("runs", namespace))

    made = until(lambda: calls("runs", namespace))

    assert made[0]["ok"] is True
    assert "uri" in made[0]["provider"]
    assert container("runs", namespace)["restartCount"] == 0


def test_a_team_cannot_reach_the_other_team() -> None:
    """A team's sidecar answers for no other profile than its own."""
    until(lambda: running("runs", "bank"))
    script = (
        "import os, urllib.request as r, urllib.error as e\n"
        "base = os.environ['ALIBABA_CLOUD_CREDENTIALS_URI'].rsplit('/', 1)[0]\n"
        "for name in ('ledger', 'orders'):\n"
        "    try: print(name, r.urlopen(base + '/' + name).status)\n"
        "    except e.HTTPError as error: print(name, error.code)\n"
    )
    done = kubectl("exec", "runs", "-n", "bank", "-c", "app", "--", "/opt/app/bin/python", "-c", script)

    assert done.stdout.split() == ["ledger", "200", "orders", "404"]


def test_the_admin_socket_works() -> None:
    """`refresh` in the container reaches the running sidecar, because the admin socket is on by default."""
    until(lambda: running("runs", "shop"))
    done = kubectl("exec", "runs", "-n", "shop", "-c", "idaas-sidecar", "--", "idaas-sidecar", "refresh")

    assert "orders" in done.stdout + done.stderr


def kill(name: str, namespace: str) -> None:
    """Send SIGKILL to the sidecar of a pod, from the node: a pid namespace protects its pid 1 from itself."""
    uid = get("pod", name, "-n", namespace)["metadata"]["uid"]
    ours = f"grep -q '{uid}\\|{uid.replace('-', '_')}' /proc/$p/cgroup"
    script = f"for p in $(pgrep -f 'idaas-sidecar serve'); do {ours} && kill -9 $p; done; true"
    subprocess.run([WORK / "in", "sh", "-c", script], check=True, capture_output=True)


def test_a_killed_sidecar_comes_back_with_its_session() -> None:
    """After SIGKILL the sidecar restarts and serves the session of the cache; it does not wait for the cloud."""
    until(lambda: running("runs", "shop"))
    kill("runs", "shop")

    until(lambda: container("runs", "shop")["restartCount"] == 1)
    until(lambda: running("runs", "shop"))
    log = kubectl("logs", "runs", "-n", "shop", "-c", "idaas-sidecar").stdout

    assert "credentials_restored" in log
    until(lambda: all(each["ok"] for each in calls("runs", "shop")[-4:]))


LONG_LIVED = """
import json, time
from alibabacloud_credentials.client import Client
client = Client()
while True:
    try: ok = bool(client.get_credential().access_key_id)
    except Exception: ok = False
    print(json.dumps({"ok": ok}), flush=True)
    time.sleep(0.5)
"""


def test_a_long_lived_client_fails_no_call() -> None:
    """An application with one client of the SDK fails no call while the sidecar is killed twice in a row."""
    wanted = with_cloud(pod("steady", "bank"))
    wanted["spec"]["containers"][0]["command"] = ["/opt/app/bin/python", "-c", LONG_LIVED]
    kubectl("create", "-f", "-", given=wanted)
    until(lambda: running("steady", "bank"))
    until(lambda: calls("steady", "bank"))

    for count in (1, 2):
        kill("steady", "bank")
        until(lambda count=count: container("steady", "bank")["restartCount"] == count)
        until(lambda: running("steady", "bank"))

    made = calls("steady", "bank")
    assert len(made) > 10
    assert all(each["ok"] for each in made)


def test_a_job_completes() -> None:
    """A Job ends when its application ends: the sidecar stops after it."""
    template = with_cloud(pod("once"))
    template["spec"]["containers"][0]["args"] = ["once"]
    template["spec"]["restartPolicy"] = "Never"
    del template["metadata"]["name"], template["metadata"]["namespace"], template["apiVersion"], template["kind"]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": "shop"},
        "spec": {"backoffLimit": 0, "template": template},
    }
    kubectl("create", "-f", "-", given=job)

    def complete() -> bool:
        conditions = get("job", "once", "-n", "shop")["status"].get("conditions", ())
        return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)

    until(complete)


def test_a_role_that_does_not_trust_the_pod() -> None:
    """If the platform names a role whose trust policy lacks the service account, the pod's status has the reason."""
    kubectl("apply", "-f", "-", given=policy("lab", profile("orders", "orders")))
    kubectl("create", "-f", "-", given=with_cloud(pod("denied", "lab")))

    ended = until(lambda: container("denied", "lab").get("lastState", {}).get("terminated"), 150)

    assert ended["exitCode"] == 3
    assert "start_up_failed" in ended["message"]
    assert container("denied", "lab", "app").get("started", False) is False


CHANGES = {
    "the profiles": ("annotate", f"{PREFIX}/profiles=shared"),
    "the configuration": ("annotate", f"{PREFIX}/config={{}}"),
    "the label": ("label", f"{PREFIX}/inject-"),
    "the image": ("set", "image", "idaas-sidecar=evil:1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_running_pod_cannot_change(what: str) -> None:
    """Label, annotations and image of a running pod cannot change."""
    command, *arguments = CHANGES[what]
    rest = [*arguments[:1], "pod/runs", *arguments[1:]] if command == "set" else ["pod/runs", *arguments]
    flags = [] if command == "set" else ["--overwrite"]
    done = kubectl(command, *rest, "-n", "shop", *flags, check=False)

    assert done.returncode != 0
    assert "cannot change" in done.stderr


def test_no_ephemeral_container_joins_the_sidecar() -> None:
    """`kubectl debug` cannot join the sidecar's processes; it can join the application's."""
    debug = ["debug", "runs", "-n", "shop", "--image=your-app:1.0", "--profile=restricted", "--attach=false", "--quiet"]

    assert "cannot join the sidecar" in kubectl(*debug, "--target=idaas-sidecar", check=False).stderr
    assert kubectl(*debug, "--target=app", "--", "once", check=False).returncode == 0


def test_another_annotation_can_change() -> None:
    """Annotations that are not the injection's can change."""
    kubectl("annotate", "pod/runs", "-n", "shop", "example.com/note=x", "--overwrite")
