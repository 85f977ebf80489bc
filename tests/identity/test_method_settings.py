"""Each authentication method as configured: the proof that its settings make, its defaults, and its checks."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from app.config.decode import convert
from app.core.checks import require
from app.core.connection import Connection
from app.core.display import HIDDEN
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.values import Token
from app.emulator.world.world import CLIENT_ID
from app.identity import idaas
from app.identity.client_auth import Proof, jwt_bearer
from app.identity.context import Reporter, TokenSource
from app.identity.idaas import IdaasIdentity
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS
from app.identity.methods.method import ClientFacts, Method
from app.identity.methods.plugin import IdaasPlugin
from app.identity.methods.private_key_jwt import IdaasPrivateKeyJwt
from app.identity.methods.tls_client_auth import OAuthTlsClientAuth
from app.identity.oidc_client import OidcClientIdentity
from app.identity.oidc_client import build as build_oidc_client
from app.system.disk import Disk
from app.upstream.acs3 import KeyPair, acs3

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload
from .contexts import NOW, HungDisk, context
from .identities import IDENTITIES
from .test_jwt_claims import token
from .test_private_key import EC, ED, ENCRYPTION, PASSWORD, der, pem

JWT = token({})
OIDC_TOKEN = token({"sub": "pod"})
TOKEN = answer({"access_token": JWT, "expires_in": 600})
ENDPOINT = "https://idp.example.com/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECRET = "s 3/+="
ENVIRON = {"SECRET": SECRET}
NAMED = {"clientSecretEnvVarName": "SECRET"}
GRANT = {"grant_type": "client_credentials"}
CLIENT = "app:1"


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


ENVIRONMENTS = [
    *("COMMON", "COMPUTER", "KUBERNETES", "ALIBABA_CLOUD_ECS", "ALIBABA_CLOUD_ECI", "ALIBABA_CLOUD_ACK"),
    *("AWS_EC2", "AWS_ESK", "GOOGLE_VM", "HUAWEI_CLOUD_ECS", "CUSTOM", None),
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("kind", IDAAS_METHODS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_sdk_keys_of_every_method(kind: type[Method], environment: str | None) -> None:
    """Every method of IDaaS has the SDK's keys for the type of the identity and for its environment."""
    keys = {"identityType": "CLIENT", "clientDeployEnvironment": environment}

    found = convert({"authnMethod": kind.__struct_config__.tag, **keys}, kind)

    assert found.client_deploy_environment == environment
    url = EIAM if kind is IdaasPlugin else None
    assert found.url(facts(open_api_endpoint="eiam.example.com")) == url


def test_methods_are_selected_by_their_tags() -> None:
    """The tags of the methods are the values of `authnMethod` and `method`."""
    assert [str(kind.__struct_config__.tag) for kind in IDAAS_METHODS] == [
        *("CLIENT_SECRET_POST", "CLIENT_SECRET_BASIC", "CLIENT_SECRET_JWT", "PRIVATE_KEY_JWT"),
        *("PKCS7", "OIDC", "PCA", "PLUGIN"),
    ]
    assert [str(kind.__struct_config__.tag) for kind in OAUTH_METHODS] == [
        *("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"),
        *("client_assertion", "tls_client_auth"),
    ]


@pytest.mark.parametrize(
    ("method", "fields", "headers"),
    [
        ({"authnMethod": "CLIENT_SECRET_POST", **NAMED}, {"client_secret": SECRET}, {}),
        ({"method": "client_secret_post", **NAMED}, {"client_secret": SECRET}, {}),
        ({"authnMethod": "CLIENT_SECRET_BASIC", **NAMED}, {}, {"Authorization": "Basic YXBwOjE6cyAzLys9"}),
        ({"method": "client_secret_basic", **NAMED}, {}, {"Authorization": "Basic YXBwJTNBMTpzKzMlMkYlMkIlM0Q="}),
        ({"method": "tls_client_auth"}, {}, {}),
    ],
    ids=["POST", "post", "BASIC", "basic", "tls"],
)
async def test_secret_is_sent(method: dict[str, str], fields: dict[str, str], headers: dict[str, str]) -> None:
    """The secret is a form field or in the header, where only IDaaS takes it without form encoding (RFC 6749 2.3.1)."""
    sent = await sent_by(method)

    assert {name: value for name, value in sent.fields.items() if name.startswith("client_s")} == fields
    assert sent.headers == headers


@pytest.mark.parametrize(
    ("method", "issued_at", "life"),
    [({"authnMethod": "CLIENT_SECRET_JWT"}, NOW, 600), ({"method": "client_secret_jwt"}, NOW - 30, 300)],
)
async def test_secret_signs_an_assertion(method: dict[str, str], issued_at: float, life: float) -> None:
    """
    The assertion is for the URL that is posted to, and is signed with the secret.

    IDaaS receives it for 600 s as from its SDKs; other providers for 300 s, issued 30 s before, as the strictest of
    them require.
    """
    sent = await sent_by(method | NAMED, SECRET=SECRET * 8)

    assert sent.fields["client_assertion_type"] == JWT_BEARER
    assert "client_secret" not in sent.fields
    assertion = sent.fields["client_assertion"]
    unchecked = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(assertion, SECRET * 8, ["HS256"], audience=ENDPOINT, options=unchecked) == {  # type: ignore[arg-type]
        "aud": ENDPOINT,
        "sub": CLIENT,
        "iss": CLIENT,
        "jti": "id-1",
        "iat": issued_at,
        "exp": issued_at + life,
    }


