"""
The state of the emulated cloud at one moment, and the default world.

A world is frozen. A test changes it with `dataclasses.replace` and assigns the copy to `emulator.world`. The default
world is built from the constants of this module, which tests and `demo` may rely on:

    INSTANCE_ID  the IDaaS instance              CLIENT_ID, CLIENT_SECRET  its machine client, every method allowed
    AUDIENCE     its resource server             SCOPE                     requests every scope granted there
    ACCOUNT      the Alibaba Cloud account       PROVIDER_ARN              its OIDC provider, which trusts ISSUER
    ISSUER       the default issuer              role_arn(profile)         the role of that profile

The default world also contains:

    FEDERATED_PKCS7, _OIDC, _PCA            the client's federated credentials
    MANAGED_ROLE_ARN, PAM_SCOPE             a role that IDaaS manages, and the scope that obtains its credentials
    CHAINED_ROLE_ARN                        a second role, assumed with the credentials of the first
    EXTERNAL_ROLE_ARN, EXTERNAL_ID          the same, with an external id
    ACCESS_KEY_ID, ACCESS_KEY_SECRET        a RAM user's AccessKey
    INSTANCE, ECS_ROLE                      an ECS instance and its role
    workload_issuer(world)                  a second issuer, with the client OIDC_CLIENT_ID
    WORKLOAD_PROVIDER_ARN                   the OIDC provider in RAM that trusts the second issuer

A world can have clients of a third issuer, `okta_issuer(world)`. The default world has none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from . import ram_limits
from .codec import decode, encode
from .entities import (
    AccessKey,
    Client,
    FederatedCredential,
    ManagedRole,
    Provider,
    ResourceServer,
    Role,
    Secret,
    WorldError,
)

INSTANCE_ID = "idaas_demo"
CLIENT_ID = "app_demo"
CLIENT_SECRET = "demo-client-secret"  # noqa: S105 - accepted by the emulator alone
AUDIENCE = "api.demo.example"
SCOPE = f"{AUDIENCE}|.all"
ACCOUNT = "1234567890123456"
PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/idaas-demo"
ISSUER = "https://127.0.0.1:7143/api/v2/iauths_system/oauth2"

FEDERATED_PKCS7, FEDERATED_OIDC, FEDERATED_PCA = "ecs_demo", "k8s_demo", "pca_demo"
WORKLOAD_SUBJECT = "system:serviceaccount:demo:app"
WORKLOAD_AUDIENCE = "idaas.demo.example"
WORKLOAD_PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/workload-demo"
OIDC_CLIENT_ID, OIDC_CLIENT_SECRET = "oidc_demo", "demo+oidc/secret%:and more"
OIDC_AUDIENCE = "sts.demo.example"
OKTA_PATH = "/oauth2/default"
PAM_AUDIENCE = "urn:cloud:idaas:pam"
PAM_SCOPE = f"{PAM_AUDIENCE}|cloud_account_role:obtain_access_credential"
MANAGED_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-managed"
CHAINED_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-chained"
EXTERNAL_ROLE_ARN = f"acs:ram::{ACCOUNT}:role/demo-external"
EXTERNAL_ID = "demo-external-id"
ACCESS_KEY_ID, ACCESS_KEY_SECRET = "LTAIdemo", "demo-access-key-secret"
ECS_ROLE, INSTANCE = "demo-ecs", "i-demo"


def role_arn(profile: str) -> str:
    """Return the ARN of the default world's role for `profile`."""
    return f"acs:ram::{ACCOUNT}:role/demo-{profile}"


