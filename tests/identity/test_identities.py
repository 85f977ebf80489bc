"""What can be asked of every kind of identity, what single methods need, and how a token's claims are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config.decode import convert
from app.core.base import READ_LATER
from app.core.checks import require
from app.core.connection import Connection, HttpConfiguration
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.events import Warned
from app.core.values import Token
from app.identity import identities
from app.identity.command import CommandIdentity
from app.identity.context import Reporter
from app.identity.idaas import IdaasIdentity
from app.identity.identities import Identity
from app.identity.methods.oidc import IdaasOidc
from app.identity.oidc_client import OidcClientIdentity
from app.identity.token_file import TokenFileIdentity

from ..conftest import BASE, Offline, exchange
from ..conftest import identity as idaas_keys
from ..upstream.fake_http import FakeHttp, answer
from ..workload import Workload
from .contexts import NOW, context
from .identities import client_secret, idaas, one_profile, pca, plugin_access_key, plugin_ecs_role, token_file
from .test_jwt_claims import token

Build = Callable[..., Offline]


@pytest.mark.parametrize(
    ("keys", "environ", "token"),
    [
        (
            {"oidcTokenFilePath": "FIRST", "oidcTokenFilePathEnvVarName": "TOKEN_PATH"},
            {"TOKEN_PATH": "SECOND"},
            "first",
        ),
        ({"oidcTokenFilePathEnvVarName": "TOKEN_PATH"}, {"TOKEN_PATH": "SECOND"}, "second"),
    ],
)
def test_token_file_path_wins_over_the_variable(
    keys: dict[str, str], environ: dict[str, str], token: str, tmp_path: Path
) -> None:
    """As in the SDK, the path comes first, then the file that the variable names; white space is trimmed."""
    files = {"FIRST": tmp_path / "1", "SECOND": tmp_path / "2"}
    files["FIRST"].write_text("first\n")
    files["SECOND"].write_text(" second ")
    named = {name: str(files.get(value, value)) for name, value in keys.items()}
    config = convert({"authnMethod": "OIDC", **named}, IdaasOidc)

    read = config.token_reader("identity", {name: str(files[value]) for name, value in environ.items()})

    assert read() == token


def test_default_token_file_is_that_of_kubernetes() -> None:
    """Without settings the token file of Kubernetes is read, and the error names it where it is missing."""
    read = IdaasOidc().token_reader("identity", {})

    with pytest.raises(NotThereYet, match=r"/var/run/secrets/kubernetes.io/serviceaccount/token: no such file"):
        read()


@pytest.mark.parametrize(
    ("method", "keys", "message"),
    [
        ("OIDC", {}, "applicationFederatedCredentialName: required with OIDC"),
        (
            "PCA",
            {"applicationFederatedCredentialName": "x"},
            "clientX509Certificate or",
        ),
        (
            "OIDC",
            {"applicationFederatedCredentialName": "x", "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"},
            "clientDeployEnvironment: OIDC works only in KUBERNETES",
        ),
        (
            "PKCS7",
            {"applicationFederatedCredentialName": "x", "clientDeployEnvironment": "AWS_EC2"},
            "clientDeployEnvironment: PKCS7 works only in ALIBABA_CLOUD_ECS",
        ),
        ("PLUGIN", {}, "identity.openApiEndpoint: required with PLUGIN"),
    ],
)
def test_method_without_its_keys_is_refused(
    method: str, keys: dict[str, Any], message: str, workload: Workload, loaded: Callable[..., Any]
) -> None:
    """The keys that a method needs are checked when the configuration is loaded."""
    with pytest.raises(ConfigError, match=message):
        loaded(one_profile(idaas(workload, method, **keys), exchange()), workload.environ)


def test_certificate_of_another_key_is_refused(workload: Workload, loaded: Callable[..., Any]) -> None:
    """A certificate and a private key that do not belong together are reported when the configuration is loaded."""
    identity = pca(workload)
    workload.write_file("tls.key", workload.emulator.issue_certificate().key_pem)

    with pytest.raises(ConfigError, match="the private key does not belong to the certificate"):
        loaded(one_profile(identity, exchange()), workload.environ)


def test_nested_token_exchange_is_refused(workload: Workload, loaded: Callable[..., Any]) -> None:
    """The subject of a token exchange cannot be an exchange, and PLUGIN, which has no token endpoint, has none."""
    inner = client_secret("CLIENT_SECRET_POST")(workload) | {"tokenExchange": {"subject": token_file(workload)}}
    twice = client_secret("CLIENT_SECRET_POST")(workload) | {"tokenExchange": {"subject": inner}}
    plugin = plugin_ecs_role(workload) | {"tokenExchange": {"subject": token_file(workload)}}

    with pytest.raises(ConfigError, match=r"subject.tokenExchange: one exchange after another is not supported"):
        loaded(one_profile(twice, exchange()), workload.environ)
    with pytest.raises(ConfigError, match="tokenExchange: cannot be combined with PLUGIN"):
        loaded(one_profile(plugin, exchange()), workload.environ)


async def test_issuer_mismatch_is_warned_about_before_sts_refuses(workload: Workload, offline: Build) -> None:
    """A token whose `iss` differs from the registered issuer is warned about before STS refuses it."""
    workload.emulator.world = replace(workload.emulator.world, issuer_mode="dynamic")
    sidecar = offline(one_profile(client_secret("CLIENT_SECRET_POST")(workload), exchange()), workload.environ)

    with pytest.raises(Refused, match="IssuerNotMatch"):
        await sidecar.fetch()

    messages = [event.message for event in sidecar.events if isinstance(event, Warned)]
    assert messages[0].startswith(f"the token's iss is '{BASE}/api/v2/iauths_system/oauth2', the configuration says")


async def test_access_key_that_is_not_ascii_is_refused(workload: Workload, offline: Build) -> None:
    """An AccessKey that is not ASCII cannot be sent, and is our error."""
    identity = plugin_access_key(workload)
    workload.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "schl\u00fcssel"

    with pytest.raises(ConfigError, match="characters outside ASCII; copy it again"):
        await offline(one_profile(identity, exchange()), workload.environ).fetch()


ISSUER = "https://idp.example.com"
NO_REPORTS = Reporter(lambda _kind, _end: None, lambda _sentence: None)


def application(method: dict[str, Any] | None = None, **changes: Any) -> IdaasIdentity:
    """Return an application of IDaaS with CLIENT_SECRET_POST or another method."""
    keys = idaas_keys(**({"authnConfiguration": method} if method else {}))
    return convert(keys | changes, IdaasIdentity)


def client(**changes: Any) -> OidcClientIdentity:
    """Return a client of an OpenID provider, by default with discovery."""
    keys = {"type": "oidcClient", "clientId": "c-1", "issuer": ISSUER}
    method = {"method": "client_secret_post", "clientSecretEnvVarName": "SECRET"}
    return convert(keys | {"clientAuthentication": method} | changes, OidcClientIdentity)


FILE = TokenFileIdentity("/token")
COMMAND = CommandIdentity(("/bin/sh", "-c", "exit 3"))
EXCHANGE = {"tokenExchange": {"subject": {"type": "tokenFile", "tokenFile": "/token"}}}
PLUGIN = application({"authnMethod": "PLUGIN"}, openApiEndpoint="eiam.example.com")
PKCS7 = application({"authnMethod": "PKCS7", "ecsMetadataEndpoint": "http://127.0.0.1:7081"})
SUBJECT = {"type": "oidcClient", "clientId": "c-1", "issuer": ISSUER}
KUBERNETES = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def test_parts_of_an_identity() -> None:
    """An identity with a token exchange has two parts, each with its place."""
    both = application(**EXCHANGE)

    assert list(identities.parts(FILE, "p.identity")) == [(FILE, "p.identity")]
    assert list(identities.parts(both, "p.identity")) == [
        (both, "p.identity"),
        (FILE, "p.identity.tokenExchange.subject"),
    ]


def test_method_of_an_identity() -> None:
    """A client has an authentication method with its place; a file, a command and an incomplete identity have none."""
    assert identities.method_of(PLUGIN, "p") == (PLUGIN.authn_configuration, "p.authnConfiguration")
    assert identities.method_of(client(), "p") == (client().client_authentication, "p.clientAuthentication")
    for other in (FILE, COMMAND, IdaasIdentity()):
        assert identities.method_of(other, "p") is None


TIMEOUTS = {"httpConfiguration": {"connectTimeout": 3000}}


def test_connection_of_an_identity() -> None:
    """A client has a connection and time limits; a file and a command have none."""
    proxy = {"connection": {"proxy": "none"}}
    for found in (application(**proxy, **TIMEOUTS), client(**proxy, **TIMEOUTS)):
        assert identities.connection_of(found) == Connection(proxy="none")
        assert identities.http_of(found) == HttpConfiguration(connect_timeout=3000)
    for other in (FILE, COMMAND):
        assert identities.connection_of(other) is None
        assert identities.http_of(other) is None
    assert HttpConfiguration() == HttpConfiguration(5000, 10000, False)


def test_instance_of_an_identity() -> None:
    """An application of IDaaS names its instance and its DeveloperAPI; other identities name neither."""
    found = application(developerApiEndpoint="api.example.com")

    assert identities.instance_of(found) == (idaas_keys()["idaasInstanceId"], "api.example.com")
    for other in (client(), FILE, COMMAND):
        assert identities.instance_of(other) == (None, None)


@pytest.mark.parametrize(
    ("identity", "endpoint"),
    [(PKCS7, "http://127.0.0.1:7081"), (PLUGIN, "http://100.100.100.200")]
    + [(other, None) for other in (application(), client(), FILE, COMMAND)],
)
def test_metadata_endpoint_of_an_identity(identity: Identity, endpoint: str | None) -> None:
    """PKCS7 and PLUGIN ask the ECS metadata service, by default at the cloud's address."""
    assert identities.metadata_endpoint(identity) == endpoint