KEYS = {"algorithm": "ES256", "keyId": "key-1"}


@pytest.mark.parametrize("method", [{"authnMethod": "PRIVATE_KEY_JWT"}, {"method": "private_key_jwt"}])
@pytest.mark.parametrize(
    ("changes", "header"), [({}, {"alg": "ES256"}), (KEYS, {"alg": "ES256", "kid": "key-1"})], ids=["defaults", "all"]
)
async def test_private_key_signs_an_assertion(
    method: dict[str, str], changes: dict[str, str], header: dict[str, str], workload: Workload
) -> None:
    """The assertion is for the URL that is posted to, with the configured algorithm and `kid`."""
    sent = await sent_by(method | changes | {"privateKeyFile": workload.register_key(CLIENT_ID)})

    assertion = sent.fields["client_assertion"]
    assert sent.fields["client_assertion_type"] == JWT_BEARER
    assert jwt.get_unverified_header(assertion) == {"typ": "JWT", **header}
    assert jwt.decode(assertion, options={"verify_signature": False})["aud"] == ENDPOINT


async def test_oidc_token_is_the_assertion(workload: Workload) -> None:
    """OIDC presents the token of the file under the credential's name."""
    path = workload.write_file("token", f" {OIDC_TOKEN}\n")
    method = {"authnMethod": "OIDC", "applicationFederatedCredentialName": "fed-1", "oidcTokenFilePath": path}

    sent = await sent_by(method)

    assert sent.fields == {
        "client_id": CLIENT,
        **GRANT,
        "scope": "aud|a aud|b",
        "application_federated_credential_name": "fed-1",
        "client_assertion_type": "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer",
        "client_assertion": OIDC_TOKEN,
    }


async def test_identity_document_is_the_assertion() -> None:
    """PKCS7 presents the instance's identity document for the IDaaS instance under the credential's name."""
    http = FakeHttp(answer("session-1"), answer("MII"), TOKEN)
    method = {"authnMethod": "PKCS7", "applicationFederatedCredentialName": "fed-1"}

    await source_of(method, http).token()

    put, get, post = http.sent
    assert put.url == "http://100.100.100.200/latest/api/token"
    assert f"%22aud%22%3A%22{keys()['idaasInstanceId']}%22" in get.url
    assert {name: value for name, value in post.fields.items() if "assertion" in name or "federated" in name} == {
        "application_federated_credential_name": "fed-1",
        "client_assertion_type": "urn:cloud:idaas:params:oauth:client-assertion-type:pkcs7-bearer",
        "client_assertion": "MII",
    }