@dataclass(frozen=True, slots=True)
class World:
    """
    The emulated cloud at one moment.

    The mappings are keyed by client id, audience, provider ARN, role ARN, AccessKey id, managed role ARN and policy
    name. `policies` are the custom policies, as RAM's own JSON.

    `issuer_mode` "dynamic" takes the scheme and host of a token's `iss` from the request's URL. `sessions_may` lists
    the actions that assumed roles are allowed. `session_seconds`, if set, is the lifetime of every STS session,
    whatever DurationSeconds requests. `calls_per_second`, if set, is the STS quota of each account.
    `workload_algorithms` are the algorithms of client assertions at the second issuer, which is as strict as the
    provider `workload_provider`. Without `keys_published`, STS
    cannot load the keys of the emulated issuers: they are not reachable from the public network.
    """

    clients: Mapping[str, Client]
    resource_servers: Mapping[str, ResourceServer]
    oidc_providers: Mapping[str, Provider]
    roles: Mapping[str, Role]
    access_keys: Mapping[str, AccessKey] = field(default_factory=dict)
    managed_roles: Mapping[str, ManagedRole] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)
    issuer: str = ISSUER
    issuer_mode: Literal["static", "dynamic"] = "static"
    instance_id: str = INSTANCE_ID
    metadata_tokens_required: bool = True
    sessions_may: tuple[str, ...] = ("sts:AssumeRole", "eiam:GenerateOauthToken")
    token_seconds: int = 1200
    session_seconds: int | None = None
    calls_per_second: int | None = None
    keys_published: bool = True
    workload_provider: Literal["any", "auth0", "entra", "keycloak"] = "any"
    workload_algorithms: tuple[str, ...] = ("HS256", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")

    def __post_init__(self) -> None:
        url = urlsplit(self.issuer)
        if url.scheme != "https" or url.path in ("", "/") or self.issuer.endswith("/"):
            raise WorldError(f"issuer: {self.issuer!r} must be an https URL with a path and without a trailing slash")
        issuers = {arn: provider.issuer_url for arn, provider in self.oidc_providers.items()}
        errors = (ram_limits.account_error(issuers), *map(ram_limits.role_name_error, self.roles))
        if error := next(filter(None, errors), None):
            raise WorldError(error)

    @property
    def audience(self) -> str:
        """The first resource server's audience."""
        return next(iter(self.resource_servers))

    @classmethod
    def default(
        cls,
        *,
        profiles: Sequence[str] = ("default",),
        issuer: str = ISSUER,
        token_seconds: int = 1200,
        session_seconds: int | None = None,
    ) -> Self:
        """Return the default world, with one role for each profile."""
        role = Role(_trust_policy(issuer), max_session_duration=43200)
        workload = _workload_issuer(issuer)
        return cls(
            clients={CLIENT_ID: _idaas_client(workload), OIDC_CLIENT_ID: _OIDC_CLIENT},
            resource_servers={AUDIENCE: ResourceServer(_SCOPES), PAM_AUDIENCE: ResourceServer(_PAM_SCOPES)},
            oidc_providers={
                PROVIDER_ARN: Provider(issuer, client_ids=(AUDIENCE,)),
                WORKLOAD_PROVIDER_ARN: Provider(workload, (WORKLOAD_AUDIENCE, OIDC_AUDIENCE, OIDC_CLIENT_ID)),
            },
            roles={**{role_arn(profile): role for profile in profiles}, **_CHAINED_ROLES},
            access_keys={ACCESS_KEY_ID: AccessKey(ACCESS_KEY_SECRET, f"acs:ram::{ACCOUNT}:user/demo")},
            managed_roles={MANAGED_ROLE_ARN: ManagedRole((CLIENT_ID, OIDC_CLIENT_ID))},
            issuer=issuer,
            token_seconds=token_seconds,
            session_seconds=session_seconds,
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a world from a JSON file. Raises `WorldError`."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except OSError as error:
            raise WorldError(f"world file {path}: {error.strerror}; give a readable file or none") from error
        except WorldError as error:
            raise WorldError(f"world file {path}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the world in a JSON document. Raises `WorldError`."""
        try:
            return decode(cls, json.loads(text))  # type: ignore[no-any-return]
        except json.JSONDecodeError as error:
            raise WorldError(f"line {error.lineno}: not JSON ({error.msg}); correct it there") from error
        except ValueError as error:
            raise WorldError(str(error)) from error

    def to_json(self) -> str:
        """Return the world as JSON, with its secrets."""
        return json.dumps(encode(self), indent=2)

    def redacted(self) -> Self:
        """Return a copy in which each secret value is `***`."""
        return replace(
            self,
            clients={name: _redacted_client(client) for name, client in self.clients.items()},
            access_keys={name: replace(key, secret="***") for name, key in self.access_keys.items()},  # noqa: S106
        )


def _redacted_client(client: Client) -> Client:
    return replace(client, secrets=tuple(replace(secret, value="***") for secret in client.secrets))


def issuer_for(world: World, url: str) -> str:
    """Return the `iss` of a token that was requested at `url`."""
    if world.issuer_mode == "static":
        return world.issuer
    requested, issuer = urlsplit(url), urlsplit(world.issuer)
    return f"{requested.scheme}://{requested.netloc}{issuer.path}"


def workload_issuer(world: World) -> str:
    """Return the URL of the second issuer, which is on the host of the first."""
    return _workload_issuer(world.issuer)


def okta_issuer(world: World) -> str:
    """Return the URL of the custom authorization server of Okta, which is on the host of the first issuer."""
    parts = urlsplit(world.issuer)
    return f"{parts.scheme}://{parts.netloc}{OKTA_PATH}"


def _workload_issuer(issuer: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}/workload"


def _trust_policy(issuer: str) -> dict[str, Any]:
    """Return a policy that trusts IDaaS's client, and the workloads and clients of the second issuer."""
    idaas = {"StringEquals": {"oidc:iss": [issuer], "oidc:aud": [AUDIENCE], "oidc:sub": [CLIENT_ID, WORKLOAD_SUBJECT]}}
    audiences = [WORKLOAD_AUDIENCE, OIDC_AUDIENCE, OIDC_CLIENT_ID]
    second = {
        "StringEquals": {"oidc:iss": [_workload_issuer(issuer)], "oidc:aud": audiences},
        "StringLike": {"oidc:sub": ["system:serviceaccount:demo:*", OIDC_CLIENT_ID]},
    }
    return _policy(
        ({"Federated": PROVIDER_ARN}, idaas),
        ({"Federated": WORKLOAD_PROVIDER_ARN}, second),
    )


def _policy(*allowed: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    statements = [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
        for principal, condition in allowed
    ]
    return {"Version": "1", "Statement": statements}


def _idaas_client(workload: str) -> Client:
    return Client(
        grants={AUDIENCE: _SCOPES, PAM_AUDIENCE: _PAM_SCOPES},
        secrets=(Secret(CLIENT_SECRET),),
        federated={
            FEDERATED_PKCS7: FederatedCredential("PKCS7", subject=INSTANCE),
            FEDERATED_OIDC: FederatedCredential("OIDC", "system:serviceaccount:demo:*", workload, (WORKLOAD_AUDIENCE,)),
            FEDERATED_PCA: FederatedCredential("PCA", subject=CLIENT_ID),
        },
    )


_SCOPES, _PAM_SCOPES = ("read", "write"), ("cloud_account_role:obtain_access_credential",)
_OIDC_CLIENT = Client(
    grants={OIDC_AUDIENCE: ()},
    methods=(
        "CLIENT_SECRET_BASIC",
        "CLIENT_SECRET_POST",
        "CLIENT_SECRET_JWT",
        "PRIVATE_KEY_JWT",
        "TLS_CLIENT_AUTH",
        "CLIENT_ASSERTION",
    ),
    secrets=(Secret(OIDC_CLIENT_SECRET),),
    certificate_name=OIDC_CLIENT_ID,
    assertion_subject=WORKLOAD_SUBJECT,
    server="workload",
)
_ACCOUNT_ROOT = {"RAM": [f"acs:ram::{ACCOUNT}:root"]}
_CHAINED_ROLES = {
    CHAINED_ROLE_ARN: Role(_policy((_ACCOUNT_ROOT, {}))),
    EXTERNAL_ROLE_ARN: Role(_policy((_ACCOUNT_ROOT, {"StringEquals": {"sts:ExternalId": [EXTERNAL_ID]}}))),
}
