"""The chart with `injection: webhook`: what an outage stops, certificates, Pod Security, and settings of the pods."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from app.cli.parser import parse
from app.webhook.serving.application import Webhook
from app.webhook.settings import Settings, read_settings

from .pod_security import violations
from .test_chart import CHART, golden, of_kind, program

Object = dict[str, Any]
NAME = "idaas-sidecar-webhook"
HOST = "idaas-sidecar-webhook.idaas-sidecar.svc"
SETS = ("webhook", "cert-manager")


def webhooks(values: str) -> dict[str, Object]:
    """Return the webhooks of a golden rendering by name."""
    kinds = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    return {each["name"]: each for kind in kinds for each in of_kind(values, kind, "idaas-sidecar-inject")["webhooks"]}


def pod_spec(values: str) -> Object:
    """Return the specification of the webhook's pods."""
    return of_kind(values, "Deployment", NAME)["spec"]["template"]["spec"]


@pytest.mark.parametrize("values", SETS)
def test_an_outage_concerns_only_pods_with_our_names(values: str) -> None:
    """All fail closed, are called only for pods with label or annotation, and never in kube-system."""
    found = webhooks(values)

    assert set(found) == {f"{name}.idaas-sidecar.internal" for name in ("inject", "validate", "guard")}
    for name, each in found.items():
        assert (each["failurePolicy"], each["sideEffects"], each["timeoutSeconds"]) == ("Fail", "None", 5)
        (rule,) = each["namespaceSelector"]["matchExpressions"]
        assert (rule["operator"], "kube-system" in rule["values"]) == ("NotIn", True)
        if name.startswith("guard"):
            (condition,) = each["matchConditions"]
            assert condition["expression"].count("idaas-sidecar.internal/") >= 8
        else:
            assert each["objectSelector"] == {"matchLabels": {"idaas-sidecar.internal/inject": "true"}}
            assert [rule["operations"] for rule in each["rules"]] == [["CREATE"]]


@pytest.mark.parametrize("values", SETS)
def test_the_policies_are_not_installed(values: str) -> None:
    """A cluster has one injection: the chart installs either policies or webhooks."""
    assert not [each for each in golden(values) if "AdmissionPolicy" in each["kind"]]
    assert not [each for each in golden("default") if "Webhook" in each["kind"]]


@pytest.mark.parametrize("values", SETS)
def test_the_webhook_can_start_without_itself(values: str) -> None:
    """Its own pods have neither label nor annotation of the injection, so no webhook is called for them."""
    metadata = of_kind(values, "Deployment", NAME)["spec"]["template"]["metadata"]

    assert not [each for each in (*metadata["labels"], *metadata["annotations"]) if "idaas-sidecar.internal" in each]


@pytest.mark.parametrize("values", SETS)
def test_pod_security(values: str) -> None:
    """Pod Security `restricted` accepts the webhook's pods."""
    assert violations(pod_spec(values)) == []


@pytest.mark.parametrize("values", SETS)
def test_names_agree(values: str) -> None:
    """Service, port, paths, files and arguments are those of the program."""
    (container,) = pod_spec(values)["containers"]
    arguments = parse(container["args"])
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    port, metrics = container["ports"]
    service = of_kind(values, "Service", NAME)["spec"]
    application = Webhook(None, Settings(), None).application()  # type: ignore[arg-type]
    paths = {route.path for route in application.routes}  # type: ignore[attr-defined]

    assert {arguments.settings, arguments.certificate} == mounts
    assert (arguments.bind, arguments.metrics) == tuple(f"[::]:{each['containerPort']}" for each in (port, metrics))
    assert [each["targetPort"] for each in service["ports"]] == [port["name"]]
    assert (
        service["selector"].items()
        <= of_kind(values, "Deployment", NAME)["spec"]["template"]["metadata"]["labels"].items()
    )
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {each["scheme"] for each in probes} == {"HTTPS"}
    called = {each["clientConfig"]["service"]["path"] for each in webhooks(values).values()}
    assert called | {each["path"] for each in probes} == paths
    assert {each["clientConfig"]["service"]["name"] for each in webhooks(values).values()} == {NAME}


