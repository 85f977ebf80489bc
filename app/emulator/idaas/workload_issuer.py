"""
The second OIDC issuer of the emulated world, which is not IDaaS.

It acts as a cluster that issues service account tokens to its workloads, and as an OpenID provider for clients.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError, Response, json_response
from ..world.world import WORKLOAD_AUDIENCE, WORKLOAD_SUBJECT, World, workload_issuer
from .authorization_server import check_token_request, oauth_error_response
from .client_auth import ClientAuthenticator
from .token_issuer import TokenIssuer

PATHS = ("/workload/token", "/workload/jwks", "/workload/.well-known/openid-configuration")


class WorkloadIssuer:
    """The token endpoint, JWKS and discovery document of the second issuer."""

    def __init__(self, keys: SigningKeys, authenticator: ClientAuthenticator, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._authenticator = authenticator
        self._token_issuer = TokenIssuer(keys, random)
        self._random = random

    def respond(self, request: Request) -> Response:
        """Return the response of the endpoint at the request's path. Raises `RefusedError`."""
        endpoints = {"token": self._token, "jwks": self._jwks}
        return endpoints.get(request.path.rpartition("/")[2], self._discovery)(request)

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an OAuth error."""
        return oauth_error_response(error, self._random)

    def _token(self, request: Request) -> Response:
        """Return an access token by client credentials, and an id token if the scope contains `openid`."""
        check_token_request(request)
        client_id = self._authenticator.authenticate(request, server="workload")
        if request.form["grant_type"] != "client_credentials":
            raise RefusedError("unsupported_grant_type", "Only client_credentials is supported.")
        grants = request.world.clients[client_id].grants
        audience = request.form.get("audience", request.form.get("resource", next(iter(grants))))
        if audience not in grants:
            raise RefusedError("invalid_target", "The client may not have that audience.")
        issuer, scope = workload_issuer(request.world), request.form.get("scope", "")
        document = self._token_issuer.token_response(
            request, issuer, client_id, audience, client_id=client_id, scope=scope
        )
        if "openid" in scope.split():
            expires_at = document["expires_at"]
            document["id_token"] = self._token_issuer.sign(request, issuer, client_id, client_id, expires_at)
        return json_response(document)

    def _jwks(self, request: Request) -> Response:
        return json_response(self._keys.jwks())

    def _discovery(self, request: Request) -> Response:
        issuer = workload_issuer(request.world)
        base = request.url.partition("/workload/")[0] + "/workload"
        methods = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt")
        document = {
            "issuer": issuer,
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [*methods, "tls_client_auth"],
            "token_endpoint_auth_signing_alg_values_supported": list(request.world.workload_algorithms),
            "mtls_endpoint_aliases": {"token_endpoint": f"{issuer}/token"},
        }
        return json_response(document)


def service_account_token(keys: SigningKeys, world: World, now: float, claims: Mapping[str, Any]) -> str:
    """Return a workload's token, valid for an hour, as kubelet writes it to a file. `claims` replaces claims."""
    default = {
        "iss": workload_issuer(world),
        "sub": WORKLOAD_SUBJECT,
        "aud": [WORKLOAD_AUDIENCE],
        "iat": int(now),
        "exp": int(now) + 3600,
    }
    return keys.sign({**default, **claims})
