"""deploy/compose: one loopback for two containers, a hardened sidecar, an application that waits for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT, Load

FOLDER = ROOT / "deploy" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
CONFIG = json.loads((FOLDER / "config.json").read_text())
TOKEN = "0d6e3f7c-5d0e-4c53-9a51-3a6c2f0a7a11"
KEYS = {
    "sidecar": {
        "cap_drop",
        "environment",
        "healthcheck",
        "image",
        "mem_limit",
        "pids_limit",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "volumes",
    },
    "app": {"depends_on", "environment", "image", "network_mode"},
}


@pytest.fixture
def sidecar() -> dict[str, Any]:
    return COMPOSE["services"]["sidecar"]


@pytest.fixture
def application() -> dict[str, Any]:
    return COMPOSE["services"]["app"]


def test_keys() -> None:
    """There is no key that compose does not know: these were compared with its specification."""
    assert set(COMPOSE) == {"services", "secrets"}
    assert {name: set(service) for name, service in COMPOSE["services"].items()} == KEYS


def test_one_loopback(application: dict[str, Any]) -> None:
    """The application lives in the sidecar's network and asks it there, and not the machine."""
    assert application["network_mode"] == "service:sidecar"
    assert application["environment"] == {
        "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/${PATH_TOKEN}/credentials",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    }


def test_the_application_waits_for_credentials(sidecar: dict[str, Any], application: dict[str, Any]) -> None:
    """Healthy means ready, and the application starts when the sidecar is healthy."""
    assert sidecar["healthcheck"]["test"] == ["CMD", "idaas-sidecar", "health", "--ready"]
    assert application["depends_on"] == {"sidecar": {"condition": "service_healthy", "restart": True}}


def test_hardened(sidecar: dict[str, Any]) -> None:
    """The sidecar has the limits that the image is tried under, and publishes no port."""
    assert sidecar["read_only"] is True
    assert sidecar["cap_drop"] == ["ALL"]
    assert sidecar["security_opt"] == ["no-new-privileges:true"]
    assert sidecar["mem_limit"] == "64m"
    assert "ports" not in sidecar


def test_configuration(sidecar: dict[str, Any], loaded: Load, tmp_path: Path) -> None:
    """The configuration is mounted read-only where the sidecar looks, and the loader takes it."""
    secret = tmp_path / "client-secret"
    secret.write_text("made-up\n")
    authentication = CONFIG["profiles"]["default"]["identity"]["authnConfiguration"]
    (mounted,) = sidecar["secrets"]
    assert authentication["clientSecretFile"] == f"/run/secrets/{mounted}"
    text = json.dumps(CONFIG).replace(authentication["clientSecretFile"], str(secret))

    assert loaded(text, PATH_TOKEN=TOKEN).warnings == ()
    assert sidecar["volumes"] == ["./config.json:/etc/idaas-sidecar/config.json:ro"]


def test_a_path_token_of_its_own(sidecar: dict[str, Any]) -> None:
    """Without a path token in .env compose starts nothing; with one, the sidecar asks for it."""
    assert CONFIG["access"] == {"pathToken": {"envVarName": "PATH_TOKEN"}}
    assert sidecar["environment"]["PATH_TOKEN"].startswith("${PATH_TOKEN:?")


def test_secret_is_a_file(sidecar: dict[str, Any]) -> None:
    """The secret is in no variable, where `docker inspect` would show it."""
    assert COMPOSE["secrets"] == {"client-secret": {"file": "./client-secret"}}
    assert set(sidecar["environment"]) == {"PATH_TOKEN"}
