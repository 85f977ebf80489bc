"""The other ways to install: Helm 3, and kustomize without Helm. Each installs, upgrades and uninstalls."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from app import __version__

from ..golden_pods import NAMESPACES, pod
from .cloud import calls, delete, install_world, node, running, with_cloud
from .conftest import CHART, INJECTION, ROOT, WORK, get, helm, install, kubectl, onboard, until

HOME = ("--namespace", "idaas-sidecar")
KINDS = (
    "mutatingadmissionpolicies,mutatingadmissionpolicybindings,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,clusterroles"
)
IMAGE = "idaas-credential-sidecar"


def ours() -> set[str]:
    """Return the names of the installed objects that belong to no namespace."""
    return {name for each in get(KINDS)["items"] if "idaas-sidecar" in (name := each["metadata"]["name"])}


def image() -> str:
    """Return the image that a new pod gets; empty while it is refused or not injected."""
    done = kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", given=pod(), check=False)
    made = yaml.safe_load(done.stdout) or {"spec": {}}
    return next((each["image"] for each in made["spec"].get("initContainers", ())), "")


@pytest.fixture(autouse=True)
def nothing_installed() -> Iterator[None]:
    """Uninstall the chart before the test, and install it again after it."""
    socket, reference = str(WORK / "run" / "containerd.sock"), f"docker.io/library/{IMAGE}:{__version__}"
    node("ctr", "-a", socket, "-n", "k8s.io", "images", "tag", "--force", reference, f"{reference}-next")
    helm("uninstall", "sidecar", *HOME, "--wait")
    assert ours() == set()
    yield
    install(INJECTION)
    onboard()


def runs(name: str, wanted: str) -> None:
    """Run a pod whose sidecar has the wanted image, until its application has credentials."""
    onboard()
    until(lambda: image() == wanted)
    kubectl("create", "-f", "-", given=with_cloud(pod(name)))
    try:
        until(lambda: running(name, "shop"))
        assert all(each["ok"] for each in until(lambda: calls(name, "shop")))
        assert wanted in {each["image"] for each in get("pod", name, "-n", "shop")["spec"]["initContainers"]}
    finally:
        delete(name, namespace="shop")


def lifecycle(installed: Callable[[str], None], uninstalled: Callable[[], object]) -> None:
    """Install, run a pod with credentials, upgrade the image, run another one, and uninstall."""
    install_world()
    try:
        for name, tag in (("installed", __version__), ("upgraded", f"{__version__}-next")):
            installed(tag)
            runs(name, f"{IMAGE}:{tag}")
    finally:
        uninstalled()
    assert ours() == set()
    until(lambda: image() == "")


def test_helm_3() -> None:
    """Helm 3 installs, upgrades and uninstalls the chart; the CredentialPolicies stay."""
    if not (WORK / "tools" / "helm3").exists():
        pytest.skip("needs tools/helm3 in K8S_WORK: go install helm.sh/helm/v3/cmd/helm")

    def installed(tag: str) -> None:
        values = ("--wait", "--set", f"image.tag={tag}")
        helm("upgrade", "--install", "sidecar", str(CHART), *HOME, *values, program="helm3")

    lifecycle(installed, lambda: helm("uninstall", "sidecar", *HOME, "--wait", program="helm3"))
    assert {each["metadata"]["namespace"] for each in get("credentialpolicies", "-A")["items"]} >= set(NAMESPACES)


def test_kustomize(tmp_path: Path) -> None:
    """`kubectl apply -k` installs the component and upgrades it, and `kubectl delete -k` uninstalls all of it."""
    shutil.copytree(ROOT / "deploy" / "kustomize", tmp_path / "component")
    page = (tmp_path / "component" / "README.md").read_text()
    documented = page.partition("```yaml\n")[2].partition("```")[0]

    def installed(tag: str) -> None:
        wanted = documented.replace(f"registry.example.com/{IMAGE}:{__version__}", f"{IMAGE}:{tag}")
        (tmp_path / "kustomization.yaml").write_text(wanted)
        kubectl("apply", "-k", str(tmp_path))

    lifecycle(installed, lambda: kubectl("delete", "-k", str(tmp_path)))
    assert kubectl("get", "crd", "credentialpolicies.idaas-sidecar.internal", check=False).returncode != 0
