"""The JSON Schema of the configuration file, for editors and for checks by other programs."""

from __future__ import annotations

from typing import Any

import msgspec

from .settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DEFAULT_TAGS = {"type": ("idaas", "sts"), "method": ("client_secret_basic",)}
"""The tags that a file may leave out, by the key that holds the tag (the DEFAULT marks of the settings types)."""


def schema() -> dict[str, Any]:
    """Return the schema, made from the settings types that the loader uses."""
    (whole,), parts = msgspec.json.schema_components([Settings], ref_template="#/$defs/{name}")
    named = {name: _readable(name, part) for name, part in parts.items()}
    root = named.pop(whole["$ref"].rpartition("/")[2])
    root["title"] = "Configuration of idaas-credential-sidecar"
    root["description"] = (
        "In every string, except within a policy, "
        "${NAME} is replaced by the environment variable NAME; $${ stands for ${."
    )
    return {"$schema": DIALECT, **root, "$defs": named}


def _readable(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return `part` with the loader's rules: a tag with a default may be left out, and titles are in plain words."""
    members = part["properties"]
    for key in ("type", "method", "authnMethod"):
        tag = members.get(key, {}).get("enum", ())
        if len(tag) == 1:
            members[key]["description"] = "Selects the kind of object."
            if tag[0] in DEFAULT_TAGS.get(key, ()):
                members[key]["default"] = tag[0]
                part["required"].remove(key)
    for member in members.values():
        # `discriminator` belongs to OpenAPI and is unknown to JSON Schema. It would make the tag required again.
        member.pop("discriminator", None)
    part["title"] = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return part
