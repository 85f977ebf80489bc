"""The chart's values for the injected container. The defaults are the same as in the chart."""

from __future__ import annotations

import json

import msgspec

from .. import __version__
from ..core.errors import ConfigError, Mistake
from ..core.json_text import json_value
from ..system import files
from ..system.json_file import LARGEST, parse_object
from .convert import convert

_CONFIGURATION = {
    "configVersion": "1.0",
    "server": {"bind": "127.0.0.1:7117", "ops": "[::]:7118", "adminSocket": "/run/idaas-sidecar/admin.sock"},
    "access": {"pathToken": {"envVarName": "PATH_TOKEN"}},
    "startup": {"gate": "credentials", "timeoutSeconds": 60},
    "shutdown": {"drainSeconds": 0},
    "cache": {"directory": "/run/idaas-sidecar/cache", "keyEnvVarName": "CACHE_KEY"},
}


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Resources of the injected container."""

    requests: dict[str, str]
    limits: dict[str, str]


class Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """
    The values of the chart on which the pods depend.

    `configuration` is the sidecar's configuration without its profiles, as JSON text. Helm writes the text, and each
    pod has exactly this text, as with the chart's policies.
    """

    image: str = f"idaas-credential-sidecar:{__version__}"
    image_pull_policy: str = "IfNotPresent"
    audience: str = "sts.aliyuncs.com"
    expiration_seconds: int = 3600
    resources: Resources = Resources({"cpu": "5m", "memory": "48Mi"}, {"memory": "96Mi"})
    configuration: str = json.dumps(_CONFIGURATION, sort_keys=True, separators=(",", ":"))


def read_settings(path: str) -> Settings:
    """Return the settings in a JSON file, which the chart writes to a ConfigMap. Raises ConfigError."""
    try:
        raw = files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(
            f"{path}: {why.reason.cause}; --settings names the file of the chart's ConfigMap",
            cure=why.reason.cure,
            error_code="IDS-128",
        ) from None
    try:
        value = parse_object(raw, path)
    except ConfigError as error:
        raise ConfigError.of(Mistake(each.cause, "IDS-128", each.cure) for each in error.mistakes) from None
    settings = convert(value, Settings, path, error_code="IDS-128")
    try:
        if not isinstance(json_value(settings.configuration), dict):
            raise ValueError
    except ValueError:
        raise ConfigError(f"{path}: configuration: must be the text of a JSON object", error_code="IDS-128") from None
    return settings
