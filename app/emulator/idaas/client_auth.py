"""
Client authentication at the token endpoints.

A reader extracts one kind of credential from the request, and returns None if the request has none of that kind. A
verifier, registered under the method's name in the world, checks the credential. A new method needs one of each.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

from ..crypto.jws import verify_hs256, verify_signature
from ..crypto.pki import Authority
from ..crypto.replay_cache import ReplayCache
from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError
from ..world.entities import Client
from ..world.world import WORKLOAD_SUBJECT, workload_issuer
from .assertion import check_claims, check_strictly, parse, require
from .federation import check_oidc, check_pca, check_pkcs7, federated_credential
from .strict_providers import check_as

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FEDERATED_METHODS = {
    "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer": "PKCS7",
    "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer": "OIDC",
    "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer": "PCA",
}
Server = Literal["idaas", "workload", "okta"]


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """The client id that a request claims, and the secret or assertion that is to prove it."""

    method: str
    client_id: str
    value: str = field(repr=False)


class ClientAuthenticator:
    """
    Authenticates the clients of both authorization servers.

    `workload_keys` sign the tokens of OIDC federation. `workload_ca` issues the certificates of PCA; `ecs_ca` signs
    the documents of PKCS7.
    """

    def __init__(self, workload_keys: SigningKeys, workload_ca: Authority, ecs_ca: Authority) -> None:
        self._used_ids = ReplayCache()
        self._workload_keys = workload_keys
        self._workload_ca = workload_ca
        self._ecs_ca = ecs_ca
        self._verifiers: Mapping[str, Callable[[PresentedCredential, Client, Request], None]] = {
            "CLIENT_SECRET_BASIC": _verify_secret,
            "CLIENT_SECRET_POST": _verify_secret,
            "CLIENT_SECRET_JWT": self._verify_client_secret_jwt,
            "PRIVATE_KEY_JWT": self._verify_private_key_jwt,
            "TLS_CLIENT_AUTH": _verify_certificate_name,
            "OIDC": self._verify_oidc,
            "CLIENT_ASSERTION": self._verify_foreign_assertion,
            "PCA": self._verify_pca,
            "PKCS7": self._verify_pkcs7,
        }

    def authenticate(self, request: Request, *, server: Server = "idaas") -> str:
        """
        Return the id of the authenticated client.

        Raises `RefusedError`. An unknown client and a wrong secret give the same error.
        """
        presented = presented_credential(request, server)
        if server == "workload":
            _check_one_way(presented, request)
        client = request.world.clients.get(presented.client_id)
        if client is None or client.server != server or presented.method not in client.methods:
            raise RefusedError("invalid_client", "Client authentication failed.")
        if request.form.get("client_id", presented.client_id) != presented.client_id:
            raise RefusedError(
                "invalid_client", "The client_id of the form is not the one of the Authorization header."
            )
        self._verifiers[presented.method](presented, client, request)
        return presented.client_id

    def _verify_client_secret_jwt(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        token = parse(presented.value)
        if not any(verify_hs256(token, secret) for secret in client.active_secrets(request.now)):
            raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
        check_claims(token, presented.client_id, request, self._used_ids)

    def _verify_private_key_jwt(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        token = parse(presented.value)
        keys = client.keys_for(token.header.get("kid"), token.header.get("x5t#S256"))
        if not verify_signature(token, keys):
            raise RefusedError("invalid_client", "The signature of the client assertion is wrong.")
        check_claims(token, presented.client_id, request, self._used_ids)

    def _verify_oidc(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        credential = federated_credential(request, client, "OIDC")
        check_oidc(presented.value, credential, request, self._workload_keys.published.values())

    def _verify_foreign_assertion(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        """The token of the cluster, which the client is bound to by its subject, for this provider (RFC 7523 3)."""
        token = parse(presented.value)
        require(
            (verify_signature(token, self._workload_keys.published.values()), "its signature is wrong"),
            (token.claims.get("sub") == client.assertion_subject, "sub is not the client's subject"),
            (workload_issuer(request.world) in token.audiences, "aud is not this provider"),
            (request.now < token.number("exp"), "exp has passed or is missing"),
        )

    def _verify_pca(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        credential = federated_credential(request, client, "PCA")
        check_pca(presented.value, credential, request, self._workload_ca, self._used_ids)

    def _verify_pkcs7(self, presented: PresentedCredential, client: Client, request: Request) -> None:
        credential = federated_credential(request, client, "PKCS7")
        check_pkcs7(presented.value, credential, request, self._ecs_ca)


def presented_credential(request: Request, server: Server) -> PresentedCredential:
    """Return the only credential in the request. Raises `RefusedError` for none or several (RFC 6749 2.3)."""
    found = [credential for read in (_read_basic, _read_post, _read_assertion) if (credential := read(request, server))]
    if len(found) > 1:
        raise RefusedError("invalid_request", "More than one client authentication method was used.")
    if not found and server == "workload" and request.client_certificate_name is not None:
        client_id = request.form.get("client_id", "")
        return PresentedCredential("TLS_CLIENT_AUTH", client_id, request.client_certificate_name)
    if not found:
        raise RefusedError("invalid_client", "No client authentication was found in the request.")
    return found[0]


def _check_one_way(presented: PresentedCredential, request: Request) -> None:
    """Raise `RefusedError` as the strictest OpenID providers do: for two credentials (Okta), for another algorithm."""
    if presented.method == "CLIENT_SECRET_BASIC" and "client_id" in request.form:
        raise RefusedError(
            "invalid_request",
            "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization "
            "header, credentials in the post body, or a client_assertion in the post body.",
        )
    if presented.method in ("CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT"):
        algorithm = parse(presented.value).algorithm
        if algorithm not in request.world.workload_algorithms:
            raise RefusedError("invalid_client", f"The algorithm {algorithm} of the client assertion is not accepted.")
        check_strictly(presented.value, request)
        if request.world.workload_provider != "any":
            check_as(request.world.workload_provider, parse(presented.value), request)


def _read_basic(request: Request, server: Server) -> PresentedCredential | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise RefusedError(
            "invalid_client", "The Authorization header is not base64 of client_id:client_secret."
        ) from None
    # RFC 6749 2.3.1 form-encodes both. IDaaS decodes nothing, because its clients never encoded them.
    decode = str if server == "idaas" else unquote_plus
    return PresentedCredential("CLIENT_SECRET_BASIC", decode(client_id), decode(secret))


def _read_post(request: Request, _server: Server) -> PresentedCredential | None:
    if "client_secret" not in request.form:
        return None
    client_id = request.form.get("client_id", "")
    return PresentedCredential("CLIENT_SECRET_POST", client_id, request.form["client_secret"])


def _read_assertion(request: Request, server: Server) -> PresentedCredential | None:
    if "client_assertion" not in request.form:
        return None
    assertion_type, assertion = request.form.get("client_assertion_type", ""), request.form["client_assertion"]
    if assertion_type == JWT_BEARER and server == "workload" and parse(assertion).claims.get("sub") == WORKLOAD_SUBJECT:
        method = "CLIENT_ASSERTION"
    elif assertion_type == JWT_BEARER:
        method = "CLIENT_SECRET_JWT" if parse(assertion).algorithm == "HS256" else "PRIVATE_KEY_JWT"
    elif assertion_type in _FEDERATED_METHODS and server == "idaas":
        method = _FEDERATED_METHODS[assertion_type]
    else:
        raise RefusedError("invalid_client", "This client_assertion_type is not supported here.")
    return PresentedCredential(method, request.form.get("client_id", ""), assertion)


def _verify_secret(presented: PresentedCredential, client: Client, request: Request) -> None:
    secrets = client.active_secrets(request.now)
    if not any(hmac.compare_digest(presented.value.encode(), secret.encode()) for secret in secrets):
        raise RefusedError("invalid_client", "Client authentication failed.")


def _verify_certificate_name(presented: PresentedCredential, client: Client, request: Request) -> None:
    if presented.value != client.certificate_name:
        raise RefusedError("invalid_client", "The certificate's subject is not the registered one.")