@pytest.mark.parametrize(
    ("identity", "urls"),
    [
        (application(), [f"{BASE}/api/v2/iauths_system/oauth2/token"]),
        (application(tokenExchange={"subject": SUBJECT}), [f"{BASE}/api/v2/iauths_system/oauth2/token", ISSUER]),
        (PLUGIN, ["https://eiam.example.com"]),
        (client(), [ISSUER]),
        (client(tokenEndpoint=f"{ISSUER}/token"), [f"{ISSUER}/token"]),
        (client(issuer=None, tokenEndpoint=f"{ISSUER}/token"), [f"{ISSUER}/token"]),
        (IdaasIdentity(), []),
        (FILE, []),
        (COMMAND, []),
    ],
)
def test_urls_of_an_identity(identity: Identity, urls: list[str]) -> None:
    """The URLs that an identity contacts: the token endpoint, the issuer for discovery, or PLUGIN's OpenAPI."""
    owned = (identities.own_url(part, where) for part, where in identities.parts(identity, "identity"))
    assert [url for url in owned if url is not None] == urls


@pytest.mark.parametrize(
    ("method", "environ", "files"),
    [
        ({}, {}, [(KUBERNETES, READ_LATER)]),
        ({"oidcTokenFilePath": "/own"}, {}, []),
        ({"oidcTokenFilePathEnvVarName": "TOKEN_PATH"}, {"TOKEN_PATH": " /named "}, [("/named", READ_LATER)]),
        ({"oidcTokenFilePathEnvVarName": "TOKEN_PATH"}, {}, []),
        (None, {}, []),
    ],
)
def test_implied_files_of_an_identity(
    method: dict[str, str] | None, environ: dict[str, str], files: list[tuple[str, str]]
) -> None:
    """A token file that a variable names and an executable are watched. So are those of a token exchange's subject."""
    found = application() if method is None else application({"authnMethod": "OIDC", **method})
    outer = application(tokenExchange={"subject": idaas_keys(authnConfiguration={"authnMethod": "OIDC"})})

    assert list(identities.implied_files(found, environ)) == files
    assert list(identities.implied_files(outer, {})) == [(KUBERNETES, READ_LATER)]
    assert list(identities.implied_files(FILE, {})) == []
    assert list(identities.implied_files(CommandIdentity(("/bin/sh", "/x")), {})) == [("/bin/sh", READ_LATER)]


