"""Each authentication method as configured: the proof that its settings make, and its defaults."""

from __future__ import annotations

import asyncio
import base64
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
from app.core.errors import ConfigError, Refused, Unreachable
from app.core.values import Token
from app.emulator.world.world import CLIENT_ID
from app.identity.client_auth import Proof, jwt_bearer
from app.identity.context import Reporter
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS
from app.identity.methods.method import Method
from app.identity.methods.plugin import IdaasPlugin
from app.identity.methods.private_key_jwt import IdaasPrivateKeyJwt
from app.identity.methods.tls_client_auth import OAuthTlsClientAuth

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, answer
from ..workload import Workload
from .configured_methods import (
    ACCESS_KEY,
    CLIENT,
    EIAM,
    ENDPOINT,
    JWT,
    PLUGIN,
    PLUGIN_TOKEN,
    SECRET,
    TOKEN,
    Change,
    certificate,
    facts,
    locked,
    method_of,
    sent_by,
    source_of,
)
from .contexts import NOW, HungDisk
from .identities import IDENTITIES
from .test_jwt_claims import token
from .test_private_key import EC, ENCRYPTION, PASSWORD, pem

OIDC_TOKEN = token({"sub": "pod"})
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NAMED = {"clientSecretEnvVarName": "SECRET"}
GRANT = {"grant_type": "client_credentials"}
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
