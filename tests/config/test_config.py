"""Our file, the IDaaS SDK's, and the environment: what is taken, what is refused in which words, whose value wins."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config.json_schema import schema
from app.config.loader import Loaded, load
from app.core.errors import ConfigError
from app.emulator.crypto.pki import Authority
from app.emulator.world.world import PROVIDER_ARN, role_arn
from app.exchange.settings import PROVIDER_MANAGED, DeveloperApiExchange
from app.identity.idaas import IdaasIdentity
from app.identity.token_file import TokenFileIdentity

from ..conftest import ENVIRON, configuration, exchange, identity

Load = Callable[..., Loaded]
EXAMPLE = Path(__file__).parents[2] / "config.example.json"
SECRET = "Tr0ub4dor"


def profile(**changes: Any) -> dict[str, Any]:
    return {"identity": identity(), "exchange": exchange()} | changes


def with_identity(**changes: Any) -> dict[str, Any]:
    return configuration(profiles={"default": profile(identity=identity(**changes))})


def with_authn(method: str = "CLIENT_SECRET_POST", **keys: Any) -> dict[str, Any]:
    return with_identity(authnConfiguration={"authnMethod": method, **keys})


def with_exchange(**changes: Any) -> dict[str, Any]:
    return configuration(profiles={"default": profile(exchange=exchange(**changes))})


def written(path: Path, config: Any) -> Path:
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def complaint(loaded: Load, config: Any, environ: dict[str, str] | None = None) -> str:
    """What a configuration is refused with: one line, which names its file."""
    with pytest.raises(ConfigError) as caught:
        loaded(config, environ)
    text = str(caught.value)
    assert "\n" not in text
    file, _, rest = text.partition("config.json: ")
    assert file.startswith("/")
    return rest


# --- values and where they come from ----------------------------------------------------------------------------------


def test_the_least_that_works(tmp_path: Path) -> None:
    """Types, the session's name and everything else have defaults; their sources say so."""
    least = {key: value for key, value in identity().items() if key != "type"}
    arns = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN}
    config = configuration(profiles={"default": {"identity": least, "exchange": arns}})
    path = written(tmp_path / "c.json", config)

    found = load(str(path), ENVIRON, hostname="host-1", now=lambda: 5.0)

    settings = found.settings
    assert isinstance(settings.profiles["default"].identity, IdaasIdentity)
    assert settings.profiles["default"].exchange.role_session_name == "host-1"
    assert settings.profiles["default"].exchange.duration_seconds == 3600
    assert (settings.server.bind, settings.server.ops, settings.server.metadata) == (
        "127.0.0.1:7117",
        "127.0.0.1:7118",
        None,
    )
    assert (settings.startup.gate, settings.startup.timeout_seconds, settings.shutdown.drain_seconds) == (
        "credentials",
        60,
        25,
    )
    assert found.origin == str(path)
    assert found.at == 5.0
    assert found.warnings == ()
    assert found.sources["profiles.default.exchange.roleSessionName"] == "host name"
    assert found.sources["profiles.default.identity.scope"] == str(path)
    assert "server.bind" not in found.sources


def test_the_workload_names_the_session(loaded: Load) -> None:
    """In a pod the session is `{namespace}.{pod}`, and `config --show` can say why."""
    environ = ENVIRON | {"POD_NAMESPACE": "shop", "POD_NAME": "cart-1"}

    found = loaded(with_exchange(roleSessionName=None), environ)

    assert found.settings.profiles["default"].exchange.role_session_name == "shop.cart-1"
    assert found.sources["profiles.default.exchange.roleSessionName"] == "environment POD_NAMESPACE and POD_NAME"


def test_variables_are_put_in(loaded: Load, tmp_path: Path) -> None:
    """`${VAR}` works in ARNs, session names and paths, `~` in paths; the origin says which variable."""
    written(tmp_path / "secret", "s")
    authn = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "~/secret"}
    config = configuration(
        profiles={
            "default": {
                "identity": identity(authnConfiguration=authn),
                "exchange": exchange(roleArn="acs:ram::1:role/${NS}-${APP}", roleSessionName="${APP}"),
            }
        }
    )

    found = loaded(config, {"NS": "shop", "APP": "cart", "HOME": str(tmp_path)})

    used = found.settings.profiles["default"]
    assert used.exchange.role_arn == "acs:ram::1:role/shop-cart"
    assert used.exchange.role_session_name == "cart"
    assert isinstance(used.identity, IdaasIdentity)
    assert used.identity.authn_configuration is not None
    assert used.identity.authn_configuration.client_secret_file == f"{tmp_path}/secret"
    assert found.sources["profiles.default.exchange.roleArn"] == f"{found.origin} with ${{NS}}, ${{APP}}"


def test_variables_stay_where_they_do_not_belong(loaded: Load) -> None:
    """A policy may have variables of its own, and a scope is literal."""
    policy = {"Statement": [{"Resource": "acs:oss:*:*:${acs:RequestTag}/*", "roleArn": "${NOT_SET}"}]}
    config = with_exchange(policy=policy)

    assert loaded(config).settings.profiles["default"].exchange.policy == policy


