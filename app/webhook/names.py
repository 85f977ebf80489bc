"""Names that the chart, the policies and the webhooks share."""

from __future__ import annotations

GROUP = "idaas-sidecar.internal"
VERSION = "v1alpha1"
POLICY_NAME = "default"
"""The only name that a CredentialPolicy can have."""

PREFIX = f"{GROUP}/"
LABEL = f"{PREFIX}inject"
"""Pods with this label and the value `true` get the sidecar."""

PROFILES = f"{PREFIX}profiles"
"""The annotation with the names of the requested profiles, separated by commas."""

CONFIG = f"{PREFIX}config"
"""The annotation with the sidecar's configuration. The injection writes it."""

SIDECAR = "idaas-sidecar"
VOLUME_PREFIX = "idaas-sidecar-"
CONFIG_VOLUME, IDENTITY_VOLUME, RUN_VOLUME = (f"{VOLUME_PREFIX}{each}" for each in ("config", "identity", "run"))
CONFIG_PATH, IDENTITY_PATH, RUN_PATH = "/etc/idaas-sidecar", "/var/run/secrets/idaas-sidecar", "/run/idaas-sidecar"
CONFIG_FIELD = f"metadata.annotations['{CONFIG}']"

PATH_VARIABLE, URI, NO_METADATA = "PATH_TOKEN", "ALIBABA_CLOUD_CREDENTIALS_URI", "ALIBABA_CLOUD_ECS_METADATA_DISABLED"
UID_FIELD = "metadata.uid"
SIDECAR_VARIABLES = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    PATH_VARIABLE: UID_FIELD,
    "CACHE_KEY": UID_FIELD,
}
"""The variables of the sidecar, and the field of the pod that supplies each variable."""

USER = 65532
OPS_PORT = 7118
