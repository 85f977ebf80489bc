"""The IDaaS authorization server: token endpoint, JWKS and OIDC discovery."""

from collections.abc import Callable

from ..crypto.jws import VerificationKey
from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError, Response, json_response, request_id
from ..world.entities import TOKEN_EXCHANGE
from ..world.world import issuer_for, workload_issuer
from .client_auth import ClientAuthenticator
from .scopes import grant_scopes
from .token_exchange import ACCESS_TOKEN, verified_subject
from .token_issuer import TokenIssuer

# RFC 6749 5.2: 401 if client authentication failed, 400 for the other errors of a request.
_STATUS = {"invalid_client": 401, "server_error": 500, "temporarily_unavailable": 503, "slow_down": 429}


class AuthorizationServer:
    """The IDaaS authorization server. Its issuer and its clients are those in the world of each request."""

    def __init__(
        self,
        keys: SigningKeys,
        workload_keys: SigningKeys,
        authenticator: ClientAuthenticator,
        random: Callable[[int], bytes],
    ) -> None:
        self._keys = keys
        self._workload_keys = workload_keys
        self._authenticator = authenticator
        self._token_issuer = TokenIssuer(keys, random)
        self._random = random

    def token_response(self, request: Request) -> Response:
        """Return a token for the authenticated client (client credentials, token exchange). Raises `RefusedError`."""
        check_token_request(request)
        client_id = self._authenticator.authenticate(request)
        grant_type = request.form["grant_type"]
        if grant_type not in ("client_credentials", TOKEN_EXCHANGE):
            raise RefusedError("unsupported_grant_type", "Only client_credentials and token exchange are supported.")
        if grant_type not in request.world.clients[client_id].grant_types:
            raise RefusedError("unauthorized_client", "The client may not use this grant type.")
        audience, values = grant_scopes(request.form.get("scope", ""), client_id, request.world)
        issuer, scope = issuer_for(request.world, request.url), " ".join(values)
        claims = {"client_id": client_id, "scope": scope}
        if grant_type == "client_credentials":
            return json_response(self._token_issuer.token_response(request, issuer, client_id, audience, **claims))
        subject = verified_subject(request, self._trusted_issuers(request, issuer))
        actor = {"act": {"sub": client_id}}
        document = self._token_issuer.token_response(request, issuer, subject, audience, **claims, **actor)
        return json_response({**document, "issued_token_type": ACCESS_TOKEN})

    def _trusted_issuers(self, request: Request, issuer: str) -> dict[str, list[VerificationKey]]:
        """Return the public keys of each issuer whose tokens can be exchanged."""
        return {
            issuer: [*self._keys.published.values()],
            workload_issuer(request.world): [*self._workload_keys.published.values()],
        }

    def jwks(self, request: Request) -> Response:
        """Return the public keys that verify tokens."""
        return json_response(self._keys.jwks())

    def discovery(self, request: Request) -> Response:
        """Return the OIDC discovery document."""
        issuer = issuer_for(request.world, request.url)
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "grant_types_supported": ["client_credentials", TOKEN_EXCHANGE],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                *("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"),
            ],
        }
        return json_response(document)

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an OAuth error."""
        return oauth_error_response(error, self._random)


def oauth_error_response(error: RefusedError, random: Callable[[int], bytes]) -> Response:
    """Return an OAuth error with snake_case members and a request id from `random`."""
    status = error.status or _STATUS.get(error.code, 400)
    document = {"error": error.code, "error_description": error.message, "request_id": request_id(random(16))}
    return json_response(document, status, error.code)


def check_token_request(request: Request) -> None:
    """Check that the request is a form with a `grant_type` and without repeated fields. Raises `RefusedError`."""
    if request.repeated_fields:
        raise RefusedError("invalid_request", f"{min(request.repeated_fields)} is repeated.")
    if not request.form:
        raise RefusedError("invalid_request", "The body must be a form (application/x-www-form-urlencoded).")
    if "grant_type" not in request.form:
        raise RefusedError("invalid_request", "grant_type is missing.")