def test_the_trust_store_of_the_environment(loaded: Load, tmp_path: Path) -> None:
    """$SSL_CERT_FILE is tls.caFile's default, and the file's own word comes before it."""
    ours, theirs = (written(tmp_path / name, "-----BEGIN CERTIFICATE-----\n") for name in ("ours.pem", "theirs.pem"))
    environ = ENVIRON | {"SSL_CERT_FILE": str(theirs)}

    by_environment = loaded(None, environ)
    by_file = loaded(configuration(tls={"caFile": str(ours)}), environ)

    assert by_environment.settings.tls.ca_file == str(theirs)
    assert by_environment.sources["tls.caFile"] == "environment SSL_CERT_FILE"
    assert by_file.settings.tls.ca_file == str(ours)


def test_search_order(tmp_path: Path) -> None:
    """The argument, then $IDAAS_SIDECAR_CONFIG, then the place in /etc."""
    first, second, third = (written(tmp_path / f"{name}.json", configuration()) for name in "abc")
    environ = ENVIRON | {"IDAAS_SIDECAR_CONFIG": str(second)}

    def origin(path: Path | None, environ: dict[str, str]) -> str:
        named = str(path) if path else None
        return load(named, environ, hostname="h", now=lambda: 0.0, default_path=third).origin

    assert origin(first, environ) == str(first)
    assert origin(None, environ) == str(second)
    assert origin(None, ENVIRON) == str(third)


def test_what_it_names_need_not_be_there_for_everybody(tmp_path: Path) -> None:
    """A command that uses no secret loads a file whose secrets are in another container."""
    path = written(tmp_path / "c.json", configuration())

    assert load(str(path), {}, hostname="h", now=lambda: 0.0, look=False).settings.profiles["default"]


# --- no file ----------------------------------------------------------------------------------------------------------

