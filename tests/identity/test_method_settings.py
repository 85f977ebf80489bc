"""Each authentication method as configured: the proof that its settings make, its defaults, and its checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.config.decode import convert
from app.core.connection import Connection
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.values import Token
from app.emulator.world.world import CLIENT_ID
from app.identity import idaas
from app.identity.client_auth import Proof, jwt_bearer
from app.identity.context import Notes, TokenSource
from app.identity.idaas import IdaasIdentity
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS
from app.identity.methods.method import ClientFacts, Method
from app.identity.methods.plugin import IdaasPlugin
from app.identity.methods.private_key_jwt import IdaasPrivateKeyJwt
from app.identity.oidc_client import OidcClientIdentity
from app.identity.oidc_client import build as build_oidc_client
from app.upstream.acs3 import KeyPair, acs3

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload
from .contexts import NOW, context
from .test_jwt_claims import token
from .test_private_key import EC, ENCRYPTION, PASSWORD, pem

JWT = token({})
TOKEN = answer({"access_token": JWT, "expires_in": 600})
ENDPOINT = "https://idp.example.com/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECRET = "s 3/+="
ENVIRON = {"SECRET": SECRET}
NAMED = {"clientSecretEnvVarName": "SECRET"}
GRANT = {"grant_type": "client_credentials"}
CLIENT = "app:1"


def source_of(method: dict[str, Any], http: FakeHttp, notes: Notes | None = None, **environ: str) -> TokenSource:
    """Return the token source of a client with a method of IDaaS (`authnMethod`) or of OAuth (`method`)."""
    surroundings = context(http, environ=ENVIRON | environ)
    notes = notes or Notes(lambda _kind, _end: None, lambda _sentence: None)
    if "authnMethod" in method:
        changes = {"clientId": CLIENT, "tokenEndpoint": ENDPOINT, "authnConfiguration": method}
        found = keys(**changes, openApiEndpoint="eiam.example.com", scope="aud|a aud|b")
        application = convert(found, IdaasIdentity)
        assert application.authn_configuration.identity_type == "CLIENT"
        return idaas.build(application, "p", surroundings, notes, None)
    settings = {"type": "oidcClient", "clientId": CLIENT, "tokenEndpoint": ENDPOINT, "clientAuthentication": method}
    return build_oidc_client(convert(settings, OidcClientIdentity), "p", surroundings, notes)


async def sent_by(method: dict[str, Any], notes: Notes | None = None, **environ: str) -> Sent:
    """Return the one request by which a client with this method obtains a token."""
    http = FakeHttp(TOKEN)
    assert await source_of(method, http, notes, **environ).token() == Token(JWT, NOW + 600)
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
    path = workload.write_file("token", " oidc-token\n")
    method = {"authnMethod": "OIDC", "applicationFederatedCredentialName": "fed-1", "oidcTokenFilePath": path}

    sent = await sent_by(method)

    assert sent.fields == {
        "client_id": CLIENT,
        **GRANT,
        "scope": "aud|a aud|b",
        "application_federated_credential_name": "fed-1",
        "client_assertion_type": "urn:cloud:idaas:params:oauth:client-assertion-type:id-token-bearer",
        "client_assertion": "oidc-token",
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
    notes = Notes(lambda kind, end: expiries.append((kind, end)), lambda _sentence: None)
    method_of(method).read("p", {"PASSWORD": PASSWORD})

    sent = await sent_by(method, notes, PASSWORD=PASSWORD)

    assert sent.fields["application_federated_credential_name"] == "fed-1"
    assert sent.fields["client_assertion_type"] == "urn:cloud:idaas:params:oauth:client-assertion-type:x509-jwt-bearer"
    claims = jwt.decode(sent.fields["client_assertion"], options={"verify_signature": False})
    assert (claims["aud"], claims["sub"]) == (ENDPOINT, CLIENT)
    assert sent.fields["client_x509"].strip() == issued.leaf_pem.strip()
    assert sent.fields["client_x509_chain"].strip() == issued.chain_pem.strip()
    assert expiries == [("certificate", NOW + 30 * 86_400)]


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
    ("body", "message"),
    [
        ({}, "HTTP 200 without TokenResponse"),
        ({"TokenResponse": "x"}, "HTTP 200 without TokenResponse"),
        ({"TokenResponse": {}}, "an answer without access_token"),
        ({"TokenResponse": PLUGIN_TOKEN | {"TokenType": "mac"}}, "a token of type mac, not Bearer"),
    ],
)
async def test_unusable_answer_of_the_openapi(body: dict[str, Any], message: str) -> None:
    """A 200 without a usable token is a transient error."""
    with pytest.raises(Unreachable, match=f"^{EIAM}: {message}"):
        await source_of(PLUGIN, FakeHttp(answer(body)), **ACCESS_KEY).token()


@pytest.mark.parametrize(
    ("code", "withdrawn", "cure"),
    [
        (
            "NoPermission",
            True,
            "grant the AccessKey's user or role the action eiam:GenerateOauthToken on the application",
        ),
        (
            "EntityNotExist.Application",
            False,
            "write the application's id into clientId, and that of its instance into idaasInstanceId",
        ),
    ],
)
async def test_refusal_of_the_openapi(code: str, withdrawn: bool, cure: str) -> None:
    """A refusal names its cure; a permission that was taken away withdraws the identity."""
    with pytest.raises(Refused) as caught:
        await source_of(PLUGIN, FakeHttp(answer({"Code": code}, 403)), **ACCESS_KEY).token()

    assert (caught.value.code, caught.value.withdrawn) == (code, withdrawn)
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
EIAM_FACTS = {"open_api_endpoint": "eiam.example.com"}
VALID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"authnMethod": "CLIENT_SECRET_POST"}, {}),
    ({"method": "client_secret_jwt"}, {}),
    ({"method": "client_secret_jwt", "assertionAudience": "issuer"}, {"issuer": "https://idp.example.com"}),
    ({"method": "private_key_jwt", "assertionAudience": "issuer"}, {"issuer": "https://idp.example.com"}),
    ({"method": "tls_client_auth"}, {"connection": CERTIFICATE}),
    ({"authnMethod": "PCA", **FED}, {}),
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
    method_of(method).check("p.m", facts(**changes))
    assert not facts(**changes).exchanges_tokens


INVALID: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"method": "client_secret_jwt", "assertionAudience": "issuer"},
        {},
        "p.issuer: required where assertionAudience is issuer",
    ),
    (
        {"method": "private_key_jwt", "assertionAudience": "issuer"},
        {"issuer": ""},
        "p.issuer: required where assertionAudience is issuer",
    ),
    ({"method": "tls_client_auth"}, {}, "p.connection.certificateFile: required with tls_client_auth"),
    ({"authnMethod": "PCA"}, {}, "p.m.applicationFederatedCredentialName: required with PCA"),
    ({"authnMethod": "PKCS7"}, {}, "p.m.applicationFederatedCredentialName: required with PKCS7"),
    ({"authnMethod": "OIDC"}, {}, "p.m.applicationFederatedCredentialName: required with OIDC"),
    (
        {"authnMethod": "PKCS7", **FED, "clientDeployEnvironment": "KUBERNETES"},
        {},
        "p.m.clientDeployEnvironment: PKCS7 works only in ALIBABA_CLOUD_ECS",
    ),
    (
        {"authnMethod": "OIDC", **FED, "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"},
        {},
        "p.m.clientDeployEnvironment: OIDC works only in KUBERNETES",
    ),
    (
        {"authnMethod": "PKCS7", **FED, "ecsMetadataEndpoint": "http://10.0.0.1"},
        {},
        "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is neither",
    ),
    (PLUGIN, {}, "p.openApiEndpoint: required with PLUGIN"),
    (PLUGIN, {"open_api_endpoint": "http://eiam.example.com"}, "p.openApiEndpoint: 'http://eiam.example.com' would"),
    (PLUGIN | {"pluginName": "other"}, EIAM_FACTS, "p.m.pluginName: 'other' is not known here; there is alibabacloud"),
    (PLUGIN, EIAM_FACTS | {"exchanges_tokens": True}, "p.tokenExchange: cannot be combined with PLUGIN"),
    (PLUGIN | {"ecsMetadataEndpoint": "http://10.0.0.1"}, EIAM_FACTS, "p.m.ecsMetadataEndpoint: 'http://10.0.0.1' is"),
]


@pytest.mark.parametrize(("method", "changes", "message"), INVALID, ids=[message for _, _, message in INVALID])
def test_incomplete_method_is_refused(method: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    """What a method lacks, or cannot be combined with, is refused with its key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        method_of(method).check("p.m", facts(**changes))


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


