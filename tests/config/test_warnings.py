"""Configurations that are accepted, with and without a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config.loader import examine
from app.core.errors import Mistake
from app.emulator.world.world import CHAINED_ROLE_ARN, PAM_SCOPE

from ..conftest import ENVIRON, configuration, identity, managed_exchange
from .configurations import Load, profile, with_exchange, with_identity, write_file


def test_newer_minor_version_is_accepted_with_warnings(loaded: Load) -> None:
    """A file of a newer minor version is accepted, with a warning for each unknown key."""
    config = configuration(configVersion="1.7", shiny={"a": 1}, server={"bind": "127.0.0.1:1", "shinier": 2})

    result = loaded(config)

    assert result.settings.server.bind == "127.0.0.1:1"
    assert [warning.partition(":")[0] for warning in result.warnings] == ["shiny", "server.shinier"]
    assert all(
        "because the file's configVersion is newer than this program's" in warning for warning in result.warnings
    )


WARNINGS = [
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
    (
        with_identity(clientId="app_demo\n"),
        "profiles.default.identity.clientId: white space at an end of the value; remove it, also from a",
    ),
    (
        with_exchange(roleArn="acs:ram::123456789012345:role/app"),
        "profiles.default.exchange.roleArn: the account id 123456789012345 has 15 digits, and those of",
    ),
    (
        with_exchange(oidcProviderArn="acs:ram::1:oidc-provider/app"),
        "profiles.default.exchange.oidcProviderArn: the account id 1 has 1 digit, and those of Alibaba Cloud have 16",
    ),
    (
        configuration(profiles={"default": profile(chain=[{"roleArn": "acs:ram::12345678901234567:role/a"}])}),
        "profiles.default.chain[0].roleArn: the account id 12345678901234567 has 17 digits",
    ),
    (
        with_exchange(regionId="cn-hangzou"),
        "profiles.default.exchange.regionId: cn-hangzou is not a region that this version knows",
    ),
    (
        configuration(profiles={"default": profile(chain=[{"roleArn": CHAINED_ROLE_ARN, "regionId": "eu-centrel-1"}])}),
        "profiles.default.chain[0].regionId: eu-centrel-1 is not a region that this version knows",
    ),
    (
        with_exchange(endpoints=["sts.cn-hangzhou.aliyuncs.com", "sts-vpc.cn-hangzou.aliyuncs.com"]),
        "profiles.default.exchange.endpoints[1]: cn-hangzou is not a region that this version knows; did you mean",
    ),
    (
        with_identity(openApiEndpoint="eiam.cn-hangzou.aliyuncs.com"),
        "profiles.default.identity.openApiEndpoint: cn-hangzou is not a region that this version knows",
    ),
    (
        configuration(profiles={"default": profile(identity=identity(scope="a|b"), exchange=managed_exchange())}),
        "profiles.default.identity.scope: a|b is for another audience than the DeveloperAPI's",
    ),
]


@pytest.mark.parametrize(("config", "message"), WARNINGS, ids=[message.partition(":")[0] for _, message in WARNINGS])
def test_doubtful_setting_has_one_warning(config: Any, message: str, loaded: Load) -> None:
    """A setting that works worse than its author may expect has one warning and is accepted."""
    warnings = loaded(config).warnings

    assert len(warnings) == 1
    assert warnings[0].startswith(message)


def test_cure_of_a_misspelt_endpoint(loaded: Load) -> None:
    """The region is a part of the endpoint: it does not replace it."""
    (warning,) = loaded(with_exchange(endpoints=["https://sts.cn-hangzou.aliyuncs.com"])).warnings

    assert "; write cn-hangzhou into the host in profiles.default.exchange.endpoints[0]; " in warning


ACCEPTED = [
    configuration(server={"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"}),
    configuration(server={"bind": "[::1]:7117", "ops": "127.0.0.1:7117"}),
    configuration(server={"bind": "100.100.100.200:80", "ops": "0.0.0.0:7118"}),
    configuration(server={"ops": None}),
    configuration(proxy="http://user:password@proxy.example.com:8080"),
    configuration(**{"$schema": "https://schemas.example.com/sidecar.json"}),
    with_exchange(endpoints=["https://sts.cn-hangzhou.aliyuncs.com", "sts.aliyuncs.com", "sts.hangzou.example.com"]),
    with_exchange(policy='{"Version": "1"}'),
    with_exchange(policy={"Version": "1"}),
    *(
        with_exchange(regionId=region)
        for region in ("cn-hangzhou", "ap-southeast-9", "xx-new-1", "cn-hangzhou-finance")
    ),
    configuration(profiles={"default": profile(identity=identity(scope=PAM_SCOPE), exchange=managed_exchange())}),
]


@pytest.mark.parametrize("config", ACCEPTED, ids=[f"{number}" for number in range(len(ACCEPTED))])
def test_valid_setting_has_no_warning(config: Any, loaded: Load) -> None:
    """A valid setting that resembles a mistake has no warning."""
    assert loaded(config).warnings == ()


def test_token_file_of_everybody_has_its_own_code(tmp_path: Path, loaded: Load) -> None:
    """A token file that other users can read is accepted with a warning that has the code of the cure."""
    token = tmp_path / "token"
    token.write_text("e30.e30.c2ln")
    token.chmod(0o644)
    (found,) = loaded(
        configuration(profiles={"default": profile(identity={"type": "tokenFile", "tokenFile": str(token)})})
    ).warnings

    assert (
        "other users can read it (mode 0644); run `chmod 600` on the file, or set `defaultMode: 0400` and the "
        "pod's `fsGroup` for a mounted one" in found
    )
    assert isinstance(found, Mistake)
    assert found.error_code == "IDS-130"


def test_a_value_that_cannot_work_has_no_warning(tmp_path: Path) -> None:
    """White space that makes an address unusable is one mistake, without a further warning."""
    path = write_file(tmp_path / "config.json", configuration(server={"ops": "127.0.0.1:7118 "}))
    found = examine(str(path), ENVIRON, hostname="h")

    assert [mistake.error_code for _, mistake in found.found] == ["IDS-121"]
    assert found.warnings == ()
