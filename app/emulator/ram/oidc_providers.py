"""The OIDC providers of an account (IMS 2019-08-15). See `actions` for what the functions receive and return."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..http.response import RefusedError
from ..world.entities import Provider
from ..world.world import World
from .parameters import required, whole_number

Result = tuple[World, dict[str, Any]]


def create(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Create a provider."""
    arn = _arn(account, fields)
    if arn in world.oidc_providers:
        raise RefusedError("EntityAlreadyExists.OIDCProvider", f"The OIDC provider already exists: {arn}.")
    provider = Provider(
        required(fields, "IssuerUrl"),
        _items(fields.get("ClientIds", "")),
        whole_number(fields, "IssuanceLimitTime", 12),
        fingerprints=_items(fields.get("Fingerprints", "")),
        description=fields.get("Description", ""),
    )
    return _stored(world, arn, provider)


def get(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Return one provider."""
    arn, provider = _found(world, account, fields)
    return world, {"OIDCProvider": _document(arn, provider)}


def list_all(world: World, account: str, _fields: Mapping[str, str]) -> Result:
    """Return all providers of the account."""
    own = {arn: each for arn, each in world.oidc_providers.items() if arn.split(":")[3] == account}
    documents = [_document(arn, each) for arn, each in own.items()]
    return world, {"OIDCProviders": {"OIDCProvider": documents}}


def update(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Replace the client ids, the issuance window or the description."""
    arn, provider = _found(world, account, fields)
    changed = replace(
        provider,
        client_ids=_items(fields["ClientIds"]) if "ClientIds" in fields else provider.client_ids,
        issuance_limit_hours=whole_number(fields, "IssuanceLimitTime", provider.issuance_limit_hours),
        description=fields.get("NewDescription", provider.description),
    )
    return _stored(world, arn, changed)


def delete(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Delete a provider."""
    arn, _ = _found(world, account, fields)
    return replace(world, oidc_providers={key: each for key, each in world.oidc_providers.items() if key != arn}), {}


def add_client_id(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Add a client id."""
    arn, provider = _found(world, account, fields)
    return _stored(world, arn, replace(provider, client_ids=_added(provider.client_ids, fields, "ClientId")))


def remove_client_id(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Remove a client id. The last one cannot be removed."""
    arn, provider = _found(world, account, fields)
    return _stored(world, arn, replace(provider, client_ids=_removed(provider.client_ids, fields, "ClientId")))


def add_fingerprint(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Add a fingerprint."""
    arn, provider = _found(world, account, fields)
    return _stored(world, arn, replace(provider, fingerprints=_added(provider.fingerprints or (), fields, _PRINT)))


def remove_fingerprint(world: World, account: str, fields: Mapping[str, str]) -> Result:
    """Remove a fingerprint. The last one cannot be removed."""
    arn, provider = _found(world, account, fields)
    return _stored(world, arn, replace(provider, fingerprints=_removed(provider.fingerprints or (), fields, _PRINT)))


_PRINT = "Fingerprint"


def _arn(account: str, fields: Mapping[str, str]) -> str:
    return f"acs:ram::{account}:oidc-provider/{required(fields, 'OIDCProviderName')}"


def _found(world: World, account: str, fields: Mapping[str, str]) -> tuple[str, Provider]:
    arn = _arn(account, fields)
    if arn not in world.oidc_providers:
        raise RefusedError("EntityNotExist.OIDCProvider", f"The OIDC provider does not exist: {arn}.")
    return arn, world.oidc_providers[arn]


def _stored(world: World, arn: str, provider: Provider) -> Result:
    return replace(world, oidc_providers={**world.oidc_providers, arn: provider}), {
        "OIDCProvider": _document(arn, provider)
    }


def _document(arn: str, provider: Provider) -> dict[str, Any]:
    return {
        "Arn": arn,
        "OIDCProviderName": arn.rpartition("/")[2],
        "IssuerUrl": provider.issuer_url,
        "ClientIds": ",".join(provider.client_ids),
        "Fingerprints": ",".join(provider.fingerprints or ()),
        "IssuanceLimitTime": provider.issuance_limit_hours,
        "Description": provider.description,
    }


def _items(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list, without duplicates."""
    return tuple(dict.fromkeys(filter(None, text.split(","))))


def _added(items: tuple[str, ...], fields: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*items, required(fields, name))))


def _removed(items: tuple[str, ...], fields: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(item for item in items if item != required(fields, name))
