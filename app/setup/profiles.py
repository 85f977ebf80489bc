"""Converts the sidecar's configuration to workloads, and workloads to a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..config.settings import Profile, Settings
from ..core.arns import audience_of
from ..core.checks import profile_place
from ..exchange.settings import DeveloperApiExchange
from ..identity import jwt_claims
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..identity.oidc_client import OidcClientIdentity
from ..identity.token_file import TokenFileIdentity
from ..system import files
from .workload import ChainTarget, Workload

LONGEST_TOKEN = 65536
TOKEN_FILE = "/var/run/secrets/idaas-sidecar/token"  # noqa: S105 - a path
CLIENT_SECRET_FILE = "/run/secrets/client-secret"  # noqa: S105 - a path


def workload(name: str, profile: Profile) -> Workload | None:
    """
    Return the workload of a profile, with its token and role; None if IDaaS manages the role.

    A key that the configuration does not determine is None or empty: the audience of some providers, and the claims of
    a token that a command prints. Raises ConfigError unless a scope has exactly one audience.
    """
    exchange = profile.exchange
    if isinstance(exchange, DeveloperApiExchange):
        return None
    account, role = _parts(exchange.role_arn)
    chain = tuple(
        ChainTarget(role_arn=each.role_arn, session_seconds=each.duration_seconds, external_id=each.external_id)
        for each in profile.chain
    )
    target = Workload(
        name=name,
        account=account,
        provider=_parts(exchange.oidc_provider_arn)[1],
        role=role,
        session_seconds=exchange.duration_seconds,
        chain=chain,
    )
    return msgspec.structs.replace(target, **_token(profile.identity, f"{profile_place(name)}.identity"))


def _parts(arn: str) -> tuple[str, str]:
    """Return account and name of an ARN that the loader has checked."""
    return arn.split(":")[3], arn.partition("/")[2]


def _token(identity: Identity, place: str) -> dict[str, Any]:
    """Return the members of a workload that describe its token."""
    match identity:
        case IdaasIdentity():
            audience = audience_of(identity.scope, f"{place}.scope") if identity.scope else None
            members = {
                "kind": "idaas",
                "issuer": identity.issuer,
                "audience": audience,
                "idaas_instance_id": identity.idaas_instance_id,
            }
            exchange = identity.token_exchange
            if exchange is None:
                return members | {"client_id": identity.client_id}
            # The subject of an exchanged token is the other identity's.
            other = Workload(**_token(exchange.subject, f"{place}.tokenExchange.subject"))
            return members | {"subjects": other.all_subjects}
        case OidcClientIdentity():
            audience = identity.client_id if identity.token_use == "id_token" else identity.audience  # noqa: S105
            audience = audience or identity.resource
            return {"kind": "oidc", "issuer": identity.issuer, "audience": audience, "client_id": identity.client_id}
        case TokenFileIdentity():
            return {"kind": "kubernetes", **(_claims(identity.token_file) if identity.token_file else {})}
    return {"kind": "oidc"}


def _claims(path: str) -> dict[str, Any]:
    """Return issuer, audience and subject of the token in the file, if the file exists on this machine."""
    try:
        found = jwt_claims.unverified(files.read(path, LONGEST_TOKEN).decode(errors="replace").strip())
    except files.Unreadable:
        return {}
    if found is None:
        return {}
    return {
        "issuer": found.issuer,
        "audience": next(iter(found.audiences), None),
        "subjects": (found.subject,) if found.subject else (),
    }


def managed_roles(settings: Settings) -> Iterator[str]:
    """Yield the names of the profiles whose role IDaaS manages."""
    for name, profile in settings.profiles.items():
        if isinstance(profile.exchange, DeveloperApiExchange):
            yield name


def configuration(workloads: Sequence[Workload], region: str | None = None) -> dict[str, Any]:
    """Return a configuration file with one profile for each workload. Secrets are named, never written."""
    return {"configVersion": "1.0", "profiles": {each.name: _profile(each, region) for each in workloads}}


def gaps(workloads: Sequence[Workload]) -> Iterator[str]:
    """Yield a note for each value that the configuration file of `configuration` lacks."""
    for each in workloads:
        if each.kind == "idaas" and not each.idaas_instance_id:
            yield (
                f"profile {each.name}: the configuration needs the id of the IDaaS instance in idaasInstanceId "
                "(--instance-id)"
            )
        if each.kind == "okta" and not each.scope:
            yield f"profile {each.name}: Okta refuses a token request without a scope (--scope)"


def _profile(each: Workload, region: str | None) -> dict[str, Any]:
    exchange: dict[str, Any] = {
        "type": "sts",
        "roleArn": f"acs:ram::{each.account}:role/{each.role}",
        "oidcProviderArn": f"acs:ram::{each.account}:oidc-provider/{each.provider}",
        "durationSeconds": each.session_seconds,
    }
    if region:
        exchange["regionId"] = region
    profile: dict[str, Any] = {"identity": _identity(each), "exchange": exchange}
    if each.chain:
        profile["chain"] = [_chained(target) for target in each.chain]
    return profile


def _chained(target: ChainTarget) -> dict[str, Any]:
    members = {"roleArn": target.role_arn, "durationSeconds": target.session_seconds}
    return members | ({"externalId": target.external_id} if target.external_id else {})


def _identity(each: Workload) -> dict[str, Any]:
    if each.kind == "kubernetes":
        return {"type": "tokenFile", "tokenFile": TOKEN_FILE}
    if each.kind == "idaas":
        instance = {"idaasInstanceId": each.idaas_instance_id} if each.idaas_instance_id else {}
        return {
            "type": "idaas",
            **instance,
            "clientId": each.client_id or each.all_subjects[0],
            "issuer": each.issuer,
            "tokenEndpoint": f"{each.issuer}/token",
            "scope": each.scope or f"{each.audience}|.all",
            "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": CLIENT_SECRET_FILE},
        }
    authentication: Mapping[str, str] = {"method": "client_secret_basic", "clientSecretFile": CLIENT_SECRET_FILE}
    return {
        "type": "oidcClient",
        "issuer": each.issuer,
        "clientId": each.client_id or each.all_subjects[0],
        "clientAuthentication": authentication,
        **_request(each),
    }


def _request(each: Workload) -> dict[str, Any]:
    """Return the parameters of a token request. Okta and Keycloak determine the audience by themselves."""
    if each.scope:
        return {"scope": each.scope}
    return {"audience": each.audience} if each.kind == "oidc" else {}
