"""deploy/helm and deploy/kustomize: renderings, schemas, documented values, and the same container as the manifest."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app import __version__
from app.cli.parser import build_parser

from .conftest import ROOT, Load
from .pod_security import violations

CHART = ROOT / "deploy" / "helm" / "idaas-credential-sidecar"
KUSTOMIZE = ROOT / "deploy" / "kustomize"
FOLDER = Path(__file__).parent
KUBE_VERSIONS = {
    "default": "1.37.0",
    "tenants": "1.36.0",
    "beta": "1.34.0",
    "none": "1.29.0",
    "webhook": "1.29.0",
    "cert-manager": "1.35.0",
    "doctor": "1.29.0",
}
"""The Kubernetes version for which each set of values in values/ is rendered into golden/."""

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
UID = "6f1c2a54-8f4e-4d3b-9d7e-0a1b2c3d4e5f"

Object = dict[str, Any]


HELMS = ("helm", "helm3")
TOOLS = ROOT / ".deploy" / "bin"


def program(name: str) -> str:
    """Return the path of helm, helm3, kubectl, kube-score or checkov. Without it the test is skipped, in CI too."""
    cluster = f"{os.environ.get('K8S_WORK', '/nonexistent')}/tools"
    found = shutil.which(name, path=os.pathsep.join([str(TOOLS), cluster, os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"skipped: needs {name} (make deploy-install)")
    return found


def render(values: str, kube_version: str, helm: str = "helm") -> subprocess.CompletedProcess[str]:
    """Render the chart with a set of values."""
    command = [
        program(helm),
        "template",
        "sidecar",
        CHART,
        "--namespace",
        "idaas-sidecar",
        "--kube-version",
        kube_version,
    ]
    return subprocess.run(
        [*command, "--values", FOLDER / "values" / f"{values}.yaml"], capture_output=True, text=True, check=False
    )


def golden(values: str) -> list[Object]:
    """Return the documents of a golden rendering."""
    return [each for each in yaml.safe_load_all((FOLDER / "golden" / f"{values}.yaml").read_text()) if each]


def of_kind(values: str, kind: str, name: str) -> Object:
    """Return one document of a golden rendering."""
    (found,) = [each for each in golden(values) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("values", KUBE_VERSIONS)
def test_golden(values: str) -> None:
    """The rendering is the one in golden/; UPDATE_GOLDEN=1 writes it."""
    done = render(values, KUBE_VERSIONS[values])
    path = FOLDER / "golden" / f"{values}.yaml"
    assert done.returncode == 0, done.stderr
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(done.stdout)

    changed = difflib.unified_diff(path.read_text().splitlines(), done.stdout.splitlines(), lineterm="", n=0)

    assert list(changed) == []


@pytest.mark.parametrize("values", KUBE_VERSIONS)
def test_helm_3(values: str) -> None:
    """Helm 3 renders the same objects; it sorts those of one kind in another way, and writes other empty lines."""
    done = render(values, KUBE_VERSIONS[values], "helm3")
    assert done.returncode == 0, done.stderr

    def by_name(documents: list[Object]) -> list[Object]:
        return sorted(documents, key=lambda each: (each["kind"], each["metadata"]["name"]))

    assert by_name([each for each in yaml.safe_load_all(done.stdout) if each]) == by_name(golden(values))


@pytest.mark.parametrize("helm", HELMS)
def test_lint(helm: str) -> None:
    """`helm lint --strict` finds nothing but the missing icon, which is information."""
    done = subprocess.run([program(helm), "lint", "--strict", CHART], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "[ERROR]" not in done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("helm", HELMS)
def test_old_clusters_are_refused(helm: str) -> None:
    """Below 1.34 the message says which versions have the policy and what to do instead."""
    done = render("default", "1.33.0", helm)

    assert done.returncode != 0
    assert "injection=policy needs Kubernetes 1.36" in done.stderr
    done = render("webhook", "1.28.0", helm)
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.29" in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        '{"image": {"tag": "a b"}}',
        '{"injection": "server"}',
        '{"extra": 1}',
        '{"webhook": {"certificate": {"source": "file"}}}',
        '{"webhook": {"certificate": {"source": "secret", "secretName": "tls", "caBundle": ""}}}',
        '{"webhook": {"replicas": 0}}',
        '{"doctor": {"enabled": true}}',
        '{"doctor": {"enabled": true, "profiles": []}}',
        '{"doctor": {"schedule": "sometimes"}}',
    ],
)
def test_wrong_values_are_refused(change: str, tmp_path: Path) -> None:
    """The schema of the values refuses wrong and unknown values."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(change), SCHEMA)


