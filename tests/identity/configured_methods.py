"""Authentication methods as configured, and the token requests of their clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.config.decode import convert
from app.core.connection import Connection
from app.core.values import Token
from app.identity import idaas
from app.identity.context import Reporter, TokenSource
from app.identity.idaas import IdaasIdentity
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS
from app.identity.methods.method import ClientFacts, Method
from app.identity.oidc_client import OidcClientIdentity
from app.identity.oidc_client import build as build_oidc_client
from app.system.disk import Disk

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload
from .contexts import NOW, context
from .test_jwt_claims import token
from .test_private_key import EC, ENCRYPTION, pem

JWT = token({})
TOKEN = answer({"access_token": JWT, "expires_in": 600})
ENDPOINT = "https://idp.example.com/token"
SECRET = "s 3/+="
ENVIRON = {"SECRET": SECRET}
CLIENT = "app:1"
PLUGIN = {"authnMethod": "PLUGIN"}
ACCESS_KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-key"}
PLUGIN_TOKEN = {"AccessToken": JWT, "TokenType": "Bearer", "ExpiresIn": 600}
EIAM = "https://eiam.example.com"


def source_of(
    method: dict[str, Any], http: FakeHttp, reporter: Reporter | None = None, disk: Disk | None = None, **environ: str
) -> TokenSource:
    """Return the token source of a client with a method of IDaaS (`authnMethod`) or of OAuth (`method`)."""
    surroundings = context(http, environ=ENVIRON | environ, disk=disk or Disk())
    reporter = reporter or Reporter(lambda _kind, _end: None, lambda _sentence: None)
    if "authnMethod" in method:
        changes = {"clientId": CLIENT, "tokenEndpoint": ENDPOINT, "authnConfiguration": method}
        found = keys(**changes, openApiEndpoint="eiam.example.com", scope="aud|a aud|b")
        application = convert(found, IdaasIdentity)
        assert application.authn_configuration.identity_type == "CLIENT"
        return idaas.build(application, "p", surroundings, reporter, None)
    settings = {"type": "oidcClient", "clientId": CLIENT, "tokenEndpoint": ENDPOINT, "clientAuthentication": method}
    return build_oidc_client(convert(settings, OidcClientIdentity), "p", surroundings, reporter)


async def sent_by(method: dict[str, Any], reporter: Reporter | None = None, **environ: str) -> Sent:
    """Return the one request by which a client with this method obtains a token."""
    http = FakeHttp(TOKEN)
    assert await source_of(method, http, reporter, **environ).token() == Token(JWT, NOW + 600)
    (sent,) = http.sent
    assert (sent.method, sent.url) == ("POST", ENDPOINT)
    return sent


def method_of(keys: dict[str, Any]) -> Method:
    """Return the settings of a method."""
    kinds = IDAAS_METHODS if "authnMethod" in keys else OAUTH_METHODS
    tag = keys.get("authnMethod") or keys["method"]
    return convert(keys, next(kind for kind in kinds if kind.__struct_config__.tag == tag))


def facts(**changes: Any) -> ClientFacts:
    """Return the facts of a client at `p`."""
    return ClientFacts(**{"place": "p", "client_id": "c-1", "issuer": None, "connection": Connection(), **changes})


Change = Callable[[Workload], dict[str, Any]]


def certificate(workload: Workload, **changes: Any) -> dict[str, Any]:
    """Return PCA with a certificate, its chain and its key."""
    issued = workload.emulator.issue_certificate()
    found = {
        "authnMethod": "PCA",
        "privateKeyFile": workload.write_file("tls.key", issued.key_pem),
        "clientX509Certificate": issued.leaf_pem,
        "x509CertChains": issued.chain_pem,
    }
    return {name: value for name, value in (found | changes).items() if value is not None}


def locked(workload: Workload, **changes: Any) -> dict[str, Any]:
    """Return PRIVATE_KEY_JWT with a key that has a password."""
    path = workload.write_file("key.pem", pem(EC, encryption=ENCRYPTION))
    return {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": path, **changes}
