"""The JSON Schema of the configuration, and config.example.json."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config.json_schema import schema
from app.config.loader import load
from app.core.errors import ConfigError
from app.emulator.crypto.pki import Authority

from ..conftest import configuration, identity
from .configurations import EXAMPLE, Load, profile, sdk_file, with_authn, with_exchange, write_file

OTHER_PROFILES = ("machine", "pod", "certificate", "instance", "okta", "agent", "exchanged")

NOT_IN_THE_EXAMPLE = {"$schema"}
"""`$schema` is for the user's editor."""


@pytest.fixture
def example() -> Any:
    """The contents of config.example.json."""
    return json.loads(EXAMPLE.read_text())


def example_environment(tmp_path: Path) -> dict[str, str]:
    """Create every file that the example names, and return the environment that it needs."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"of-the-key"),
    )
    (tmp_path / "idaas-key.pem").write_bytes(key)
    write_file(tmp_path / "idaas-client-secret", "of-the-client")
    write_file(tmp_path / "path-token", "0123456789abcdef")
    write_file(tmp_path / "cache-key", "0123456789abcdef" * 4)
    sdk_file(tmp_path)
    issued = Authority("demo", time.time).issue("app_example5")
    for name, text in (("tls.key", issued.key_pem), ("tls.crt", issued.leaf_pem), ("ca.crt", issued.chain_pem)):
        write_file(tmp_path / name, text)
    return {
        "TOKEN_COMMAND": sys.executable,
        "HOME": str(tmp_path),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "IDAAS_KEY_PASSWORD": "of-the-key",
        "POD_NAMESPACE": "shop",
        "POD_NAME": "cart-1",
        "S": "of-the-sdk",
    }


def test_example_loads(tmp_path: Path) -> None:
    """config.example.json loads when the files that it names exist; only its token files are still to be written."""
    result = load(str(EXAMPLE), example_environment(tmp_path), hostname="h", now=lambda: 0.0)

    assert list(result.settings.profiles) == ["default", "reports", "sdk", "secret", *OTHER_PROFILES]
    assert result.settings.profiles["default"].exchange.role_arn.endswith(":role/shop-app")
    assert result.settings.profiles["sdk"].exchange.role_session_name == "batch-cart-1"
    assert [warning.partition(":")[0] for warning in result.warnings] == [
        "profiles.reports.identity.tokenFile",
        "profiles.pod.identity.authnConfiguration.oidcTokenFilePath",
        "profiles.exchanged.identity.tokenExchange.subject.tokenFile",
    ]


def test_example_has_every_key(example: Any) -> None:
    """Each key of the schema is used in the example."""
    keys = {key for part in (schema(), *schema()["$defs"].values()) for key in part["properties"]}

    assert keys - set(keys_of(example)) == NOT_IN_THE_EXAMPLE


def keys_of(value: Any) -> Iterator[str]:
    """Yield every key of a JSON value, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


def test_schema_accepts_valid_configurations(example: Any) -> None:
    """The schema is valid, and accepts the example and a file without types."""
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    minimal_identity = {key: value for key, value in identity().items() if key != "type"}

    assert [error.message for error in validator.iter_errors(example)] == []
    assert validator.is_valid(configuration(profiles={"default": profile(identity=minimal_identity)}))


@pytest.mark.parametrize(
    "config",
    [
        {},
        configuration(servers={}),
        configuration(profiles={}),
        configuration(profiles={"Prod": profile()}),
        configuration(configVersion=1),
        with_authn(clientSecret="x"),
        with_authn("PKCS8"),
        with_exchange(durationSeconds=60),
        with_exchange(type="developerAPI"),
        configuration(cache={"directory": 5}),
    ],
)
def test_schema_refuses_invalid_configurations(config: Any, loaded: Load) -> None:
    """The schema, and so an editor, refuses what the program refuses."""
    with pytest.raises(ConfigError):
        loaded(config)

    assert not jsonschema.Draft202012Validator(schema()).is_valid(config)


def test_schema_describes_each_key() -> None:
    """Every key has a description, its own or its object's, and no title is the name of a class."""
    parts = schema()["$defs"]
    for part in (schema(), *parts.values()):
        assert part["description"]
        assert " " in part["title"] or part["title"].islower()
        for name, member in part["properties"].items():
            reference = str(member.get("$ref") or [option.get("$ref") for option in member.get("anyOf", [])])
            assert "description" in member or "#/$defs/" in reference, name
