"""The requests of the official SDK and of the sidecar, with one configuration file, to one emulator that verifies both.

The requests of each method are compared by field: query, form, relevant headers, a JWT's header and claims. Fields
that change with every request (times, ids, signatures) are compared for presence only. Every other difference is
listed in `DIFFERENCES` with its reason, and each listed difference must occur.
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
"""Times, ids and signatures. Only their presence is compared."""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(SDK.missing is not None and not in_ci(), reason=f"skipped: {SDK.missing}"),
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
        """The port of the emulated cloud."""
        return urlsplit(self.url).port or 0

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def config(self, authn: dict[str, Any], scope: str | None, **more: Any) -> str:
        """Write the client-config.json that the SDK and the sidecar read, and return its path."""
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

    async def run_sdk(self, config: str, what: str, **variables: str) -> Any:
        """Run the official SDK and return the document that it prints."""
        missing = SDK.missing
        assert missing is None, missing
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

    async def run_sidecar(self, config: str, **profile: Any) -> None:
        """Fetch credentials with the sidecar's pipeline, from the same file."""
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
        pipeline = Pipeline(loaded.settings, environ, clocks=Clocks(time.time, time.monotonic), observe=lambda _: None)
        try:
            await pipeline.fetch("default")
        finally:
            await pipeline.aclose()

    def take(self, kind: str) -> list[Fields]:
        """Return the fields of all recorded calls of a kind and clear the record. All calls must have been accepted."""
        calls = [call for call in self.emulator.journal if call.kind == kind]
        self.emulator.journal.clear()
        assert {call.outcome for call in calls} == {"ok"}
        return [comparable(call.fields) for call in calls]


@asynccontextmanager
async def open_site(directory: Path) -> AsyncIterator[Site]:
    """Run an emulated cloud."""
    sockets = bind()
    world = World.default(issuer=f"{sockets.tls_url}/api/v2/iauths_system/oauth2")
    emulator = Emulator(world)
    async with listening(emulator, directory=directory, sockets=sockets) as addresses:
        environ = {
            "SSL_CERT_FILE": str(addresses.ca_file),
            "REQUESTS_CA_BUNDLE": str(addresses.ca_file),
            "IDAAS_SECRET": CLIENT_SECRET,
        }
        yield Site(emulator, addresses.url, addresses.tls_url, addresses.ca_file, directory, environ)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An emulated cloud."""
    async with open_site(tmp_path) as found:
        yield found


# --- comparable requests ----------------------------------------------------------------------------------------------


def comparable(fields: Any) -> Fields:
    """Return the fields of a request, with tokens and signatures split into members and changing values masked."""
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
    """Return the header and the claims of a JWT as fields."""
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    life = {"life": str(claims["exp"] - claims["iat"])} if "iat" in claims else {}
    both = {"header": header, "claims": claims | life}
    return {f"{which}.{name}": str(value) for which, members in both.items() for name, value in members.items()}


def differences(sdk: Fields, sidecar: Fields) -> dict[str, tuple[str | None, str | None]]:
    """Return the fields that differ: the value of the SDK, the value of the sidecar."""
    names = sorted(sdk.keys() | sidecar.keys())
    return {name: (sdk.get(name), sidecar.get(name)) for name in names if sdk.get(name) != sidecar.get(name)}


# --- the methods ------------------------------------------------------------------------------------------------------


def key(site: Site, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: Any) -> str:
    """Register the public key with the client and return the private key as PEM."""
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    client = replace(site.emulator.world.clients[CLIENT_ID], public_keys=(PublicKey(public.decode()),))
    site.emulator.world = replace(site.emulator.world, clients={CLIENT_ID: client})
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def secret(method: str) -> Authn:
    """Return the settings of a method with a client secret."""
    return lambda site: {"authnMethod": method, "clientSecretEnvVarName": "IDAAS_SECRET"}


def private_key(make: Callable[[], Any], form: Any = serialization.PrivateFormat.PKCS8) -> Authn:
    """Return the settings of PRIVATE_KEY_JWT with a new key."""

    def authn(site: Site) -> dict[str, Any]:
        site.environ["IDAAS_KEY"] = key(site, make(), form)
        return {"authnMethod": "PRIVATE_KEY_JWT", "privateKeyEnvVarName": "IDAAS_KEY"}

    return authn


def pkcs7(site: Site) -> dict[str, Any]:
    """Return the settings of PKCS7."""
    return {
        "authnMethod": "PKCS7",
        "applicationFederatedCredentialName": FEDERATED_PKCS7,
        "clientDeployEnvironment": "ALIBABA_CLOUD_ECS",
    }


def oidc(end: str) -> Authn:
    """Return the settings of OIDC with a token file that ends with `end`."""

    def authn(site: Site) -> dict[str, Any]:
        return {
            "authnMethod": "OIDC",
            "applicationFederatedCredentialName": FEDERATED_OIDC,
            "clientDeployEnvironment": "KUBERNETES",
            "oidcTokenFilePath": site.file("token", site.emulator.workload_token() + end),
        }

    return authn


def pca(site: Site) -> dict[str, Any]:
    """Return the settings of PCA with a new certificate."""
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
    """Return the settings of PLUGIN with an AccessKey."""
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
"""The value of the SDK, the value of the sidecar, and the reason."""

AGENT = "idaas-credential-sidecar"
OAUTH: dict[str, Difference] = {
    "accept": (None, "application/json", "sent, so that a gateway in between responds with JSON too"),
    "user-agent": ("python-urllib3/2.8.0", AGENT, "each program has its own"),
}
DIFFERENCES: dict[str, dict[str, Difference]] = {
    "PKCS7": {
        "client_assertion": (
            "PKCS#7 in lines",
            "PKCS#7 in one line",
            "the SDK sends the metadata service's text, the CLI and the sidecar remove line breaks: both are official",
        )
    }
}


def stated(*tables: dict[str, Difference]) -> dict[str, tuple[str | None, str | None]]:
    """Return the stated differences without their reasons."""
    return {name: found[:2] for table in tables for name, found in table.items()}


@pytest.mark.parametrize("name", METHODS)
async def test_token_request(name: str, site: Site) -> None:
    """For each method, the two token requests are equal except for the stated differences."""
    config = site.config(METHODS[name](site), SCOPE)
    result = await site.run_sdk(config, "token")
    sdk = site.take("token")
    await site.run_sidecar(config)
    sidecar = site.take("token")

    assert "got" in result, result
    assert len(sdk) == len(sidecar) == 1
    assert differences(sdk[0], sidecar[0]) == stated(OAUTH, DIFFERENCES.get(name, {}))


async def test_metadata_requests(site: Site) -> None:
    """Both send a PUT for a session token and a GET for the document; only the white space in the audience differs."""
    config = site.config(pkcs7(site), SCOPE)
    await site.run_sdk(config, "token")
    sdk = site.take("metadata")
    await site.run_sidecar(config)
    sidecar = site.take("metadata")

    found = [differences(one, other) for one, other in zip(sdk, sidecar, strict=True)]
    host = {
        "host": (
            "100.100.100.200",
            f"127.0.0.1:{site.port}",
            "the SDK's address is fixed, so its connection was redirected",
        )
    }
    ttl = {"x-aliyun-ecs-metadata-token-ttl-seconds": ("3600", "60", "the sidecar uses the token once")}
    spaces = {
        "audience": (
            f'{{"aud": "{INSTANCE_ID}", "signingTime": …}}',
            f'{{"aud":"{INSTANCE_ID}","signingTime":…}}',
            "the official SDKs of Python and Java differ in this; the sidecar does as Java and Go do",
        )
    }
    assert found == [stated(OAUTH, host, ttl), stated(OAUTH, host, spaces)]


async def test_token_exchange(site: Site) -> None:
    """The fields of an RFC 8693 token exchange with a client secret are those of the SDK."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE)
    subject = site.emulator.workload_token(sub=CLIENT_ID)
    result = await site.run_sdk(config, "exchange", SUBJECT_TOKEN=subject)
    sdk = site.take("token")[-1]
    source = {"type": "tokenFile", "tokenFile": site.file("subject", subject)}
    await site.run_sidecar(config, identity={"tokenExchange": {"subject": source}})
    sidecar = site.take("token")[0]

    assert "got" in result, result
    assert differences(sdk, sidecar) == stated(OAUTH)


