"""The JSON Schema of the configuration file, for editors and for other people's checks."""

from __future__ import annotations

from typing import Any

import msgspec

from .settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, made from the same types that the loader converts to."""
    (whole,), parts = msgspec.json.schema_components([Settings], ref_template="#/$defs/{name}")
    named = {name: _readable(name, part) for name, part in parts.items()}
    root = named.pop(whole["$ref"].rpartition("/")[2])
    root["title"] = "Configuration of idaas-credential-sidecar"
    return {"$schema": DIALECT, **root, "$defs": named}


def _readable(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """`part` as the loader reads it: a `type` that has a default may be left out, and titles are in plain words."""
    members = part["properties"]
    if members.get("type", {}).get("enum") in (["idaas"], ["sts"]):
        members["type"]["default"] = members["type"]["enum"][0]
        part["required"].remove("type")
    if "type" in members:
        members["type"]["description"] = "What kind this is."
    for member in members.values():
        # OpenAPI's word, unknown to JSON Schema; and it would make `type` required again.
        member.pop("discriminator", None)
    part["title"] = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return part