UNREADABLE: list[tuple[Change, str]] = [
    (lambda _: {"authnMethod": "CLIENT_SECRET_POST"}, "m: clientSecretEnvVarName or clientSecretFile is required"),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S", "clientSecretFile": "/s"},
        "m: clientSecretEnvVarName and clientSecretFile are both set; keep one",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/no/s"},
        "m.clientSecretFile: /no/s: no",
    ),
    (
        lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
        "m.clientSecretEnvVarName: the environment variable S is not set",
    ),
    (lambda _: {"authnMethod": "PRIVATE_KEY_JWT"}, "m: privateKeyEnvVarName or privateKeyFile is required"),
    (lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": "/no/k"}, "m.privateKeyFile: /no/k: no such file"),
    (
        lambda _: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "K"},
        "m.privateKeyEnvVarName: the environment variable K is not set",
    ),
    (locked, "m: no usable private key: it is encrypted; name its password with privateKeyPasswordEnvVarName"),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="WRONG"),
        "m: no usable private key: the password is wrong, or the key damaged",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="MISSING"),
        "m.privateKeyPasswordEnvVarName: the environment variable MISSING is not set",
    ),
    (
        lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="RS256"),
        "m.algorithm: RS256 does not fit the key, whose own is ES256",
    ),
    (
        lambda workload: {
            "authnMethod": "PRIVATE_KEY_JWT",
            "privateKeyFile": workload.write_file("key.pem", pem(ec.generate_private_key(ec.BrainpoolP256R1()))),
        },
        "m: the curve brainpoolP256r1 is none of P-256, P-384, P-521",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None),
        "m: clientX509Certificate or clientX509CertificateFile is required",
    ),
    (
        lambda workload: certificate(workload, clientX509CertificateFile="/c"),
        "m: clientX509Certificate and clientX509CertificateFile are both set; keep one",
    ),
    (
        lambda workload: certificate(workload, clientX509Certificate=None, clientX509CertificateFile="/no/c"),
        "m.clientX509CertificateFile: /no/c: no such file",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None),
        "m: x509CertChains or x509CertChainsFile is required",
    ),
    (
        lambda workload: certificate(workload, x509CertChainsFile="/c"),
        "m: x509CertChains and x509CertChainsFile are both set; keep one",
    ),
    (
        lambda workload: certificate(workload, x509CertChains=None, x509CertChainsFile="/no/c"),
        "m.x509CertChainsFile: /no/c: no such file",
    ),
    (
        lambda workload: certificate(workload, privateKeyFile=workload.register_key(CLIENT_ID)),
        "m: the private key does not belong to the certificate",
    ),
]