@pytest.mark.parametrize("inline", [False, True], ids=["files", "text"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain key", "encrypted key"])
async def test_certificate_is_sent_with_its_assertion(inline: bool, encrypted: bool, workload: Workload) -> None:
    """PCA sends the certificate, its chain and an assertion of its key, and reports when the certificate ends."""
    issued = workload.emulator.issue_certificate()
    key = load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    password = {"privateKeyPasswordEnvVarName": "PASSWORD"} if encrypted else {}
    expiries: list[tuple[str, float]] = []
    texts = {"clientX509Certificate": issued.leaf_pem, "x509CertChains": issued.chain_pem}
    files = {
        "clientX509CertificateFile": workload.write_file("tls.crt", issued.leaf_pem),
        "x509CertChainsFile": workload.write_file("ca.crt", issued.chain_pem),
    }
    method = {
        "authnMethod": "PCA",
        "applicationFederatedCredentialName": "fed-1",
        "privateKeyFile": workload.write_file("tls.key", pem(key, encryption=ENCRYPTION if encrypted else None)),
        **password,
        **(texts if inline else files),
    }
    reporter = Reporter(lambda kind, end: expiries.append((kind, end)), lambda _sentence: None)
    require(method_of(method).read_checks("p", {"PASSWORD": PASSWORD}))

    sent = await sent_by(method, reporter, PASSWORD=PASSWORD)

    assert sent.fields["application_federated_credential_name"] == "fed-1"
    assert sent.fields["client_assertion_type"] == "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer"
    claims = jwt.decode(sent.fields["client_assertion"], options={"verify_signature": False})
    assert (claims["aud"], claims["sub"]) == (ENDPOINT, CLIENT)
    assert sent.fields["client_x509"].strip() == issued.leaf_pem.strip()
    assert sent.fields["client_x509_chain"].strip() == issued.chain_pem.strip()
    assert expiries == [("certificate", NOW + 30 * 86_400)]


@pytest.mark.parametrize("form", ["key and certificate", "authority first", "DER", "PKCS#12"])
async def test_pca_sends_the_certificates_alone(form: str, workload: Workload) -> None:
    """Whatever the form of the files, the server receives the certificate and the chain as PEM, and no private key."""
    issued = workload.emulator.issue_certificate(CLIENT)
    key = load_pem_private_key(issued.key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    leaf, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (issued.leaf_pem, issued.chain_pem))
    files = {
        "key and certificate": (issued.key_pem + issued.leaf_pem, issued.chain_pem),
        "authority first": (issued.chain_pem + issued.leaf_pem, issued.chain_pem),
        "DER": (leaf.public_bytes(Encoding.DER), issuer.public_bytes(Encoding.DER)),
        "PKCS#12": (
            serialize_key_and_certificates(b"a", key, leaf, [issuer], ENCRYPTION),
            base64.b64encode(issuer.public_bytes(Encoding.DER)),
        ),
    }[form]
    paths = [workload.directory / name for name in ("any.crt", "any.chain")]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    method = {
        "authnMethod": "PCA",
        "applicationFederatedCredentialName": "fed-1",
        "privateKeyFile": workload.write_file("tls.key", issued.key_pem),
        "clientX509CertificateFile": str(paths[0]),
        "x509CertChainsFile": str(paths[1]),
        **({"privateKeyPasswordEnvVarName": "PASSWORD"} if form == "PKCS#12" else {}),
    }
    require(method_of(method).read_checks("p", {"PASSWORD": PASSWORD}))

    sent = await sent_by(method, PASSWORD=PASSWORD)

    assert sent.fields["client_x509"] == issued.leaf_pem
    assert sent.fields["client_x509_chain"] == issued.chain_pem


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("privateKeyFile", "no usable private key"),
        ("clientX509CertificateFile", "no usable certificate"),
        ("x509CertChainsFile", "no usable certificate"),
    ],
)
async def test_pca_names_a_file_that_is_damaged_later(key: str, message: str, workload: Workload) -> None:
    """A file that is damaged while the sidecar runs is named with its key."""
    issued = workload.emulator.issue_certificate()
    files = {
        "privateKeyFile": workload.write_file("tls.key", issued.key_pem),
        "clientX509CertificateFile": workload.write_file("tls.crt", issued.leaf_pem),
        "x509CertChainsFile": workload.write_file("ca.crt", issued.chain_pem),
    }
    source = source_of({"authnMethod": "PCA", "applicationFederatedCredentialName": "fed-1", **files}, FakeHttp(TOKEN))
    await asyncio.to_thread(Path(files[key]).write_text, "a word")

    with pytest.raises(ConfigError, match=rf"\.{key}: {files[key]}: {message}") as caught:
        await source.token()

    assert caught.value.error_code == "IDS-115"


PLUGIN = {"authnMethod": "PLUGIN"}
ACCESS_KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-key"}
PLUGIN_TOKEN = {"AccessToken": JWT, "TokenType": "Bearer", "ExpiresIn": 600}
EIAM = "https://eiam.example.com"


async def test_plugin_signs_a_call_of_the_openapi() -> None:
    """PLUGIN calls GenerateOauthToken of the EIAM OpenAPI with the scope's audience and values."""
    http = FakeHttp(answer({"TokenResponse": PLUGIN_TOKEN}))

    assert await source_of(PLUGIN, http, **ACCESS_KEY).token() == Token(JWT, NOW + 600)

    query = {
        "InstanceId": keys()["idaasInstanceId"],
        "ApplicationId": CLIENT,
        "Audience": "aud",
        "ScopeValues.1": "a",
        "ScopeValues.2": "b",
    }
    headers = acs3(
        "eiam.example.com",
        query,
        action="GenerateOauthToken",
        version="2021-12-01",
        keys=KeyPair("LTAI", "of-key"),
        at=NOW,
        nonce="id-1",
    )
    url = (
        f"{EIAM}/?ApplicationId=app%3A1&Audience=aud&InstanceId={keys()['idaasInstanceId']}"
        "&ScopeValues.1=a&ScopeValues.2=b"
    )
    assert http.sent == [Sent("POST", url, {}, headers)]


@pytest.mark.parametrize(
    ("response", "seconds"),
    [({"ExpiresIn": 500, "ExpiresAt": None}, 500), ({"ExpiresAt": NOW + 400}, 400)],
)
async def test_end_of_the_plugins_token(response: dict[str, Any], seconds: float) -> None:
    """The token ends at the earlier of the ends that the OpenAPI names."""
    http = FakeHttp(answer({"TokenResponse": PLUGIN_TOKEN | response}))

    assert (await source_of(PLUGIN, http, **ACCESS_KEY).token()).expires_at == NOW + seconds


