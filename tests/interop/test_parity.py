"""
What the official SDK sends and what we send, with one configuration file, to one emulator that verifies both.

Each method's requests are compared field by field: query, form, headers that matter, a JWT's header and claims. What
changes with every request (times, ids, signatures) is only compared for being there. Every other difference stands in
`DIFFERENCES` with its reason, and each of those must occur.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.config.loader import load
from app.core.clocks import Clocks
from app.core.errors import SidecarError, Unreachable
from app.emulator import Emulator, Fault, PublicKey, World, bind, listening
from app.emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    AUDIENCE,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    CLIENT_SECRET,
    FEDERATED_OIDC,
    FEDERATED_PCA,
    FEDERATED_PKCS7,
    INSTANCE_ID,
    MANAGED_ROLE_ARN,
    PAM_SCOPE,
    PROVIDER_ARN,
    SCOPE,
    role_arn,
)
from app.refresh.pipeline import Pipeline

from .clients import SDK, in_ci
from .conftest import bare_environment

PROGRAM = Path(__file__).parent / "sdk" / "obtain.py"
SECONDS = 60
CHANGING = frozenset(
    {
        *("jti", "iat", "exp", "x-acs-date", "x-acs-signature-nonce", "date", "Timestamp", "SignatureNonce"),
        *("authorization.Signature", "x-aliyun-ecs-metadata-token", "subject_token", "x-acs-security-token"),
    }
)
"""Times, ids and signatures: there or not, but never alike."""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(SDK.lacks is not None and not in_ci(), reason=f"skipped: {SDK.lacks}"),
]
Fields = dict[str, str]
Authn = Callable[["Site"], dict[str, Any]]


@dataclass
class Site:
    """The emulated cloud on real sockets, and a directory for files."""

    emulator: Emulator
    url: str
    tls_url: str
    ca_file: Path
    directory: Path
    environ: dict[str, str]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def config(self, authn: dict[str, Any], scope: str | None, **more: Any) -> str:
        """The SDK's client-config.json, for both."""
        keys = {"identityType": "CLIENT", "ecsMetadataEndpoint": self.url, **authn}
        whole = {
            "idaasInstanceId": INSTANCE_ID,
            "clientId": CLIENT_ID,
            "issuer": self.emulator.world.issuer,
            "tokenEndpoint": f"{self.emulator.world.issuer}/token",
            "scope": scope,
            "openApiEndpoint": self.tls_url.removeprefix("https://"),
            "developerApiEndpoint": self.tls_url,
            "authnConfiguration": keys,
            **more,
        }
        given = {name: value for name, value in whole.items() if value is not None}
        return self.file("client-config.json", json.dumps(given))

    async def theirs(self, config: str, what: str, **variables: str) -> Any:
        """What the official SDK prints."""
        lacks = SDK.lacks
        assert lacks is None, lacks
        environ = bare_environment(self.directory) | self.environ | variables | {"METADATA": str(self.port)}
        process = await asyncio.create_subprocess_exec(
            SDK.command,
            str(PROGRAM),
            config,
            what,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out.splitlines()[-1])

    async def ours(self, config: str, **profile: Any) -> None:
        """What our outbound half fetches with the same file."""
        exchange = {
            "roleArn": role_arn("default"),
            "oidcProviderArn": PROVIDER_ARN,
            "endpoints": [self.url],
            "roleSessionName": "session-1",
        }
        identity = {"clientConfigPath": config, **profile.pop("identity", {})}
        whole = {"identity": identity, "exchange": exchange} | profile
        path = self.file("config.json", json.dumps({"configVersion": "1.0", "profiles": {"default": whole}}))
        environ = {"HOME": str(self.directory), **self.environ}
        loaded = load(path, environ, hostname="h", now=time.time)
        cloud = Pipeline(loaded.settings, environ, clocks=Clocks(time.time, time.monotonic), observe=lambda _: None)
        try:
            await cloud.fetch("default")
        finally:
            await cloud.aclose()

    def taken(self, kind: str) -> list[Fields]:
        """The calls of `kind` so far, which are forgotten; all of them had been accepted."""
        calls = [call for call in self.emulator.journal if call.kind == kind]
        self.emulator.journal.clear()
        assert {call.outcome for call in calls} == {"ok"}
        return [taken_apart(call.fields) for call in calls]


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Site]:
    sockets = bind()
    world = World.default(issuer=f"{sockets.tls_url}/api/v2/iauths_system/oauth2")
    emulator = Emulator(world)
    async with listening(emulator, directory=directory, sockets=sockets) as where:
        environ = {
            "SSL_CERT_FILE": str(where.ca_file),
            "REQUESTS_CA_BUNDLE": str(where.ca_file),
            "IDAAS_SECRET": CLIENT_SECRET,
        }
        yield Site(emulator, where.url, where.tls_url, where.ca_file, directory, environ)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(tmp_path) as found:
        yield found


