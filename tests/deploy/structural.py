"""The rules of a structural schema, without which an API server refuses a CustomResourceDefinition.

The rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema

Schema = dict[str, Any]

FORBIDDEN = {
    *("$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties"),
    *("readOnly", "writeOnly", "xml"),
}
LOGICAL = ("allOf", "anyOf", "oneOf", "not")
TYPES = {"array", "boolean", "integer", "number", "object", "string"}


def crd_violations(crd: dict[str, Any]) -> list[str]:
    """Return what an API server refuses in the names and schemas of a CustomResourceDefinition."""
    spec = crd["spec"]
    found = [] if crd["metadata"]["name"] == f"{spec['names']['plural']}.{spec['group']}" else ["metadata.name"]
    if [version["storage"] for version in spec["versions"]].count(True) != 1:
        found.append("spec.versions: not one version is stored")
    for version in spec["versions"]:
        found += violations(version["schema"]["openAPIV3Schema"])
    return found


def violations(schema: Schema, path: str = "") -> list[str]:
    """Return each path of a schema that is not structural, with the reason."""
    where = path or "root"
    found = [f"{where}: {name} is forbidden" for name in sorted(FORBIDDEN & schema.keys())]
    if schema.get("type") not in TYPES and not schema.get("x-kubernetes-int-or-string"):
        found.append(f"{where}: no type")
    if schema.get("uniqueItems"):
        found.append(f"{where}: uniqueItems is forbidden")
    if "properties" in schema and "additionalProperties" in schema:
        found.append(f"{where}: properties and additionalProperties")
    if schema.get("additionalProperties") is False:
        found.append(f"{where}: additionalProperties is false")
    if schema.get("type") == "array" and "items" not in schema:
        found.append(f"{where}: an array without items")
    if not path and schema.get("properties", {}).get("metadata", {}).get("properties", {}).keys() - {
        "name",
        "generateName",
    }:
        found.append("metadata: more than name and generateName is restricted")
    found += [f"{where}: {name} within {logical}" for logical, name in _in_logical(schema)]
    found += _list_violations(schema, where)
    if "pattern" in schema:
        re.compile(schema["pattern"])
    for name, each in _children(schema):
        found += violations(each, f"{path}.{name}".lstrip("."))
    return found


def _children(schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield from schema.get("properties", {}).items()
    if "items" in schema:
        yield "items", schema["items"]
    if isinstance(schema.get("additionalProperties"), dict):
        yield "additionalProperties", schema["additionalProperties"]


def _in_logical(schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield the keys within `allOf` and so on that belong outside."""
    for logical in LOGICAL:
        given = schema.get(logical, [])
        for each in [given] if isinstance(given, dict) else given:
            for name in ("description", "type", "default", "additionalProperties", "nullable"):
                if name in each:
                    yield logical, name


def _list_violations(schema: Schema, where: str) -> list[str]:
    """Return what is wrong with the kind of a list: a map needs required scalar keys, a set needs scalars."""
    kind = schema.get("x-kubernetes-list-type")
    items = schema.get("items", {})
    if kind == "set":
        return [f"{where}: a set of {items['type']}"] if items.get("type") in ("object", "array") else []
    if kind != "map":
        return []
    keys = schema.get("x-kubernetes-list-map-keys", [])
    found = [] if keys else [f"{where}: a map without keys"]
    for key in keys:
        if items.get("properties", {}).get(key, {}).get("type") in (None, "object", "array"):
            found.append(f"{where}: the key {key} is not a scalar")
        if key not in items.get("required", ()) and "default" not in items.get("properties", {}).get(key, {}):
            found.append(f"{where}: the key {key} is not required")
    return found


def validate_strictly(given: Any, schema: Schema) -> None:
    """Validate an object as `--validate=strict` does: a member that the schema does not know is an error."""
    jsonschema.validate(given, _closed(schema, root=True))


def _closed(schema: Schema, root: bool = False) -> Schema:
    """Return a schema that has no further members than its own, and at the root those of every object."""
    closed = dict(schema)
    if "properties" in schema:
        closed["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
        if root:
            closed["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        closed["additionalProperties"] = False
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed
