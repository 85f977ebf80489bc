"""The IDaaS SDK's client-config.json, read as that SDK reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config import sdk_file
from app.config.loader import Loaded
from app.core.errors import ConfigError
from app.identity.idaas import IdaasIdentity
from app.identity.methods.client_secret_basic import IdaasClientSecretBasic

from ..conftest import configuration, exchange, identity

Load = Callable[..., Loaded]


def written(tmp_path: Path, config: Any) -> str:
    path = tmp_path / "client-config.json"
    path.write_text(json.dumps(config))
    return str(path)


def read(tmp_path: Path, loaded: Load, **changes: Any) -> IdaasIdentity:
    """The identity that our program makes of the file."""
    path = written(tmp_path, identity(**changes))
    profiles = {"default": {"identity": {"clientConfigPath": path, "scope": None}, "exchange": exchange()}}
    found = loaded(configuration(profiles=profiles)).settings.profiles["default"].identity
    assert isinstance(found, IdaasIdentity)
    return found


SPELLINGS = [
    ("unsafeIgnoreSslCert", "unsafe_ignore_ssl_cert"),
    ("unsafeIgnoreSSLCert", "unsafe_ignore_ssl_cert"),
    ("unsafe_ignore_ssl_cert", "unsafe_ignore_ssl_cert"),
    ("connectTimeout", "connect_timeout"),
    ("connect_timeout", "connect_timeout"),
]


@pytest.mark.parametrize(("key", "field"), SPELLINGS, ids=[key for key, _ in SPELLINGS])
def test_spellings(key: str, field: str, tmp_path: Path, loaded: Load) -> None:
    """camelCase and snake_case are one, with the SDK's idea of where a word begins."""
    value = 3000 if "imeout" in key else True

    assert getattr(read(tmp_path, loaded, httpConfiguration={key: value}).http_configuration, field) == value


def test_the_whole_file_in_snake_case(tmp_path: Path, loaded: Load) -> None:
    """A file written Python's way says the same."""
    snake = {
        "idaas_instance_id": "idaas_example",
        "client_id": "app_example",
        "issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
        "token_endpoint": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|.all",
        "authn_configuration": {
            "identity_type": "CLIENT",
            "authn_method": "CLIENT_SECRET_BASIC",
            "client_secret_env_var_name": "IDAAS_SECRET",
        },
        "http_configuration": {"read_timeout": 2000},
    }
    path = written(tmp_path, snake)
    profiles = {"default": {"identity": {"clientConfigPath": path}, "exchange": exchange()}}

    found = loaded(configuration(profiles=profiles)).settings.profiles["default"].identity

    assert isinstance(found, IdaasIdentity)
    assert found.client_id == "app_example"
    assert isinstance(found.authn_configuration, IdaasClientSecretBasic)
    assert found.http_configuration.read_timeout == 2000


def test_what_the_sdk_ignores_is_ignored(tmp_path: Path, loaded: Load) -> None:
    """Unknown keys are tolerated at every level, null is absent, and our own path key has no meaning there."""
    found = read(
        tmp_path,
        loaded,
        jwkEndpoint="x",
        openApiEndpoint="eiam.cn-hangzhou.aliyuncs.com",
        clientConfigPath="/elsewhere",
        httpConfiguration=None,
        authnConfiguration={
            "authnMethod": "CLIENT_SECRET_POST",
            "clientSecretEnvVarName": "IDAAS_SECRET",
            "pluginName": "x",
            "identityType": "ROBOT",
            "algorithm": None,
        },
    )

    assert found.client_config_path == str(tmp_path / "client-config.json")
    assert found.http_configuration.read_timeout == 10000
    assert found.authn_configuration is not None
    assert found.authn_configuration.identity_type == "CLIENT"