@pytest.mark.parametrize(
    ("body", "message", "endpoint", "status"),
    [
        ({}, "HTTP 200 without TokenResponse", EIAM, 200),
        ({"TokenResponse": "x"}, "HTTP 200 without TokenResponse", EIAM, 200),
        ({"TokenResponse": {}}, "an answer without access_token", "", 0),
        ({"TokenResponse": PLUGIN_TOKEN | {"TokenType": "mac"}}, "a token of type mac, not Bearer", "", 0),
    ],
)
async def test_unusable_answer_of_the_openapi(body: dict[str, Any], message: str, endpoint: str, status: int) -> None:
    """A 200 without a usable token is a transient error."""
    with pytest.raises(Unreachable, match=f"^{EIAM}: {message}") as caught:
        await source_of(PLUGIN, FakeHttp(answer(body)), **ACCESS_KEY).token()

    assert (caught.value.endpoint, caught.value.status, caught.value.error_code) == (endpoint, status, "IDS-320")


@pytest.mark.parametrize(
    ("code", "withdrawn", "cure", "error_code"),
    [
        (
            "NoPermission",
            True,
            "grant the AccessKey's user or role the action eiam:GenerateOauthToken on the application",
            "IDS-327",
        ),
        (
            "EntityNotExist.Application",
            False,
            "write the application's id into clientId, and that of its instance into idaasInstanceId",
            "IDS-328",
        ),
    ],
)
async def test_refusal_of_the_openapi(code: str, withdrawn: bool, cure: str, error_code: str) -> None:
    """A refusal names its cure and never the secret; a permission that was taken away withdraws the identity."""
    refused = answer({"Code": code, "Message": "signed with of-key"}, 403)

    with pytest.raises(Refused) as caught:
        await source_of(PLUGIN, FakeHttp(refused), **ACCESS_KEY).token()

    assert (caught.value.code, caught.value.withdrawn, caught.value.error_code) == (code, withdrawn, error_code)
    assert caught.value.cloud_message == "signed with [hidden]"
    assert cure in str(caught.value)


async def test_plugin_uses_the_instances_role() -> None:
    """Without an AccessKey the role of the ECS instance signs, from the metadata service that is configured."""
    role = {"Code": "Success", "AccessKeyId": "STS.id", "AccessKeySecret": "of-role", "SecurityToken": "token-1"}
    session = answer("session-1")
    http = FakeHttp(session, answer("role-1"), session, answer(role), answer({"TokenResponse": PLUGIN_TOKEN}))
    method = PLUGIN | {"ecsMetadataEndpoint": "http://127.0.0.1:7081/"}

    await source_of(method, http, HOME="/nowhere").token()

    assert [sent.url.partition("/latest")[0] for sent in http.sent[:4]] == ["http://127.0.0.1:7081"] * 4
    assert http.sent[4].headers["x-acs-security-token"] == "token-1"


# --- checks -----------------------------------------------------------------------------------------------------------


def facts(**changes: Any) -> ClientFacts:
    """Return the facts of a client at `p`."""
    return ClientFacts(**{"place": "p", "client_id": "c-1", "issuer": None, "connection": Connection(), **changes})


CERTIFICATE = Connection(certificate_file="/tls.pem")
FED = {"applicationFederatedCredentialName": "fed-1"}
NAMED_SECRET = {"clientSecretEnvVarName": "IDAAS_SECRET"}
NAMED_KEY = {"privateKeyFile": "/key.pem"}
CHAIN = {"clientX509CertificateFile": "/leaf.pem", "x509CertChainsFile": "/chain.pem"}
EIAM_FACTS = {"open_api_endpoint": "eiam.example.com"}
VALID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"authnMethod": "CLIENT_SECRET_POST", **NAMED_SECRET}, {}),
    ({"method": "client_secret_jwt", **NAMED_SECRET}, {}),
    (
        {"method": "client_secret_jwt", **NAMED_SECRET, "assertionAudience": "issuer"},
        {"issuer": "https://idp.example.com"},
    ),
    ({"method": "private_key_jwt", **NAMED_KEY, "assertionAudience": "issuer"}, {"issuer": "https://idp.example.com"}),
    ({"method": "tls_client_auth"}, {"connection": CERTIFICATE}),
    ({"authnMethod": "PCA", **FED, **NAMED_KEY, **CHAIN}, {}),
    ({"authnMethod": "PKCS7", **FED}, {}),
    ({"authnMethod": "PKCS7", **FED, "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"}, {}),
    ({"authnMethod": "OIDC", **FED}, {}),
    ({"authnMethod": "OIDC", **FED, "clientDeployEnvironment": "KUBERNETES"}, {}),
    (PLUGIN, EIAM_FACTS),
    (PLUGIN | {"pluginName": "alibabacloudPluginCredentialProvider"}, EIAM_FACTS),
]


@pytest.mark.parametrize(("method", "changes"), VALID, ids=range(len(VALID)))
def test_complete_method_passes(method: dict[str, Any], changes: dict[str, Any]) -> None:
    """A method with all that it needs passes; a client has no token exchange unless its facts say so."""
    require(method_of(method).checks("p.m", facts(**changes)))
    assert not facts(**changes).exchanges_tokens


