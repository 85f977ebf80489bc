"""The rules for a pod with the label, with the messages. The chart's ValidatingAdmissionPolicy has the same rules.

The message is that of the first rule that fails. So rules that people break by mistake come first, and rules that only
an attacker breaks come last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import sidecar_rules
from .grant import Grant
from .names import CONFIG, NO_METADATA, PATH_VARIABLE, POLICY_NAME, PROFILES, SIDECAR, UID_FIELD, URI, VOLUME_PREFIX
from .pod import Object, annotations_of, members, other_containers, sidecars, within
from .settings import Settings

HOST_NETWORK = (
    "idaas-sidecar: hostNetwork is not possible: the node's loopback interface would give this pod's credentials to "
    "every process of the node. Run the pod without hostNetwork, or one sidecar per node as a systemd service."
)
NO_PROFILES = (
    f"idaas-sidecar: the annotation {PROFILES} is missing; name one or more profiles of the namespace's "
    "CredentialPolicy, separated by commas (kubectl get credentialpolicy default -o yaml)."
)
NOT_INJECTED = (
    "idaas-sidecar: the sidecar was not injected, or a container has its name. Check that the "
    "MutatingWebhookConfiguration idaas-sidecar-inject exists."
)
OWN_CONFIG = f"idaas-sidecar: the annotation {CONFIG} belongs to the injection; remove it from the pod."
FOREIGN_MOUNT = "idaas-sidecar: a container other than idaas-sidecar mounts one of the volumes idaas-sidecar-*."
OWN_VARIABLES = (
    "idaas-sidecar: a container sets PATH_TOKEN, ALIBABA_CLOUD_CREDENTIALS_URI or "
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED itself; remove the variable, because the injection sets it."
)


@dataclass(frozen=True, slots=True)
class Expected:
    """The pod that the policy and the chart's values require."""

    grant: Grant
    settings: Settings


def no_policy(namespace: str) -> str:
    """Return the message for a namespace without a CredentialPolicy, which the platform team must add."""
    return (
        f"idaas-sidecar: the namespace {namespace} has no CredentialPolicy {POLICY_NAME!r}, so its pods may use no "
        "profile. The platform team writes one."
    )


def request_violation(pod: Object, grant: Grant) -> str | None:
    """Return why the pod cannot be injected at all, or None."""
    if within(pod, "spec", "hostNetwork"):
        return HOST_NETWORK
    if not grant.requested:
        return NO_PROFILES
    if not grant.complete:
        return (
            f"idaas-sidecar: the service account {grant.service_account} may use the profiles "
            f"[{', '.join(grant.allowed_names)}] in this namespace; the pod requests [{', '.join(grant.requested)}]. "
            "Name an allowed profile in the annotation, or have the platform change the CredentialPolicy."
        )
    return None


def violation(pod: Object, expected: Expected) -> str | None:
    """Return how the pod differs from an injected pod, or None."""
    refused = request_violation(pod, expected.grant)
    if refused is not None:
        return refused
    return next((message for message, holds in RULES if not holds(pod, expected)), None)


def _has_one_sidecar(pod: Object, _: Expected) -> bool:
    return len(sidecars(pod)) == 1 and all(each.get("name") != SIDECAR for each in members(pod, "containers"))


def _has_the_configuration(pod: Object, expected: Expected) -> bool:
    return annotations_of(pod).get(CONFIG) == expected.grant.configuration(expected.settings)


def _mounts_nothing_of_the_sidecar(pod: Object, _: Expected) -> bool:
    return not any(
        str(mount.get("name")).startswith(VOLUME_PREFIX)
        for each in other_containers(pod)
        for mount in [*(each.get("volumeMounts") or ()), *(each.get("volumeDevices") or ())]
    )


def _has_the_variables(pod: Object, expected: Expected) -> bool:
    values = {URI: expected.grant.uri, NO_METADATA: "true"}
    for each in other_containers(pod):
        variables = each.get("env") or []
        for name, value in values.items():
            if [variable.get("value") for variable in variables if variable.get("name") == name] != [value]:
                return False
        tokens = [variable for variable in variables if variable.get("name") == PATH_VARIABLE]
        if [within(token, "valueFrom", "fieldRef", "fieldPath") for token in tokens] != [UID_FIELD]:
            return False
    return True


Rule = Callable[[Object, Expected], bool]

RULES: tuple[tuple[str, Rule], ...] = (
    (NOT_INJECTED, _has_one_sidecar),
    (OWN_CONFIG, _has_the_configuration),
    *(
        (message, lambda pod, expected, holds=holds: all(holds(each, expected.settings) for each in sidecars(pod)))
        for message, holds in sidecar_rules.CONTAINER_RULES
    ),
    (sidecar_rules.VOLUMES, lambda pod, expected: sidecar_rules.are_the_volumes(pod, expected.settings)),
    (FOREIGN_MOUNT, _mounts_nothing_of_the_sidecar),
    (OWN_VARIABLES, _has_the_variables),
)
"""The rules that follow the rules of `request_violation`, each with its message, in the order of their check."""
