"""What single authentication methods need, and how a token's claims are checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config.decode import convert
from app.core.errors import ConfigError, NotThereYet, Refused, Unreachable
from app.core.events import Warned
from app.identity.methods.oidc import IdaasOidc

from ..conftest import BASE, Offline, exchange
from ..workload import Workload
from .identities import client_secret, idaas, one_profile, pca, plugin_access_key, plugin_ecs_role, token_file

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

    read = config.token("identity", {name: str(files[value]) for name, value in environ.items()})

    assert read() == token


def test_default_token_file_is_that_of_kubernetes() -> None:
    """Without settings the token file of Kubernetes is read, and the error names it where it is missing."""
    read = IdaasOidc().token("identity", {})

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

    with pytest.raises(Unreachable, match="is not ASCII"):
        await offline(one_profile(identity, exchange()), workload.environ).fetch()