INVALID: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (
        {"method": "client_secret_jwt", **NAMED_SECRET, "assertionAudience": "issuer"},
        {},
        "p.issuer: required where assertionAudience is issuer",
        "IDS-106",
    ),
    (
        {"method": "private_key_jwt", **NAMED_KEY, "assertionAudience": "issuer"},
        {"issuer": ""},
        "p.issuer: required where assertionAudience is issuer",
        "IDS-106",
    ),
    ({"method": "tls_client_auth"}, {}, "p.connection.certificateFile: required with tls_client_auth", "IDS-106"),
    (
        {"authnMethod": "PCA", **NAMED_KEY, **CHAIN},
        {},
        "p.m.applicationFederatedCredentialName: required with PCA",
        "IDS-106",
    ),
    ({"authnMethod": "PKCS7"}, {}, "p.m.applicationFederatedCredentialName: required with PKCS7", "IDS-106"),
    ({"authnMethod": "OIDC"}, {}, "p.m.applicationFederatedCredentialName: required with OIDC", "IDS-106"),
    (
        {"authnMethod": "PKCS7", **FED, "clientDeployEnvironment": "KUBERNETES"},
        {},
        "p.m.clientDeployEnvironment: PKCS7 works only in ALIBABA_CLOUD_ECS",
        "IDS-113",
    ),
    (
        {"authnMethod": "OIDC", **FED, "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"},
        {},
        "p.m.clientDeployEnvironment: OIDC works only in KUBERNETES",
        "IDS-113",
    ),
    (
        {"authnMethod": "PKCS7", **FED, "ecsMetadataEndpoint": "http://10.0.0.1"},
        {},
        "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is neither",
        "IDS-112",
    ),
    ({"authnMethod": "CLIENT_SECRET_BASIC"}, {}, "p.m: clientSecretEnvVarName or clientSecretFile is req", "IDS-106"),
    ({"method": "client_secret_jwt"}, {}, "p.m: clientSecretEnvVarName or clientSecretFile is required", "IDS-106"),
    ({"method": "private_key_jwt"}, {}, "p.m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    ({"authnMethod": "PCA", **FED, **CHAIN}, {}, "p.m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    ({"authnMethod": "PCA", **FED, **NAMED_KEY}, {}, "p.m: clientX509Certificate or clientX509Certifi", "IDS-106"),
    (
        {"authnMethod": "PRIVATE_KEY_JWT", **NAMED_KEY, "privateKeyEnvVarName": "IDAAS_KEY"},
        {},
        "p.m: privateKeyEnvVarName and privateKeyFile are both set",
        "IDS-113",
    ),
    (
        {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "hunter2!"},
        {},
        f"p.m.clientSecretEnvVarName: {HIDDEN} is not the name of an environment variable",
        "IDS-108",
    ),
    (
        {"authnMethod": "PRIVATE_KEY_JWT", **NAMED_KEY, "privateKeyPasswordEnvVarName": "$PASSWORD"},
        {},
        f"p.m.privateKeyPasswordEnvVarName: {HIDDEN} is not the name of an environment variable",
        "IDS-108",
    ),
    ({"method": "client_assertion"}, {}, "p.m: tokenEnvVarName or tokenFile is required", "IDS-106"),
    (PLUGIN, {}, "p.openApiEndpoint: required with PLUGIN", "IDS-106"),
    (
        PLUGIN,
        {"open_api_endpoint": "http://eiam.example.com"},
        "p.openApiEndpoint: 'http://eiam.example.com' would",
        "IDS-112",
    ),
    (
        PLUGIN | {"pluginName": "other"},
        EIAM_FACTS,
        "p.m.pluginName: 'other' is not known here; there is alibabacloud",
        "IDS-105",
    ),
    (PLUGIN, EIAM_FACTS | {"exchanges_tokens": True}, "p.tokenExchange: cannot be combined with PLUGIN", "IDS-113"),
    (
        PLUGIN | {"ecsMetadataEndpoint": "http://10.0.0.1"},
        EIAM_FACTS,
        "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is",
        "IDS-112",
    ),
]