@pytest.mark.parametrize(("make", "message"), UNREADABLE, ids=[message for _, message in UNREADABLE])
def test_unreadable_secret_is_reported(make: Change, message: str, workload: Workload) -> None:
    """A secret, key or certificate that is missing, ambiguous or unusable is reported with its key."""
    error = NotThereYet if "/no/" in message else ConfigError
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        method_of(make(workload)).read("m", {"PASSWORD": PASSWORD, "WRONG": "another"})


READABLE: list[Change] = [
    lambda _: {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"},
    lambda workload: {"authnMethod": "CLIENT_SECRET_JWT", "clientSecretFile": workload.write_file("s", "s")},
    lambda workload: {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyFile": workload.register_key(CLIENT_ID)},
    lambda workload: locked(workload, privateKeyPasswordEnvVarName="PASSWORD", algorithm="ES256"),
    certificate,
    lambda _: {"method": "tls_client_auth"},
]


@pytest.mark.parametrize("make", READABLE, ids=range(len(READABLE)))
def test_readable_secret_is_accepted(make: Change, workload: Workload) -> None:
    """A secret in a variable or a file, an encrypted key with its password, and a certificate with its key pass."""
    method_of(make(workload)).read("m", {"S": "s", "PASSWORD": PASSWORD})


async def test_password_is_used_for_the_assertion(workload: Workload) -> None:
    """An assertion is signed with an encrypted key, and its password is read each time."""
    method = locked(workload, privateKeyPasswordEnvVarName="PASSWORD")

    assert (await sent_by(method, PASSWORD=PASSWORD)).fields["client_assertion"]
    with pytest.raises(ConfigError, match=r"^p\.authnConfiguration: no usable private key: the password is wrong"):
        await sent_by(method, PASSWORD="another")


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


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", None])
def test_algorithm_can_be_configured(algorithm: str | None) -> None:
    """Each algorithm that a key may sign with can be configured, and a key needs no password."""
    found = convert({"authnMethod": "PRIVATE_KEY_JWT", "algorithm": algorithm}, IdaasPrivateKeyJwt)

    assert (found.algorithm, found.password("p", {})) == (algorithm, None)
