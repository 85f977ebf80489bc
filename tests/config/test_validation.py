"""Invalid configurations: each mistake is refused in one line that names its key, the problem and a fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config.loader import load
from app.core.errors import ConfigError
from app.emulator.world.world import role_arn

from ..conftest import ENVIRON, configuration, exchange, identity
from .configurations import (
    EXAMPLE,
    SECRET,
    Load,
    profile,
    refusal,
    with_authn,
    with_exchange,
    with_identity,
    write_file,
)

VERSION = "configVersion"
IDENTITY = "profiles.default.identity"
EXCHANGE = "profiles.default.exchange"
AUTHN = f"{IDENTITY}.authnConfiguration"

REFUSALS: list[tuple[Any, str]] = [
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
    (configuration(profiles={"Prod": profile()}), "profiles.Prod: a profile's name has 1 to 63 characters of a-z 0-9"),
    (configuration(profiles={"": profile()}), 'profiles."": a profile\'s name'),
    (configuration(profiles={"a\nb": profile()}), 'profiles."a\\nb": a profile\'s name'),
    (configuration(profiles={"default": {"exchange": exchange()}}), "profiles.default.identity: required"),
    (configuration(profiles={"default": {"identity": identity()}}), "profiles.default.exchange: required"),
    (configuration(profiles={"default": profile(identity=3)}), f"{IDENTITY}: must be an object, not a whole number"),
    # unknown keys
    (configuration(servers={}), "servers: unknown key; did you mean server?"),
    (configuration(server={"bnid": "x"}), "server.bnid: unknown key; did you mean bind?"),
    (configuration(tls={"x": 1}), "tls.x: unknown key; known are caFile"),
    (configuration(telemetry={"otlp": 1}), "telemetry.otlp: unknown key; known are tracesEndpoint"),
    (configuration(telemetry={"tracesEndpoint": "collector:4318"}), "telemetry.tracesEndpoint: "),
    (
        configuration(telemetry={"tracesEndpoint": "http://a.example/\\v1"}),
        "telemetry.tracesEndpoint: 'http://a.exampl",
    ),
    (with_identity(issuer="https://idaas.example.com\\oidc"), f"{IDENTITY}.issuer: 'https://idaas.example.com"),
    (configuration(telemetry={"tracesEndpoint": "https://user:secret@example.com/v1/traces"}), "telemetry.tracesE"),
    (
        configuration(profiles={"default": profile(chian=[])}),
        "profiles.default.chian: unknown key; did you mean chain?",
    ),
    (with_exchange(rolearn="x"), f"{EXCHANGE}.rolearn: unknown key; did you mean roleArn?"),
    (configuration(**{"a b\n": 1}), '"a b\\n": unknown key; known are $schema, access'),
    # enumerations
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
    (configuration(metadata={"values": {"vpc-id": "${}"}}), "metadata.values.vpc-id: `${` begins a variable"),
    (configuration(metadata={"values": {"vpc-id": "${NO"}}), "metadata.values.vpc-id: `${` begins a variable"),
    (configuration(metadata={"values": {"vpc-id": "${N-O}"}}), "metadata.values.vpc-id: `${` begins a variable"),
    (configuration(logging={"level": "${NO}"}), "logging.level: the environment variable NO is not set"),
    (with_exchange(type="${NO}"), f"{EXCHANGE}.type: the environment variable NO is not set"),
    (with_exchange(regionId="${NO}"), f"{EXCHANGE}.regionId: the environment variable NO is not set"),
    (
        configuration(metadata={"identityDocument": True}),
        "metadata.identityDocument: needs metadata.values.instance-id",
    ),
    # callers, chain, admin socket and cache
    (
        configuration(profiles={"default": profile(callers={})}),
        "profiles.default.callers: empty; list uids or gids, or leave the key out",
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
    (with_identity(scope=None), f"{IDENTITY}.scope: required; write <audience>|<value>"),
    (with_identity(scope="openid"), f"{IDENTITY}.scope: 'openid' must read <audience>|<value> with exactly one |"),
    (with_identity(clientId=""), f"{IDENTITY}.clientId: required"),
    (
        with_identity(clientId="app_1\u200b"),
        f"{IDENTITY}.clientId: 'app_1\\u200b' has '\\u200b', which a client id cannot have; copy",
    ),
    (
        with_identity(clientId="app\t1"),
        f"{IDENTITY}.clientId: 'app\\t1' has '\\t', which a client id cannot have; copy",
    ),
    (
        with_identity(scope="api.example.com|.all\u00a0"),
        f"{IDENTITY}.scope: 'api.example.com|.all\\xa0' has '\\xa0', which a scope cannot have; copy",
    ),
    (with_identity(idaasInstanceId=None), f"{IDENTITY}.idaasInstanceId: required"),
    (with_identity(issuer=None), f"{IDENTITY}.issuer: required"),
    (with_identity(issuer="http://idaas.example.com"), f"{IDENTITY}.issuer: 'http://idaas.example.com' would send"),
    (
        with_identity(issuer="https://idaas.example.com/?x"),
        f"{IDENTITY}.issuer: 'https://idaas.example.com/?x' has a q",
    ),
    (
        with_identity(issuer="https://idaas.example.com/#f"),
        f"{IDENTITY}.issuer: 'https://idaas.example.com/#f' has a q",
    ),
    (with_identity(issuer="https://u:p@idaas.example.com"), f"{IDENTITY}.issuer: the URL contains a user name or pass"),
    (with_identity(issuer="idaas"), f"{IDENTITY}.issuer: 'idaas' is not a URL of the form https://host/path"),
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
        f"{AUTHN}.privateKeyEnvVarName: the environment variable IDAAS_SECRET: no usable private key: damaged",
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
        f"{EXCHANGE}.roleArn: 'acs:ram::1:user/x' is not the ARN of a role, which",
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
    (
        configuration(server={"bind": "127.0.0.1:99999"}),
        "server.bind: '127.0.0.1:99999': the port 99999 is out of range",
    ),
    (
        configuration(server={"ops": "127.0.0.1:711777"}),
        "server.ops: '127.0.0.1:711777': the port 711777 is out of range",
    ),
    (configuration(server={"ops": " 127.0.0.1:1"}), "server.ops: ' 127.0.0.1:1' has white space at an end; remove it"),
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
        "access.allowedHosts[0]: 'a:80' is not a host; write the host without",
    ),
    # TLS and proxy
    (configuration(tls={"caFile": "/nowhere.pem"}), "tls.caFile: /nowhere.pem: no such file"),
    (configuration(tls={"caFile": "/no\nwhere"}), "tls.caFile: /no\\nwhere: no such file"),
    (configuration(tls={"caFile": str(EXAMPLE)}), f"tls.caFile: {EXAMPLE}: holds no certificate, neither PEM"),
    (configuration(proxy="proxy.example.com:8080"), "proxy: not a proxy of the form http://host:port or https://"),
    # JSON
    ("[]", "must hold one JSON object, {…}"),
    ('{"server": {"bind": "a", "bind": "b"}}', '1:26: the key "bind" appears twice in one object; remove one'),
    ('{"profiles": {"default": {}, "default": {}}}', '1:30: the key "default" appears twice in one object; remove one'),
    ('{"configVersion": "\\ud800"}', "not UTF-8 text"),
    ('{"configVersion": NaN}', "1:19: NaN is not a number of JSON"),
    ('{"configVersion": ' + "9" * 5000 + "}", "not JSON: a number is too long"),
    ('{"a":' * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize(("config", "message"), REFUSALS, ids=[f"{number}" for number in range(len(REFUSALS))])
def test_invalid_configuration_is_refused(config: Any, message: str, tmp_path: Path) -> None:
    """Each mistake is one line with the file, the key, the problem and a fix."""
    path = write_file(tmp_path / "config.json", config)
    environ = ENVIRON | {"SHORT": "too-short", "LONG": "long-enough-path-token"}

    with pytest.raises(ConfigError) as caught:
        load(str(path), environ, hostname="h", now=lambda: 0.0)

    lines = str(caught.value).splitlines()
    assert any(line.startswith((f"{path}: {message}", f"{path}:{message}")) for line in lines)
    assert all(line.startswith(str(path)) for line in lines)


def test_all_mistakes_are_found_in_one_run(tmp_path: Path) -> None:
    """Values of a wrong kind, values that cannot work and a wrong configVersion are all reported by the first run."""
    broken = configuration(
        configVersion="x",
        profiles={
            "default": profile(exchange=exchange(durationSeconds="1h")),
            "other": profile(exchange=exchange(roleArn="arn")),
        },
        server={"bind": "0.0.0.0:1"},
    )
    path = write_file(tmp_path / "config.json", broken)

    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON, hostname="h", now=lambda: 0.0)

    places = [line.removeprefix(f"{path}: ").partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [
        *("configVersion", "profiles.default.exchange.durationSeconds"),
        *("profiles.other.exchange.roleArn", "server.bind"),
    ]


def test_single_quotes_are_no_comment(tmp_path: Path) -> None:
    """The `//` of a URL in single quotes is no comment: the message is about the quotes alone."""
    path = write_file(tmp_path / "config.json", "{\n  'issuer': 'https://idp.example.com'\n}")

    with pytest.raises(ConfigError) as caught:
        load(str(path), {}, hostname="h", now=lambda: 0.0)

    quotes = 'a string in single quotes; write it in double quotes, "…"'
    assert str(caught.value) == f"{path}:2:3: not JSON: Expecting property name enclosed in double quotes: {quotes}"


def test_comma_behind_the_last_member_is_located(tmp_path: Path) -> None:
    """Every such comma is named with line and column, whatever the version of Python calls it."""
    path = write_file(tmp_path / "config.json", '{\n  "configVersion": "1.0",\n  "a": [1,],\n  "b": ",}",\n}')

    with pytest.raises(ConfigError) as caught:
        load(str(path), {}, hostname="h", now=lambda: 0.0)

    comma = "a comma after the last member, which JSON does not allow; remove the comma"
    *commas, unknown, other, missing = str(caught.value).splitlines()
    assert commas == [f"{path}:3:10: {comma}", f"{path}:4:12: {comma}"]
    assert [line.removeprefix(f"{path}: ").partition(";")[0] for line in (unknown, other, missing)] == [
        *("a: unknown key", "b: unknown key", "profiles: required"),
    ]


def test_all_flaws_of_the_json_are_found_in_one_run(tmp_path: Path) -> None:
    """Comments, duplicate keys, NaN and a syntax error are reported together, in order, with line and column."""
    text = '{\n  // note\n  "a": NaN, "a": "// text", "\\u0061": 1,\n  /* two\n lines */ "b": -Infinity\n"c": 1}'
    path = write_file(tmp_path / "config.json", text)

    with pytest.raises(ConfigError) as caught:
        load(str(path), {}, hostname="h", now=lambda: 0.0)

    assert [line.removeprefix(str(path)) for line in str(caught.value).splitlines()] == [
        ":2:3: a comment, which JSON does not have; remove the comment",
        ":3:8: NaN is not a number of JSON",
        ':3:13: the key "a" appears twice in one object; remove one',
        ':3:29: the key "a" appears twice in one object; remove one',
        ":4:3: a comment, which JSON does not have; remove the comment",
        ":5:16: -Infinity is not a number of JSON",
        ":6:1: not JSON: Expecting ',' delimiter: a missing comma, or a quote within a string; write a comma "
        'before this place, or the quote as \\"',
    ]


def test_json_syntax_error_has_line_and_column(tmp_path: Path) -> None:
    """A JSON syntax error is reported with line and column, as editors show them."""
    path = write_file(tmp_path / "config.json", '{\n  "configVersion": "1.0"\n"profiles": {}}')

    with pytest.raises(ConfigError, match=r"config\.json:3:1: not JSON: "):
        load(str(path), {}, hostname="h", now=lambda: 0.0)


def test_error_in_the_sdk_file_names_that_file(loaded: Load, tmp_path: Path) -> None:
    """An error in the SDK's file is reported with that file's name."""
    path = write_file(tmp_path / "client-config.json", identity(scope="openid"))
    config = configuration(profiles={"default": profile(identity={"clientConfigPath": str(path)})})

    with pytest.raises(ConfigError) as caught:
        loaded(config)

    assert str(caught.value).startswith(f"{path}: scope: 'openid' must read")


def test_linked_key_in_the_cache_directory_is_refused(loaded: Load, tmp_path: Path) -> None:
    """A cache key in the cache's directory is refused even when a symbolic link hides that."""
    (tmp_path / "cache").mkdir()
    write_file(tmp_path / "cache" / "key", "0123456789abcdef" * 4)
    (tmp_path / "key").symlink_to("cache/key")
    (tmp_path / "link").symlink_to("cache")
    for directory, key in (("cache", "key"), ("link", "cache/key"), ("cache", "link/key")):
        cache = {"directory": str(tmp_path / directory), "keyFile": str(tmp_path / key)}
        with pytest.raises(ConfigError, match=r"cache.keyFile: lies in cache.directory"):
            loaded(configuration(cache=cache))


def test_client_secret_with_an_invisible_character(loaded: Load) -> None:
    """The message names the variable and never the secret."""
    text = refusal(loaded, with_authn(clientSecretEnvVarName="S"), {"S": f"{SECRET}\u200b"})

    assert text.startswith(f"{AUTHN}.clientSecretEnvVarName: the environment variable S has an invisible character")
    assert SECRET not in text


@pytest.mark.parametrize(
    "name", ["region-id", "instance/instance-type", "network/interfaces/macs/00:16:3e:0f:0f:0f/vswitch-id", "1.0/a_b"]
)
def test_names_of_metadata_values(name: str, loaded: Load) -> None:
    """Each name below /latest/meta-data/ of the real service can be configured, also those with a MAC address."""
    assert loaded(configuration(metadata={"values": {name: "x"}})).settings.metadata.values == {name: "x"}
