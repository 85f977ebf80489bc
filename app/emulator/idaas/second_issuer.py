"""
A second OIDC issuer of the emulated world, which is not IDaaS: a cluster that gives its workloads tokens, and an OpenID
provider for clients of any kind.
"""

from collections.abc import Callable
from typing import Any

from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked
from ..http.response import Answer, RefusedError, json_answer
from ..world.world import WORKLOAD_AUDIENCE, WORKLOAD_SUBJECT, workload_issuer
from .authorization_server import check_form, oauth_refusal
from .client_auth import Authentication
from .token_issuer import Issuer


class Workload:
    """Answers for that issuer."""

    def __init__(self, keys: SigningKeys, authentication: Authentication, random: Callable[[int], bytes]) -> None:
        self._keys = keys
        self._issuer = Issuer(keys, random)
        self._authentication = authentication
        self._random = random

    def service_account_token(self, asked: Asked, changes: dict[str, Any]) -> str:
        """What a kubelet writes: a token for a workload, an hour long; `changes` replaces claims."""
        claims = {
            "iss": workload_issuer(asked.world),
            "sub": WORKLOAD_SUBJECT,
            "aud": [WORKLOAD_AUDIENCE],
            "iat": int(asked.at),
            "exp": int(asked.at) + 3600,
        }
        return self._keys.sign({**claims, **changes}, stray=asked.fault.expired_key)

    def token(self, asked: Asked) -> Answer:
        """Client credentials: an access token, and an id token where the scope has `openid`. Raises `RefusedError`."""
        check_form(asked)
        client_id = self._authentication.client_id(asked, server="workload")
        if asked.form["grant_type"] != "client_credentials":
            raise RefusedError("unsupported_grant_type", "Only client_credentials is supported.")
        granted = asked.world.clients[client_id].grants
        audience = asked.form.get("audience", asked.form.get("resource", next(iter(granted))))
        if audience not in granted:
            raise RefusedError("invalid_target", "The client may not have that audience.")
        issuer, scope = workload_issuer(asked.world), asked.form.get("scope", "")
        document = self._issuer.token(asked, issuer, client_id, audience, client_id=client_id, scope=scope)
        if "openid" in scope.split():
            document["id_token"] = self._issuer.signed(asked, issuer, client_id, client_id, document["expires_at"])
        return json_answer(document)

    def jwks(self, asked: Asked) -> Answer:
        """The public keys that verify its tokens."""
        return json_answer(self._keys.jwks())

    def discovery(self, asked: Asked) -> Answer:
        """The OIDC discovery document."""
        issuer = workload_issuer(asked.world)
        here = asked.url.partition("/workload/")[0] + "/workload"
        methods = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt")
        document = {
            "issuer": issuer,
            "token_endpoint": f"{here}/token",
            "jwks_uri": f"{here}/jwks",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [*methods, "tls_client_auth"],
            "mtls_endpoint_aliases": {"token_endpoint": f"{issuer}/token"},
        }
        return json_answer(document)

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """An OAuth error."""
        return oauth_refusal(refused, self._random)