SECRET = {"clientAuthentication": {"method": "client_secret_basic", "clientSecretFile": "/secret"}}
PROXY = {"connection": {"proxy": "socks5://p:1"}}
INVALID: list[tuple[Identity, str]] = [
    (CommandIdentity(("sh",)), r"p\.command\[0\]: 'sh' must be an absolute path"),
    (TokenFileIdentity(), "p: tokenEnvVarName or tokenFile is required"),
    (application(clientId=None), r"p\.clientId: required"),
    (client(issuer=None), r"p\.issuer: required, unless tokenEndpoint is set"),
    (application(**PROXY), r"p\.connection\.proxy: a SOCKS proxy"),
    (client(**PROXY), r"p\.connection\.proxy: a SOCKS proxy"),
    (
        application(tokenExchange={"subject": SUBJECT | SECRET | PROXY}),
        r"p\.tokenExchange\.subject\.connection\.proxy: a SOCKS",
    ),
    (
        application(tokenExchange={"subject": {"type": "command", "command": ["sh"]}}),
        r"p\.tokenExchange\.subject\.command\[0\]: 'sh' must be",
    ),
]


@pytest.mark.parametrize(("identity", "message"), INVALID, ids=[message for _, message in INVALID])
def test_invalid_identity_is_refused(identity: Identity, message: str) -> None:
    """Each kind of identity is checked, its proxy too, and the subject of a token exchange with it."""
    with pytest.raises(ConfigError, match=f"^{message}"):
        require(identities.checks(identity, "p"))


@pytest.mark.parametrize(
    "identity",
    [
        application(),
        application(connection={"proxy": "none"}),
        client(connection={"proxy": "http://proxy.example.com:3128"}),
        FILE,
        COMMAND,
    ],
)
def test_valid_identity_passes(identity: Identity) -> None:
    """A complete identity of each kind passes, with any valid proxy."""
    require(identities.checks(identity, "p"))


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (application(), r"p\.authnConfiguration\.clientSecretEnvVarName: the environment variable IDAAS_SECRET is not"),
        (client(), r"p\.clientAuthentication\.clientSecretEnvVarName: the environment variable SECRET is not set"),
        (CommandIdentity(("/etc", "/bin/sh")), r"p\.command\[0\]: /etc: not a file"),
    ],
)
def test_missing_secret_or_executable_is_reported(identity: Identity, message: str) -> None:
    """The secrets and the executable that the settings name must exist."""
    with pytest.raises(ConfigError, match=f"^{message}"):
        require(identities.read_checks(identity, "p", {}))


