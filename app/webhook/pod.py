"""Reads the parts of a pod, any of which may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .names import LABEL, SIDECAR

Object = dict[str, Any]
"""An object of the Kubernetes API, or a part of it, in the form of JSON."""


def within(value: object, *path: str) -> Any:
    """Return the member at `path` of nested objects, or None if one of them is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def flattened(objects: Iterable[Any]) -> Iterator[Any]:
    """Yield the objects. For a List, which `kubectl get` prints, yield its items."""
    for each in objects:
        items = within(each, "items")
        if isinstance(items, list):
            yield from items
        elif each is not None:
            yield each


def labels_of(pod: Object) -> dict[str, str]:
    """Return the pod's labels."""
    return within(pod, "metadata", "labels") or {}


def annotations_of(pod: Object) -> dict[str, str]:
    """Return the pod's annotations."""
    return within(pod, "metadata", "annotations") or {}


def members(pod: Object, name: str) -> list[Object]:
    """Return the list `name` of the pod's spec, such as `containers`; empty if it is missing."""
    return within(pod, "spec", name) or []


def sidecars(pod: Object) -> list[Object]:
    """Return the init containers that have the sidecar's name."""
    return [each for each in members(pod, "initContainers") if each.get("name") == SIDECAR]


def other_containers(pod: Object) -> list[Object]:
    """Return the containers and init containers of the application."""
    others = [each for each in members(pod, "initContainers") if each.get("name") != SIDECAR]
    return [*members(pod, "containers"), *others]


def is_labelled(pod: Object) -> bool:
    """Return whether the pod's label requests the sidecar."""
    return labels_of(pod).get(LABEL) == "true"


def for_windows(pod: Object) -> bool:
    """Return whether the pod is for Windows nodes, where the sidecar does not run."""
    selector = within(pod, "spec", "nodeSelector") or {}
    return within(pod, "spec", "os", "name") == "windows" or selector.get("kubernetes.io/os") == "windows"