# --- requests, taken apart --------------------------------------------------------------------------------------------


def taken_apart(fields: Any) -> Fields:
    """A request's fields, with tokens and signatures as members of their own, and what changes masked."""
    found: Fields = {}
    for name, value in fields.items():
        if name == "client_assertion" and value.count(".") == 2:
            found |= jwt_fields(value)
        elif name == "client_assertion":
            found[name] = f"PKCS#7 in {'lines' if chr(10) in value.strip() else 'one line'}"
        elif name == "authorization" and value.startswith("ACS3"):
            found |= {f"authorization.{part.partition('=')[0]}": part.partition("=")[2] for part in value.split(",")}
        elif name == ":query":
            found[name] = " ".join(sorted(parse_qs(value, keep_blank_values=True)))
        elif name == "audience" and "signingTime" in value:
            found[name] = value.replace(str(json.loads(value)["signingTime"]), "…")
        else:
            found[name] = value
    return {name: "…" if name.rpartition(".")[2] in CHANGING or name in CHANGING else found[name] for name in found}


def jwt_fields(token: str) -> Fields:
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    life = {"life": str(claims["exp"] - claims["iat"])} if "iat" in claims else {}
    both = {"header": header, "claims": claims | life}
    return {f"{which}.{name}": str(value) for which, members in both.items() for name, value in members.items()}


def differences(theirs: Fields, ours: Fields) -> dict[str, tuple[str | None, str | None]]:
    """Fields that differ: what they send, what we send."""
    names = sorted(theirs.keys() | ours.keys())
    return {name: (theirs.get(name), ours.get(name)) for name in names if theirs.get(name) != ours.get(name)}


# --- the methods ------------------------------------------------------------------------------------------------------


def key(site: Site, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: Any) -> str:
    """Registers the key with the client; the private half as PEM."""
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    client = replace(site.emulator.world.clients[CLIENT_ID], public_keys=(PublicKey(public.decode()),))
    site.emulator.world = replace(site.emulator.world, clients={CLIENT_ID: client})
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def secret(method: str) -> Authn:
    return lambda site: {"authnMethod": method, "clientSecretEnvVarName": "IDAAS_SECRET"}


def private_key(make: Callable[[], Any], form: Any = serialization.PrivateFormat.PKCS8) -> Authn:
    def authn(site: Site) -> dict[str, Any]:
        site.environ["IDAAS_KEY"] = key(site, make(), form)
        return {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "IDAAS_KEY"}

    return authn


def pkcs7(site: Site) -> dict[str, Any]:
    return {
        "authnMethod": "PKCS7",
        "applicationFederatedCredentialName": FEDERATED_PKCS7,
        "clientDeployEnvironment": "ALIBABA_CLOUD_ECS",
    }


def oidc(end: str) -> Authn:
    def authn(site: Site) -> dict[str, Any]:
        return {
            "authnMethod": "OIDC",
            "applicationFederatedCredentialName": FEDERATED_OIDC,
            "clientDeployEnvironment": "KUBERNETES",
            "oidcTokenFilePath": site.file("token", site.emulator.workload_token() + end),
        }

    return authn


def pca(site: Site) -> dict[str, Any]:
    issued = site.emulator.issue_certificate(CLIENT_ID)
    site.environ["IDAAS_KEY"] = issued.key_pem
    return {
        "authnMethod": "PCA",
        "applicationFederatedCredentialName": FEDERATED_PCA,
        "privateKeyEnvVarName": "IDAAS_KEY",
        "clientX509Certificate": issued.leaf_pem,
        "x509CertChains": issued.chain_pem,
    }


def plugin(site: Site) -> dict[str, Any]:
    site.environ |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
    }
    return {"authnMethod": "PLUGIN", "pluginName": "alibabacloudPluginCredentialProvider"}


RSA, RSA3, EC = (
    lambda: rsa.generate_private_key(65537, 2048),
    lambda: rsa.generate_private_key(65537, 3072),
    lambda: ec.generate_private_key(ec.SECP256R1()),
)
METHODS: dict[str, Authn] = {
    "CLIENT_SECRET_BASIC": secret("CLIENT_SECRET_BASIC"),
    "CLIENT_SECRET_POST": secret("CLIENT_SECRET_POST"),
    "CLIENT_SECRET_JWT": secret("CLIENT_SECRET_JWT"),
    "PRIVATE_KEY_JWT RS256": private_key(RSA),
    "PRIVATE_KEY_JWT RS384": private_key(RSA3),
    "PRIVATE_KEY_JWT ES256": private_key(EC),
    "PRIVATE_KEY_JWT SEC1": private_key(EC, serialization.PrivateFormat.TraditionalOpenSSL),
    "PKCS7": pkcs7,
    "OIDC": oidc(""),
    "PCA": pca,
}

