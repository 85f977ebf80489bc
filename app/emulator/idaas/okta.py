"""
A custom authorization server of an Okta organisation, `/oauth2/default`, for the client credentials grant.

Okta is stricter than the second issuer: an application has one authentication method, a request has one credential,
`scope` is required, and the audience belongs to the server. Errors have the words of Okta, and an unknown client gets
the error format of Okta's management API.
"""

from collections.abc import Callable
from typing import Any

from ..crypto.jws import Token, verify_signature
from ..crypto.replay_cache import ReplayCache
from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError, Response, json_response, request_id
from ..world.entities import Client
from ..world.world import OKTA_PATH, okta_issuer
from .assertion import MAX_LIFETIME, parse
from .client_auth import PresentedCredential, presented_credential
from .token_issuer import TokenIssuer

PATHS = tuple(
    f"{OKTA_PATH}/{name}"
    for name in ("v1/token", "v1/keys", ".well-known/openid-configuration", ".well-known/oauth-authorization-server")
)
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
OIDC_SCOPES = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})
UNKNOWN_CLIENT = "Invalid value for 'client_id' parameter."


class Okta:
    """The token endpoint, keys and discovery documents. `keys` sign the tokens; `random` returns random bytes."""

    def __init__(self, keys: SigningKeys, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._token_issuer = TokenIssuer(keys, random)
        self._random = random
        self._used_ids = ReplayCache()

    def respond(self, request: Request) -> Response:
        """Return the response of the endpoint at the request's path. Raises `RefusedError`."""
        endpoints = {"token": self._token, "keys": self._jwks}
        return endpoints.get(request.path.rpartition("/")[2], self._discovery)(request)

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an error in one of the two formats that Okta's token endpoint has."""
        number = f"oae{request_id(self._random(16))[:8]}"
        headers = {"X-Okta-Request-Id": number}
        document = {"error": error.code, "error_description": error.message}
        if error.message == UNKNOWN_CLIENT:
            document = {"errorCode": error.code, "errorSummary": error.message, "errorLink": error.code}
            document |= {"errorId": number, "errorCauses": []}  # type: ignore[dict-item]
        answer = json_response(document, error.status or 400, error.code)
        return Response(answer.status, answer.body, answer.outcome, headers={**answer.headers, **headers})

    def _token(self, request: Request) -> Response:
        if "grant_type" not in request.form:
            raise RefusedError("invalid_request", "The token request must specify a grant_type.")
        presented = _only_credential(request)
        client = self._authenticated(presented, request)
        if request.form["grant_type"] != "client_credentials":
            raise RefusedError(
                "unauthorized_client",
                "The client is not authorized to use the provided grant type. Configured grant types: "
                "[client_credentials].",
            )
        audience, granted = next(iter(client.grants.items()))
        scopes = _granted_scopes(request.form.get("scope", ""), granted)
        claims = {"ver": 1, "cid": presented.client_id, "scp": scopes}
        issuer = okta_issuer(request.world)
        document = self._token_issuer.token_response(request, issuer, presented.client_id, audience, **claims)
        del document["expires_at"]
        return json_response({**document, "scope": " ".join(scopes)})

    def _authenticated(self, presented: PresentedCredential, request: Request) -> Client:
        """Return the client if its credential is right and is the one method of the application."""
        client = request.world.clients.get(presented.client_id)
        if client is None or client.server != "okta":
            raise RefusedError("invalid_client", UNKNOWN_CLIENT)
        if presented.method not in client.methods:
            raise _unauthenticated(
                "Client authentication failed. Either the client or the client credentials are invalid."
            )
        if presented.method == "PRIVATE_KEY_JWT":
            self._check_assertion(parse(presented.value), presented.client_id, client, request)
        elif presented.value not in client.active_secrets(request.now):
            raise _unauthenticated("The client secret supplied for a confidential client is invalid.")
        return client

    def _check_assertion(self, token: Token, client_id: str, client: Client, request: Request) -> None:
        """Check an assertion. Its `aud` is the URL of the token endpoint, to the letter."""
        expires_at, jti = token.number("exp"), str(token.claims.get("jti", ""))
        several = len(client.public_keys) > 1
        rules = (
            (not several or "kid" in token.header, "must have a kid, because the client has several keys."),
            (verify_signature(token, client.keys_for(token.header.get("kid"))), "signature is invalid."),
            (token.claims.get("iss") == client_id == token.claims.get("sub"), "iss and sub must be the client_id."),
            (request.now < expires_at, "is expired."),
            (expires_at <= request.now + MAX_LIFETIME, "has an expiration too far into the future."),
        )
        for holds, reason in rules:
            if not holds:
                raise _unauthenticated(f"The client_assertion {reason}")
        if token.audiences != (request.url,):
            raise _unauthenticated(
                "The audience claim for client_assertion must be the endpoint invoked for the request."
            )
        if jti and not self._used_ids.add((client_id, jti), expires_at=expires_at, now=request.now):
            raise _unauthenticated("The client_assertion token has already been used.")

    def _jwks(self, request: Request) -> Response:
        return json_response(self._keys.jwks())

    def _discovery(self, request: Request) -> Response:
        issuer = okta_issuer(request.world)
        document: dict[str, Any] = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/v1/token",
            "jwks_uri": f"{issuer}/v1/keys",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [*METHODS],
        }
        return json_response(document)


def _only_credential(request: Request) -> PresentedCredential:
    """Return the credential of the request. Raises `RefusedError` for none or several."""
    in_header = request.headers.get("authorization", "").lower().startswith("basic ")
    if in_header and request.form.keys() & {"client_id", "client_secret", "client_assertion"}:
        raise RefusedError(
            "invalid_request",
            "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization "
            "header, credentials in the post body, or a client_assertion in the post body.",
            401,
        )
    presented = presented_credential(request, "okta")
    if presented.method == "PRIVATE_KEY_JWT" and not presented.client_id:
        # Okta takes the client from the assertion.
        return PresentedCredential(presented.method, str(parse(presented.value).claims.get("sub")), presented.value)
    return presented


def _granted_scopes(scope: str, granted: tuple[str, ...]) -> list[str]:
    requested = list(dict.fromkeys(scope.split()))
    if not requested:
        raise RefusedError(
            "invalid_scope",
            "The authorization server resource does not have any configured default scopes, 'scope' must be provided.",
        )
    if found := OIDC_SCOPES.intersection(requested):
        raise RefusedError("invalid_scope", f"Cannot request '{min(found)}' scopes using client credentials.")
    if not set(requested) <= set(granted):
        raise RefusedError(
            "invalid_scope", "One or more scopes are not configured for the authorization server resource."
        )
    return requested


def _unauthenticated(message: str) -> RefusedError:
    return RefusedError("invalid_client", message, 401)
