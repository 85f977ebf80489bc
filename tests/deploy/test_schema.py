"""The configurations of deploy/ conform to the JSON Schema that their `$schema` names."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from app.config.json_schema import schema

from .conftest import ROOT


def configurations() -> dict[str, dict[str, Any]]:
    """Return each configuration in deploy/ by the path of its file."""
    found = {
        path: json.loads((ROOT / path).read_text())
        for path in (f"deploy/{x}/config.json" for x in ("compose", "systemd"))
    }
    manifest = "deploy/kubernetes/sidecar.yaml"
    for each in yaml.safe_load_all((ROOT / manifest).read_text()):
        if each["kind"] == "ConfigMap":
            found[manifest] = json.loads(each["data"]["config.json"])
    return found


@pytest.mark.parametrize("path", configurations())
def test_schema(path: str) -> None:
    """The file names its schema, for editors, and conforms to it."""
    config = configurations()[path]

    assert config["$schema"] == "config.schema.json"
    jsonschema.validate(config, schema())