@pytest.mark.parametrize(
    ("method", "changes", "message", "error_code"), INVALID, ids=[message for _, _, message, _ in INVALID]
)
def test_incomplete_method_is_refused(
    method: dict[str, Any], changes: dict[str, Any], message: str, error_code: str
) -> None:
    """What a method lacks, or cannot be combined with, is refused with its key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        require(method_of(method).checks("p.m", facts(**changes)))

    assert caught.value.error_code == error_code


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


UNREADABLE: list[tuple[Change, str, str]] = [
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST"},
        "m: clientSecretEnvVarName or clientSecretFile is required",
        "IDS-106",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S", "clientSecretFile": "/s"},
        "m: clientSecretEnvVarName and clientSecretFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/no/s"},
        "m.clientSecretFile: /no/s: no",
        "IDS-124",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
        "m.clientSecretEnvVarName: the environment variable S is not set",
        "IDS-108",
    ),
    (lambda _: {"authnMethod": "PRIVATE_KEY_JWT"}, "m: privateKeyEnvVarName or privateKeyFile is required", "IDS-106"),
    (
        lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": "/no/k"},
        "m.privateKeyFile: /no/k: no such file",
        "IDS-124",
    ),
    (
        lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "K"},
        "m.privateKeyEnvVarName: the environment variable K is not set",
        "IDS-108",
    ),
    (
        locked,
        "m.privateKeyFile: */key.pem: no usable private key: it is encrypted; name its password with "
        "privateKeyPasswordEnvVarName",
        "IDS-115",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="WRONG"),
        "m.privateKeyFile: */key.pem: no usable private key: the password is wrong, or the key damaged",
        "IDS-115",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="MISSING"),
        "m.privateKeyPasswordEnvVarName: the environment variable MISSING is not set",
        "IDS-108",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="RS256"),
        "m.algorithm: RS256 does not fit the key, whose own is ES256",
        "IDS-115",
    ),
    (
        lambda workload: {
            "authnMethod": "PRIVATE_KEY_JWT",
            "privateKeyFile": workload.write_file("key.pem", pem(ec.generate_private_key(ec.BrainpoolP256R1()))),
        },
        "m.privateKeyFile: */key.pem: the curve brainpoolP256r1 is none of P-256, P-384, P-521",
        "IDS-115",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None),
        "m: clientX509Certificate or clientX509CertificateFile is required",
        "IDS-106",
    ),
    (
        lambda workload: certificate(workload, clientX509CertificateFile="/c"),
        "m: clientX509Certificate and clientX509CertificateFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None, clientX509CertificateFile="/no/c"),
        "m.clientX509CertificateFile: /no/c: no such file",
        "IDS-124",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None),
        "m: x509CertChains or x509CertChainsFile is required",
        "IDS-106",
    ),
    (
        lambda workload: certificate(workload, x509CertChainsFile="/c"),
        "m: x509CertChains and x509CertChainsFile are both set; keep one",
        "IDS-113",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None, x509CertChainsFile="/no/c"),
        "m.x509CertChainsFile: /no/c: no such file",
        "IDS-124",
    ),
    (
        lambda workload: certificate(workload, x509CertChains="a word"),
        "m.x509CertChains: no usable certificate, neither PEM",
        "IDS-115",
    ),
    (
        lambda workload: certificate(
            workload, x509CertChains=None, x509CertChainsFile=workload.write_file("chain.pem", "a word")
        ),
        "m.x509CertChainsFile: */chain.pem: no usable certificate, neither PEM",
        "IDS-115",
    ),
    (
        lambda workload: certificate(workload, privateKeyFile=workload.register_key(CLIENT_ID)),
        "m.privateKeyFile: */key.pem: the private key does not belong to the certificate in m.clientX509Certificate",
        "IDS-115",
    ),
    (
        lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": workload.write_file("key.pem", pem(ED))},
        "m.privateKeyFile: */key.pem: neither an RSA nor an EC key; IDaaS takes no other",
        "IDS-115",
    ),
    (
        lambda workload: {
            "method": "private_key_jwt",
            "privateKeyFile": workload.write_file("key.pem", pem(ec.generate_private_key(ec.BrainpoolP256R1()))),
        },
        "m.privateKeyFile: */key.pem: the curve brainpoolP256r1 is none of P-256, P-384, P-521",
        "IDS-115",
    ),
]


@pytest.mark.parametrize(("make", "message", "error_code"), UNREADABLE, ids=[message for _, message, _ in UNREADABLE])
def test_unreadable_secret_is_reported(make: Change, message: str, error_code: str, workload: Workload) -> None:
    """A secret, key or certificate that is missing, ambiguous or unusable is reported with its key and file."""
    error = NotThereYet if "/no/" in message else ConfigError
    pattern = re.escape(message).replace(r"\*", "/[^ :]+")
    with pytest.raises(error, match=f"^{pattern}") as caught:
        require(method_of(make(workload)).read_checks("m", {"PASSWORD": PASSWORD, "WRONG": "another"}))

    assert caught.value.error_code == error_code


def binary_key(workload: Workload) -> str:
    """Write a private key as DER; return its path."""
    path = Path(workload.write_file("key.der", ""))
    path.write_bytes(base64.b64decode(der(EC)))
    return str(path)


READABLE: list[Change] = [
    lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
    lambda workload: {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretFile": workload.write_file("s", "s")},
    lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": workload.register_key(CLIENT_ID)},
    lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="ES256"),
    certificate,
    lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": binary_key(workload)},
    lambda workload: {"method": "private_key_jwt", "privateKeyFile": workload.write_file("key.pem", pem(ED))},
    lambda _: {"method": "tls_client_auth"},
]


@pytest.mark.parametrize("make", READABLE, ids=range(len(READABLE)))
def test_readable_secret_is_accepted(make: Change, workload: Workload) -> None:
    """A secret in a variable or a file, an encrypted key with its password, and a certificate with its key pass."""
    require(method_of(make(workload)).read_checks("m", {"S": "s", "PASSWORD": PASSWORD}))


def test_token_of_another_issuer_may_be_public(workload: Workload) -> None:
    """Other users may read a projected token, which another program writes; it may not exist yet."""
    path = Path(workload.write_file("projected", JWT))
    path.chmod(0o644)
    method = {"method": "client_assertion", "tokenFile": str(path)}

    require(method_of(method).token_checks("m", {}))
    path.unlink()
    with pytest.raises(NotThereYet, match=rf"^m\.tokenFile: {path}: no such file"):
        require(method_of(method).token_checks("m", {}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ({"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/secret"}, "/secret"),
        ({"method": "client_secret_basic", "clientSecretFile": "/secret"}, "/secret"),
        ({"method": "client_secret_jwt", "clientSecretFile": "/secret"}, "/secret"),
        ({"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": "/key"}, "/key"),
        ({"method": "private_key_jwt", "privateKeyFile": "/key", "certificateFile": "/tls.crt"}, "/key"),
        (
            {
                "authnMethod": "PCA",
                "privateKeyFile": "/key",
                "clientX509CertificateFile": "/tls.crt",
                "x509CertChains": "text",
            },
            "/tls.crt",
        ),
        ({"authnMethod": "OIDC", "oidcTokenFilePath": "/token"}, "/token"),
        ({"method": "client_assertion", "tokenFile": "/token"}, "/token"),
        (PLUGIN, "/home/user/.aliyun/config.json"),
    ],
    ids=lambda value: None if isinstance(value, str) else value.get("authnMethod") or value["method"],
)
async def test_file_system_that_does_not_answer_is_transient(method: dict[str, Any], path: str) -> None:
    """Each method reads its files off the event loop, with the time limit of the disk, which no repr shows."""
    disk = HungDisk()
    source = source_of(method, FakeHttp(), disk=disk, HOME="/home/user")

    with pytest.raises(Unreachable, match="the file system did not answer") as caught:
        await source.token()

    assert "disk=" not in repr(source)
    assert (caught.value.error_code, disk.paths) == ("IDS-601", [path])


def named_by_certificate(workload: Workload) -> tuple[dict[str, Any], str]:
    """Write a new key with its certificate; return private_key_jwt with both, and the certificate's thumbprint."""
    issued = workload.emulator.issue_certificate()
    certificate = x509.load_pem_x509_certificate(issued.leaf_pem.encode())
    method = {
        "method": "private_key_jwt",
        "privateKeyFile": workload.write_file("key.pem", issued.key_pem),
        "certificateFile": workload.write_file("tls.crt", issued.leaf_pem),
    }
    return method, base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()