ARNS = {"ALIBABA_CLOUD_ROLE_ARN": role_arn("default"), "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER_ARN}
SDK_FILE = identity(authnConfiguration={"authn_method": "CLIENT_SECRET_BASIC", "client_secret_env_var_name": "S"})


def from_environment(tmp_path: Path, **environ: str) -> Loaded:
    complete = {"HOME": str(tmp_path), **environ}
    return load(None, complete, hostname="host-1", now=lambda: 0.0, default_path=tmp_path / "none.json")


def sdk_file(tmp_path: Path, **changes: Any) -> Path:
    (tmp_path / ".cloud_idaas").mkdir()
    return written(tmp_path / ".cloud_idaas" / "client-config.json", SDK_FILE | changes)


def test_two_variables_beside_the_sdk(tmp_path: Path) -> None:
    """The SDK's file in the home directory and two ARNs are enough; each value knows its variable or file."""
    path = sdk_file(tmp_path)

    found = from_environment(tmp_path, S="x", **ARNS)

    assert found.origin == "environment"
    assert list(found.settings.profiles) == ["default"]
    used = found.settings.profiles["default"].identity
    assert isinstance(used, IdaasIdentity)
    assert used.scope == "api.demo.example|.all"
    assert found.sources["profiles.default.exchange.roleArn"] == "environment ALIBABA_CLOUD_ROLE_ARN"
    assert found.sources["profiles.default.identity.clientConfigPath"] == "the IDaaS SDK's own path"
    assert found.sources["profiles.default.identity.authnConfiguration.authnMethod"] == str(path)
    assert "profiles.default.identity.httpConfiguration.readTimeout" not in found.sources


def test_all_variables(tmp_path: Path) -> None:
    """A token file, session name, region and VPC flag are read from the names that Alibaba SDKs use."""
    token = written(tmp_path / "token", "x")

    found = from_environment(
        tmp_path,
        **ARNS,
        ALIBABA_CLOUD_OIDC_TOKEN_FILE=str(token),
        ALIBABA_CLOUD_ROLE_SESSION_NAME="mine",
        ALIBABA_CLOUD_STS_REGION="cn-beijing",
        ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED="True",
    )

    used = found.settings.profiles["default"]
    assert used.identity == TokenFileIdentity(token_file=str(token))
    assert (used.exchange.role_session_name, used.exchange.region_id, used.exchange.vpc) == ("mine", "cn-beijing", True)
    assert found.sources["profiles.default.identity.tokenFile"] == "environment ALIBABA_CLOUD_OIDC_TOKEN_FILE"
    assert found.sources["profiles.default.exchange.vpc"] == "environment ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"


def test_a_role_without_a_provider_is_managed_by_idaas(tmp_path: Path) -> None:
    """The role alone, beside an SDK's file that knows the DeveloperAPI: its own scope is not needed."""
    sdk_file(tmp_path, scope=None, developerApiEndpoint="eiam-developerapi.cn-hangzhou.aliyuncs.com")

    found = from_environment(tmp_path, S="x", ALIBABA_CLOUD_ROLE_ARN=role_arn("default"))

    used = found.settings.profiles["default"]
    assert used.exchange == DeveloperApiExchange(role_arn=role_arn("default"))
    assert isinstance(used.identity, IdaasIdentity)
    assert used.identity.scope == PROVIDER_MANAGED
    assert found.sources["profiles.default.identity.scope"] == "the DeveloperAPI's own"


def test_the_vpc_flag_alone_says_nothing(tmp_path: Path) -> None:
    """Without a region the SDKs ignore the VPC flag, and so do we."""
    sdk_file(tmp_path)

    found = from_environment(tmp_path, S="x", ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED="true", **ARNS)

    assert found.settings.profiles["default"].exchange.vpc is False


NO_FILE = [
    ({}, "no configuration: no --config, no $IDAAS_SIDECAR_CONFIG, no "),
    ({"CLOUD_IDAAS_CONFIG_PATH": "SDK", "S": "x"}, "ALIBABA_CLOUD_ROLE_ARN: not set; name the RAM role"),
    ({"CLOUD_IDAAS_CONFIG_PATH": "SDK", "S": "x", "ALIBABA_CLOUD_ROLE_ARN": " "}, "ALIBABA_CLOUD_ROLE_ARN: not set"),
    (
        {"CLOUD_IDAAS_CONFIG_PATH": "SDK", "S": "x", "ALIBABA_CLOUD_ROLE_ARN": role_arn("default")},
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: not set, which stands for a role that IDaaS manages: required to find",
    ),
    (
        {"CLOUD_IDAAS_CONFIG_PATH": "SDK", "S": "x", **ARNS, "ALIBABA_CLOUD_ROLE_ARN": "wrong"},
        "ALIBABA_CLOUD_ROLE_ARN: 'wrong' is not the ARN of a role",
    ),
    ({"CLOUD_IDAAS_CONFIG_PATH": "SDK", **ARNS}, "SDK: authnConfiguration.clientSecretEnvVarName: the environment"),
    ({"CLOUD_IDAAS_CONFIG_PATH": "/nowhere.json", **ARNS}, "CLOUD_IDAAS_CONFIG_PATH: /nowhere.json: no such file"),
    (
        {"CLOUD_IDAAS_CONFIG_PATH": "SDK", "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", "S": "x", **ARNS},
        "two identities: the IDaaS SDK's file SDK and ALIBABA_CLOUD_OIDC_TOKEN_FILE=/t; remove one",
    ),
    (
        {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", **ARNS, "ALIBABA_CLOUD_STS_REGION": "Hangzhou!"},
        "ALIBABA_CLOUD_STS_REGION: 'Hangzhou!' is not a region's id",
    ),
    (
        {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", **ARNS, "ALIBABA_CLOUD_ROLE_SESSION_NAME": "a b"},
        "ALIBABA_CLOUD_ROLE_SESSION_NAME: 'a b' must be 2 to 64",
    ),
    ({"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", **ARNS, "SSL_CERT_FILE": "/ca"}, "SSL_CERT_FILE: /ca: no such file"),
    (
        {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", **ARNS, "HTTPS_PROXY": f"socks5://u:{SECRET}@proxy:1080"},
        "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: not a proxy of the form http://host:port",
    ),
    ({"IDAAS_SIDECAR_CONFIG": "/nowhere.json"}, "/nowhere.json: no such file"),
]


@pytest.mark.parametrize(("environ", "words"), NO_FILE)
def test_no_file_complaints(environ: dict[str, str], words: str, tmp_path: Path) -> None:
    """What is missing or wrong in the environment is named by its variable, or by the SDK's file."""
    path = str(written(tmp_path / "sdk.json", SDK_FILE))
    named = {name: path if value == "SDK" else value for name, value in environ.items()}

    with pytest.raises(ConfigError) as caught:
        from_environment(tmp_path, **named)

    assert str(caught.value).startswith(words.replace("SDK's", "@").replace("SDK", path).replace("@", "SDK's"))
    assert SECRET not in str(caught.value)


# --- what is refused --------------------------------------------------------------------------------------------------

VERSION = "configVersion"
IDENTITY = "profiles.default.identity"
EXCHANGE = "profiles.default.exchange"
AUTHN = f"{IDENTITY}.authnConfiguration"

BAD: list[tuple[Any, str]] = [
    # versions
    ({}, 'configVersion: required; write "configVersion": "1.0"'),
    (configuration(configVersion=1.0), 'configVersion: must be a string of two numbers, such as "1.0"'),
    (configuration(configVersion="1"), "configVersion: must be a string of two numbers"),
    (configuration(configVersion="9" * 5000 + ".0"), "configVersion: must be a string of two numbers"),
    (configuration(configVersion="2.0"), "configVersion: 2.0 is not supported; this program reads 1.x"),
    # profiles
    ({VERSION: "1.0"}, "profiles: required"),
    (configuration(profiles={}), "profiles: empty; at least one is needed"),
    (configuration(profiles=[]), "profiles: must be an object, not an array"),
    (configuration(profiles={"default": "x"}), "profiles.default: must be an object"),
    (configuration(profiles={"default": None}), "profiles.default: must be an object"),
    (configuration(profiles={"Prod": profile()}), "profiles.Prod: a profile's name is 1 to 63 of a-z 0-9 . _ -"),
    (configuration(profiles={"": profile()}), 'profiles."": a profile\'s name'),
    (configuration(profiles={"a\nb": profile()}), 'profiles."a\\nb": a profile\'s name'),
    (configuration(profiles={"default": {"exchange": exchange()}}), "profiles.default.identity: required"),
    (configuration(profiles={"default": {"identity": identity()}}), "profiles.default.exchange: required"),
    (configuration(profiles={"default": profile(identity=3)}), f"{IDENTITY}: must be an object, not a whole number"),
    # unknown keys
    (configuration(servers={}), "servers: unknown key; did you mean server?"),
    (configuration(server={"bnid": "x"}), "server.bnid: unknown key; did you mean bind?"),
    (configuration(tls={"x": 1}), "tls.x: unknown key; known are caFile"),
    (configuration(telemetry={"otlp": 1}), "telemetry.otlp: unknown key; nothing can be set here in this version"),
    (
        configuration(profiles={"default": profile(chian=[])}),
        "profiles.default.chian: unknown key; did you mean chain?",
    ),
    (with_exchange(rolearn="x"), f"{EXCHANGE}.rolearn: unknown key; did you mean roleArn?"),
    (configuration(**{"a b\n": 1}), '"a b\\n": unknown key; known are $schema, access'),
    # words
    (with_authn("CLIENT_SECRET_BASE"), f"{AUTHN}.authnMethod: 'CLIENT_SECRET_BASE' is not known in this version,"),
    (
        with_authn("PKCS8"),
        f"{AUTHN}.authnMethod: 'PKCS8' is not known in this version, which accepts CLIENT_SECRET_",
    ),
    (with_authn("PKCS7"), f"{AUTHN}.applicationFederatedCredentialName: required with PKCS7"),
    (with_identity(type="oidc"), f"{IDENTITY}.type: 'oidc' is not known in this version, which accepts"),
    (with_identity(type="tokenfile"), f"{IDENTITY}.type: 'tokenfile' is not known"),
    (with_identity(type=3), f"{IDENTITY}.type: must be a string"),
    (with_exchange(type="developerAPI"), f"{EXCHANGE}.type: 'developerAPI' is not known in this version, which"),
    (with_exchange(type="developerApi"), f"{EXCHANGE}.oidcProviderArn: unknown key; known are connection"),
    (configuration(logging={"level": "warn"}), "logging.level: 'warn' is not known in this version, which accepts"),
    # types and limits
    (configuration(server={"ops": 7118}), "server.ops: must be a string or null, not a whole number"),
    (with_exchange(durationSeconds=60), f"{EXCHANGE}.durationSeconds: must be at least 900"),
    (with_exchange(durationSeconds=43201), f"{EXCHANGE}.durationSeconds: must be at most 43200"),
    (with_exchange(durationSeconds=3600.5), f"{EXCHANGE}.durationSeconds: must be a whole number, not a fraction"),
    (with_exchange(roleArn=None), f"{EXCHANGE}.roleArn: must be a string, not null"),
    (
        with_identity(httpConfiguration={"readTimeout": 5}),
        f"{IDENTITY}.httpConfiguration.readTimeout: must be at least",
    ),
    (configuration(startup={"timeoutSeconds": 0}), "startup.timeoutSeconds: must be more than 0"),
    (configuration(refresh={"minRetrySeconds": 60, "maxRetrySeconds": 1}), "refresh"),
    # metadata
    (
        configuration(metadata={"values": {"Region": "x"}}),
        "metadata.values.Region: not a name below /latest/meta-data/",
    ),
    (
        configuration(metadata={"values": {"ram/x": "x"}}),
        'metadata.values."ram/x": names that begin with ram belong to the role',
    ),
    (configuration(metadata={"values": {"vpc-id": "a\nb"}}), "metadata.values.vpc-id: must be 1 to 1024 printable"),
    (
        configuration(metadata={"values": {"vpc-id": "${NO}"}}),
        "metadata.values.vpc-id: the environment variable NO is not set",
    ),
    (
        configuration(metadata={"identityDocument": True}),
        "metadata.identityDocument: needs metadata.values.instance-id",
    ),
    # the cache
    (
        configuration(profiles={"default": profile(callers={})}),
        "profiles.default.callers: empty; list uids or gids, or leave it",
    ),
    (configuration(profiles={"default": profile(chain=[{}])}), "profiles.default.chain[0].roleArn: required"),
    (configuration(access={"requestsPerSecond": 0}), "access.requestsPerSecond: must be more than 0"),
    (
        configuration(server={"adminSocket": "run/s"}),
        "server.adminSocket: 'run/s' is neither an absolute path nor @name",
    ),
    (configuration(access={"pathToken": "s3cretS3cretS3cret"}), "access.pathToken: this word is not known"),
    (configuration(cache={"directory": "/c"}), "cache: keyEnvVarName or keyFile is required"),
    (configuration(cache={"directory": "/c", "keyFile": "/k", "keyEnvVarName": "K"}), "cache: keyEnvVarName and keyF"),
    (configuration(cache={"directory": "c", "keyEnvVarName": "LONG"}), "cache.directory: 'c' is not an absolute path"),
    (
        configuration(cache={"directory": "/c", "keyFile": "/c/key"}),
        "cache.keyFile: lies in cache.directory, so a reader",
    ),
    (
        configuration(cache={"directory": "/c", "keyEnvVarName": "SHORT"}),
        "cache: the key has 9 characters; it must have",
    ),
    (configuration(cache={"keyEnvVarName": "LONG"}), "cache.directory: required with a key; leave the key out"),
    # identity
    (with_identity(scope=None), f"{IDENTITY}.scope: required; it reads <audience>|<value>"),
    (with_identity(scope="openid"), f"{IDENTITY}.scope: 'openid' must read <audience>|<value> with exactly one |"),
    (with_identity(clientId=""), f"{IDENTITY}.clientId: required"),
    (with_identity(idaasInstanceId=None), f"{IDENTITY}.idaasInstanceId: required"),
    (with_identity(issuer=None), f"{IDENTITY}.issuer: required"),
    (with_identity(tokenEndpoint=None), f"{IDENTITY}.tokenEndpoint: required"),
    (with_identity(authnConfiguration=None), f"{IDENTITY}.authnConfiguration: required"),
    (with_identity(authnConfiguration={}), f"{AUTHN}.authnMethod: required"),
    (with_identity(tokenEndpoint="http://login.example.com/token"), f"{IDENTITY}.tokenEndpoint: 'http://login.exa"),
    (
        with_identity(clientConfigPath="/c.json"),
        f"{IDENTITY}: clientConfigPath stands beside idaasInstanceId, clientId",
    ),
    (
        configuration(profiles={"default": profile(identity={"clientConfigPath": "/nowhere.json"})}),
        f"{IDENTITY}.clientConfigPath: /nowhere.json: no such file",
    ),
    # secrets
    (with_authn(), f"{AUTHN}: clientSecretEnvVarName or clientSecretFile is required"),
    (with_authn(clientSecretEnvVarName="A", clientSecretFile="/b"), f"{AUTHN}: clientSecretEnvVarName and clientSecre"),
    (with_authn(clientSecretEnvVarName="NOT_SET"), f"{AUTHN}.clientSecretEnvVarName: the environment variable NOT_SET"),
    (with_authn(clientSecretFile="/nowhere"), f"{AUTHN}.clientSecretFile: /nowhere: no such file"),
    (with_authn(clientSecretFile="/"), f"{AUTHN}.clientSecretFile: /: not a regular file"),
    (with_authn("PRIVATE_KEY_JWT"), f"{AUTHN}: privateKeyEnvVarName or privateKeyFile is required"),
    (
        with_authn("PRIVATE_KEY_JWT", privateKeyEnvVarName="IDAAS_SECRET"),
        f"{AUTHN}: no usable private key: damaged, or not a private key",
    ),
    (
        with_authn("PRIVATE_KEY_JWT", privateKeyEnvVarName="IDAAS_SECRET", privateKeyPasswordEnvVarName="NOT_SET"),
        f"{AUTHN}.privateKeyPasswordEnvVarName: the environment variable NOT_SET",
    ),
    (configuration(access={"pathToken": {}}), "access.pathToken: envVarName or file is required"),
    (
        configuration(access={"pathToken": {"envVarName": "SHORT"}}),
        "access.pathToken: the secret must be 16 or more of",
    ),
    # ARNs
    (
        with_exchange(roleArn="acs:ram::1:user/x"),
        f"{EXCHANGE}.roleArn: 'acs:ram::1:user/x' is not the ARN of a role; it rea",
    ),
    (
        with_exchange(oidcProviderArn=role_arn("default")),
        f"{EXCHANGE}.oidcProviderArn: 'acs:ram::1234567890123456:role",
    ),
    (with_exchange(roleArn="acs:ram::1:role/${NOT_SET}"), f"{EXCHANGE}.roleArn: the environment variable NOT_SET is n"),
    (with_exchange(roleSessionName="x"), f"{EXCHANGE}.roleSessionName: 'x' must be 2 to 64 of A-Z a-z 0-9 . @ - _"),
    # endpoints
    (with_exchange(endpoints=[]), f"{EXCHANGE}.endpoints: empty"),
    (
        with_exchange(endpoints=["http://sts.example.com"]),
        f"{EXCHANGE}.endpoints[0]: 'http://sts.example.com' would se",
    ),
    (with_exchange(endpoints=None, vpc=True), f"{EXCHANGE}.vpc: needs regionId"),
    (with_exchange(policy="{"), f"{EXCHANGE}.policy: not JSON"),
    (with_exchange(policy="[]"), f"{EXCHANGE}.policy: must be a JSON object"),
    (with_exchange(policy={"x": "y" * 2048}), f"{EXCHANGE}.policy: 2056 characters when minified; STS takes 2048"),
    # files
    (
        configuration(profiles={"default": profile(files=[{"path": "rel.ini"}])}),
        "profiles.default.files[0].path: 'rel.ini' is not an absolute path",
    ),
    (
        configuration(profiles={"default": profile(files=[{"path": "/a/b"}, {"path": "/a/./b", "format": "json"}])}),
        "profiles.default.files[1].path: /a/./b is already written by profiles.default.files[0].path; choose",
    ),
    # listeners
    (configuration(server={"bind": "7117"}), "server.bind: '7117' is not <IP address>:<port>, such as 127.0.0.1:7117"),
    (configuration(server={"bind": "127.0.0.1:99999"}), "server.bind: '127.0.0.1:99999' is not <IP address>:<port>"),
    (
        configuration(server={"bind": "sidecar:1"}),
        "server.bind: 'sidecar' is not an IP address; names are not resolved",
    ),
    (configuration(server={"bind": "0.0.0.0:7117"}), "server.bind: 0.0.0.0:7117 is reachable from other machines; use"),
    (
        configuration(server={"metadata": "10.0.0.1:80"}),
        "server.metadata: 10.0.0.1:80 is reachable from other machines",
    ),
    (
        configuration(server={"ops": "127.0.0.1:7117"}),
        "server.ops: 127.0.0.1:7117 is taken by server.bind; choose anot",
    ),
    (configuration(server={"ops": "0.0.0.0:7117"}), "server.ops: 0.0.0.0:7117 is taken by server.bind; choose another"),
    (
        configuration(server={"metadata": "127.0.0.1:80"}, access={"pathToken": {"envVarName": "LONG"}}),
        "server.metadata: its clients cannot send access.pathToken; set access.metadataTokens to required",
    ),
    (configuration(access={"allowedHosts": []}), "access.allowedHosts: empty, so no client would be served"),
    (
        configuration(access={"allowedHosts": ["a:80"]}),
        "access.allowedHosts[0]: 'a:80' is not a host; write it without",
    ),
    # the way out
    (configuration(tls={"caFile": "/nowhere.pem"}), "tls.caFile: /nowhere.pem: no such file"),
    (configuration(tls={"caFile": "/no\nwhere"}), "tls.caFile: /no\\nwhere: no such file"),
    (configuration(tls={"caFile": str(EXAMPLE)}), f"tls.caFile: {EXAMPLE}: holds no PEM certificate"),
    (configuration(proxy="proxy.example.com:8080"), "proxy: not a proxy of the form http://host:port or https://"),
    # JSON
    ("[]", "must hold one JSON object, {…}"),
    ('{"server": {"bind": "a", "bind": "b"}}', 'the key "bind" appears twice in one object; remove one'),
    ('{"profiles": {"default": {}, "default": {}}}', 'the key "default" appears twice in one object; remove one'),
    ('{"configVersion": "\\ud800"}', "not UTF-8 text"),
    ('{"configVersion": NaN}', "not JSON: a number is invalid or too long"),
    ('{"configVersion": ' + "9" * 5000 + "}", "not JSON: a number is invalid or too long"),
    ('{"a":' * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("config", "words"), BAD, ids=[f"{number}" for number in range(len(BAD))])
def test_what_cannot_work_is_refused(config: Any, words: str, tmp_path: Path) -> None:
    """A line for each mistake, which names the place, what is wrong there, and what would be right."""
    path = written(tmp_path / "config.json", config)
    environ = ENVIRON | {"SHORT": "too-short", "LONG": "long-enough-path-token"}

    with pytest.raises(ConfigError) as caught:
        load(str(path), environ, hostname="h", now=lambda: 0.0)

    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"{path}: {words}") for line in lines)
    assert all(line.startswith(str(path)) for line in lines)


def test_where_json_breaks(tmp_path: Path) -> None:
    """A syntax error is named as editors name places."""
    path = written(tmp_path / "config.json", '{\n  "configVersion": "1.0",\n}')

    with pytest.raises(ConfigError, match=r"config\.json:3:1: not JSON: "):
        load(str(path), {}, hostname="h", now=lambda: 0.0)


def test_other_files_are_named(loaded: Load, tmp_path: Path) -> None:
    """What is wrong in the SDK's file is told with that file's name, not ours."""
    path = written(tmp_path / "client-config.json", identity(scope="openid"))
    config = configuration(profiles={"default": profile(identity={"clientConfigPath": str(path)})})

    with pytest.raises(ConfigError) as caught:
        loaded(config)

    assert str(caught.value).startswith(f"{path}: scope: 'openid' must read")


CANARIES: list[Any] = [
    with_authn(clientSecret=SECRET),
    with_identity(clientSecret=SECRET),
    configuration(profiles={"default": profile(password=SECRET)}),
    with_authn("PRIVATE_KEY_JWT", privateKey=SECRET),
    with_authn(clientSecretEnvVarName=SECRET),
    with_authn(clientSecretEnvVarName=f"{SECRET}/+="),
    with_authn(clientSecretFile=SECRET),
    with_authn("PRIVATE_KEY_JWT", privateKeyFile=f"-----BEGIN {SECRET}"),
    with_authn("PRIVATE_KEY_JWT", privateKeyEnvVarName="KEY"),
    with_identity(tokenEndpoint=f"https://u:{SECRET}@login.example.com/token"),
    with_exchange(endpoints=[f"https://u:{SECRET}@sts.example.com"]),
    configuration(access={"pathToken": SECRET}),
    configuration(access={"pathToken": {"envVarName": SECRET}}),
    configuration(access={"pathToken": {"envVarName": "KEY"}}),
    configuration(proxy=f"u:{SECRET}@proxy:1"),
    configuration(proxy=f"socks5://u:{SECRET}@proxy:1080"),
    configuration(proxy=f"http://u:{SECRET}@proxy:port"),
]


@pytest.mark.parametrize("config", CANARIES, ids=[f"{number}" for number in range(len(CANARIES))])
def test_a_secret_in_the_wrong_place_is_not_repeated(config: Any, loaded: Load) -> None:
    """Whoever writes a secret where its name belongs is told so without it."""
    assert SECRET not in complaint(loaded, config, {**ENVIRON, "KEY": SECRET})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (with_authn(clientSecret="x"), "use clientSecretEnvVarName or clientSecretFile"),
        (with_authn(privateKey="x"), "use privateKeyEnvVarName or privateKeyFile"),
        (with_identity(clientSecret="x"), "name an environment variable or a file instead"),
        (with_exchange(accessKeySecret="x"), "name an environment variable or a file instead"),
    ],
)
def test_a_secret_has_another_place(config: Any, words: str, loaded: Load) -> None:
    """A key that would hold a secret gets the cure instead of a did-you-mean."""
    assert complaint(loaded, config).endswith(f"unknown key; secrets are never in this file: {words}")


def test_words_are_suggested(loaded: Load) -> None:
    """A misspelt word gets a did-you-mean, as keys do."""
    assert complaint(loaded, with_authn("CLIENT_SECRET_BASICS")).endswith("; did you mean CLIENT_SECRET_BASIC?")


# --- what is only warned about ----------------------------------------------------------------------------------------


def test_a_link_to_a_key_beside_the_data(loaded: Load, tmp_path: Path) -> None:
    """A key that only another name leads away from the cache's directory lies in it all the same."""
    (tmp_path / "kept").mkdir()
    written(tmp_path / "kept" / "key", "0123456789abcdef" * 4)
    (tmp_path / "key").symlink_to("kept/key")
    (tmp_path / "way").symlink_to("kept")
    for directory, key in (("kept", "key"), ("way", "kept/key"), ("kept", "way/key")):
        cache = {"directory": str(tmp_path / directory), "keyFile": str(tmp_path / key)}
        with pytest.raises(ConfigError, match=r"cache.keyFile: lies in cache.directory"):
            loaded(configuration(cache=cache))


def test_a_newer_minor_version_is_read(loaded: Load) -> None:
    """Below a newer file an older program works on: what it does not know is a warning each."""
    config = configuration(configVersion="1.7", shiny={"a": 1}, server={"bind": "127.0.0.1:1", "shinier": 2})

    found = loaded(config)

    assert found.settings.server.bind == "127.0.0.1:1"
    assert [warning.partition(":")[0] for warning in found.warnings] == ["shiny", "server.shinier"]
    assert all(
        warning.endswith("because the file's configVersion is newer than this program's") for warning in found.warnings
    )


WARNED = [
    (with_exchange(durationSeconds=900), "profiles.default.exchange.durationSeconds: sessions of 900 s never leave"),
    (with_exchange(durationSeconds=1800), "profiles.default.exchange.durationSeconds: sessions of 1800 s are replaced"),
    (
        with_identity(httpConfiguration={"unsafeIgnoreSslCert": True}),
        "profiles.default.identity.httpConfiguration.unsafeIgnoreSslCert: TLS VERIFICATION IS OFF",
    ),
    (
        configuration(access={"unsafeBind": True}, server={"bind": "0.0.0.0:1"}),
        "access.unsafeBind: credentials may be served on addresses that other machines reach",
    ),
    (
        configuration(profiles={"default": profile(identity={"type": "tokenFile", "tokenFile": "/nowhere"})}),
        "profiles.default.identity.tokenFile: /nowhere: no such file; waiting for the program that writes it",
    ),
]


@pytest.mark.parametrize(("config", "words"), WARNED, ids=[words.partition(":")[0] for _, words in WARNED])
def test_what_works_badly_is_warned_about(config: Any, words: str, loaded: Load) -> None:
    """What works, but worse than its owner may think, is said once and does not stop us."""
    warnings = loaded(config).warnings

    assert len(warnings) == 1
    assert warnings[0].startswith(words)


ACCEPTED = [
    configuration(server={"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"}),
    configuration(server={"bind": "[::1]:7117", "ops": "127.0.0.1:7117"}),
    configuration(server={"bind": "100.100.100.200:80", "ops": "0.0.0.0:7118"}),
    configuration(server={"ops": None}),
    configuration(proxy="http://user:password@proxy.example.com:8080"),
    configuration(**{"$schema": "https://schemas.example.com/sidecar.json"}),
    with_exchange(policy='{"Version": "1"}'),
    with_exchange(policy={"Version": "1"}),
]


@pytest.mark.parametrize("config", ACCEPTED, ids=[f"{number}" for number in range(len(ACCEPTED))])
def test_what_works_is_accepted_in_silence(config: Any, loaded: Load) -> None:
    """What looks close to a mistake and is none."""
    assert loaded(config).warnings == ()


# --- the schema and the example ---------------------------------------------------------------------------------------

MORE = ("machine", "pod", "certificate", "instance", "okta", "agent", "exchanged")

NOT_IN_THE_EXAMPLE = {"$schema"}
"""`$schema` is the user's own, for an editor."""


@pytest.fixture
def example() -> Any:
    return json.loads(EXAMPLE.read_text())


def environment_of_the_example(tmp_path: Path) -> dict[str, str]:
    """Everything that the example names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"of-the-key"),
    )
    (tmp_path / "idaas-key.pem").write_bytes(key)
    written(tmp_path / "idaas-client-secret", "of-the-client")
    written(tmp_path / "path-token", "0123456789abcdef")
    written(tmp_path / "cache-key", "0123456789abcdef" * 4)
    sdk_file(tmp_path)
    issued = Authority("demo", time.time).issue("app_example5")
    for name, text in (("tls.key", issued.key_pem), ("tls.crt", issued.leaf_pem), ("ca.crt", issued.chain_pem)):
        written(tmp_path / name, text)
    return {
        "TOKEN_COMMAND": sys.executable,
        "HOME": str(tmp_path),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "IDAAS_KEY_PASSWORD": "of-the-key",
        "POD_NAMESPACE": "shop",
        "POD_NAME": "cart-1",
        "S": "of-the-sdk",
    }


def test_the_example_loads(tmp_path: Path) -> None:
    """config.example.json works where what it names is there; its token file is still to be written."""
    found = load(str(EXAMPLE), environment_of_the_example(tmp_path), hostname="h", now=lambda: 0.0)

    assert list(found.settings.profiles) == ["default", "reports", "sdk", "secret", *MORE]
    assert found.settings.profiles["default"].exchange.role_arn.endswith(":role/shop-app")
    assert found.settings.profiles["sdk"].exchange.role_session_name == "batch-cart-1"
    assert [warning.partition(":")[0] for warning in found.warnings] == [
        "profiles.reports.identity.tokenFile",
        "profiles.exchanged.identity.tokenExchange.subject.tokenFile",
    ]


def test_the_example_has_every_key(example: Any) -> None:
    """Each key of the schema stands somewhere in the example."""
    keys = {key for part in (schema(), *schema()["$defs"].values()) for key in part["properties"]}

    assert keys - set(keys_of(example)) == NOT_IN_THE_EXAMPLE


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


def test_the_schema_takes_what_the_loader_takes(example: Any) -> None:
    """The schema is valid itself, and takes the example and files that leave their types out."""
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    least = {key: value for key, value in identity().items() if key != "type"}

    assert [error.message for error in validator.iter_errors(example)] == []
    assert validator.is_valid(configuration(profiles={"default": profile(identity=least)}))


@pytest.mark.parametrize(
    "config",
    [
        {},
        configuration(servers={}),
        configuration(profiles={}),
        configuration(profiles={"Prod": profile()}),
        configuration(configVersion=1),
        with_authn(clientSecret="x"),
        with_authn("PKCS8"),
        with_exchange(durationSeconds=60),
        with_exchange(type="developerAPI"),
        configuration(cache={"directory": 5}),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(config: Any, loaded: Load) -> None:
    """An editor underlines what the program would not start with."""
    complaint(loaded, config)

    assert not jsonschema.Draft202012Validator(schema()).is_valid(config)


def test_the_schema_explains_each_key() -> None:
    """Every key has a description, its own or its object's, and no title is a class's name."""
    parts = schema()["$defs"]
    for part in (schema(), *parts.values()):
        assert part["description"]
        assert " " in part["title"] or part["title"].islower()
        for name, member in part["properties"].items():
            reference = str(member.get("$ref") or [option.get("$ref") for option in member.get("anyOf", [])])
            assert "description" in member or "#/$defs/" in reference, name