Difference = tuple[str | None, str | None, str]
"""What they send, what we send, and why."""

AGENT = "idaas-credential-sidecar"
OAUTH: dict[str, Difference] = {
    "accept": (None, "application/json", "said, so that a gateway in between answers JSON too"),
    "user-agent": ("python-urllib3/2.8.0", AGENT, "each its own"),
}
DIFFERENCES: dict[str, dict[str, Difference]] = {
    "PKCS7": {
        "client_assertion": (
            "PKCS#7 in lines",
            "PKCS#7 in one line",
            "the SDK passes on what the metadata service wrote, the CLI and we take line breaks out: both are official",
        )
    }
}


def stated(*tables: dict[str, Difference]) -> dict[str, tuple[str | None, str | None]]:
    """The differences that are known, without their reasons."""
    return {name: found[:2] for table in tables for name, found in table.items()}


@pytest.mark.parametrize("name", METHODS)
async def test_token_request(name: str, site: Site) -> None:
    """The token request of each method, ours beside the official one: alike but for the differences stated."""
    config = site.config(METHODS[name](site), SCOPE)
    got = await site.theirs(config, "token")
    theirs = site.taken("token")
    await site.ours(config)
    ours = site.taken("token")

    assert "got" in got, got
    assert len(theirs) == len(ours) == 1
    assert differences(theirs[0], ours[0]) == stated(OAUTH, DIFFERENCES.get(name, {}))


async def test_metadata_requests(site: Site) -> None:
    """Both ask for a session token by PUT, then for the document by GET; the audience is spaced otherwise."""
    config = site.config(pkcs7(site), SCOPE)
    await site.theirs(config, "token")
    theirs = site.taken("metadata")
    await site.ours(config)
    ours = site.taken("metadata")

    found = [differences(one, other) for one, other in zip(theirs, ours, strict=True)]
    host = {"host": ("100.100.100.200", f"127.0.0.1:{site.port}", "the SDK's address is fixed, so it was redirected")}
    ttl = {"x-aliyun-ecs-metadata-token-ttl-seconds": ("3600", "60", "ours is for this one question")}
    spaces = {
        "audience": (
            f'{{"aud": "{INSTANCE_ID}", "signingTime": …}}',
            f'{{"aud":"{INSTANCE_ID}","signingTime":…}}',
            "Python's and Java's official SDKs differ in this themselves; ours is Java's and Go's",
        )
    }
    assert found == [stated(OAUTH, host, ttl), stated(OAUTH, host, spaces)]


async def test_token_exchange(site: Site) -> None:
    """RFC 8693 with a client secret: the fields are the SDK's, whatever the subject is."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE)
    subject = site.emulator.workload_token(sub=CLIENT_ID)
    got = await site.theirs(config, "exchange", SUBJECT_TOKEN=subject)
    theirs = site.taken("token")[-1]
    source = {"type": "tokenFile", "tokenFile": site.file("subject", subject)}
    await site.ours(config, identity={"tokenExchange": {"subject": source}})
    ours = site.taken("token")[0]

    assert "got" in got, got
    assert differences(theirs, ours) == stated(OAUTH)


PROVIDER = "x-acs-credentials-provider"
"""Where the SDK found its keys: a header of its own for the cloud's statistics, which we have no word for."""


def without_signed_names(fields: Fields) -> Fields:
    """The SDK signs every header that it sends, also accept and user-agent: only what the gateway demands counts."""
    named = fields.get("authorization.SignedHeaders", "").split(";")
    names = [name for name in named if name.startswith("x-acs-") and name != PROVIDER]
    return fields | {"authorization.SignedHeaders": ";".join(["host", *names])}


def openapi_difference(theirs: Fields, ours: Fields) -> dict[str, Any]:
    """Differences of two signed calls beside their user agents."""
    found = differences(without_signed_names(theirs), without_signed_names(ours))
    agent = found.pop("user-agent")
    found.pop(PROVIDER, None)
    assert agent[0].startswith("AlibabaCloud ")
    assert agent[1] == AGENT
    return found


async def test_plugin(site: Site) -> None:
    """GenerateOauthToken: one signature, one set of parameters, one set of headers."""
    config = site.config(plugin(site), f"{AUDIENCE}|read {AUDIENCE}|write")
    got = await site.theirs(config, "token")
    (theirs,) = site.taken("openapi")
    await site.ours(config)
    (ours,) = site.taken("openapi")
    for fields in (theirs, ours):
        # The SDK keeps the values in a set, so their order is any.
        values = sorted(fields.pop(f"ScopeValues.{index}") for index in (1, 2))
        assert values == ["read", "write"]

    assert "got" in got, got
    assert openapi_difference(theirs, ours) == {}