def test_our_keys_for_secrets_work_there(tmp_path: Path, loaded: Load) -> None:
    """What the SDK cannot do, a secret in a file, may stand in its file: it ignores the key."""
    (tmp_path / "secret").write_text("s")
    authn = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(tmp_path / "secret")}

    found = read(tmp_path, loaded, authnConfiguration=authn)

    assert found.authn_configuration is not None
    assert found.authn_configuration.client_secret_file == str(tmp_path / "secret")


ENDPOINTS = [
    ("https://login.example.com/token", "https://login.example.com/token"),
    ("http://login.example.com/token", "https://login.example.com/token"),
    ("login.example.com/token", "https://login.example.com/token"),
    ("http://127.0.0.1:7140/token", "http://127.0.0.1:7140/token"),
    ("http://[::1]:7140/token", "http://[::1]:7140/token"),
    ("http://localhost/token", "http://localhost/token"),
]


@pytest.mark.parametrize(("configured", "used"), ENDPOINTS, ids=[configured for configured, _ in ENDPOINTS])
def test_endpoints_get_https(configured: str, used: str, tmp_path: Path, loaded: Load) -> None:
    """https is added, and put for http except on loopback; to the issuer as to the token endpoint."""
    found = read(tmp_path, loaded, tokenEndpoint=configured, issuer=configured)

    assert (found.token_endpoint, found.issuer) == (used, used)


BAD = [
    ({"scope": None}, "scope: required"),
    ({"clientId": ""}, "clientId: required"),
    ({"authnConfiguration": None}, "authnConfiguration: required"),
    ({"authnConfiguration": {}}, "authnConfiguration.authnMethod: required"),
    ({"authnConfiguration": {"authnMethod": "NONE"}}, "authnConfiguration.authnMethod: 'NONE' is not known"),
    ({"authnConfiguration": {"authnMethod": "NONE"}}, "authnConfiguration.authnMethod: 'NONE' is not known"),
    ({"authnConfiguration": {"authnMethod": "PLUGIN"}}, "openApiEndpoint: required with PLUGIN"),
    (
        {
            "openApiEndpoint": "eiam.cn-hangzhou.aliyuncs.com",
            "authnConfiguration": {"authnMethod": "PLUGIN", "pluginName": "x"},
        },
        "authnConfiguration.pluginName: 'x' is not known here",
    ),
    ({"authnConfiguration": []}, "authnConfiguration: must be an object or null, not an array"),
    ({"authnConfiguration": {"identityType": "HUMAN"}}, "authnConfiguration.identityType: HUMAN logs a person in"),
    ({"httpConfiguration": {"readTimeout": 100}}, "httpConfiguration.readTimeout: must be at least 2000"),
    ({"httpConfiguration": {"readTimeout": "5s"}}, "httpConfiguration.readTimeout: must be a whole number, not a str"),
    ({"tokenEndpoint": 5}, "tokenEndpoint: must be a string or null, not a whole number"),
    ({"tokenEndpoint": "https://"}, "tokenEndpoint: 'https://' is not a URL of the form https://host/path"),
]


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[words.partition(":")[0] for _, words in BAD])
def test_what_the_sdk_would_find_out_later(changes: dict[str, Any], words: str, tmp_path: Path, loaded: Load) -> None:
    """What the SDK degrades in silence, or fails over at the first token, is refused at start with the file's name."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, loaded, **changes)

    assert f"{tmp_path}/client-config.json: {words}" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/home/app"}, "/home/app/.cloud_idaas/client-config.json"),
        ({"HOME": "/home/app", "CLOUD_IDAAS_CONFIG_PATH": " "}, "/home/app/.cloud_idaas/client-config.json"),
        ({"HOME": "/home/app", "CLOUD_IDAAS_CONFIG_PATH": "~/c.json"}, "~/c.json"),
        ({}, "~/.cloud_idaas/client-config.json"),
    ],
)
def test_where_the_sdk_looks(environ: dict[str, str], path: str) -> None:
    """$CLOUD_IDAAS_CONFIG_PATH unless it is blank, else the home directory's."""
    assert sdk_file.default_path(environ) == path