PROVIDER = "x-acs-credentials-provider"
"""The source of the SDK's keys: a header for the cloud's statistics, which the sidecar does not send."""


def without_signed_names(fields: Fields) -> Fields:
    """Remove the signed headers that the gateway does not require: the SDK also signs accept and user-agent."""
    named = fields.get("authorization.SignedHeaders", "").split(";")
    names = [name for name in named if name.startswith("x-acs-") and name != PROVIDER]
    return fields | {"authorization.SignedHeaders": ";".join(["host", *names])}


def openapi_difference(sdk: Fields, sidecar: Fields) -> dict[str, Any]:
    """Return the differences of two signed calls, without their user agents."""
    found = differences(without_signed_names(sdk), without_signed_names(sidecar))
    agent = found.pop("user-agent")
    found.pop(PROVIDER, None)
    assert agent[0].startswith("AlibabaCloud ")
    assert agent[1] == AGENT
    return found


async def test_plugin(site: Site) -> None:
    """GenerateOauthToken has the same signature, parameters and headers."""
    config = site.config(plugin(site), f"{AUDIENCE}|read {AUDIENCE}|write")
    result = await site.run_sdk(config, "token")
    (sdk,) = site.take("openapi")
    await site.run_sidecar(config)
    (sidecar,) = site.take("openapi")
    for fields in (sdk, sidecar):
        # The SDK keeps the values in a set, so that their order varies.
        values = sorted(fields.pop(f"ScopeValues.{index}") for index in (1, 2))
        assert values == ["read", "write"]

    assert "got" in result, result
    assert openapi_difference(sdk, sidecar) == {}


