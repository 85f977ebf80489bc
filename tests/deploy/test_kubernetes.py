"""deploy/kubernetes/sidecar.yaml: valid for every Kubernetes it claims, and meaning what it says."""

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
    (document,) = [document for document in DOCUMENTS if document["kind"] == kind]
    return document


@pytest.fixture
def pod() -> Object:
    return by_kind("Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def sidecar(pod: Object) -> Object:
    (container,) = pod["initContainers"]
    return container


@pytest.fixture
def application(pod: Object) -> Object:
    (container,) = pod["containers"]
    return container


@pytest.fixture
def config() -> Object:
    return json.loads(by_kind("ConfigMap")["data"]["config.json"])


def variables(container: Object) -> dict[str, str]:
    """Each variable's value, or the field of the pod that it is taken from."""
    return {
        item["name"]: item["value"] if "value" in item else item["valueFrom"]["fieldRef"]["fieldPath"]
        for item in container["env"]
    }


def test_there_are_versions_to_check() -> None:
    """The schemas reach from the oldest version with native sidecars to a newer one."""
    assert VERSIONS[0].startswith("1.29")
    assert len(VERSIONS) > 5


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_valid(document: Object, version: str) -> None:
    """Each document keeps to the strict schema: no key that the API server would drop or refuse."""
    kubernetes_validate.validate(document, version, strict=True)


def test_strictness(pod: Object) -> None:
    """The check above does see a misspelt key in the sidecar."""
    broken = json.loads(json.dumps(by_kind("Deployment")))
    broken["spec"]["template"]["spec"]["initContainers"][0]["livenesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_no_secret(pod: Object) -> None:
    """The block that we call secretless has no Secret, neither of its own nor by reference."""
    everything = json.dumps(DOCUMENTS).lower()

    assert not [document for document in DOCUMENTS if document["kind"] == "Secret"]
    assert "secretkeyref" not in everything
    assert "secretname" not in everything


def test_native_sidecar(sidecar: Object) -> None:
    """It is an init container that stays: started before the application, stopped after it."""
    assert sidecar["restartPolicy"] == "Always"
    assert "command" not in sidecar
    assert "args" not in sidecar


def test_the_application_waits_for_credentials(sidecar: Object, loaded: Load, config: Object) -> None:
    """The startup probe asks /startupz, whose gate is `credentials`, and is more patient than the sidecar itself."""
    probe = sidecar["startupProbe"]
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert probe["httpGet"] == {"path": "/startupz", "port": "ops"}
    assert settings.startup.gate == "credentials"
    assert probe["periodSeconds"] * probe["failureThreshold"] > settings.startup.timeout_seconds


def test_probes_ask_the_ops_port(sidecar: Object, loaded: Load, config: Object) -> None:
    """Liveness is /livez, and the port that both probes name is the one that ops listens on."""
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert sidecar["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "ops"}
    assert sidecar["ports"] == [{"name": "ops", "containerPort": 7118}]
    assert settings.server.ops == "0.0.0.0:7118"


def test_no_readiness_probe(sidecar: Object) -> None:
    """A readiness probe would take the application out of service while its credentials are still good."""
    assert "readinessProbe" not in sidecar


def test_credentials_stay_on_loopback(loaded: Load, config: Object) -> None:
    """Only ops is reachable from outside the pod."""
    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert settings.server.bind == "127.0.0.1:7117"
    assert settings.server.metadata is None
    assert not settings.access.unsafe_bind


def test_hardened(sidecar: Object, pod: Object) -> None:
    """No root, no writable root, no capability, no way to more, the runtime's seccomp profile."""
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
    """64 MiB is the limit that the image is tried under; CPU has none."""
    assert sidecar["resources"]["limits"] == {"memory": "64Mi"}
    assert sidecar["resources"]["requests"]["memory"] == "48Mi"


def test_mounts(sidecar: Object, application: Object, pod: Object) -> None:
    """Every volume is declared and mounted read-only, into the sidecar alone."""
    mounts = sidecar["volumeMounts"]

    assert sorted(mount["name"] for mount in mounts) == sorted(volume["name"] for volume in pod["volumes"])
    assert all(mount["readOnly"] for mount in mounts)
    assert "volumeMounts" not in application


def test_identity_is_the_projected_token(sidecar: Object, pod: Object, loaded: Load, config: Object) -> None:
    """The token file of the configuration is where kubelet puts a token with an audience of its own."""
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


def test_configuration_is_where_it_is_looked_for(sidecar: Object, pod: Object) -> None:
    """The ConfigMap is mounted at the default path, so that neither an argument nor a variable is needed."""
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-config"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "idaas-sidecar-config"]

    assert mount["mountPath"] == "/etc/idaas-sidecar"
    assert volume["configMap"] == {"name": by_kind("ConfigMap")["metadata"]["name"]}


def test_session_is_named_after_the_pod(sidecar: Object, loaded: Load, config: Object) -> None:
    """The downward API's two variables become the RoleSessionName."""
    environ = variables(sidecar)
    profile = loaded(config, PATH_TOKEN=POD_UID, POD_NAMESPACE="shop", POD_NAME="cart-7d9f").settings.profiles[
        "default"
    ]

    assert environ["POD_NAME"] == "metadata.name"
    assert environ["POD_NAMESPACE"] == "metadata.namespace"
    assert profile.exchange.role_session_name == "shop.cart-7d9f"


def test_path_token_is_the_pods_uid(sidecar: Object, application: Object, loaded: Load, config: Object) -> None:
    """Both sides take the random UUID of the pod; the application's URI is made of it, so it must come first."""
    path_token = loaded(config, PATH_TOKEN=POD_UID).settings.access.path_token
    names = [item["name"] for item in application["env"]]

    assert UUID(POD_UID).version == 4
    assert path_token is not None
    assert variables(sidecar)[str(path_token.env_var_name)] == "metadata.uid"
    assert variables(application)["PATH_TOKEN"] == "metadata.uid"
    assert names.index("PATH_TOKEN") < names.index("ALIBABA_CLOUD_CREDENTIALS_URI")


def test_application_environment(application: Object) -> None:
    """The application asks the sidecar, and not the node it runs on."""
    environ = variables(application)

    assert environ["ALIBABA_CLOUD_CREDENTIALS_URI"] == "http://127.0.0.1:7117/$(PATH_TOKEN)/credentials"
    assert environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"


def test_service_account(pod: Object) -> None:
    """The pod runs as the account that is declared, which the trust policy names."""
    name = by_kind("ServiceAccount")["metadata"]["name"]

    assert pod["serviceAccountName"] == name
    assert f"system:serviceaccount:<namespace>:{name}" in TEXT


def test_the_variant_in_the_comment(loaded: Load, config: Object, tmp_path: Any) -> None:
    """The identity that the closing comment offers instead is one that the loader takes."""
    comment = TEXT[TEXT.index("#   {\n") :]
    identity = json.loads("".join(line.removeprefix("#") for line in comment.splitlines()))
    secret = tmp_path / "client-secret"
    secret.write_text("made-up")
    assert identity["authnConfiguration"]["clientSecretFile"] == "/var/run/secrets/idaas-sidecar/client-secret"
    identity["authnConfiguration"]["clientSecretFile"] = str(secret)
    config["profiles"]["default"]["identity"] = identity

    settings = loaded(config, PATH_TOKEN=POD_UID).settings

    assert isinstance(settings.profiles["default"].identity, IdaasIdentity)
