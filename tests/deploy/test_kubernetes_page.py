"""docs/kubernetes.md: its blocks are valid, agree with each other, and name what exists."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from . import pages
from .conftest import ROOT, Load
from .pod_security import violations

UID = "0b0c2f3a-1d5e-4a53-9d1b-0d6f4a1c2e3f"
CHART = ROOT / "deploy" / "helm" / "idaas-credential-sidecar"


def block(name: str) -> str:
    """Return a code block of the page."""
    return pages.block("kubernetes", name)


def policy() -> dict[str, Any]:
    """Return the CredentialPolicy of the page."""
    return yaml.safe_load(block("platform"))


def test_five_commands() -> None:
    """The installation is five commands; the paths in them exist."""
    commands = block("install").splitlines()

    assert len(commands) == 5
    for path in re.findall(r"deploy/[\w/.-]+", block("install")):
        assert (ROOT / path).exists(), path


def test_uninstall() -> None:
    """The pods with the label are shown before the release goes; the paths and names are those of the installation."""
    shows, uninstalls, deletes, last = block("uninstall").splitlines()

    assert shows.startswith("kubectl get pods --all-namespaces -l idaas-sidecar.internal/inject=true")
    assert uninstalls.split()[2:] == ["sidecar", "--namespace", "idaas-sidecar"]
    assert deletes.split()[-1] in block("install")
    assert last.split()[-1] == "idaas-sidecar"


def test_the_policy_conforms_to_the_crd() -> None:
    """The CredentialPolicy conforms to the schema of the CRD."""
    crd = yaml.safe_load((CHART / "crds" / "credentialpolicies.yaml").read_text())
    (version,) = crd["spec"]["versions"]

    jsonschema.validate(policy(), version["schema"]["openAPIV3Schema"])
    assert policy()["apiVersion"] == f"{crd['spec']['group']}/{version['name']}"


def test_the_trust_policy_is_for_the_service_account() -> None:
    """The trust policy names the namespace, the service account, the provider and the audience of the other blocks."""
    (profile,) = policy()["spec"]["profiles"]
    (statement,) = json.loads(block("trust"))["Statement"]
    condition = statement["Condition"]["StringEquals"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    (account,) = profile["serviceAccounts"]
    assert condition["oidc:sub"] == f"system:serviceaccount:{policy()['metadata']['namespace']}:{account}"
    assert condition["oidc:aud"] == values["token"]["audience"]
    assert statement["Principal"] == {"Federated": profile["oidcProviderArn"]}


def test_the_teams_workload() -> None:
    """The team's Deployment is valid, restricted, and requests a profile that lists its service account."""
    workload = yaml.safe_load(block("team"))
    template = workload["spec"]["template"]
    (profile,) = policy()["spec"]["profiles"]

    for version in kubernetes_validate.utils.all_versions():
        kubernetes_validate.validate(workload, version, strict=True)
    assert violations(template["spec"]) == []
    assert template["metadata"]["labels"]["idaas-sidecar.internal/inject"] == "true"
    assert template["metadata"]["annotations"] == {"idaas-sidecar.internal/profiles": profile["name"]}
    assert template["spec"]["serviceAccountName"] in profile["serviceAccounts"]


def test_the_network_policy() -> None:
    """The NetworkPolicy is valid, selects injected pods, and admits Prometheus to the operations listener."""
    given = yaml.safe_load(block("network"))
    (ingress,) = given["spec"]["ingress"]

    for version in kubernetes_validate.utils.all_versions():
        kubernetes_validate.validate(given, version, strict=True)
    assert given["spec"]["podSelector"]["matchLabels"] == {"idaas-sidecar.internal/inject": "true"}
    assert ingress["ports"] == [{"port": 7118}]


def test_the_metadata_address(loaded: Load) -> None:
    """The loader accepts the manifest's configuration with the block of the metadata address."""
    manifest = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sidecar.yaml").read_text())
    (config,) = [json.loads(each["data"]["config.json"]) for each in manifest if each["kind"] == "ConfigMap"]
    for key, value in json.loads(block("metadata-config")).items():
        config[key] |= value

    settings = loaded(config, PATH_TOKEN=UID, CACHE_KEY=UID, POD_NAME="p", POD_NAMESPACE="n").settings
    assert settings.server.metadata == "100.100.100.200:80"
    assert settings.access.metadata_tokens == "required"
