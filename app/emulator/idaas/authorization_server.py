"""The emulated IDaaS authorization server: token endpoint, JWKS, OIDC discovery."""

from collections.abc import Callable

from ..crypto.jws import VerifyKey
from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked
from ..http.response import Answer, RefusedError, json_answer, request_id
from ..world.world import issuer_of, workload_issuer
from .client_auth import Authentication
from .scopes import granted
from .token_exchange import ACCESS_TOKEN, TOKEN_EXCHANGE, subject_of
from .token_issuer import Issuer

# RFC 6749 asks for 401 where client authentication failed and 400 for the rest.
_STATUS = {"invalid_client": 401, "server_error": 500, "temporarily_unavailable": 503, "slow_down": 429}


class Idaas:
    """Answers for one authorization server; what it is and whom it knows is in the world of each request."""

    def __init__(
        self,
        keys: SigningKeys,
        workload_keys: SigningKeys,
        authentication: Authentication,
        random: Callable[[int], bytes],
    ) -> None:
        self._keys = keys
        self._workload_keys = workload_keys
        self._authentication = authentication
        self._issuer = Issuer(keys, random)
        self._random = random

    def token(self, asked: Asked) -> Answer:
        """A token for a client that proves itself. Raises `RefusedError`."""
        check_form(asked)
        client_id = self._authentication.client_id(asked)
        grant = asked.form["grant_type"]
        if grant not in ("client_credentials", TOKEN_EXCHANGE):
            raise RefusedError("unsupported_grant_type", "Only client_credentials and token exchange are supported.")
        audience, values = granted(asked.form.get("scope", ""), client_id, asked.world)
        scope, issuer = " ".join(values), issuer_of(asked.world, asked.url)
        if grant == "client_credentials":
            return json_answer(self._issuer.token(asked, issuer, client_id, audience, client_id=client_id, scope=scope))
        subject = subject_of(asked, self._believed(asked, issuer))
        actor = {"client_id": client_id, "act": {"sub": client_id}}
        document = self._issuer.token(asked, issuer, subject, audience, scope=scope, **actor)
        return json_answer({**document, "issued_token_type": ACCESS_TOKEN})

    def _believed(self, asked: Asked, issuer: str) -> dict[str, list[VerifyKey]]:
        """Whose tokens may be exchanged, with their keys."""
        own, workload = (list(keys.published.values()) for keys in (self._keys, self._workload_keys))
        return {issuer: [*own], workload_issuer(asked.world): [*workload]}

    def jwks(self, asked: Asked) -> Answer:
        """The public keys that verify tokens."""
        return json_answer(self._keys.jwks())

    def discovery(self, asked: Asked) -> Answer:
        """The OIDC discovery document."""
        issuer = issuer_of(asked.world, asked.url)
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
        return json_answer(document)

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """An OAuth error, in snake_case."""
        return oauth_refusal(refused, self._random)


def oauth_refusal(refused: RefusedError, random: Callable[[int], bytes]) -> Answer:
    """An OAuth error, in snake_case."""
    status = refused.status or _STATUS.get(refused.code, 400)
    document = {"error": refused.code, "error_description": refused.message, "request_id": request_id(random(16))}
    return json_answer(document, status, refused.code)


def check_form(asked: Asked) -> None:
    """Raises `RefusedError` for what is no token request at all."""
    if asked.repeated:
        raise RefusedError("invalid_request", f"{min(asked.repeated)} is repeated.")
    if not asked.form:
        raise RefusedError("invalid_request", "The body must be a form (application/x-www-form-urlencoded).")
    if "grant_type" not in asked.form:
        raise RefusedError("invalid_request", "grant_type is missing.")
