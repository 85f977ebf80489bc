"""The endpoints of the emulated cloud: how they are built, and which one serves a request."""

from collections.abc import Callable
from urllib.parse import urlsplit

from .crypto.pki import Authority
from .crypto.replay_cache import ReplayCache
from .crypto.signing_keys import SigningKeys
from .ecs_metadata import PREFIX as METADATA_PREFIX
from .ecs_metadata import EcsMetadata
from .http.endpoint import Endpoint
from .idaas import generate_oauth_token, okta, workload_issuer
from .idaas.authorization_server import AuthorizationServer
from .idaas.client_auth import ClientAuthenticator
from .idaas.developer_api import PATH as DEVELOPER_API_PATH
from .idaas.developer_api import DeveloperApi
from .idaas.token_issuer import TokenIssuer
from .ram.actions import ACTIONS as RAM_ACTIONS
from .ram.endpoint import Ram
from .sts import assume_role, assume_role_with_oidc, get_caller_identity
from .sts.endpoint import Sts
from .sts.issued_sessions import IssuedSessions
from .sts.rpc import Action
from .world.world import World


def build_endpoints(
    keys: SigningKeys,
    workload_keys: SigningKeys,
    workload_ca: Authority,
    ecs_ca: Authority,
    random: Callable[[int], bytes],
    change_world: Callable[[World], None],
    presented_fingerprint: Callable[[], str | None],
) -> dict[str, Endpoint]:
    """
    Return the endpoints by kind.

    `keys` sign the tokens of IDaaS, `workload_keys` those of the workload issuer and of Okta. `workload_ca` issues
    client certificates, `ecs_ca` signs the identity documents of ECS. `random` returns random bytes. `change_world`
    replaces the world, for RAM. `presented_fingerprint` returns the fingerprint of the root certificate that https
    presents.
    """
    authenticator = ClientAuthenticator(workload_keys, workload_ca, ecs_ca)
    sessions, nonces = IssuedSessions(random), ReplayCache()
    server = AuthorizationServer(keys, workload_keys, authenticator, random)
    actions: dict[str, Action] = {
        assume_role.NAME: assume_role.AssumeRole(sessions, nonces),
        assume_role_with_oidc.NAME: assume_role_with_oidc.AssumeRoleWithOidc(
            keys, workload_keys, sessions, presented_fingerprint
        ),
        get_caller_identity.NAME: get_caller_identity.GetCallerIdentity(sessions, nonces),
    }
    sts = Sts(actions, random)
    ram = Ram(sessions, nonces, random, change_world)
    openapi = generate_oauth_token.GenerateOauthToken(TokenIssuer(keys, random), sessions, nonces, random)
    developer_api = DeveloperApi(keys, sessions, random)
    metadata = EcsMetadata(ecs_ca, sessions, random)
    workload = workload_issuer.WorkloadIssuer(workload_keys, authenticator, random)
    okta_server = okta.Okta(workload_keys, random)
    endpoints = (
        Endpoint("token", ("POST",), server.token_response, server.error_response),
        Endpoint("jwks", ("GET",), server.jwks, server.error_response),
        Endpoint("discovery", ("GET",), server.discovery, server.error_response),
        Endpoint("sts", ("GET", "POST"), sts.respond, sts.error_response),
        Endpoint("ram", ("GET", "POST"), ram.respond, ram.error_response),
        Endpoint("openapi", ("GET", "POST"), openapi.respond, openapi.error_response),
        Endpoint("developerapi", ("GET",), developer_api.respond, developer_api.error_response),
        Endpoint("metadata", ("GET", "PUT"), metadata.respond, metadata.error_response),
        Endpoint("workload", ("GET", "POST"), workload.respond, workload.error_response),
        Endpoint("okta", ("GET", "POST"), okta_server.respond, okta_server.error_response),
    )
    return {endpoint.kind: endpoint for endpoint in endpoints}


def endpoint_kind(path: str, action: str | None, world: World) -> str | None:
    """Return the kind of the endpoint at `path`; None if there is none. `action` selects the API at the root path."""
    if path == "/":
        return "openapi" if action == generate_oauth_token.ACTION else "ram" if action in RAM_ACTIONS else "sts"
    if path.startswith(METADATA_PREFIX):
        return "metadata"
    if DEVELOPER_API_PATH.fullmatch(path):
        return "developerapi"
    issuer_path = urlsplit(world.issuer).path
    kinds = {
        f"{issuer_path}/token": "token",
        f"{issuer_path}/jwks": "jwks",
        f"{issuer_path}/.well-known/openid-configuration": "discovery",
        **dict.fromkeys(workload_issuer.PATHS, "workload"),
        **dict.fromkeys(okta.PATHS, "okta"),
    }
    return kinds.get(path)