@pytest.mark.parametrize("values", KUBE_VERSIONS)
def test_values_conform_to_the_schema(values: str) -> None:
    """The defaults and the sets of values conform to the schema."""
    jsonschema.validate(VALUES, SCHEMA)
    jsonschema.validate(yaml.safe_load((FOLDER / "values" / f"{values}.yaml").read_text()), SCHEMA)


def leaves(values: Object, schema: Object, path: str = "") -> dict[str, Any]:
    """Return each value that the table documents, by its path; free-form and nested objects are one value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        whole = f"{path}{name}"
        if isinstance(value, dict) and whole not in (
            "namespaceSelector",
            "sidecar.settings",
            "sidecar.resources",
            "webhook.certificate.issuerRef",
            "webhook.resources",
            "webhook.nodeSelector",
            "webhook.podMonitor.labels",
            "doctor.resources",
            "credentialPolicies",
        ):
            found |= leaves(value, schema, f"{whole}.")
        else:
            found[whole] = value
    return found


def test_documented_values() -> None:
    """The table has each value, in the order of values.yaml, with its default."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \|$", (CHART / "README.md").read_text(), re.MULTILINE)
    wanted = leaves(VALUES, SCHEMA)

    assert [name for name, _, _ in rows] == list(wanted)
    for name, default, _ in rows:
        value = wanted[name]
        if not isinstance(value, dict) or not value:
            text = "{}" if value == {} else json.dumps(value) if value == "" else str(value)
            assert default.strip("`") == (text.lower() if isinstance(value, bool) else text), name


