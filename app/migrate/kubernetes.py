"""Workloads from the output of `kubectl get -o json`, or from manifests: Secrets and ConfigMaps are used if given."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .access_keys import URI, of_command, of_text, of_variables
from .workload import Carrier, Workload

INJECT = "idaas-sidecar.internal/inject"
"""The label of pods that get the sidecar at admission (docs/kubernetes.md)."""

SUFFIXES = {
    "deployment": r"-[a-z0-9]{1,10}-[a-z0-9]{5}",
    "statefulset": r"-[0-9]+",
    "daemonset": r"-[a-z0-9]{5}",
    "replicaset": r"-[a-z0-9]{5}",
    "job": r"-[a-z0-9]{5}",
    "cronjob": r"-[0-9]+-[a-z0-9]{5}",
}
"""The part after the workload's name in the names of its pods, by kind."""

_SIDECARS = re.compile(r"(^|/)idaas-(credential-)?sidecar([:@]|$)")

_ALL = "*"
"""Stands for all keys of a Secret or ConfigMap. No key has this name."""

Json = Mapping[str, Any]


def is_object(value: object) -> bool:
    """Return whether `value` is an object of the Kubernetes API, or a list of them."""
    return isinstance(value, dict) and "apiVersion" in value and "kind" in value


class Cluster:
    """Objects of one or several files, by kind, namespace and name."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str, str], Json] = {}
        self._used: set[tuple[str, str, str, str]] = set()

    def add(self, value: Json) -> None:
        """Add an object, or the items of a list."""
        items, kind = value.get("items"), value.get("kind")
        if isinstance(items, list):
            # kubectl leaves out the kind of the items of a `PodList`.
            kind = kind.removesuffix("List") if isinstance(kind, str) else ""
            for item in items:
                if isinstance(item, dict):
                    self.add({"kind": kind, "apiVersion": "", **item} if kind else item)
            return
        metadata = _mapping(value, "metadata")
        name = metadata.get("name") or metadata.get("generateName")
        if isinstance(value.get("kind"), str) and isinstance(name, str):
            self._objects[value["kind"].lower(), str(metadata.get("namespace") or "default"), name] = value

    def workloads(self) -> Iterator[Workload]:
        """Yield each workload. A pod counts for the object that owns it. Objects kept only as history do not count."""
        for (kind, namespace, name), value in self._objects.items():
            template = _template(kind, value)
            spec = _mapping(template, "spec")
            if not isinstance(spec.get("containers"), list) or _is_history(kind, value):
                continue
            owner_kind, owner = self._owner(kind, namespace, name)
            found = Workload(f"{namespace}/{owner_kind}/{owner}")
            suffix = SUFFIXES.get(owner_kind)
            if suffix is not None:
                found.pattern = re.compile(re.escape(f"{namespace}.{owner}") + suffix)
            if kind == "pod":
                found.pods.add(f"{namespace}.{name}")
            labels = _mapping(_mapping(template, "metadata"), "labels")
            found.configured = str(labels.get(INJECT)).lower() == "true"
            self._pod(namespace, spec, found)
            yield found

    def stores(self) -> Iterator[Workload]:
        """Yield each Secret and ConfigMap with an AccessKey in a part that no workload uses. Call after `workloads`."""
        for kind, namespace, name in self._objects:
            if kind not in ("secret", "configmap"):
                continue
            data = self._texts(kind, namespace, name) or {}
            found = {(each.place, each.key) for each in of_variables(data, "")}
            found |= {(key, each) for key, text in data.items() for each in of_text(text)}
            unused = {
                Carrier(f"key {key}", each)
                for key, each in found
                if not {(kind, namespace, name, key), (kind, namespace, name, _ALL)} & self._used
            }
            if unused:
                yield Workload(f"{namespace}/{kind}/{name}", carriers=unused)

    def _owner(self, kind: str, namespace: str, name: str) -> tuple[str, str]:
        """Return the topmost owner of an object, as far as the files contain it."""
        for _ in range(4):  # a Pod, its Job or ReplicaSet, its CronJob or Deployment
            value = self._objects.get((kind, namespace, name), {})
            metadata = _mapping(value, "metadata")
            references = [item for item in _list(metadata, "ownerReferences") if item.get("controller", True)]
            if references:
                kind, name = str(references[0].get("kind", "")).lower(), str(references[0].get("name", ""))
                digest = _mapping(metadata, "labels").get("pod-template-hash")
                if kind == "replicaset" and digest and name.endswith(f"-{digest}"):
                    return "deployment", name.removesuffix(f"-{digest}")
                continue
            break
        return kind, name

    def _pod(self, namespace: str, spec: Json, found: Workload) -> None:
        for key in ("initContainers", "containers", "ephemeralContainers"):
            for container in _list(spec, key):
                if container.get("name") == "idaas-sidecar" or _SIDECARS.search(str(container.get("image", ""))):
                    found.configured = True
                    continue
                self._container(namespace, container, found)
        mounted = {
            str(mount.get("name")): str(mount.get("mountPath", ""))
            for container in (*_list(spec, "initContainers"), *_list(spec, "containers"))
            for mount in _list(container, "volumeMounts")
        }
        for volume in _list(spec, "volumes"):
            self._volume(namespace, volume, mounted.get(str(volume.get("name")), ""), found)

    def _container(self, namespace: str, container: Json, found: Workload) -> None:
        variables: dict[str, str | None] = {}
        for source in _list(container, "envFrom"):
            variables |= self._all_keys(namespace, source, found)
        for item in _list(container, "env"):
            name = str(item.get("name", ""))
            variables[name] = self._value(namespace, item)
        found.configured = found.configured or URI in variables
        place = f"container {container.get('name')}: "
        found.carriers |= set(of_variables(variables, place))
        for key, words in _commands(container):
            found.carriers |= set(of_command(words, f"{place}{key}"))

    def _value(self, namespace: str, item: Json) -> str | None:
        """Return the value of a variable; None if the files do not contain it."""
        source = _mapping(item, "valueFrom")
        for key, kind in (("secretKeyRef", "secret"), ("configMapKeyRef", "configmap")):
            reference = _mapping(source, key)
            if reference:
                data = self._data(kind, namespace, str(reference.get("name")), str(reference.get("key")))
                return data.get(str(reference.get("key"))) if data is not None else None
        value = item.get("value", "")
        return None if source else str(value)

    def _all_keys(self, namespace: str, source: Json, found: Workload) -> dict[str, str | None]:
        prefix = str(source.get("prefix") or "")
        for key, kind in (("secretRef", "secret"), ("configMapRef", "configmap")):
            name = _mapping(source, key).get("name")
            if name is None:
                continue
            data = self._data(kind, namespace, str(name))
            if data is None:
                found.notes.add(f"envFrom {kind} {name}: not among the files, so its variables are not known")
                return {}
            return {prefix + name: value for name, value in data.items()}
        return {}

    def _volume(self, namespace: str, volume: Json, path: str, found: Workload) -> None:
        sources = [volume, *_list(_mapping(volume, "projected"), "sources")]
        for source in sources:
            for key, kind, field in (("secret", "secret", "secretName"), ("configMap", "configmap", "name")):
                reference = _mapping(source, key)
                name = reference.get(field) or reference.get("name")
                if name is None:
                    continue
                data = self._data(kind, namespace, str(name))
                if data is None and re.search(r"/\.(aliyun|alibabacloud|aws)\b", path):
                    found.notes.add(f"{path}: {kind} {name} is not among the files; it may hold an AccessKey")
                for file, text in (data or {}).items():
                    place = f"file {file} of {kind} {name}"
                    found.carriers |= {Carrier(place, each) for each in of_text(text)}

    def _data(self, kind: str, namespace: str, name: str, key: str = "") -> dict[str, str] | None:
        """Return the texts of a Secret or ConfigMap of which a workload uses one key or all; None if not there."""
        self._used.add((kind, namespace, name, key or _ALL))
        return self._texts(kind, namespace, name)

    def _texts(self, kind: str, namespace: str, name: str) -> dict[str, str] | None:
        """Return the texts of a Secret or ConfigMap; None if it is not among the files."""
        value = self._objects.get((kind, namespace, name))
        if value is None:
            return None
        plain = {**_mapping(value, "stringData"), **(_mapping(value, "data") if kind == "configmap" else {})}
        encoded = _mapping(value, "data") if kind == "secret" else {}
        return {key: str(text) for key, text in plain.items()} | {key: _decoded(text) for key, text in encoded.items()}


def cluster(objects: Iterable[Json]) -> Cluster:
    """Return the cluster of these objects."""
    found = Cluster()
    for value in objects:
        found.add(value)
    return found


def _commands(container: Json) -> Iterator[tuple[str, Any]]:
    """Yield the command lines of a container, and of its probes and hooks."""
    for key in ("command", "args"):
        yield key, container.get(key)
    lifecycle = _mapping(container, "lifecycle")
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield f"{key}.exec", _mapping(_mapping(container, key), "exec").get("command")
    for key in ("postStart", "preStop"):
        yield f"{key}.exec", _mapping(_mapping(lifecycle, key), "exec").get("command")


def _is_history(kind: str, value: Json) -> bool:
    """Return whether an object is only history: an earlier template of a workload, or a pod that has ended."""
    if kind in ("replicaset", "job"):
        return bool(_list(_mapping(value, "metadata"), "ownerReferences"))
    return kind == "pod" and _mapping(value, "status").get("phase") in ("Succeeded", "Failed")


def _template(kind: str, value: Json) -> Json:
    """Return the part with the spec of the pods: the object itself, or its template."""
    if kind == "pod":
        return value
    spec = _mapping(value, "spec")
    if kind == "cronjob":
        spec = _mapping(_mapping(spec, "jobTemplate"), "spec")
    return _mapping(spec, "template")


def _decoded(text: object) -> str:
    try:
        return base64.b64decode(str(text), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""


def _mapping(value: Json, key: str) -> Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: Json, key: str) -> list[Json]:
    found = value.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
