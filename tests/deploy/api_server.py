"""An API server for the real kubectl and Helm: it stores objects and answers discovery, and runs nothing.

It admits every object. tests/cluster has what a real API server says of them, tests/deploy/test_versions.py schemas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from ..http_server import Handler, HttpServer, serving
from .protobuf import MAGIC, decoded

Object = dict[str, Any]

ISSUER = {"issuer": "https://issuer.example.com", "jwks_uri": "https://issuer.example.com/openid/v1/jwks"}
CLUSTER_WIDE = {"namespaces", "clusterroles", "clusterrolebindings", "customresourcedefinitions"}
"""Resources without a namespace, beside those of the group of admission."""

KINDS = {
    "v1": "Namespace Pod Secret ConfigMap Service ServiceAccount Event",
    "apps/v1": "Deployment",
    "batch/v1": "CronJob Job",
    "policy/v1": "PodDisruptionBudget",
    "networking.k8s.io/v1": "NetworkPolicy",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration "
    "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
    "monitoring.coreos.com/v1": "PodMonitor PrometheusRule ServiceMonitor",
}
"""The kinds that the cluster has at first, by API version. A CustomResourceDefinition adds its own."""


SHORT = {"Deployment": ["deploy"], "Namespace": ["ns"]}
"""Short names of kinds."""


def plural(kind: str) -> str:
    """Return the resource of a kind."""
    name = kind.lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


@dataclass
class Cluster:
    """The stored objects by path, the kinds by API version, and the commands that `kubectl exec` asked for."""

    version: str
    kubeconfig: Path
    objects: dict[str, Object] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=lambda: {key: each.split() for key, each in KINDS.items()})
    executed: list[tuple[str, str, list[str]]] = field(default_factory=list)
    """Namespace and pod, container, command."""

    def add(self, *given: Object) -> None:
        """Store objects."""
        for each in given:
            self.store(self.path(each), each)

    def path(self, given: Object) -> str:
        """Return the path of an object."""
        metadata = given["metadata"]
        root = "/api/v1" if given["apiVersion"] == "v1" else f"/apis/{given['apiVersion']}"
        inside = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
        return f"{root}{inside}/{plural(given['kind'])}/{metadata['name']}"

    def store(self, path: str, given: Object) -> Object:
        """Store an object at a path, with the members that every API server adds."""
        old = self.objects.get(path, {}).get("metadata", {})
        metadata = given.setdefault("metadata", {})
        metadata.setdefault("uid", old.get("uid", f"00000000-0000-4000-8000-{len(self.objects):012d}"))
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        metadata["resourceVersion"] = str(int(old.get("resourceVersion", "0")) + 1)
        if given.get("kind") == "CustomResourceDefinition":
            spec = given["spec"]
            self.kinds[f"{spec['group']}/{spec['versions'][0]['name']}"] = [spec["names"]["kind"]]
            given["status"] = {
                "conditions": [{"type": kind, "status": "True"} for kind in ("Established", "NamesAccepted")]
            }
        self.objects[path] = given
        return given

    def of_kind(self, kind: str) -> list[Object]:
        """Return the stored objects of a kind."""
        return [each for each in self.objects.values() if each.get("kind") == kind]


@contextmanager
def api_server(folder: Path, version: str = "v1.37.0") -> Iterator[Cluster]:
    """Run an API server of a version on a free port of loopback, with a kubeconfig in the folder."""
    cluster = Cluster(version, folder / "kubeconfig")
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    with serving(HttpServer(handler)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        context = {"clusters": [{"name": "test", "cluster": {"server": url}}], "current-context": "test"}
        context["contexts"] = [{"name": "test", "context": {"cluster": "test", "user": ""}}]
        cluster.kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **context}))
        yield cluster


class _Handler(Handler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer discovery, an object, or a list."""
        path, query = self._target()
        if path.endswith("/exec"):
            self._exec(path, query)
        elif (document := _discovery(self.cluster, path)) is not None:
            self._answer(200, document)
        elif "watch" in query:
            self._answer(400, _status(400, "no watch"))
        elif path in self.cluster.objects:
            self._answer(200, self.cluster.objects[path])
        elif (kind := self._kind(path)) is not None:
            self._answer(200, self._list(path, kind, query))
        else:
            self._answer(404, _status(404, f"{path} not found"))

    def do_POST(self) -> None:
        """Create an object, which must not exist."""
        path, query = self._target()
        if path.endswith("/exec"):
            self._exec(path, query)
            return
        given = self._body()
        path = f"{path}/{given['metadata']['name']}"
        if "namespaces" in path and "/namespaces/" in path.removesuffix(f"/namespaces/{given['metadata']['name']}"):
            given["metadata"].setdefault("namespace", path.split("/namespaces/")[1].split("/")[0])
        if path in self.cluster.objects:
            self._answer(409, _status(409, f"{path} already exists"))
        else:
            self._answer(201, self.cluster.store(path, given))

    def do_PUT(self) -> None:
        """Replace an object."""
        path, _ = self._target()
        self._answer(200, self.cluster.store(path, self._body()))

    def do_PATCH(self) -> None:
        """Apply an object, or merge a patch into one. Lists are replaced."""
        path, _ = self._target()
        given = self._body()
        old = self.cluster.objects.get(path)
        if old is None and "apply" not in self.headers["Content-Type"]:
            self._answer(404, _status(404, f"{path} not found"))
            return
        self._answer(200, self.cluster.store(path, _merged(old or {}, given)))

    def do_DELETE(self) -> None:
        """Delete an object; a namespace takes its objects with it."""
        path, _ = self._target()
        self._body()
        if path not in self.cluster.objects:
            self._answer(404, _status(404, f"{path} not found"))
            return
        gone = self.cluster.objects.pop(path)
        if gone["kind"] == "Namespace":
            inside = [each for each in self.cluster.objects if f"{path}/" in each or f"{path[7:]}/" in each]
            for each in inside:
                del self.cluster.objects[each]
        self._answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path), parse_qs(parts.query)

    def _body(self) -> Object:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers["Content-Type"] or ""
        if text.startswith(MAGIC):
            # The body of a DELETE is of no interest.
            return decoded(text) if self.command != "DELETE" else {}
        return (yaml.safe_load(text) if "yaml" in kind else json.loads(text or "{}")) or {}

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # a client that has what it wants leaves
            self.wfile.write(body)

    def _exec(self, path: str, query: dict[str, list[str]]) -> None:
        """Note the command. No container runs here, so the answer is a refusal."""
        if self.command == "GET" or not self.cluster.executed or self.cluster.executed[-1][2] != query["command"]:
            where = path.removeprefix("/api/v1/namespaces/").removesuffix("/exec").replace("/pods/", "/")
            self.cluster.executed.append((where, query["container"][0], query["command"]))
        self._answer(403, _status(403, "no container runs here"))

    def _kind(self, path: str) -> str | None:
        """Return the kind of the objects in a list."""
        for version, kinds in self.cluster.kinds.items():
            if path.startswith("/api/v1/" if version == "v1" else f"/apis/{version}/"):
                for kind in kinds:
                    if path.endswith(f"/{plural(kind)}"):
                        return kind
        return None

    def _list(self, path: str, kind: str, query: dict[str, list[str]]) -> Object:
        """Return the objects of a kind below a path, with these labels."""
        wanted = dict(each.split("=") for each in query.get("labelSelector", [""])[0].split(",") if "=" in each)
        root, _, resource = path.rpartition("/")
        items = [
            each
            for where, each in sorted(self.cluster.objects.items())
            if where.startswith(f"{root}/")
            and where.split("/")[-2] == resource
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]
        version = path.removeprefix("/apis/").split("/namespaces/")[0].removesuffix(f"/{resource}")
        return {
            "apiVersion": "v1" if path.startswith("/api/") else version,
            "kind": f"{kind}List",
            "metadata": {"resourceVersion": "1"},
            "items": items,
        }


