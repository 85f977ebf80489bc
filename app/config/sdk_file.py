"""The IDaaS SDK's own `client-config.json`, read as the SDK reads it.

camelCase and snake_case keys are one, unknown keys are nobody's business, null is absent, endpoints without a scheme
get https. Our own keys for secrets (`clientSecretFile`, `algorithm`, …) work there too: the SDK ignores them. What the
SDK silently degrades (an authnMethod it does not know, a missing required key) is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..core.addresses import sdk_endpoint
from ..core.model import ConfigError
from ..identity.settings import AuthnConfiguration, HttpConfiguration, IdaasIdentity
from ..system.json_file import read_object


def default_path(environ: Mapping[str, str]) -> str:
    """Where the SDK looks: `$CLOUD_IDAAS_CONFIG_PATH`, else the home directory's."""
    named = environ.get("CLOUD_IDAAS_CONFIG_PATH", "").strip()
    return named or f"{environ.get('HOME') or '~'}/.cloud_idaas/client-config.json"


def read(path: str) -> dict[str, Any]:
    """The file's identity as the members of an `identity` of ours. Raises ConfigError with the file's name."""
    known = _known(read_object(path), IdaasIdentity)
    for key in ("clientConfigPath", "tokenExchange", "connection"):
        known.pop(key, None)  # ours alone; whoever wants them writes them beside clientConfigPath
    for key, kind in (("authnConfiguration", AuthnConfiguration), ("httpConfiguration", HttpConfiguration)):
        if isinstance(known.get(key), dict):
            known[key] = _known(known[key], kind)
    for key in ("issuer", "tokenEndpoint", "openApiEndpoint", "developerApiEndpoint"):
        if isinstance(known.get(key), str) and known[key]:
            known[key] = sdk_endpoint(known[key])
    return known | _machine(known.get("authnConfiguration"), path)


def _machine(authn: Any, path: str) -> dict[str, Any]:
    """The authnConfiguration as a machine's: the SDK takes an identityType that it does not know for CLIENT."""
    if not isinstance(authn, dict):
        return {}
    if authn.get("identityType") == "HUMAN":
        raise ConfigError(f"{path}: authnConfiguration.identityType: HUMAN logs a person in; use a CLIENT (M2M) one")
    return {"authnConfiguration": authn | {"identityType": "CLIENT"}} if "identityType" in authn else {}


def _known(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The members of `raw` that `kind` knows, under its spelling."""
    names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    found = ((names.get(_snake(key)), value) for key, value in raw.items())
    return {name: value for name, value in found if name is not None and value is not None}


def _snake(key: str) -> str:
    """`unsafeIgnoreSSLCert`, `unsafeIgnoreSslCert` and `unsafe_ignore_ssl_cert` alike as the last."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", key)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()