async def test_assume_role(site: Site) -> None:
    """AssumeRole of the STS SDK, signed with a user's key, equals that of a chained role, signed with a session's."""
    plugin(site)
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE)
    endpoint = site.tls_url.removeprefix("https://")
    result = await site.run_sdk(config, "assume", ROLE_ARN=CHAINED_ROLE_ARN, STS_ENDPOINT=endpoint)
    (sdk,) = site.take("sts")
    link = {"roleArn": CHAINED_ROLE_ARN, "roleSessionName": "session-1", "endpoints": [site.tls_url]}
    await site.run_sidecar(config, chain=[link])
    sidecar = site.take("sts")[1]
    session = {"x-acs-accesskey-id", "x-acs-security-token"}

    assert "got" in result, result
    found = openapi_difference(sdk, sidecar)
    assert found.pop("authorization.ACS3-HMAC-SHA256 Credential")[0] == ACCESS_KEY_ID
    assert found.pop("authorization.SignedHeaders")
    assert found.keys() == session
    assert session <= sidecar.keys()


async def test_developer_api(site: Site) -> None:
    """obtainAccessCredential of the adapter equals that of the sidecar."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), PAM_SCOPE)
    result = await site.run_sdk(config, "pam", ROLE_ARN=MANAGED_ROLE_ARN)
    (sdk,) = site.take("developerapi")
    await site.run_sidecar(config, exchange={"type": "developerApi", "roleArn": MANAGED_ROLE_ARN})
    (sidecar,) = site.take("developerapi")
    for fields in (sdk, sidecar):
        assert fields.pop("authorization").startswith("Bearer eyJ")

    assert "got" in result, result
    assert differences(sdk, sidecar) == stated(OAUTH)


# --- errors of the official SDK ---------------------------------------------------------------------------------------


async def test_keys_that_the_sdk_cannot_read(site: Site) -> None:
    """A PKCS#1 key, as `openssl genrsa -traditional` writes it, fails in the SDK at every call; the sidecar uses it."""
    authn = private_key(RSA, serialization.PrivateFormat.TraditionalOpenSSL)(site)
    config = site.config(authn, SCOPE)

    result = await site.run_sdk(config, "token")
    await site.run_sidecar(config)

    assert "failed" in result
    assert len(site.take("token")) == 1


async def test_token_file_with_a_newline(site: Site) -> None:
    """The SDK sends the newline at the end of a token file, which the emulator refuses; the sidecar removes it."""
    config = site.config(oidc("\n")(site), SCOPE)

    result = await site.run_sdk(config, "token")
    refused = [call for call in site.emulator.journal if call.kind == "token"]
    site.emulator.journal.clear()
    await site.run_sidecar(config)

    assert "failed" in result
    assert refused[0].fields["client_assertion"].endswith("\n")
    assert len(site.take("token")) == 1


async def test_unknown_method(site: Site) -> None:
    """The SDK treats an unknown method as NONE and fails at first use; the sidecar refuses it at load time."""
    config = site.config({"authnMethod": "CLIENT_SECRET_PSOT", "clientSecretEnvVarName": "IDAAS_SECRET"}, SCOPE)

    result = await site.run_sdk(config, "token")

    assert "failed" in result
    with pytest.raises(SidecarError, match="did you mean CLIENT_SECRET_POST"):
        await site.run_sidecar(config)
    assert not site.emulator.journal


async def test_time_limits_of_the_file(site: Site) -> None:
    """The SDK ignores httpConfiguration and waits for 3 s although the file says 2 s; the sidecar applies it."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), SCOPE, httpConfiguration={"readTimeout": 2000})
    site.emulator.faults.add(Fault("token", times=2, delay=3))

    result = await site.run_sdk(config, "token")

    assert "got" in result
    with pytest.raises(Unreachable, match="no answer in time"):
        await site.run_sidecar(config)


async def test_missing_scope(site: Site) -> None:
    """Without a scope the SDK sends one that the API's page does not list; the sidecar sends the page's."""
    config = site.config(secret("CLIENT_SECRET_POST")(site), None)

    result = await site.run_sdk(config, "token")
    sdk = [call.fields["scope"] for call in site.emulator.journal]
    site.emulator.journal.clear()
    await site.run_sidecar(config, exchange={"type": "developerApi", "roleArn": MANAGED_ROLE_ARN})

    assert "failed" in result
    assert sdk == ["urn:cloud:idaas:pam|cloud_account:obtain_access_credential"]
    assert site.take("token")[0]["scope"] == PAM_SCOPE


async def test_sdk_uses_tokens_after_their_end(site: Site) -> None:
    """
    The SDK adds jitter to the time at which a token becomes stale, so that it returns 20-minute tokens after their end.

    The sidecar reuses a token until a fifth of its life is left (tests/refresh/test_pipeline.py).
    """
    program = str(PROGRAM.parent / "stale.py")
    process = await asyncio.create_subprocess_exec(
        SDK.command, program, env=bare_environment(site.directory), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    seconds_late = json.loads(out)

    assert min(seconds_late) >= 0
    assert 240 < max(seconds_late) <= 360