async def test_certificate_names_the_key_of_the_assertion(workload: Workload) -> None:
    """private_key_jwt with a certificate sends its thumbprint (RFC 7515 4.1.8) and reports when it ends."""
    method, thumbprint = named_by_certificate(workload)
    expiries: list[tuple[str, float]] = []
    reporter = Reporter(lambda kind, end: expiries.append((kind, end)), lambda _sentence: None)

    sent = await sent_by(method, reporter)

    assert jwt.get_unverified_header(sent.fields["client_assertion"])["x5t#S256"] == thumbprint
    assert expiries == [("certificate", NOW + 30 * 86_400)]


@pytest.mark.parametrize(
    ("make", "key"),
    [(lambda workload: named_by_certificate(workload)[0], "clientAuthentication"), (certificate, "authnConfiguration")],
    ids=["private_key_jwt", "PCA"],
)
async def test_key_and_certificate_of_a_rotation_are_replaced_one_by_one(
    make: Change, key: str, workload: Workload
) -> None:
    """For a moment of a rotation the key is new and the certificate old, which is a transient error."""
    method = make(workload)
    workload.write_file(Path(method["privateKeyFile"]).name, pem(EC))

    with pytest.raises(Unreachable) as caught:
        await source_of(method, FakeHttp()).token()

    certificate_key = "certificateFile: " if "certificateFile" in method else "clientX509Certificate"
    assert str(caught.value) == (
        f"p.{key}.privateKeyFile: {method['privateKeyFile']}: the private key does not belong to the certificate in "
        f"p.{key}.{certificate_key}{method.get('certificateFile', '')}; write the key and the "
        "certificate of one pair; during a rotation, the sidecar tries again"
    )
    assert caught.value.error_code == "IDS-115"


@pytest.mark.parametrize("named", [False, True], ids=["key alone", "key and certificate"])
async def test_previous_key_is_used_only_without_a_certificate(named: bool, workload: Workload) -> None:
    """The previous key replaces a refused new one; it would not fit the present certificate."""
    method, _ = named_by_certificate(workload)
    used = method if named else {name: method[name] for name in ("method", "privateKeyFile")}
    warnings: list[str] = []
    http = FakeHttp(TOKEN, answer({"error": "invalid_client"}, 401), TOKEN)
    source = source_of(used, http, Reporter(lambda _kind, _end: None, warnings.append))
    await source.token()
    _, thumbprint = named_by_certificate(workload)

    assert await source.token() == Token(JWT, NOW + 600)

    header = jwt.get_unverified_header(http.sent[2].fields["client_assertion"])
    assert header.get("x5t#S256") == (thumbprint if named else None)
    assert len(warnings) == (0 if named else 1)


