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
    """The sidecar's service."""
    return COMPOSE["services"]["sidecar"]


@pytest.fixture
def application() -> dict[str, Any]:
    """The application's service."""
    return COMPOSE["services"]["app"]


def test_keys() -> None:
    """The services have only keys that were compared with the Compose specification."""
    assert set(COMPOSE) == {"services", "secrets", "volumes"}
    assert {name: set(service) for name, service in COMPOSE["services"].items()} == KEYS


def test_one_loopback(application: dict[str, Any]) -> None:
    """The application is in the sidecar's network and uses the sidecar, not the machine's metadata service."""
    assert application["network_mode"] == "service:sidecar"
    assert application["environment"] == {
        "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/${PATH_TOKEN}/credentials",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    }


def test_application_waits_for_credentials(sidecar: dict[str, Any], application: dict[str, Any]) -> None:
    """The sidecar is healthy when it is ready, and the application starts after that."""
    assert sidecar["healthcheck"]["test"] == ["CMD", "idaas-sidecar", "health", "--ready"]
    assert application["depends_on"] == {"sidecar": {"condition": "service_healthy", "restart": True}}


def test_hardened(sidecar: dict[str, Any]) -> None:
    """The sidecar has the memory limit of the Kubernetes manifest, no more rights than the image needs, and no port."""
    assert sidecar["read_only"] is True
    assert sidecar["cap_drop"] == ["ALL"]
    assert sidecar["security_opt"] == ["no-new-privileges:true"]
    assert sidecar["mem_limit"] == "96m"
    assert "ports" not in sidecar


def test_configuration(sidecar: dict[str, Any], loaded: Load, tmp_path: Path) -> None:
    """The configuration is mounted read-only at the default path, and the loader accepts it."""
    secret = tmp_path / "client-secret"
    secret.write_text("made-up\n")
    (tmp_path / "cache-key").write_text("0123456789abcdef" * 4)
    authentication = CONFIG["profiles"]["default"]["identity"]["authnConfiguration"]
    assert sidecar["secrets"] == ["client-secret", "cache-key"]
    assert authentication["clientSecretFile"] == "/run/secrets/client-secret"
    assert CONFIG["cache"]["keyFile"] == "/run/secrets/cache-key"
    text = json.dumps(CONFIG).replace("/run/secrets/", f"{tmp_path}/")

    assert [each for each in loaded(text, PATH_TOKEN=TOKEN).warnings if "of an example" not in each] == []
    assert sidecar["volumes"] == [
        "./config.json:/etc/idaas-sidecar/config.json:ro",
        "run:/run/idaas-sidecar",
    ]


def test_cache_and_admin_socket(sidecar: dict[str, Any]) -> None:
    """The cache and the admin socket are on a volume that survives a restart; the key of the cache is not on it."""
    assert COMPOSE["volumes"] == {"run": None}
    assert CONFIG["cache"] == {"directory": "/run/idaas-sidecar/cache", "keyFile": "/run/secrets/cache-key"}
    assert CONFIG["server"] == {"adminSocket": "/run/idaas-sidecar/admin.sock"}


def test_the_volume_belongs_to_the_sidecar() -> None:
    """The image has the mount point with the sidecar's user, which a container engine copies to a new volume."""
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert "RUN install -d -m 700 -o 65532 -g 65532 /run/idaas-sidecar\n" in dockerfile
    assert "USER 65532:65532\n" in dockerfile


def test_path_token_is_required(sidecar: dict[str, Any]) -> None:
    """Compose starts nothing without a path token in .env; with one, the sidecar requires it."""
    assert CONFIG["access"] == {"pathToken": {"envVarName": "PATH_TOKEN"}}
    assert sidecar["environment"]["PATH_TOKEN"].startswith("${PATH_TOKEN:?")


def test_secret_is_a_file(sidecar: dict[str, Any]) -> None:
    """The secret is in no variable, which `docker inspect` would show."""
    assert COMPOSE["secrets"] == {
        "client-secret": {"file": "./client-secret"},
        "cache-key": {"file": "./cache-key"},
    }
    assert set(sidecar["environment"]) == {"PATH_TOKEN"}
