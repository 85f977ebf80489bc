"""Describes in words the additions of the injection's JSON Patch to a pod."""

from __future__ import annotations

from collections.abc import Iterator

from .json_patch import patched
from .names import CONFIG_VOLUME, IDENTITY_VOLUME, RUN_VOLUME, SIDECAR
from .pod import Object, annotations_of, members, sidecars

_VOLUMES = {
    CONFIG_VOLUME: "the configuration, from the annotation",
    IDENTITY_VOLUME: "the projected token of the service account",
    RUN_VOLUME: "memory for the cache and the admin socket",
}


def additions(pod: Object, patch: list[Object]) -> Iterator[str]:
    """Yield a line for each container, set of variables, volume and annotation that the patch adds."""
    after = patched(pod, patch)
    if not sidecars(pod):
        yield from (f"container {SIDECAR}, image {each['image']}, before all others" for each in sidecars(after))
    yield from _variables(pod, after)
    present = {each.get("name") for each in members(pod, "volumes")}
    for name in (str(each["name"]) for each in members(after, "volumes") if each["name"] not in present):
        yield f"volume {name}: {_VOLUMES[name]}"
    for name, value in annotations_of(after).items():
        if annotations_of(pod).get(name) != value:
            yield f"annotation {name}: the configuration of the sidecar"


def _variables(pod: Object, after: Object) -> Iterator[str]:
    """Yield a line for each set of added variables, with all containers that get this set."""
    before = {each.get("name"): each for kind in ("containers", "initContainers") for each in members(pod, kind)}
    found: dict[str, list[str]] = {}
    for each in (*members(after, "initContainers"), *members(after, "containers")):
        if each.get("name") == SIDECAR:
            continue
        present = [variable.get("name") for variable in before[each.get("name")].get("env") or ()]
        added = [variable["name"] for variable in each.get("env") or () if variable["name"] not in present]
        if added:
            found.setdefault(", ".join(added), []).append(str(each.get("name")))
    yield from (f"variables {names} in {', '.join(containers)}" for names, containers in found.items())