async def test_secret_of_an_assertion_is_not_quoted() -> None:
    """A server that knows the secret must not put it into a message, although the request does not carry it."""
    refused = answer({"error": "invalid_request", "error_description": f"bad secret {SECRET * 8}"}, 400)

    with pytest.raises(Refused) as caught:
        await source_of({"method": "client_secret_jwt", **NAMED}, FakeHttp(refused), SECRET=SECRET * 8).token()

    assert caught.value.cloud_message == "bad secret [hidden]"


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ({"authnMethod": "CLIENT_SECRET_POST", **NAMED}, {"access_token": JWT, "expires_in": 600}),
        (PLUGIN, {"TokenResponse": PLUGIN_TOKEN}),
    ],
    ids=["token endpoint", "PLUGIN"],
)
async def test_token_makes_an_answer_a_success(method: dict[str, str], body: dict[str, Any]) -> None:
    """A 200 with a token is a success, whatever code the server adds."""
    http = FakeHttp(answer(body | {"code": "operation.done"}))

    assert await source_of(method, http, **ACCESS_KEY).token() == Token(JWT, NOW + 600)


async def test_password_is_used_for_the_assertion(workload: Workload) -> None:
    """An assertion is signed with an encrypted key, and its password is read each time."""
    method = locked(workload, privateKeyPasswordEnvVarName="PASSWORD")

    assert (await sent_by(method, PASSWORD=PASSWORD)).fields["client_assertion"]
    message = r"^p\.authnConfiguration\.privateKeyFile: /.*/key\.pem: no usable private key: the password is wrong"
    with pytest.raises(ConfigError, match=message):
        await sent_by(method, PASSWORD="another")


@pytest.mark.parametrize(
    ("key", "name"), [("clientX509CertificateFile", "tls.crt"), ("x509CertChainsFile", "chain.pem")]
)
async def test_damaged_certificate_is_named_at_run_time(key: str, name: str, workload: Workload) -> None:
    """A file of PCA that is damaged while the sidecar runs is named with its key, and the error has the cure."""
    issued = workload.emulator.issue_certificate(CLIENT_ID)
    names = {"clientX509CertificateFile": "tls.crt", "x509CertChainsFile": "chain.pem"}
    texts = {"clientX509CertificateFile": issued.leaf_pem, "x509CertChainsFile": issued.chain_pem}
    paths = {each: workload.write_file(names[each], text) for each, text in texts.items()}
    inline = dict.fromkeys(("clientX509Certificate", "x509CertChains"))
    method = certificate(workload, **inline, **paths, privateKeyFile=workload.write_file("k.pem", issued.key_pem))
    assert (await sent_by(method)).fields["client_x509"]
    workload.write_file(name, "half a certif")

    with pytest.raises(ConfigError) as caught:
        await sent_by(method)

    assert str(caught.value).startswith(f"p.authnConfiguration.{key}: {paths[key]}: no usable certificate")
    assert caught.value.cure == "write the certificate there in one of these forms"


async def test_new_key_of_another_kind_is_reported(workload: Workload) -> None:
    """A key that is replaced by one that does not fit the configured algorithm is a configuration error."""
    path = workload.register_key(CLIENT_ID)
    method = {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": path, "algorithm": "ES256"}
    assert (await sent_by(method)).fields["client_assertion"]
    workload.write_file("key.pem", pem(ec.generate_private_key(ec.SECP384R1())))

    with pytest.raises(
        ConfigError, match=r"^p\.authnConfiguration\.algorithm: ES256 does not fit the key, whose own is"
    ):
        await sent_by(method)


def test_method_without_build_makes_no_source() -> None:
    """A method without `build` is a defect of the program."""
    with pytest.raises(NotImplementedError):
        Method().build(None)  # type: ignore[arg-type]


def test_proof_is_empty_by_default_and_hidden() -> None:
    """A proof has no fields and no headers unless a method adds them, and its repr shows neither."""
    assert (Proof().fields, Proof().headers) == ({}, {})
    for proof in (jwt_bearer("s3cr3t"), Proof(headers={"Authorization": "s3cr3t"})):
        assert "s3cr3t" not in repr(proof)


ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "EdDSA", None])
def test_algorithm_can_be_configured(algorithm: str | None) -> None:
    """Each algorithm that a key may sign with can be configured, and a key needs no password."""
    found = convert({"authnMethod": "PRIVATE_KEY_JWT", "algorithm": algorithm}, IdaasPrivateKeyJwt)

    assert (found.algorithm, found.password("p", {})) == (algorithm, None)


@pytest.mark.parametrize("kind", [*IDAAS_METHODS, *OAUTH_METHODS], ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_method_meets_the_emulated_cloud(kind: type[Method]) -> None:
    """Every method is among the identities that obtain credentials from the emulated cloud."""
    names = {name.split(" with ")[0] for name in IDENTITIES}

    assert kind is OAuthTlsClientAuth or kind.__struct_config__.tag in names  # tests/e2e/test_mutual_tls.py
