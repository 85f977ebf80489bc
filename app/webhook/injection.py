"""The JSON Patch that adds the sidecar to a pod. It adds only what is missing, so the injection is idempotent."""

from __future__ import annotations

from collections.abc import Iterator

from .container import container, field_variable, volumes
from .grant import Grant
from .json_patch import add
from .names import CONFIG, NO_METADATA, PATH_VARIABLE, SIDECAR, UID_FIELD, URI
from .pod import Object, annotations_of, members, sidecars, within
from .settings import Settings


def injection(pod: Object, grant: Grant, settings: Settings) -> list[Object]:
    """Return the operations. The list is empty if the pod has everything already."""
    return [
        *_variables(pod, "containers", grant),
        *_variables(pod, "initContainers", grant),
        *_container(pod, settings),
        *_volumes(pod, settings),
        *_annotation(pod, grant.configuration(settings)),
    ]


def _variables(pod: Object, kind: str, grant: Grant) -> Iterator[Object]:
    """
    Yield the operations that add the application's variables at the front of each container's list.

    The variables are added in reverse order, because a value may use an earlier variable: the URI contains the path
    token.
    """
    wanted = (
        {"name": NO_METADATA, "value": "true"},
        {"name": URI, "value": grant.uri},
        field_variable(PATH_VARIABLE, UID_FIELD),
    )
    for index, each in enumerate(members(pod, kind)):
        if each.get("name") == SIDECAR:
            continue
        present = {variable.get("name") for variable in each.get("env") or ()}
        missing = [variable for variable in wanted if variable["name"] not in present]
        if missing and not each.get("env"):
            yield add(("spec", kind, index, "env"), [])
        for variable in missing:
            yield add(("spec", kind, index, "env", 0), variable)


def _container(pod: Object, settings: Settings) -> Iterator[Object]:
    """Yield the operations that make the sidecar the first init container: other init containers need credentials."""
    if sidecars(pod):
        return
    if not members(pod, "initContainers"):
        yield add(("spec", "initContainers"), [])
    yield add(("spec", "initContainers", 0), container(settings))


def _volumes(pod: Object, settings: Settings) -> Iterator[Object]:
    present = {each.get("name") for each in members(pod, "volumes")}
    missing = [each for each in volumes(settings) if each["name"] not in present]
    if missing and not present:
        yield add(("spec", "volumes"), [])
    for volume in missing:
        yield add(("spec", "volumes", "-"), volume)


def _annotation(pod: Object, configuration: str) -> Iterator[Object]:
    """Yield the operation that writes the configuration. It replaces the configuration of a copied pod."""
    if annotations_of(pod).get(CONFIG) == configuration:
        return
    if within(pod, "metadata", "annotations") is None:
        yield add(("metadata", "annotations"), {})
    yield add(("metadata", "annotations", CONFIG), configuration)
