"""deploy/kubernetes/sidecar.yaml: valid for every supported Kubernetes version, with the documented properties."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import kubernetes_validate
import pytest
import yaml

from app.identity.idaas import IdaasIdentity
from app.identity.token_file import TokenFileIdentity

from .conftest import ROOT, Load

FILE = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
TEXT = FILE.read_text()
DOCUMENTS = list(yaml.safe_load_all(TEXT))
SINCE = (1, 29)
VERSIONS = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(int(part) for part in version.split(".")[:2]) >= SINCE
]
POD_UID = "6f1c2a54-8f4e-4d3b-9d7e-0a1b2c3d4e5f"

Object = dict[str, Any]


def by_kind(kind: str) -> Object:
    """Return the only document of a kind."""
    (document,) = [document for document in DOCUMENTS if document["kind"] == kind]
    return document


@pytest.fixture
def pod() -> Object:
    """The pod's specification."""
    return by_kind("Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def sidecar(pod: Object) -> Object:
    """The sidecar's container."""
    (container,) = pod["initContainers"]
    return container


@pytest.fixture
def application(pod: Object) -> Object:
    """The application's container."""
    (container,) = pod["containers"]
    return container


@pytest.fixture
def config() -> Object:
    """The configuration in the ConfigMap."""
    return json.loads(by_kind("ConfigMap")["data"]["config.json"])


def variables(container: Object) -> dict[str, str]:
    """Return each variable's value, or the field of the pod from which it is taken."""
    return {
        item["name"]: item["value"] if "value" in item else item["valueFrom"]["fieldRef"]["fieldPath"]
        for item in container["env"]
    }


def test_schema_versions() -> None:
    """The schemas begin with the oldest version that has native sidecars and include newer ones."""
    assert VERSIONS[0].startswith("1.29")
    assert len(VERSIONS) > 5


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_valid(document: Object, version: str) -> None:
    """Each document conforms to the strict schema, without a key that the API server drops or refuses."""
    kubernetes_validate.validate(document, version, strict=True)


def test_strict_schema_rejects_unknown_keys(pod: Object) -> None:
    """The strict schema rejects a misspelt key in the sidecar; this is the control of the test above."""
    broken = json.loads(json.dumps(by_kind("Deployment")))
    broken["spec"]["template"]["spec"]["initContainers"][0]["livenesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_no_secret(pod: Object) -> None:
    """The manifest without secrets has no Secret and no reference to one."""
    text = json.dumps(DOCUMENTS).lower()

    assert not [document for document in DOCUMENTS if document["kind"] == "Secret"]
    assert "secretkeyref" not in text
    assert "secretname" not in text


def test_native_sidecar(sidecar: Object) -> None:
    """The sidecar is an init container that restarts: it starts before the application and stops after it."""
    assert sidecar["restartPolicy"] == "Always"
    assert "command" not in sidecar
    assert "args" not in sidecar


def test_startup_probe_waits_for_credentials(sidecar: Object, loaded: Load, config: Object) -> None:
    """The startup probe requests /startupz, whose gate is `credentials`, and allows more time than the gate."""
    probe = sidecar["startupProbe"]
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert probe["httpGet"] == {"path": "/startupz", "port": "ops"}
    assert settings.startup.gate == "credentials"
    assert probe["periodSeconds"] * probe["failureThreshold"] > settings.startup.timeout_seconds


def test_probes_use_the_ops_port(sidecar: Object, loaded: Load, config: Object) -> None:
    """The liveness probe requests /livez, and both probes use the port of the ops listener."""
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert sidecar["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "ops"}
    assert sidecar["ports"] == [{"name": "ops", "containerPort": 7118}]
    assert settings.server.ops == "[::]:7118"


def test_no_readiness_probe(sidecar: Object) -> None:
    """The sidecar has no readiness probe: it would take the application out of service while its session is valid."""
    assert "readinessProbe" not in sidecar


def test_credentials_stay_on_loopback(loaded: Load, config: Object) -> None:
    """Only the ops listener can be reached from outside the pod."""
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert settings.server.bind == "127.0.0.1:7117"
    assert settings.server.metadata is None
    assert not settings.access.unsafe_bind


def test_hardened(sidecar: Object, pod: Object) -> None:
    """The sidecar has no root, no writable root filesystem, no capability and the runtime's seccomp profile."""
    assert sidecar["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["automountServiceAccountToken"] is False


def test_memory(sidecar: Object) -> None:
    """The memory limit is 64 MiB, under which the image is tested; CPU has no limit."""
    assert sidecar["resources"]["limits"] == {"memory": "64Mi"}
    assert sidecar["resources"]["requests"]["memory"] == "48Mi"


def test_mounts(sidecar: Object, application: Object, pod: Object) -> None:
    """Every volume is mounted read-only, and only into the sidecar."""
    mounts = sidecar["volumeMounts"]

    assert sorted(mount["name"] for mount in mounts) == sorted(volume["name"] for volume in pod["volumes"])
    assert all(mount["readOnly"] for mount in mounts)
    assert "volumeMounts" not in application


def test_identity_is_the_projected_token(sidecar: Object, pod: Object, loaded: Load, config: Object) -> None:
    """The configured token file is where kubelet writes a token with an audience of its own."""
    identity = loaded(config, PATH_TOKEN=POD_UID).settings.profiles["default"].identity
    (source,) = [
        source["serviceAccountToken"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-identity"]

    assert isinstance(identity, TokenFileIdentity)
    assert identity.token_file == f"{mount['mountPath']}/{source['path']}"
    assert source["audience"]


def test_configuration_is_at_the_default_path(sidecar: Object, pod: Object) -> None:
    """The ConfigMap is mounted at the default path, so that no argument or variable is needed."""
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-config"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "idaas-sidecar-config"]

    assert mount["mountPath"] == "/etc/idaas-sidecar"
    assert volume["configMap"] == {"name": by_kind("ConfigMap")["metadata"]["name"]}


def test_session_is_named_after_the_pod(sidecar: Object, loaded: Load, config: Object) -> None:
    """The two variables of the downward API become the RoleSessionName."""
    environ = variables(sidecar)
    profile = loaded(config, PATH_TOKEN=POD_UID, POD_NAMESPACE="shop", POD_NAME="cart-7d9f").settings.profiles[
        "default"
    ]

    assert environ["POD_NAME"] == "metadata.name"
    assert environ["POD_NAMESPACE"] == "metadata.namespace"
    assert profile.exchange.role_session_name == "shop.cart-7d9f"


def test_path_token_is_the_pods_uid(sidecar: Object, application: Object, loaded: Load, config: Object) -> None:
    """Sidecar and application use the random UUID of the pod; it is defined before the URI that contains it."""
    path_token = loaded(config, PATH_TOKEN=POD_UID).settings.access.path_token
    names = [item["name"] for item in application["env"]]

    assert UUID(POD_UID).version == 4
    assert path_token is not None
    assert variables(sidecar)[str(path_token.env_var_name)] == "metadata.uid"
    assert variables(application)["PATH_TOKEN"] == "metadata.uid"
    assert names.index("PATH_TOKEN") < names.index("ALIBABA_CLOUD_CREDENTIALS_URI")


def test_application_environment(application: Object) -> None:
    """The application uses the sidecar and not the metadata service of the node."""
    environ = variables(application)

    assert environ["ALIBABA_CLOUD_CREDENTIALS_URI"] == "http://127.0.0.1:7117/$(PATH_TOKEN)/credentials"
    assert environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"


def test_service_account(pod: Object) -> None:
    """The pod runs as the declared service account, which the trust policy names."""
    name = by_kind("ServiceAccount")["metadata"]["name"]

    assert pod["serviceAccountName"] == name
    assert f"system:serviceaccount:<namespace>:{name}" in TEXT


def test_variant_in_the_comment(loaded: Load, config: Object, tmp_path: Any) -> None:
    """The loader accepts the alternative identity in the last comment of the manifest."""
    comment = TEXT[TEXT.index("#   {\n") :]
    identity = json.loads("".join(line.removeprefix("#") for line in comment.splitlines()))
    secret = tmp_path / "client-secret"
    secret.write_text("made-up")
    assert identity["authnConfiguration"]["clientSecretFile"] == "/var/run/secrets/idaas-sidecar/client-secret"
    identity["authnConfiguration"]["clientSecretFile"] = str(secret)
    config["profiles"]["default"]["identity"] = identity

    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert isinstance(settings.profiles["default"].identity, IdaasIdentity)