def test_the_monitor_and_the_network_policy_are_opt_in() -> None:
    """Both name ports of the pods and select them; other values than these two sets install neither."""
    spec = of_kind("webhook", "Deployment", NAME)["spec"]["template"]
    ports = {each["name"] for each in spec["spec"]["containers"][0]["ports"]}
    monitor = of_kind("webhook", "PodMonitor", NAME)
    allowed = of_kind("webhook", "NetworkPolicy", NAME)["spec"]

    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/metrics")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert [rule["ports"][0]["port"] for rule in allowed["ingress"]] == ["https", "metrics"]
    assert {rule["ports"][0]["port"] for rule in allowed["ingress"]} == ports
    assert [list(rule["from"][0]) for rule in allowed["ingress"]] == [["ipBlock"], ["namespaceSelector", "podSelector"]]
    for selector in (monitor["spec"]["selector"], allowed["podSelector"]):
        assert selector["matchLabels"].items() <= spec["metadata"]["labels"].items()
    assert not {each["kind"] for each in golden("cert-manager")} & {"PodMonitor", "NetworkPolicy"}


def test_the_service_account_reads_policies_only() -> None:
    """The verb `get` for the CredentialPolicy `default`, and nothing else."""
    (rule,) = of_kind("webhook", "ClusterRole", NAME)["rules"]

    assert rule == {
        "apiGroups": ["idaas-sidecar.internal"],
        "resources": ["credentialpolicies"],
        "resourceNames": ["default"],
        "verbs": ["get"],
    }


def test_the_settings_are_the_values(tmp_path: Path) -> None:
    """The program reads the chart's ConfigMap, with the configuration that the policies would inject."""
    path = tmp_path / "settings.json"
    path.write_text(of_kind("webhook", "ConfigMap", NAME)["data"]["settings.json"])
    settings = read_settings(str(path))
    path.write_text(of_kind("cert-manager", "ConfigMap", NAME)["data"]["settings.json"])

    assert settings.image.startswith("registry.example.com/platform/idaas-credential-sidecar:")
    assert (settings.audience, settings.expiration_seconds) == ("sts.example.com", 7200)
    assert '"startup":{"gate":"credentials","timeoutSeconds":150}' in settings.configuration
    assert read_settings(str(path)) == Settings()


def test_cert_manager() -> None:
    """cert-manager makes a certificate for the Service's name, and puts its CA into both configurations."""
    certificate = of_kind("cert-manager", "Certificate", NAME)["spec"]
    (secret,) = [each["secret"] for each in pod_spec("cert-manager")["volumes"] if "secret" in each]

    assert (certificate["secretName"], certificate["dnsNames"][0]) == (secret["secretName"], HOST)
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        metadata = of_kind("cert-manager", kind, "idaas-sidecar-inject")["metadata"]
        assert metadata["annotations"] == {"cert-manager.io/inject-ca-from": f"idaas-sidecar/{NAME}"}
    assert not any("caBundle" in each["clientConfig"] for each in webhooks("cert-manager").values())


def test_helms_certificate() -> None:
    """Without cert-manager, Helm makes a certificate for the Service's name, and its CA is in the configurations."""
    command = [
        program("helm"),
        "template",
        "sidecar",
        CHART,
        "--namespace",
        "idaas-sidecar",
        "--set",
        "injection=webhook",
    ]
    text = subprocess.run([*command, "--kube-version", "1.33.0"], capture_output=True, text=True, check=True).stdout
    objects = [each for each in yaml.safe_load_all(text) if each]
    (secret,) = [each["data"] for each in objects if each["kind"] == "Secret"]
    bundles = {
        hook["clientConfig"]["caBundle"] for each in objects if "Webhook" in each["kind"] for hook in each["webhooks"]
    }

    assert bundles == {secret["ca.crt"]}
    authority = x509.load_pem_x509_certificate(base64.b64decode(secret["ca.crt"]))
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["tls.crt"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert HOST in names.get_values_for_type(x509.DNSName)
    certificate.verify_directly_issued_by(authority)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days >= 3649