@pytest.mark.parametrize("identity", [application(**EXCHANGE), client(), FILE, COMMAND])
def test_existing_secret_and_executable_are_accepted(identity: Identity) -> None:
    """An identity whose secret or executable exists passes; a token file and the subject are not read here."""
    require(identities.read_checks(identity, "p", {"IDAAS_SECRET": "s", "SECRET": "s"}))


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (TokenFileIdentity("/no/token"), r"p\.tokenFile: /no/token: no such file"),
        (
            client(clientAuthentication={"method": "client_assertion", "tokenFile": "/no/token"}),
            r"p\.clientAuthentication\.tokenFile: /no/token: no such file",
        ),
        (
            application({"authnMethod": "OIDC", "oidcTokenFilePath": "/no/token"}),
            r"p\.authnConfiguration\.oidcTokenFilePath: /no/token: no such file",
        ),
    ],
)
def test_missing_token_is_reported(identity: Identity, message: str) -> None:
    """A token that another program writes, as the identity or as its proof, may not exist yet."""
    with pytest.raises(NotThereYet, match=f"^{message}"):
        require(identities.token_checks(identity, "p", {}))


@pytest.mark.parametrize("identity", [application(**EXCHANGE), client(), COMMAND])
def test_identity_without_a_token_of_another_program(identity: Identity) -> None:
    """An identity that reads no token itself passes; the subject of its exchange is not visited."""
    require(identities.token_checks(identity, "p", {}))


async def test_token_is_dated_by_the_clock_of_its_server(tmp_path: Path) -> None:
    """A token of a server ends by the clock of that server; a file's token is judged by the clock of the context."""
    path = tmp_path / "token"
    path.write_text(token({"exp": NOW + 900}))
    surroundings = context(
        FakeHttp(answer({"access_token": token({}), "expires_in": 600})),
        environ={"SECRET": "s"},
        server_now=lambda url: NOW + (60 if url == f"{ISSUER}/token" else 0),
        is_synchronised=lambda: False,
        now=lambda: NOW + 1_000,
    )
    settings = client(tokenEndpoint=f"{ISSUER}/token")

    assert (await identities.build(settings, "p", surroundings, NO_REPORTS).token()).expires_at == NOW + 660
    file = identities.build(TokenFileIdentity(str(path)), "p", surroundings, NO_REPORTS)
    assert (await file.token()).expires_at == NOW + 900


TOKEN = token({"exp": NOW + 900})
TOKEN_ANSWER = answer({"access_token": TOKEN, "expires_in": 600})


async def test_source_of_each_kind(tmp_path: Path) -> None:
    """Each kind of identity has a token source; errors name the place of the identity."""
    environ = {"IDAAS_SECRET": "s", "SECRET": "s"}
    path = tmp_path / "token"
    path.write_text(TOKEN)

    file = identities.build(TokenFileIdentity(str(path)), "p", context(), NO_REPORTS)
    assert await file.token() == Token(TOKEN, NOW + 900)
    with pytest.raises(Unreachable, match=r"^p\.command: the command ended with status 3"):
        await identities.build(COMMAND, "p", context(), NO_REPORTS).token()
    for settings in (application(), client(tokenEndpoint=f"{ISSUER}/token")):
        surroundings = context(FakeHttp(TOKEN_ANSWER), environ=environ)
        assert await identities.build(settings, "p", surroundings, NO_REPORTS).token() == Token(TOKEN, NOW + 600)


async def test_token_of_the_subject_is_exchanged(tmp_path: Path) -> None:
    """The subject's token goes to the application's token endpoint with its type; the place names the subject."""
    path = tmp_path / "token"
    exchanging = application(tokenExchange={"subject": {"type": "tokenFile", "tokenFile": str(path)}})
    http = FakeHttp(TOKEN_ANSWER)
    source = identities.build(exchanging, "p", context(http, environ={"IDAAS_SECRET": "s"}), NO_REPORTS)

    with pytest.raises(NotThereYet, match=rf"^p\.tokenExchange\.subject\.tokenFile: {path}: no such file"):
        await source.token()
    path.write_text(TOKEN)
    assert await source.token() == Token(TOKEN, NOW + 600)

    assert {name: http.sent[0].fields.get(name) for name in ("grant_type", "subject_token", "subject_token_type")} == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": TOKEN,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
