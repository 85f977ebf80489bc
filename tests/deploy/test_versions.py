"""What the cluster is given, in each Kubernetes version: the injected pods, both APIs of the policies, and the CRD."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from ..golden_pods import POLICIES
from .conftest import ROOT
from .pod_security import violations
from .structural import crd_violations, validate_strictly
from .test_chart import CHART, KUBE_VERSIONS, golden

Object = dict[str, Any]

VERSIONS = [each for each in dict.fromkeys(kubernetes_validate.utils.all_versions()) if int(each.split(".")[1]) >= 29]
"""The oldest version with native sidecars, which the chart needs, to the newest one that has schemas."""

PODS = {path.stem: path for path in sorted((ROOT / "tests" / "cluster" / "golden").glob("*.yaml"))}
CRD = yaml.safe_load((CHART / "crds" / "credentialpolicies.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

WITHOUT_SCHEMA = ("cert-manager.io/", "monitoring.coreos.com/", "idaas-sidecar.internal/")
"""API groups of custom resources. The last one is validated by the CRD of this repository."""

FIRST = {
    ("MutatingAdmissionPolicy", "v1"): 36,
    ("MutatingAdmissionPolicyBinding", "v1"): 36,
    ("MutatingAdmissionPolicy", "v1beta1"): 34,
    ("MutatingAdmissionPolicyBinding", "v1beta1"): 34,
    ("ValidatingAdmissionPolicy", "v1"): 30,
    ("ValidatingAdmissionPolicyBinding", "v1"): 30,
}
"""The minor version that serves an API first. All other built-in kinds of the chart are older than 1.29."""


def documents(minor: int) -> list[Object]:
    """Return the different objects of a built-in kind in golden/ that a Kubernetes version serves."""
    found = {
        json.dumps(each, sort_keys=True): each
        for values in KUBE_VERSIONS
        for each in golden(values)
        if not each["apiVersion"].startswith(WITHOUT_SCHEMA)
        and FIRST.get((each["kind"], each["apiVersion"].rpartition("/")[2]), 0) <= minor
    }
    return list(found.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_of_the_chart(version: str) -> None:
    """Each object conforms to the strict schema of each Kubernetes version that serves its API, beta APIs too."""
    for each in documents(int(version.split(".")[1])):
        kubernetes_validate.validate(each, version, strict=True)


def test_each_api_is_validated() -> None:
    """The newest version validates v1 and v1beta1 of the policies; 1.29 validates neither."""
    newest = {(each["kind"], each["apiVersion"]) for each in documents(int(VERSIONS[-1].split(".")[1]))}

    for kind in ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"):
        assert {(kind, f"admissionregistration.k8s.io/{api}") for api in ("v1", "v1beta1")} <= newest
    assert not [each for each in documents(29) if "AdmissionPolicy" in each["kind"]]
    assert VERSIONS[0] == "1.29.0"
    assert len(VERSIONS) >= 9


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_pods(version: str) -> None:
    """The pods that a real API server made by the policies conform to the strict schema of each version."""
    assert len(PODS) >= 4
    for path in PODS.values():
        kubernetes_validate.validate(yaml.safe_load(path.read_text()), version, strict=True)


@pytest.mark.parametrize("path", PODS.values(), ids=PODS)
def test_golden_pods_are_restricted(path: Path) -> None:
    """Pod Security `restricted` accepts the pods."""
    assert violations(yaml.safe_load(path.read_text())["spec"]) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_crd(version: str) -> None:
    """The CustomResourceDefinition conforms to the strict schema of each version."""
    kubernetes_validate.validate(CRD, version, strict=True)


def test_crd_is_structural() -> None:
    """The schema of the CustomResourceDefinition is structural."""
    assert crd_violations(CRD) == []


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        ("properties/spec", {"type": None}, "spec: no type"),
        ("properties/spec", {"additionalProperties": {"type": "string"}}, "spec: properties and additionalProperties"),
        ("", {"$ref": "#/x"}, "root: $ref is forbidden"),
        ("", {"anyOf": [{"type": "object"}]}, "root: type within anyOf"),
        (
            "properties/spec/properties/profiles",
            {"x-kubernetes-list-map-keys": ["regionId"]},
            "spec.profiles: the key regionId is not required",
        ),
        ("properties/spec/properties/profiles", {"uniqueItems": True}, "spec.profiles: uniqueItems is forbidden"),
    ],
)
def test_violations_are_found(path: str, change: Object, message: str) -> None:
    """A schema that is not structural is reported with the path; this is the control of the test above."""
    crd = copy.deepcopy(CRD)
    place = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in filter(None, path.split("/")):
        place = place[part]
    place.update(change)

    assert crd_violations(crd) == [message]


def test_policies_conform_to_the_crd() -> None:
    """The CredentialPolicies of the chart's renderings and of the table of pods have no member that the CRD lacks."""
    rendered = [each for values in KUBE_VERSIONS for each in golden(values) if each["kind"] == "CredentialPolicy"]
    assert rendered
    for each in (*rendered, *POLICIES.values()):
        validate_strictly(each, SCHEMA)

    wrong = copy.deepcopy(rendered[0])
    wrong["spec"]["profiles"][0]["duration"] = 3600
    with pytest.raises(jsonschema.ValidationError, match="duration"):
        validate_strictly(wrong, SCHEMA)