def _status(code: int, message: str) -> Object:
    reason = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists"}[code]
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": message,
    }


def _merged(old: Object, new: Object) -> Object:
    """Return a value with the members of a merge patch."""
    result = dict(old)
    for key, value in new.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _discovery(cluster: Cluster, path: str) -> Object | None:
    """Return the answer of discovery for a path, or None for another path."""
    groups = [each.partition("/") for each in cluster.kinds if "/" in each]
    match path.strip("/"):
        case "version":
            major, minor, _ = cluster.version.removeprefix("v").split(".")
            return {"major": major, "minor": minor, "gitVersion": cluster.version}
        case ".well-known/openid-configuration":
            return ISSUER
        case "openapi/v3":
            roots = [_root(each) for each in cluster.kinds]
            return {"paths": {each: {"serverRelativeURL": f"/openapi/v3/{each}"} for each in roots}}
        case other if other.startswith("openapi/v3/"):
            version = other.removeprefix("openapi/v3/").removeprefix("apis/").removeprefix("api/")
            return _parameters(version, cluster.kinds[version])
        case "api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        case "apis":
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": group,
                        "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                        "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
                    }
                    for group, _, version in groups
                ],
            }
        case "api/v1":
            return _resources("v1", cluster.kinds["v1"])
        case other if other.removeprefix("apis/") in cluster.kinds:
            version = other.removeprefix("apis/")
            return _resources(version, cluster.kinds[version])
    return None


def _root(version: str) -> str:
    return f"apis/{version}" if "/" in version else f"api/{version}"


def _parameters(version: str, kinds: list[str]) -> Object:
    """Return the part of an OpenAPI document that clients look at: an API server validates the members of each kind."""
    group, _, name = version.rpartition("/")
    parameters = [{"name": each, "in": "query"} for each in ("dryRun", "fieldValidation")]
    return {
        "openapi": "3.0.0",
        "info": {"title": "test", "version": "1"},
        "paths": {
            f"/{_root(version)}/{plural(kind)}/{{name}}": {
                "patch": {
                    "parameters": parameters,
                    "responses": {},
                    "x-kubernetes-group-version-kind": {"group": group, "version": name, "kind": kind},
                }
            }
            for kind in kinds
        },
    }


def _resources(version: str, kinds: list[str]) -> Object:
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": [
            {
                "name": plural(kind),
                "singularName": kind.lower(),
                "shortNames": SHORT.get(kind, []),
                "kind": kind,
                "namespaced": plural(kind) not in CLUSTER_WIDE and not version.startswith("admissionregistration"),
                "verbs": verbs,
            }
            for kind in kinds
        ],
    }