def test_versions() -> None:
    """The chart has the version of the program."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_what_a_policy_without_parameters_does(tmp_path: Path) -> None:
    """Nothing that depends on our CRD applies to pods without the label: its loss cannot stop other pods."""
    for name in ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"):
        spec = of_kind("default", name, "idaas-sidecar-inject")["spec"]
        assert spec["matchConstraints"]["objectSelector"] == {"matchLabels": {"idaas-sidecar.internal/inject": "true"}}
    assert "paramKind" not in of_kind("default", "ValidatingAdmissionPolicy", "idaas-sidecar-guard")["spec"]


def test_both_policies_expect_the_same() -> None:
    """The policy that checks computes image, configuration and URI as the one that injects."""
    mutating = of_kind("tenants", "MutatingAdmissionPolicy", "idaas-sidecar-inject")["spec"]["variables"]
    validating = of_kind("tenants", "ValidatingAdmissionPolicy", "idaas-sidecar-inject")["spec"]["variables"]

    assert mutating == validating[: len(mutating)]
    assert mutating[0]["name"] == "image"


def test_the_container_is_that_of_the_manifest() -> None:
    """Security context, probes, mounts and variables of the injected container are those of deploy/kubernetes."""
    manifest = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sidecar.yaml").read_text())
    (deployment,) = [each for each in manifest if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["initContainers"]
    policy = of_kind("default", "MutatingAdmissionPolicy", "idaas-sidecar-inject")
    text = re.sub(r"\s+", " ", policy["spec"]["mutations"][0]["jsonPatch"]["expression"])

    for variable in container["env"]:
        assert f'name: "{variable["name"]}"' in text
        assert f'fieldPath: "{variable["valueFrom"]["fieldRef"]["fieldPath"]}"' in text
    for mount in container["volumeMounts"]:
        assert f'name: "{mount["name"]}", mountPath: "{mount["mountPath"]}"' in text
    for probe in ("startupProbe", "livenessProbe"):
        for key, value in container[probe].items():
            assert key == "httpGet" or f"{key}: {value}" in text.split(f"{probe}{{")[1].split("},")[1]
    for key in ("runAsUser", "runAsGroup"):
        assert f"{key}: {container['securityContext'][key]}" in text
    assert f"limits: {json.dumps(container['resources']['limits'], separators=(',', ':'))}" in text
    assert f"requests: {json.dumps(container['resources']['requests'], separators=(',', ':'))}" in text


@pytest.mark.parametrize("values", ["default", "tenants"])
def test_the_configuration_loads(values: str, loaded: Load) -> None:
    """The loader accepts the injected configuration without a warning except that the token is not there yet."""
    variables = of_kind(values, "MutatingAdmissionPolicy", "idaas-sidecar-inject")["spec"]["variables"]
    (expression,) = [each["expression"] for each in variables if each["name"] == "config"]
    settings = json.loads(expression[expression.rindex(' + "') + 3 :])
    profile = {
        "identity": {"type": "tokenFile", "tokenFile": "/var/run/secrets/idaas-sidecar/token"},
        "exchange": {
            "type": "sts",
            "roleArn": "acs:ram::1234567890123456:role/orders",
            "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/cluster",
            "regionId": "cn-hangzhou",
            "vpc": True,
            "durationSeconds": 3600,
        },
    }
    result = loaded('{"profiles":{"orders":' + json.dumps(profile) + "}," + settings, PATH_TOKEN=UID, CACHE_KEY=UID)

    assert [each for each in result.warnings if "/token: no such file" not in each] == []
    assert result.settings.startup.timeout_seconds == (150 if values == "tenants" else 60)


def doctor_pod() -> Object:
    """Return the spec of the pods of the CronJob that runs `doctor`."""
    job = of_kind("doctor", "CronJob", "idaas-sidecar-doctor")["spec"]["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    spec: Object = job["template"]["spec"]
    return spec


def test_the_doctor_is_off_by_default() -> None:
    """Without doctor.enabled the chart has no CronJob."""
    assert "CronJob" not in {each["kind"] for values in ("default", "webhook", "none") for each in golden(values)}


def test_the_doctor_conforms_to_pod_security() -> None:
    """The pod of the doctor is accepted by Pod Security `restricted`, and has no token for the API server."""
    spec = doctor_pod()

    assert violations(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"


def test_the_doctor_can_run(loaded: Load) -> None:
    """The command accepts its arguments, and the loader accepts its configuration except for what is not here."""
    (container,) = doctor_pod()["containers"]
    arguments = build_parser()[0].parse_args(container["args"])
    config = of_kind("doctor", "ConfigMap", "idaas-sidecar-doctor")["data"]["config.json"]
    settings = json.loads(config)
    (profile,) = settings["profiles"].values()

    assert (arguments.command, arguments.json, arguments.read_ram) == ("doctor", True, True)
    assert settings.keys() == {"configVersion", "profiles", "tls"}
    assert profile["identity"]["tokenFile"].rpartition("/")[0] in [
        each["mountPath"] for each in container["volumeMounts"]
    ]
    del settings["tls"]
    assert loaded(settings).settings.profiles["default"].exchange.duration_seconds == 3600


def test_the_component_is_the_chart() -> None:
    """The kustomize component has the chart's CRD, and the policies and roles of the default values."""
    crd = CHART / "crds" / "credentialpolicies.yaml"

    assert (KUSTOMIZE / "credentialpolicies.yaml").read_text() == crd.read_text()
    assert (KUSTOMIZE / "policies.yaml").read_text() == (FOLDER / "golden" / "default.yaml").read_text()


def test_the_component_builds(tmp_path: Path) -> None:
    """`kubectl kustomize` builds the component, and the documented patch replaces the image in both policies."""
    patch = re.findall(r"```yaml\n(.*?)```", (KUSTOMIZE / "README.md").read_text(), re.DOTALL)[0]
    shutil.copytree(KUSTOMIZE, tmp_path / "component")
    (tmp_path / "kustomization.yaml").write_text(patch)
    done = subprocess.run([program("kubectl"), "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))

    images = [
        each["spec"]["variables"][0]["expression"]
        for each in built
        if each["metadata"]["name"] == "idaas-sidecar-inject" and "variables" in each["spec"]
    ]
    assert images == ['"registry.example.com/idaas-credential-sidecar:0.2.0"'] * 2
    assert {each["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") for each in built} == {"kustomize"}
