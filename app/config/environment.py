"""The configuration without a file: one profile from the variables that Alibaba SDKs already read.

Users of an Alibaba SDK already have the identity (the IDaaS SDK's file, or a token file), and add the ARNs of the role
and of the OIDC provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import ConfigError
from ..system import files
from . import sdk_file

PLACE = "profiles.default"

_VARIABLES = {
    "roleArn": "ALIBABA_CLOUD_ROLE_ARN",
    "oidcProviderArn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "roleSessionName": "ALIBABA_CLOUD_ROLE_SESSION_NAME",
    "regionId": "ALIBABA_CLOUD_STS_REGION",
    "vpc": "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED",
}
_TOKEN_FILE = "ALIBABA_CLOUD_OIDC_TOKEN_FILE"  # noqa: S105 - the name of a variable


def read(environ: Mapping[str, str], default_path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the configuration in a file's form, and the variable behind each key ("" for the SDK's own path).

    Raises ConfigError if no identity or two identities are configured. `default_path`: the place of a file, for the
    message.
    """
    identity, sources = _identity(environ, default_path)
    exchange = dict(_exchange(environ))
    if not exchange.get("roleArn"):
        raise ConfigError(
            f"{_VARIABLES['roleArn']}: not set",
            cure="name the RAM role to assume, acs:ram::<account id>:role/<name>",
            error_code="IDS-106",
        )
    if not exchange.get("oidcProviderArn"):
        exchange = _managed(exchange, identity)
    sources |= {f"{PLACE}.exchange.{key}": _VARIABLES[key] for key in exchange if key in _VARIABLES}
    profile = {"identity": identity, "exchange": {"type": "sts", **exchange}}
    return {"configVersion": "1.0", "profiles": {"default": profile}}, sources


def _managed(exchange: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """Return the exchange for a role without a provider, which IDaaS manages. The variables of STS do not apply."""
    if identity["type"] == "tokenFile":
        raise ConfigError(
            f"{_VARIABLES['oidcProviderArn']}: not set; a token file needs it, "
            "acs:ram::<account id>:oidc-provider/<name> (or write a configuration file)",
            error_code="IDS-106",
        )
    return {"type": "developerApi", "roleArn": exchange["roleArn"]}


def _identity(environ: Mapping[str, str], default_path: str) -> tuple[dict[str, Any], dict[str, str]]:
    sdk, token_file = sdk_file.default_path(environ), environ.get(_TOKEN_FILE, "").strip()
    asked_for = bool(environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip())
    has_sdk = files.exists(sdk) or (asked_for and not token_file)
    if has_sdk and token_file:
        raise ConfigError(
            f"two identities: the IDaaS SDK's file {sdk} and {_TOKEN_FILE}={token_file}",
            cure="remove one, or write a configuration file",
            error_code="IDS-119",
        )
    if has_sdk:
        variable = "CLOUD_IDAAS_CONFIG_PATH" if asked_for else ""
        return {"type": "idaas", "clientConfigPath": sdk}, {f"{PLACE}.identity.clientConfigPath": variable}
    if token_file:
        return {"type": "tokenFile", "tokenFile": token_file}, {f"{PLACE}.identity.tokenFile": _TOKEN_FILE}
    raise ConfigError(
        f"no configuration: no --config, no $IDAAS_SIDECAR_CONFIG, no {default_path}, no {sdk} and no ${_TOKEN_FILE}",
        cure="start from config.example.json, or try `idaas-sidecar demo`",
        error_code="IDS-101",
    )


def _exchange(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for key, variable in _VARIABLES.items():
        value = environ.get(variable, "").strip()
        if value and key == "vpc":
            # Without a region, the SDKs ignore the flag. In a configuration file, the flag would be an error.
            yield key, value.lower() == "true" and bool(environ.get(_VARIABLES["regionId"], "").strip())
        elif value:
            yield key, value
