"""A configuration from environment variables alone, without a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.loader import Loaded, load
from app.core.errors import ConfigError
from app.emulator.world.world import PROVIDER_ARN, role_arn
from app.exchange.settings import PROVIDER_MANAGED, DeveloperApiExchange
from app.identity.idaas import IdaasIdentity
from app.identity.token_file import TokenFileIdentity

from .configurations import SDK_FILE, SECRET, sdk_file, write_file

ARNS = {"ALIBABA_CLOUD_ROLE_ARN": role_arn("default"), "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": PROVIDER_ARN}


def from_environment(tmp_path: Path, **environ: str) -> Loaded:
    """Load the configuration of these variables, with the home directory `tmp_path`."""
    complete = {"HOME": str(tmp_path), **environ}
    return load(None, complete, hostname="host-1", now=lambda: 0.0, default_path=tmp_path / "none.json")


def test_two_arns_and_the_sdk_file_are_enough(tmp_path: Path) -> None:
    """The SDK's file in the home directory and two ARNs are enough, and each value's source is known."""
    path = sdk_file(tmp_path)

    result = from_environment(tmp_path, S="x", **ARNS)

    assert result.origin == "environment"
    assert list(result.settings.profiles) == ["default"]
    identity = result.settings.profiles["default"].identity
    assert isinstance(identity, IdaasIdentity)
    assert identity.scope == "api.demo.example|.all"
    assert result.sources["profiles.default.exchange.roleArn"] == "environment ALIBABA_CLOUD_ROLE_ARN"
    assert result.sources["profiles.default.identity.clientConfigPath"] == "the IDaaS SDK's own path"
    assert result.sources["profiles.default.identity.authnConfiguration.authnMethod"] == str(path)
    assert "profiles.default.identity.httpConfiguration.readTimeout" not in result.sources


def test_all_environment_variables(tmp_path: Path) -> None:
    """Token file, session name, region and VPC flag are read from the variables that Alibaba Cloud SDKs use."""
    token = write_file(tmp_path / "token", "x")

    result = from_environment(
        tmp_path,
        **ARNS,
        ALIBABA_CLOUD_OIDC_TOKEN_FILE=str(token),
        ALIBABA_CLOUD_ROLE_SESSION_NAME="mine",
        ALIBABA_CLOUD_STS_REGION="cn-beijing",
        ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED="True",
    )

    profile = result.settings.profiles["default"]
    assert profile.identity == TokenFileIdentity(token_file=str(token))
    assert (profile.exchange.role_session_name, profile.exchange.region_id, profile.exchange.vpc) == (
        "mine",
        "cn-beijing",
        True,
    )
    assert result.sources["profiles.default.identity.tokenFile"] == "environment ALIBABA_CLOUD_OIDC_TOKEN_FILE"
    assert result.sources["profiles.default.exchange.vpc"] == "environment ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"


def test_role_without_a_provider_uses_the_developer_api(tmp_path: Path) -> None:
    """A role alone, with a DeveloperAPI endpoint in the SDK's file, is managed by IDaaS and needs no scope."""
    sdk_file(tmp_path, scope=None, developerApiEndpoint="eiam-developerapi.cn-hangzhou.aliyuncs.com")

    result = from_environment(tmp_path, S="x", ALIBABA_CLOUD_ROLE_ARN=role_arn("default"))

    profile = result.settings.profiles["default"]
    assert profile.exchange == DeveloperApiExchange(role_arn=role_arn("default"))
    assert isinstance(profile.identity, IdaasIdentity)
    assert profile.identity.scope == PROVIDER_MANAGED
    assert result.sources["profiles.default.identity.scope"] == "the DeveloperAPI's own"


def test_vpc_flag_needs_a_region(tmp_path: Path) -> None:
    """Without a region the VPC flag is ignored, as the SDKs ignore it."""
    sdk_file(tmp_path)

    result = from_environment(tmp_path, S="x", ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED="true", **ARNS)

    assert result.settings.profiles["default"].exchange.vpc is False


REFUSALS = [
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
        "HTTPS_PROXY: a SOCKS proxy, which is not supported; name an HTTP proxy: http://host:port",
    ),
    (
        {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t", **ARNS, "all_proxy": "http://proxy/path"},
        "all_proxy: not a proxy of the form http://host:port",
    ),
    ({"IDAAS_SIDECAR_CONFIG": "/nowhere.json"}, "/nowhere.json: no such file"),
]


@pytest.mark.parametrize(("environ", "message"), REFUSALS)
def test_invalid_environment_is_refused(environ: dict[str, str], message: str, tmp_path: Path) -> None:
    """A missing or invalid value is reported with its variable, or with the SDK's file."""
    path = str(write_file(tmp_path / "sdk.json", SDK_FILE))
    complete_environ = {name: path if value == "SDK" else value for name, value in environ.items()}

    with pytest.raises(ConfigError) as caught:
        from_environment(tmp_path, **complete_environ)

    assert str(caught.value).startswith(message.replace("SDK's", "@").replace("SDK", path).replace("@", "SDK's"))
    assert SECRET not in str(caught.value)


def test_all_mistakes_of_the_environment_are_in_one_run(tmp_path: Path) -> None:
    """Two identities, a missing role and variables with wrong values are listed together, each once."""
    environ = {
        "CLOUD_IDAAS_CONFIG_PATH": str(write_file(tmp_path / "client-config.json", SDK_FILE)),
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/token",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "x",
        "ALIBABA_CLOUD_ROLE_SESSION_NAME": "a b",
        "ALIBABA_CLOUD_STS_REGION": "?",
    }

    with pytest.raises(ConfigError) as caught:
        load(None, environ, hostname="h", now=lambda: 0.0, default_path=tmp_path / "absent.json")

    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "two identities",
        "ALIBABA_CLOUD_ROLE_ARN",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "ALIBABA_CLOUD_ROLE_SESSION_NAME",
        "ALIBABA_CLOUD_STS_REGION",
    ]


def test_entry_of_no_proxy_without_effect(tmp_path: Path) -> None:
    """An entry of NO_PROXY that covers no server is a warning, if requests use a proxy."""
    sdk_file(tmp_path)
    environ = {"S": "x", **ARNS, "no_proxy": "https://sts.aliyuncs.com; .aliyuncs.com"}

    assert from_environment(tmp_path, **environ).warnings == ()
    assert from_environment(tmp_path, **environ, HTTPS_PROXY="http://proxy:1").warnings == (
        "NO_PROXY: 'https://sts.aliyuncs.com' covers no server; write a name without scheme, path and pattern, an "
        "address, or a network such as 10.0.0.0/8",
    )