async def test_assume_role(site: Site) -> None:
    """The STS SDK's AssumeRole, signed with a user's key, beside a link of ours, signed with a session's."""
    plugin(site)
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE)
    endpoint = site.tls_url.removeprefix("https://")
    got = await site.theirs(config, "assume", ROLE_ARN=CHAINED_ROLE_ARN, STS_ENDPOINT=endpoint)
    (theirs,) = site.taken("sts")
    link = {"roleArn": CHAINED_ROLE_ARN, "roleSessionName": "session-1", "endpoints": [site.tls_url]}
    await site.ours(config, chain=[link])
    ours = site.taken("sts")[1]
    session = {"x-acs-accesskey-id", "x-acs-security-token"}

    assert "got" in got, got
    found = openapi_difference(theirs, ours)
    assert found.pop("authorization.ACS3-HMAC-SHA256 Credential")[0] == ACCESS_KEY_ID
    assert found.pop("authorization.SignedHeaders")
    assert found.keys() == session
    assert session <= ours.keys()


async def test_developer_api(site: Site) -> None:
    """The adapter's obtainAccessCredential; it says JSON twice where we say it once."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), PAM_SCOPE)
    got = await site.theirs(config, "pam", ROLE_ARN=MANAGED_ROLE_ARN)
    (theirs,) = site.taken("developerapi")
    await site.ours(config, exchange={"type": "developerApi", "roleArn": MANAGED_ROLE_ARN})
    (ours,) = site.taken("developerapi")
    for fields in (theirs, ours):
        assert fields.pop("authorization").startswith("Bearer eyJ")

    assert "got" in got, got
    assert differences(theirs, ours) == stated(OAUTH)


# --- where the official SDK is wrong ----------------------------------------------------------------------------------


async def test_keys_that_the_sdk_cannot_read(site: Site) -> None:
    """PKCS#1, as `openssl genrsa -traditional` writes it, fails in the SDK at every call; ours is accepted."""
    authn = private_key(RSA, serialization.PrivateFormat.TraditionalOpenSSL)(site)
    config = site.config(authn, SCOPE)

    got = await site.theirs(config, "token")
    await site.ours(config)

    assert "failed" in got
    assert len(site.taken("token")) == 1


async def test_a_token_file_with_a_newline(site: Site) -> None:
    """The SDK sends the newline at a token file's end as part of the token; the emulator, as a server may, refuses."""
    config = site.config(oidc("\n")(site), SCOPE)

    got = await site.theirs(config, "token")
    refused = [call for call in site.emulator.journal if call.kind == "token"]
    site.emulator.journal.clear()
    await site.ours(config)

    assert "failed" in got
    assert refused[0].fields["client_assertion"].endswith("\n")
    assert len(site.taken("token")) == 1


async def test_an_unknown_method(site: Site) -> None:
    """The SDK takes a method that it does not know for NONE and fails at first use; ours is refused when it is read."""
    config = site.config({"authnMethod": "CLIENT_SECRET_PSOT", "clientSecretEnvVarName": "IDAAS_SECRET"}, SCOPE)

    got = await site.theirs(config, "token")

    assert "failed" in got
    with pytest.raises(SidecarError, match="did you mean CLIENT_SECRET_POST"):
        await site.ours(config)
    assert not site.emulator.journal


async def test_time_limits_of_the_file(site: Site) -> None:
    """The SDK checks httpConfiguration and never uses it: it waits three seconds where the file says two; we do not."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE, httpConfiguration={"readTimeout": 2000})
    site.emulator.faults.add(Fault("token", times=2, delay=3))

    got = await site.theirs(config, "token")

    assert "got" in got
    with pytest.raises(Unreachable, match="no answer in time"):
        await site.ours(config)


async def test_the_scope_that_nobody_named(site: Site) -> None:
    """Without a scope the SDK asks for one that the API's own page does not know; ours asks for the page's."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), None)

    got = await site.theirs(config, "token")
    theirs = [call.fields["scope"] for call in site.emulator.journal]
    site.emulator.journal.clear()
    await site.ours(config, exchange={"type": "developerApi", "roleArn": MANAGED_ROLE_ARN})

    assert "failed" in got
    assert theirs == ["urn:cloud:idaas:pam|cloud_account:obtain_access_credential"]
    assert site.taken("token")[0]["scope"] == PAM_SCOPE


async def test_tokens_beyond_their_end(site: Site) -> None:
    """
    The SDK adds its jitter to the moment a token becomes stale: one of 20 minutes is handed out after its end, always.

    Ours is handed out until a fifth of its life is left (tests/refresh/test_pipeline.py).
    """
    program = str(PROGRAM.parent / "stale.py")
    process = await asyncio.create_subprocess_exec(
        SDK.command, program, env=bare_environment(site.directory), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    late = json.loads(out)

    assert min(late) >= 0
    assert 240 < max(late) <= 360
