"""Injected pods that run: an application with the real SDK, the sidecar, and the emulated cloud in the same pod."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..golden_pods import PREFIX, pod
from .cloud import calls, container, delete, install_world, kill, node, running, sidecar_process, signal, with_cloud
from .conftest import WORK, get, kubectl, until

Object = dict[str, Any]
SIDECAR = "idaas-sidecar"


@pytest.fixture(scope="module", autouse=True)
def pods() -> Iterator[None]:
    """Run the pod `runs` in the namespaces of two teams, with the emulated cloud."""
    install_world()
    for namespace in ("shop", "bank"):
        kubectl("create", "-f", "-", given=with_cloud(pod("runs", namespace)))
    yield
    for namespace in ("shop", "bank"):
        delete("runs", namespace=namespace)


@pytest.fixture(autouse=True)
def ready(pods: None) -> None:
    """Wait until the pod `runs` of the first team is ready, also after a test that ended its sidecar."""
    until(lambda: running("runs", "shop"), 180)  # kubelet delays the restarts within ten minutes


@pytest.mark.parametrize("namespace", ["shop", "bank"])
def test_the_application_gets_credentials(namespace: str) -> None:
    """In a `restricted` namespace the SDK's default chain gets the credentials of the team's own profile."""
    until(lambda: running("runs", namespace))

    made = until(lambda: calls("runs", namespace))

    assert made[0]["ok"] is True
    assert "uri" in made[0]["provider"]
    assert container("runs", "bank")["restartCount"] == 0, "the other tests end the sidecar of shop alone"


TOKEN_MODE = "import os; print(oct(os.stat('/var/run/secrets/idaas-sidecar/token').st_mode & 0o777))"


def test_the_token_gives_no_warning() -> None:
    """kubelet writes the token with mode 0644; the sidecar sees that the volume is its own, and does not warn."""
    inside = ("exec", "runs", "-n", "shop", "-c", "idaas-sidecar", "--")

    assert kubectl(*inside, "python3", "-c", TOKEN_MODE).stdout.split() == ["0o644"]
    assert "can read it" not in kubectl("logs", "runs", "-n", "shop", "-c", "idaas-sidecar").stdout
    assert "can read it" not in kubectl(*inside, "idaas-sidecar", "config", check=False).stderr


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
    done = kubectl("exec", "runs", "-n", "shop", "-c", "idaas-sidecar", "--", "idaas-sidecar", "refresh")

    assert "orders" in done.stdout + done.stderr


def test_a_killed_sidecar_comes_back_with_its_session() -> None:
    """After SIGKILL the sidecar restarts and serves the session of the cache; it does not wait for the cloud."""
    before = container("runs", "shop")["restartCount"]
    kill("runs", "shop")

    until(lambda: container("runs", "shop")["restartCount"] == before + 1)
    until(lambda: running("runs", "shop"))
    log = kubectl("logs", "runs", "-n", "shop", "-c", "idaas-sidecar").stdout

    assert "credentials_restored" in log
    until(lambda: all(each["ok"] for each in calls("runs", "shop")[-4:]))


AT_ONCE = {
    "get --profile orders": 0,
    "get": 2,
    "status": 0,
    "refresh": 0,
    "health --ready": 0,
    "config": 0,
    "doctor": 0,
}
"""Commands of `kubectl exec`, and the exit code. In 0.1 `get` ended the sidecar in 7 of 7; there is no `default`."""


@pytest.mark.parametrize("command", AT_ONCE)
def test_two_commands_at_once(command: str) -> None:
    """At the limit of 96 MiB, the same command twice at once is answered twice, and the sidecar survives."""
    containers = get("pod", "runs", "-n", "shop")["spec"]["initContainers"]
    assert [each["resources"]["limits"]["memory"] for each in containers if each["name"] == SIDECAR] == ["96Mi"]
    before = container("runs", "shop")["restartCount"]

    inside = [WORK / "kc", "exec", "runs", "-n", "shop", "-c", SIDECAR, "--", "idaas-sidecar", *command.split()]
    for _ in range(7):
        both = [subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [each.communicate(timeout=120) for each in both]
        # kubectl's own code for a command that fails is the command's.
        assert [each.returncode for each in both] == [AT_ONCE[command]] * 2, answers
        if command.startswith("get --profile"):
            assert all(json.loads(answer)["AccessKeyId"].startswith("STS.") for answer, _ in answers)

    print(f"{command}: peak {memory_peak('runs', 'shop') / 2**20:.1f} MiB of 96 MiB")
    assert container("runs", "shop")["restartCount"] == before
    assert "OOMKilled" not in json.dumps(get("pod", "runs", "-n", "shop")["status"])


def memory_peak(name: str, namespace: str) -> int:
    """Return the most bytes that the sidecar's cgroup had at once, commands of `kubectl exec` included."""
    groups = node("cat", f"/proc/{sidecar_process(name, namespace)}/cgroup").split()
    (path,) = [each.split(":")[2] for each in groups if each.split(":")[1] == "memory"]
    return int(node("cat", f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes"))


def test_a_frozen_sidecar_is_restarted() -> None:
    """A process that does not run on (SIGSTOP) is restarted by its liveness probe, and serves again."""
    before = container("runs", "shop")["restartCount"]
    signal("runs", "shop", "STOP")
    began = time.monotonic()
    until(lambda: container("runs", "shop")["restartCount"] == before + 1, 180)
    print(f"restarted {time.monotonic() - began:.0f} s after SIGSTOP")

    events = get("events", "-n", "shop", "--field-selector", "involvedObject.name=runs,reason=Killing")["items"]
    assert any("failed liveness probe" in each["message"] for each in events), events
    assert container("runs", "shop")["lastState"]["terminated"]["exitCode"] == 137
    until(lambda: running("runs", "shop"))
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
    delete("steady", namespace="bank")


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
    kubectl("delete", "job", "once", "-n", "shop")


def test_a_role_that_does_not_trust_the_pod() -> None:
    """If the platform names a role whose trust policy lacks the service account, the pod's status has the reason."""
    kubectl("create", "-f", "-", given=with_cloud(pod("denied", "lab")))

    ended = until(lambda: container("denied", "lab").get("lastState", {}).get("terminated"), 150)

    assert ended["exitCode"] == 3
    assert "start_up_failed" in ended["message"]
    assert container("denied", "lab", "app").get("started", False) is False
    delete("denied", namespace="lab")


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
