"""deploy/kubernetes/sidecar.yaml: valid for every supported Kubernetes version, with the documented properties."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import kubernetes_validate
import pytest
import yaml

from app.core.errors import ConfigError
from app.identity.idaas import IdaasIdentity
from app.identity.token_file import TokenFileIdentity

from .conftest import ROOT, Load
from .pod_security import violations

FILE = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
TEXT = FILE.read_text()
DOCUMENTS = list(yaml.safe_load_all(TEXT))
SINCE = (1, 29)
VERSIONS = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(int(part) for part in version.split(".")[:2]) >= SINCE
]
LONGEST_GATE_SECONDS = 3600
"""The maximum of `startup.timeoutSeconds`."""

POD_UID = "6f1c2a54-8f4e-4d3b-9d7e-0a1b2c3d4e5f"
ENVIRON = {"PATH_TOKEN": POD_UID, "CACHE_KEY": POD_UID}

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
    """The startup probe requests /startupz, whose gate is `credentials`, and allows twice the time of any gate."""
    probe = sidecar["startupProbe"]
    settings = loaded(config, **ENVIRON).settings

    assert probe["httpGet"] == {"path": "/startupz", "port": "ops"}
    assert settings.startup.gate == "credentials"
    assert settings.startup.timeout_seconds <= LONGEST_GATE_SECONDS
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * LONGEST_GATE_SECONDS
    with pytest.raises(ConfigError, match="3600"):
        loaded({**config, "startup": {"timeoutSeconds": LONGEST_GATE_SECONDS + 1}}, **ENVIRON)


def test_probes_use_the_ops_port(sidecar: Object, loaded: Load, config: Object) -> None:
    """The liveness probe requests /livez, and both probes use the port of the ops listener."""
    settings = loaded(config, **ENVIRON).settings

    assert sidecar["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "ops"}
    assert sidecar["ports"] == [{"name": "ops", "containerPort": 7118}]
    assert settings.server.ops == "[::]:7118"


def test_a_frozen_sidecar_restarts_soon(sidecar: Object) -> None:
    """The liveness probe does not wait for the pod's whole grace period: a frozen process ignores SIGTERM."""
    assert sidecar["livenessProbe"]["terminationGracePeriodSeconds"] == 5


def test_the_reason_of_an_exit_is_in_the_status(sidecar: Object) -> None:
    """kubelet copies the last lines of the log to the container's termination message."""
    assert sidecar["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_restricted(pod: Object) -> None:
    """Pod Security `restricted` accepts the pod, with the application's container."""
    assert violations(pod) == []


def test_restricted_finds(pod: Object) -> None:
    """The check finds a container without a security context; this is the control of the test above."""
    del pod["containers"][0]["securityContext"]

    assert violations(pod) == ["your-app: allowPrivilegeEscalation", "your-app: capabilities"]


def test_no_readiness_probe(sidecar: Object) -> None:
    """The sidecar has no readiness probe: it would take the application out of service while its session is valid."""
    assert "readinessProbe" not in sidecar


def test_credentials_stay_on_loopback(loaded: Load, config: Object) -> None:
    """Only the ops listener can be reached from outside the pod."""
    settings = loaded(config, **ENVIRON).settings

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
    """The memory limit is 96 MiB; the image is tested with 64 MiB. CPU has no limit."""
    assert sidecar["resources"]["limits"] == {"memory": "96Mi"}
    assert sidecar["resources"]["requests"]["memory"] == "48Mi"


def test_mounts(sidecar: Object, application: Object, pod: Object) -> None:
    """Every volume is mounted only into the sidecar, and read-only except the one of the cache and the admin socket."""
    mounts = sidecar["volumeMounts"]

    assert sorted(mount["name"] for mount in mounts) == sorted(volume["name"] for volume in pod["volumes"])
    assert [mount["name"] for mount in mounts if not mount.get("readOnly")] == ["idaas-sidecar-run"]
    assert "volumeMounts" not in application


def test_identity_is_the_projected_token(sidecar: Object, pod: Object, loaded: Load, config: Object) -> None:
    """The configured token file is where kubelet writes a token with an audience of its own."""
    identity = loaded(config, **ENVIRON).settings.profiles["default"].identity
    (source,) = [
        source["serviceAccountToken"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-identity"]

    assert isinstance(identity, TokenFileIdentity)
    assert identity.token_file == f"{mount['mountPath']}/{source['path']}"
    assert source["audience"]


def test_projected_token_is_not_for_all(sidecar: Object, pod: Object) -> None:
    """kubelet writes the token with mode 0640 and the sidecar's group."""
    assert pod["securityContext"]["fsGroup"] == sidecar["securityContext"]["runAsGroup"]


def test_cache_and_admin_socket(sidecar: Object, pod: Object, loaded: Load, config: Object) -> None:
    """The cache and the admin socket are on a memory-backed volume of the sidecar; the key is not on it."""
    result = loaded(config, **ENVIRON)
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "idaas-sidecar-run"]
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-run"]

    expected = ("/token: no such file", "your-app of an example", "your-cluster of an example")
    assert [each for each in result.warnings if not any(words in each for words in expected)] == []
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Mi"}
    assert str(result.settings.cache.directory).startswith(f"{mount['mountPath']}/")
    assert str(result.settings.server.admin_socket).startswith(f"{mount['mountPath']}/")
    assert variables(sidecar)[str(result.settings.cache.key_env_var_name)] == "metadata.uid"


def test_configuration_is_at_the_default_path(sidecar: Object, pod: Object) -> None:
    """The ConfigMap is mounted at the default path, so that no argument or variable is needed."""
    (mount,) = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "idaas-sidecar-config"]
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "idaas-sidecar-config"]

    assert mount["mountPath"] == "/etc/idaas-sidecar"
    assert volume["configMap"] == {"name": by_kind("ConfigMap")["metadata"]["name"]}


def test_session_is_named_after_the_pod(sidecar: Object, loaded: Load, config: Object) -> None:
    """The two variables of the downward API become the RoleSessionName."""
    environ = variables(sidecar)
    profile = loaded(config, **ENVIRON, POD_NAMESPACE="shop", POD_NAME="cart-7d9f").settings.profiles["default"]

    assert environ["POD_NAME"] == "metadata.name"
    assert environ["POD_NAMESPACE"] == "metadata.namespace"
    assert profile.exchange.role_session_name == "shop.cart-7d9f"


def test_path_token_is_the_pods_uid(sidecar: Object, application: Object, loaded: Load, config: Object) -> None:
    """Sidecar and application use the random UUID of the pod; it is defined before the URI that contains it."""
    path_token = loaded(config, **ENVIRON).settings.access.path_token
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

    settings = loaded(config, **ENVIRON).settings

    assert isinstance(settings.profiles["default"].identity, IdaasIdentity)
