"""The chart's life in a real cluster, and the documentation's own manifests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..golden_pods import NAMESPACES, pod
from .conftest import CHART, ROOT, get, helm, kubectl, onboard, refusal, until

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
RELEASE = ["--namespace", "idaas-sidecar", "--create-namespace", "--wait"]
POLICIES = "mutatingadmissionpolicies,validatingadmissionpolicies"


def block(name: str) -> str:
    """Return a code block of docs/kubernetes.md, without its indentation."""
    found = re.search(rf"^( *)<!-- {name} -->\n *```\w+\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return "\n".join(line.removeprefix(found[1]) for line in found[2].splitlines())


def dry(wanted: dict[str, Any]) -> int:
    """Return kubectl's exit code for a pod that the API server would create."""
    return kubectl("create", "--dry-run=server", "-f", "-", given=wanted, check=False).returncode


def names() -> set[str]:
    """Return the names of the installed policies."""
    return {each["metadata"]["name"] for each in get(POLICIES)["items"]}


def test_the_page_onboards_a_team() -> None:
    """The CredentialPolicy and the Deployment of docs/kubernetes.md make injected pods."""
    kubectl("apply", "-f", "-", given=yaml.safe_load(block("platform")))
    kubectl("apply", "-f", "-", given=yaml.safe_load(block("team")))
    try:
        made = until(lambda: get("pods", "-n", "shop", "-l", "app=orders")["items"])
        assert made[0]["spec"]["initContainers"][0]["name"] == "idaas-sidecar"
        assert "cn-hangzhou" in made[0]["metadata"]["annotations"]["idaas-sidecar.internal/config"]
    finally:
        kubectl("delete", "deployment", "orders", "-n", "shop", "--wait=false")
        onboard()


def test_the_network_policy_of_the_page() -> None:
    """The API server accepts the NetworkPolicy of docs/kubernetes.md, and knows each of its members."""
    given = yaml.safe_load(block("network"))

    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given)


def test_upgrade() -> None:
    """An upgrade changes what new pods get."""
    helm("upgrade", "sidecar", str(CHART), *RELEASE, "--set", "sidecar.settings.logging.level=debug")

    def level() -> bool:
        made = kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", given=pod(), check=False)
        return '"level":"debug"' in made.stdout

    until(level)
    helm("rollback", "sidecar", "--namespace", "idaas-sidecar", "--wait")
    until(lambda: not level())


def test_without_the_crd_other_pods_start(tmp_path: Path) -> None:
    """If the CRD is lost, pods with the label are refused, and all others start as before."""
    other = pod()
    other["metadata"].pop("labels")
    other["metadata"].pop("annotations")
    kept = [
        {key: each[key] for key in ("apiVersion", "kind", "spec")}
        | {"metadata": {"name": "default", "namespace": each["metadata"]["namespace"]}}
        for each in get("credentialpolicies", "--all-namespaces")["items"]
        if each["metadata"]["namespace"] in NAMESPACES  # that of another test may be on its way out
    ]
    kubectl("delete", "crd", "credentialpolicies.idaas-sidecar.internal")
    try:
        until(lambda: dry(pod()) != 0)
        assert dry(other) == 0
        assert "idaas-sidecar" in refusal(pod())
    finally:
        kubectl("apply", "--server-side", "-f", str(CHART / "crds"))
        until(lambda: kubectl("apply", "-f", "-", given=kept, check=False).returncode == 0)
    until(lambda: dry(pod()) == 0)


def test_uninstall_and_install_again() -> None:
    """`helm uninstall` removes every policy and keeps the CredentialPolicies, which a new installation uses."""
    helm("uninstall", "sidecar", "--namespace", "idaas-sidecar", "--wait")

    assert not {name for name in names() if name.startswith("idaas-sidecar")}
    assert get("credentialpolicies", "-n", "shop")["items"]
    helm("upgrade", "--install", "sidecar", str(CHART), *RELEASE)

    def injected() -> bool:
        made = kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", given=pod(), check=False)
        return "initContainers" in made.stdout

    until(injected)
