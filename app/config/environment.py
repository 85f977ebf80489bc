"""The configuration without a file: one profile from the variables that Alibaba SDKs already read.

Users of an Alibaba SDK already have the identity: the IDaaS SDK's file, or a token file. They add the ARNs of the role
and of the OIDC provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.checks import Findings
from ..core.display import in_message, shown_path
from ..core.errors import ConfigError, Mistake
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
_STAND_IN = "unusable"
_TOKEN_FILE = "ALIBABA_CLOUD_OIDC_TOKEN_FILE"  # noqa: S105 - the name of a variable


def read(environ: Mapping[str, str], default_path: str, findings: Findings) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the configuration in a file's form, and the variable behind each key ("" for the SDK's own path).

    What is missing has a stand-in, and its mistake is added to `findings`. Raises ConfigError where nothing is
    configured. `default_path`: where a file could have been.
    """
    identity, sources = _identity(environ, default_path, findings)
    exchange = dict(_exchange(environ))
    if not exchange.get("roleArn"):
        cure = "name the RAM role to assume, acs:ram::<account id>:role/<name>"
        missing = Mistake(f"{_VARIABLES['roleArn']}: not set", "IDS-106", cure)
        findings.add([missing], [f"{PLACE}.exchange.roleArn"])
        exchange["roleArn"] = _STAND_IN
    if not exchange.get("oidcProviderArn"):
        exchange = _managed(exchange, identity, findings)
    sources |= {f"{PLACE}.exchange.{key}": _VARIABLES[key] for key in exchange if key in _VARIABLES}
    profile = {"identity": identity, "exchange": {"type": "sts", **exchange}}
    return {"configVersion": "1.0", "profiles": {"default": profile}}, sources


def hidden(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of `read` that may be secrets, with their replacements for messages."""
    profile = raw["profiles"]["default"]
    values = [
        (f"{PLACE}.{part}.{key}", value)
        for part in ("identity", "exchange")
        for key, value in profile[part].items()
        if isinstance(value, str)
    ]
    return {value: shown for key, value in values if (shown := in_message(key, value)) != value}


def _managed(exchange: dict[str, Any], identity: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """Return the exchange for a role without a provider, which IDaaS manages. The variables of STS do not apply."""
    if identity["type"] != "tokenFile":
        return {"type": "developerApi", "roleArn": exchange["roleArn"]}
    cause = (
        f"{_VARIABLES['oidcProviderArn']}: not set; a token file needs it, "
        "acs:ram::<account id>:oidc-provider/<name> (or write a configuration file)"
    )
    findings.add([Mistake(cause, "IDS-106")], [f"{PLACE}.exchange.oidcProviderArn"])
    return {**exchange, "oidcProviderArn": _STAND_IN}


def _identity(
    environ: Mapping[str, str], default_path: str, findings: Findings
) -> tuple[dict[str, Any], dict[str, str]]:
    sdk, token_file = sdk_file.default_path(environ), environ.get(_TOKEN_FILE, "").strip()
    asked_for = bool(environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip())
    has_sdk = files.exists(sdk) or (asked_for and not token_file)
    if has_sdk and token_file:
        cause = f"two identities: the IDaaS SDK's file {shown_path(sdk)} and {_TOKEN_FILE}={shown_path(token_file)}"
        two = Mistake(cause, "IDS-119", "remove one, or write a configuration file")
        findings.add([two], [f"{PLACE}.identity"])
    if has_sdk:
        variable = "CLOUD_IDAAS_CONFIG_PATH" if asked_for else ""
        return {"type": "idaas", "clientConfigPath": sdk}, {f"{PLACE}.identity.clientConfigPath": variable}
    if token_file:
        return {"type": "tokenFile", "tokenFile": token_file}, {f"{PLACE}.identity.tokenFile": _TOKEN_FILE}
    raise ConfigError(
        f"no configuration: no --config, no $IDAAS_SIDECAR_CONFIG, no {default_path}, no {sdk} and no ${_TOKEN_FILE}",
        cure="start from the output of `idaas-sidecar config --example`, or try `idaas-sidecar demo`",
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
