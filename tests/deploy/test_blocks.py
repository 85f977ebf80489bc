"""The commands and snippets of the pages about Kubernetes, run as they stand with the real kubectl and Helm.

The API server stores objects and runs nothing (`api_server.py`): tests/cluster has the same commands in a real cluster.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from app import __version__
from app.cli.parser import parse
from app.config.json_schema import schema

from ..e2e.processes import demo
from ..golden_pods import POLICIES
from .api_server import Cluster, api_server
from .conftest import ROOT, Load, tool
from .monitoring import APT
from .pages import PAGES, block
from .pages import parse as blocks
from .test_chart import HELMS, program

Object = dict[str, Any]
IMAGE = f"registry.example.com/idaas-credential-sidecar:{__version__}"
SIDECAR = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sidecar.yaml").read_text()))

CLAIMS = {
    "kubernetes": {
        "block deploy/kubernetes/sidecar.yaml": "tests/test_readme.py::test_blocks_match_the_deployed_files",
        "install": "tests/deploy/test_blocks.py::test_from_installation_to_uninstallation",
        "setup": "tests/deploy/test_blocks.py::test_setup",
        "trust": "tests/deploy/test_kubernetes_page.py::test_the_trust_policy_is_for_the_service_account",
        "platform": "tests/deploy/test_kubernetes_page.py::test_the_policy_conforms_to_the_crd",
        "team": "tests/deploy/test_kubernetes_page.py::test_the_teams_workload",
        "check": "tests/deploy/test_blocks.py::test_commands_in_a_pod",
        "webhook-install": "tests/deploy/test_blocks.py::test_webhook",
        "explain": "tests/deploy/test_blocks.py::test_explain",
        "explain-in-cluster": "tests/deploy/test_blocks.py::test_explain_in_the_cluster",
        "upgrade": "tests/deploy/test_blocks.py::test_from_installation_to_uninstallation",
        "images": "tests/deploy/test_blocks.py::test_from_installation_to_uninstallation",
        "roll-back": "tests/deploy/test_blocks.py::test_from_installation_to_uninstallation",
        "uninstall": "tests/deploy/test_blocks.py::test_from_installation_to_uninstallation",
        "network": "tests/deploy/test_kubernetes_page.py::test_the_network_policy",
        "metadata-pod": "tests/deploy/test_blocks.py::test_the_pod_with_the_metadata_address",
        "metadata-config": "tests/deploy/test_kubernetes_page.py::test_the_metadata_address",
        "vault": "tests/deploy/test_blocks.py::test_vault",
        "look": "tests/deploy/test_blocks.py::test_commands_in_a_pod",
    },
    "monitoring": {
        "operator": "tests/deploy/test_blocks.py::test_operator",
        "rules": "tests/deploy/test_blocks.py::test_rules",
        "scrape": "tests/deploy/test_runbook.py::test_scrape_configuration_is_valid",
        "inhibit": "tests/deploy/test_runbook.py::test_inhibit_rules_name_alerts",
        "webhook-monitor": "tests/deploy/test_blocks.py::test_webhook",
        "traces-install": "tests/deploy/test_blocks.py::test_traces",
        "traces": "tests/deploy/test_blocks.py::test_traces",
        "dashboards": "tests/deploy/test_blocks.py::test_dashboards",
        "picture": "tests/deploy/test_blocks.py::test_picture",
        "series": "tests/deploy/test_blocks.py::test_series",
    },
    "chart": {"install": "tests/deploy/test_blocks.py::test_the_charts_readme"},
    "kustomize": {
        "kustomization": "tests/deploy/test_chart.py::test_the_component_builds",
        "render": "tests/deploy/test_blocks.py::test_rendered_webhook",
    },
}
"""The test that applies each block of the pages."""


def unclaimed(page: str, text: str) -> list[str]:
    """Return the blocks of a page that no test applies, by name or by their first line."""
    return [each.name or each.text.split("\n")[0] for each in blocks(text) if each.name not in CLAIMS[page]]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_test(page: str) -> None:
    """Each block of the page is in the table above, and each entry is a block and names a test that exists."""
    text = PAGES[page].read_text()

    assert unclaimed(page, text) == []
    assert [each.name for each in blocks(text)] == list(CLAIMS[page])
    assert text.count("```") == 2 * len(CLAIMS[page])
    for claim in CLAIMS[page].values():
        path, _, name = claim.partition("::")
        assert name in {each.name for each in ast.parse((ROOT / path).read_text()).body if hasattr(each, "name")}, claim


@pytest.mark.parametrize("planted", ["```sh\nkubectl delete pods --all\n```\n", "<!-- new -->\n```yaml\na: 1\n```\n"])
def test_a_planted_block_is_found(planted: str) -> None:
    """A block without a name, and one with a name that no test claims, are reported."""
    text = PAGES["kubernetes"].read_text() + planted

    assert unclaimed("kubernetes", text) in (["kubectl delete pods --all"], ["new"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with the repository's `deploy`, as in a clone, where blocks can write files."""
    shutil.copytree(ROOT / "deploy", tmp_path / "clone" / "deploy")
    return tmp_path / "clone"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An API server of 1.37."""
    with api_server(tmp_path) as running:
        yield running


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> Run:
    """Run a text as a script of the shell, in a PATH with the pinned tools and this program."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_ins = {
        "docker": f'echo "$*" >> {shlex.quote(str(tmp_path / "docker"))}\n',
        "idaas-sidecar": f'PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m app "$@"\n',
        "yq": f'exec {shlex.quote(sys.executable)} -c "import sys, yaml; '
        'print(yaml.safe_dump(yaml.safe_load(open(sys.argv[2]))[sys.argv[1][1:]]))" "$@"\n',
    }
    for name, text in stand_ins.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}")
        (programs / name).chmod(0o755)

    def shell(
        text: str, cluster: Cluster | None = None, helm: str = "helm", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        for name, wanted in (("helm", helm), ("kubectl", "kubectl")):
            (programs / name).unlink(missing_ok=True)
            if f"{name} " in text:
                (programs / name).symlink_to(program(wanted))
        environ = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        if cluster is not None:
            environ["KUBECONFIG"] = str(cluster.kubeconfig)
        done = subprocess.run(
            ["sh", "-euc", text], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return shell


def images(cluster: Cluster) -> set[str]:
    """Return the images that both injection policies name."""
    policies = [*cluster.of_kind("MutatingAdmissionPolicy"), *cluster.of_kind("ValidatingAdmissionPolicy")]
    return {
        json.loads(variable["expression"])
        for policy in policies
        for variable in policy["spec"].get("variables", ())
        if variable["name"] == "image"
    }


def revisions(cluster: Cluster) -> set[str]:
    """Return the revisions of the release, which Helm stores as Secrets."""
    labels = [each["metadata"].get("labels", {}) for each in cluster.of_kind("Secret")]
    return {each["version"] for each in labels if each.get("owner") == "helm"}


def apply(name: str, run: Run, cluster: Cluster) -> None:
    """Apply a snippet of the page with kubectl."""
    run(f"kubectl apply --server-side -f - <<'END'\n{block('kubernetes', name)}\nEND", cluster)


@pytest.mark.parametrize("helm", HELMS)
def test_from_installation_to_uninstallation(helm: str, run: Run, cluster: Cluster, tmp_path: Path) -> None:
    """Installation, onboarding, upgrade, rollback and uninstallation follow each other, with Helm 4 and Helm 3."""
    issuer = run(block("kubernetes", "install"), cluster, helm).stdout
    assert '"issuer": "https://issuer.example.com"' in issuer
    assert (tmp_path / "docker").read_text().splitlines() == [f"build -t {IMAGE} .", f"push {IMAGE}"]
    assert (images(cluster), revisions(cluster)) == ({IMAGE}, {"1"})

    run("kubectl create namespace shop\nkubectl create serviceaccount orders --namespace shop", cluster)
    apply("platform", run, cluster)
    apply("team", run, cluster)
    assert [each["metadata"]["namespace"] for each in cluster.of_kind("CredentialPolicy")] == ["shop"]

    run(block("kubernetes", "upgrade"), cluster, helm)
    (deployment,) = cluster.of_kind("Deployment")
    (restarted,) = deployment["spec"]["template"]["metadata"]["annotations"].keys() - {
        "idaas-sidecar.internal/profiles"
    }
    assert restarted == "kubectl.kubernetes.io/restartedAt"
    assert (images(cluster), revisions(cluster)) == ({IMAGE}, {"1", "2"})

    del deployment["spec"]["template"]["metadata"]["annotations"][restarted]
    run(block("kubernetes", "roll-back"), cluster, helm)
    assert revisions(cluster) == {"1", "2", "3"}
    assert restarted in cluster.of_kind("Deployment")[0]["spec"]["template"]["metadata"]["annotations"]

    cluster.add(yaml.safe_load((ROOT / "tests" / "cluster" / "golden" / "bare.yaml").read_text()))
    cluster.add({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": "shop"}, "spec": {}})
    rows = [line.split() for line in run(block("kubernetes", "images"), cluster).stdout.splitlines()]
    assert rows == [["NAMESPACE", "POD", "IMAGE"], ["shop", "app", f"idaas-credential-sidecar:{__version__}"]]

    shown = run(block("kubernetes", "uninstall"), cluster, helm).stdout.splitlines()
    assert [line.split()[:2] for line in shown[:2]] == [["NAMESPACE", "NAME"], ["shop", "app"]]
    left = {each["kind"] for each in cluster.objects.values() if each["metadata"].get("namespace") != "shop"}
    assert left == {"Namespace"}
    assert [each["metadata"]["name"] for each in cluster.of_kind("Namespace")] == ["shop"]


@pytest.mark.parametrize("helm", HELMS)
def test_an_upgrade_brings_new_defaults(helm: str, run: Run, cluster: Cluster, folder: Path) -> None:
    """The upgrade of the page keeps the platform's values, and takes the new chart's defaults and new values."""
    values = folder / "deploy" / "helm" / "idaas-credential-sidecar" / "values.yaml"
    current = values.read_text()
    earlier = yaml.safe_load(current)
    earlier["sidecar"]["resources"]["limits"]["memory"] = "64Mi"
    values.write_text(yaml.safe_dump(earlier))
    run(block("kubernetes", "install"), cluster, helm)
    apply("team", run, cluster)
    assert memory_limits(cluster) == {"64Mi"}

    values.write_text(current)
    run(block("kubernetes", "upgrade"), cluster, helm)
    assert (memory_limits(cluster), images(cluster)) == ({"96Mi"}, {IMAGE})


def memory_limits(cluster: Cluster) -> set[str]:
    """Return the limits of the container that the injection policy adds."""
    texts = [json.dumps(each) for each in cluster.of_kind("MutatingAdmissionPolicy")]
    return {found for text in texts for found in re.findall(r'limits: \{\\"memory\\":\\"(\w+)\\"', text)}


@pytest.mark.parametrize("helm", HELMS)
def test_webhook(helm: str, run: Run, tmp_path: Path) -> None:
    """The webhooks install into 1.33 with the image of the platform; the later command adds their PodMonitor."""
    with api_server(tmp_path, "v1.33.0") as cluster:
        run(block("kubernetes", "webhook-install"), cluster, helm)
        (deployment,) = cluster.of_kind("Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == IMAGE
        assert len(cluster.of_kind("MutatingWebhookConfiguration")) == 1
        (settings,) = cluster.of_kind("ConfigMap")
        assert json.loads(settings["data"]["settings.json"])["image"] == IMAGE
        certificate = [each["data"]["tls.crt"] for each in cluster.of_kind("Secret") if "tls.crt" in each["data"]]
        assert cluster.of_kind("PodMonitor") == []

        run(block("monitoring", "webhook-monitor"), cluster, helm)
        assert len(cluster.of_kind("PodMonitor")) == 1
        kept = [each["data"]["tls.crt"] for each in cluster.of_kind("Secret") if "tls.crt" in each["data"]]
        assert kept == certificate
        assert len(kept) == 1


def test_the_charts_readme(run: Run, cluster: Cluster) -> None:
    """The command of the chart's README installs the policies with the chart's image, and its CRD."""
    run(block("chart", "install"), cluster)

    assert images(cluster) == {f"idaas-credential-sidecar:{__version__}"}
    assert len(cluster.of_kind("CustomResourceDefinition")) == 1


def test_setup(run: Run) -> None:
    """The command prints the trust policy of the page. With a fingerprint, it does not ask the issuer."""
    planned = run(f"{block('kubernetes', 'setup')} --format json --fingerprint {'0' * 40}").stdout
    (role,) = json.loads(planned)["roles"]

    (statement,) = role["trustPolicy"]["Statement"]
    (wanted,) = json.loads(block("kubernetes", "trust"))["Statement"]
    assert statement["Principal"] == {"Federated": [wanted["Principal"]["Federated"]]}
    given = wanted["Condition"]["StringEquals"]
    assert statement["Condition"]["StringEquals"] == {key: [value] for key, value in given.items()}
    assert role["arn"] == policy()["spec"]["profiles"][0]["roleArn"]


def test_explain(run: Run, cluster: Cluster, folder: Path) -> None:
    """`webhook explain` reads the policies that kubectl writes, and says what is added to the team's Deployment."""
    run("kubectl apply --server-side -f deploy/helm/idaas-credential-sidecar/crds/", cluster)
    apply("platform", run, cluster)
    (folder / "deployment.yaml").write_text(block("kubernetes", "team"))

    out = run(block("kubernetes", "explain"), cluster).stdout

    assert out.startswith("Deployment shop/orders: injected\n")
    assert "  profile: orders, role acs:ram::1234567890123456:role/orders" in out.splitlines()
    assert yaml.safe_load((folder / "policies.yaml").read_text())["kind"] == "List"


def test_explain_in_the_cluster(run: Run, cluster: Cluster, folder: Path) -> None:
    """kubectl makes the JSON that the command in the webhook's pod reads, and runs that command there."""
    (folder / "deployment.yaml").write_text(block("kubernetes", "team"))
    (folder / "policies.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy()]}))
    cluster.add(*webhook_pods())
    makes, _, runs = block("kubernetes", "explain-in-cluster").partition(" | ")

    run(runs, cluster, check=False)
    ((where, container, command),) = cluster.executed
    assert (where, container) == ("idaas-sidecar/idaas-sidecar-webhook-0", "webhook")
    explained = run(f"{makes} | {shlex.join(command)} --policies policies.json", cluster).stdout
    assert explained.startswith("Deployment shop/orders: injected\n")


def policy() -> Object:
    """Return the CredentialPolicy of the page."""
    return yaml.safe_load(block("kubernetes", "platform"))


def webhook_pods() -> list[Object]:
    """Return the webhook's Deployment and one of its pods."""
    text = (ROOT / "tests" / "deploy" / "golden" / "webhook.yaml").read_text()
    (deployment,) = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": "idaas-sidecar-webhook-0", "namespace": "idaas-sidecar"}
    deployment["metadata"].setdefault("namespace", "idaas-sidecar")
    return [deployment, running({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})]


def running(pod: Object) -> Object:
    """Return a pod with the status of one that runs."""
    return {**pod, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


def injected(namespace: str, name: str) -> Object:
    """Return an injected pod."""
    pod = yaml.safe_load((ROOT / "tests" / "cluster" / "golden" / "bare.yaml").read_text())
    pod["metadata"] |= {"name": name, "namespace": namespace, "labels": {**pod["metadata"]["labels"], "app": "orders"}}
    return running(pod)


@pytest.mark.parametrize("name", ["check", "look"])
def test_commands_in_a_pod(name: str, run: Run, cluster: Cluster) -> None:
    """Each command that kubectl runs in a pod is one of the sidecar; the others print what the page says."""
    run("kubectl apply --server-side -f deploy/helm/idaas-credential-sidecar/crds/", cluster)
    apply("team", run, cluster)
    cluster.add(*POLICIES.values(), injected("NAMESPACE", "POD"), injected("shop", "orders-1"))
    printed = []
    lines = [line for line in block("kubernetes", name).splitlines() if "rollout status" not in line]
    for line in lines:
        cluster.executed.clear()
        done = run(line, cluster, check=" exec " not in line)
        printed.append(done.stdout)
        if " exec " in line:
            ((where, container, command),) = cluster.executed
            assert (where, container) == ("NAMESPACE/POD" if name == "look" else "shop/orders-1", "idaas-sidecar")
            assert command[0] == "idaas-sidecar"
            assert parse(command[1:]).command in ("doctor", "health", "refresh")
    if name == "look":
        policies, config = printed[-2:]
        assert {line.split()[0] for line in policies.splitlines()[1:]} == set(POLICIES)
        assert "profiles" in json.loads(config)


def test_operator(run: Run, cluster: Cluster) -> None:
    """kubectl applies the PodMonitor and the rules."""
    run(block("monitoring", "operator"), cluster)

    assert (len(cluster.of_kind("PodMonitor")), len(cluster.of_kind("PrometheusRule"))) == (1, 1)


def test_dashboards(run: Run, cluster: Cluster) -> None:
    """The ConfigMap has both dashboards, and the label that Grafana's sidecar looks for."""
    run(block("monitoring", "dashboards"), cluster)
    (found,) = cluster.of_kind("ConfigMap")

    assert found["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert {name: json.loads(text)["title"] != "" for name, text in found["data"].items()} == {
        "fleet.json": True,
        "pod.json": True,
    }


def test_rules(run: Run) -> None:
    """promtool accepts the file of rules that the commands write."""
    tool("promtool", APT)

    assert "SUCCESS: " in run(block("monitoring", "rules")).stdout


def test_rendered_webhook(run: Run, folder: Path) -> None:
    """The rendering has the webhook and a certificate by cert-manager, and kustomize takes it as a resource."""
    run(block("kustomize", "render"))
    (folder / "kustomization.yaml").write_text("resources: [webhook.yaml]\n")

    built = list(yaml.safe_load_all(run("kubectl kustomize .").stdout))
    kinds = {each["kind"] for each in built}
    assert {"Deployment", "Certificate", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} <= kinds
    assert "Secret" not in kinds


def test_traces(loaded: Load) -> None:
    """The extra that the command installs exists, and the configuration conforms to the schema and loads."""
    _, _, name = shlex.split(block("monitoring", "traces-install"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    distribution, _, extra = name.rstrip("]").partition("[")
    settings = json.loads(block("monitoring", "traces"))
    (config,) = [json.loads(each["data"]["config.json"]) for each in SIDECAR if each["kind"] == "ConfigMap"]

    assert distribution == project["name"]
    assert any("opentelemetry" in each for each in project["optional-dependencies"][extra])
    jsonschema.validate(config | settings, schema())
    telemetry = loaded(config | settings, PATH_TOKEN="a" * 32, CACHE_KEY="ab" * 32).settings.telemetry
    assert telemetry.traces_endpoint == settings["telemetry"]["tracesEndpoint"]


def test_picture() -> None:
    """The command names a module that exists, which writes the pictures of the page into a directory."""
    _, option, module, *arguments = shlex.split(block("monitoring", "picture"))

    assert (option, arguments) == ("-m", ["--out", "docs"])
    assert callable(importlib.import_module(module).main)


def test_series(run: Run, tmp_path: Path) -> None:
    """The command counts the series of a sidecar that runs."""
    tool("curl", "apt-get install curl")
    with demo(home=tmp_path) as sidecar:
        text = block("monitoring", "series").replace("http://127.0.0.1:7118", sidecar.ops_url)
        assert int(subprocess.run(["sh", "-euc", text], capture_output=True, text=True, check=True).stdout) >= 44


def pod_template() -> Object:
    """Return the pod template of deploy/kubernetes/sidecar.yaml."""
    (deployment,) = [each for each in SIDECAR if each["kind"] == "Deployment"]
    return yaml.safe_load(yaml.safe_dump(deployment["spec"]["template"]))


def test_the_pod_with_the_metadata_address() -> None:
    """The manifest with the snippet is a valid pod, with the container that adds the address before the sidecar."""
    added, template = yaml.safe_load(block("kubernetes", "metadata-pod")), pod_template()
    spec = template["spec"]
    spec["initContainers"] = [*added["initContainers"], *spec["initContainers"]]
    spec["securityContext"] |= added["securityContext"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": spec}

    for version in dict.fromkeys(kubernetes_validate.utils.all_versions()):
        if int(version.split(".")[1]) >= 29:
            kubernetes_validate.validate(pod, version, strict=True)
    assert [each["name"] for each in spec["initContainers"]] == ["metadata-address", "idaas-sidecar"]


def test_vault(loaded: Load, tmp_path: Path) -> None:
    """The annotations are those of a valid pod: the sidecar's user owns a private file, which the loader accepts."""
    annotations, template = yaml.safe_load(block("kubernetes", "vault")), pod_template()
    (sidecar,) = template["spec"]["initContainers"]
    template["metadata"].setdefault("annotations", {}).update(annotations)
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    prefix = "vault.hashicorp.com/agent-"
    (config,) = [json.loads(each["data"]["config.json"]) for each in SIDECAR if each["kind"] == "ConfigMap"]
    name = next(key for key in annotations if key.startswith(f"{prefix}inject-secret-")).rpartition("inject-secret-")[2]
    secret = tmp_path / name
    secret.write_text("made-up")
    secret.chmod(int(annotations[f"{prefix}inject-perms-{name}"], 8))
    config["profiles"]["default"]["identity"] = {
        "idaasInstanceId": "idaas_example",
        "clientId": "app_example",
        "issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|.all",
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(secret)},
    }

    kubernetes_validate.validate(pod, "1.37.0", strict=True)
    assert annotations[f"{prefix}run-as-user"] == str(sidecar["securityContext"]["runAsUser"])
    assert annotations[f"{prefix}run-as-group"] == str(sidecar["securityContext"]["runAsGroup"])
    assert annotations[f"{prefix}init-first"] == "true"
    assert f"`/vault/secrets/{name}` (`clientSecretFile`)" in PAGES["kubernetes"].read_text()
    assert annotations[f"{prefix}inject-secret-{name}"] in annotations[f"{prefix}inject-template-{name}"]
    result = loaded(config, PATH_TOKEN="a" * 32, CACHE_KEY="ab" * 32)
    assert [each for each in result.warnings if str(secret) in each] == []
