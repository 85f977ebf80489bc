"""Rules for pods without the label and for changes of running pods. They need no CredentialPolicy."""

from __future__ import annotations

from .names import CONFIG, LABEL, PREFIX, PROFILES, SIDECAR, VOLUME_PREFIX
from .pod import Object, annotations_of, is_labelled, labels_of, members, sidecars

NO_LABEL_VALUE = (
    f'idaas-sidecar: the label {LABEL} has the value "%s", so the pod would start without credentials. For pods with '
    'the sidecar, write "true", with quotes, as the label\'s value in the pod template. For pods without it, write '
    f'"false", and remove the annotations {PREFIX}… from the template.'
)
NO_LABEL = (
    f'idaas-sidecar: the pod has an annotation {PREFIX}… but not the label {LABEL}: "true", so it would start without '
    "credentials. Add the label to the pod template, or remove the annotation."
)
FIXED = (
    f"idaas-sidecar: label and annotations {PREFIX}… of a running pod cannot change, because the sidecar reads its "
    "configuration from them. Change the pod template, which makes a new pod."
)
ADDED_CONFIG = f"idaas-sidecar: the annotation {CONFIG} cannot be added to a running pod."
FIXED_IMAGE = "idaas-sidecar: the image of the container idaas-sidecar of a running pod cannot change."
EPHEMERAL = "idaas-sidecar: an ephemeral container cannot join the sidecar or mount its volumes."


def create_violation(pod: Object) -> str | None:
    """
    Return why a new pod is refused, or None.

    Another value of the label is refused, and an annotation without the label: they would have no effect.
    """
    value = labels_of(pod).get(LABEL)
    if value not in (None, "true", "false"):
        return NO_LABEL_VALUE % value
    annotated = any(name.startswith(PREFIX) for name in annotations_of(pod))
    return NO_LABEL if annotated and not is_labelled(pod) else None


def update_violation(pod: Object, old: Object) -> str | None:
    """Return why a change of a pod is refused, or None."""
    if CONFIG not in annotations_of(old):
        return ADDED_CONFIG if CONFIG in annotations_of(pod) else None
    if _identity(pod) != _identity(old):
        return FIXED
    images = {each.get("image") for each in sidecars(old)}
    if any(each.get("image") not in images for each in sidecars(pod)):
        return FIXED_IMAGE
    if any(_joins_the_sidecar(each) for each in members(pod, "ephemeralContainers")):
        return EPHEMERAL
    return None


def _identity(pod: Object) -> tuple[str | None, ...]:
    """Return the values of the pod that determine its credentials."""
    return annotations_of(pod).get(CONFIG), annotations_of(pod).get(PROFILES), labels_of(pod).get(LABEL)


def _joins_the_sidecar(each: Object) -> bool:
    mounts = each.get("volumeMounts") or []
    return each.get("targetContainerName") == SIDECAR or any(
        str(mount.get("name")).startswith(VOLUME_PREFIX) for mount in mounts
    )
