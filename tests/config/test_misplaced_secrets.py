"""Secrets in a configuration file, where only their names belong."""

from __future__ import annotations

from typing import Any

import pytest

from app.config.explain import differences, leaves, shown
from app.config.mistake_words import shown_key
from app.core.display import displayed

from ..conftest import ENVIRON, configuration
from .configurations import SECRET, Load, profile, refusal, with_authn, with_exchange, with_identity

MISPLACED: list[Any] = [
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
    with_identity(issuer=f"https://u:{SECRET}@login.example.com"),
    with_exchange(endpoints=[f"https://u:{SECRET}@sts.example.com"]),
    configuration(access={"pathToken": SECRET}),
    configuration(access={"pathToken": {"envVarName": SECRET}}),
    configuration(access={"pathToken": {"envVarName": "KEY"}}),
    configuration(proxy=f"u:{SECRET}@proxy:1"),
    configuration(proxy=f"socks5://u:{SECRET}@proxy:1080"),
    configuration(proxy=f"http://u:{SECRET}@proxy:port"),
    with_identity(issuer=SECRET),
    with_identity(tokenEndpoint=SECRET),
    with_identity(tokenEndpoint=f"https://login.example.com/token?client_secret={SECRET}"),
    with_identity(issuer=f"https://login.example.com#{SECRET}"),
    with_identity(issuer=f"u:{SECRET}@login.example.com"),
    with_identity(issuer=f"https://login.example.com:{SECRET}"),
    with_identity(issuer=f"https://u:{SECRET}"),
    with_identity(tokenEndpoint=f"http://login.example.com/token?client_secret={SECRET}"),
    with_exchange(endpoints=[f"u:{SECRET}@sts.example.com"]),
    with_identity(scope=f"https://u:{SECRET}@api.example.com"),
    with_exchange(endpoints=[f"https://sts.example.com?key={SECRET}"]),
    with_exchange(roleArn=f"-----BEGIN PRIVATE KEY-----{SECRET}"),
    with_exchange(oidcProviderArn=f"https://u:{SECRET}@idp.example.com"),
    configuration(cache={"directory": SECRET, "keyEnvVarName": "CACHE_KEY"}),
    configuration(server={"adminSocket": SECRET}),
    configuration(tls={"caFile": SECRET}),
    configuration(profiles={"default": profile(files=[{"path": SECRET, "format": "json"}])}),
    configuration(profiles={"default": profile(identity={"clientConfigPath": SECRET})}),
]


@pytest.mark.parametrize("config", MISPLACED, ids=[f"{number}" for number in range(len(MISPLACED))])
def test_misplaced_secret_is_not_repeated(config: Any, loaded: Load) -> None:
    """A secret that stands in place of its name is refused, and the message does not contain it."""
    assert SECRET not in refusal(loaded, config, {**ENVIRON, "KEY": SECRET, "CACHE_KEY": "0" * 32})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (with_authn(clientSecret="x"), "use clientSecretEnvVarName or clientSecretFile"),
        (
            with_authn(privateKey="x", clientSecretEnvVarName="IDAAS_SECRET"),
            "use privateKeyEnvVarName or privateKeyFile",
        ),
        (with_identity(clientSecret="x"), "name an environment variable or a file instead"),
        (with_exchange(accessKeySecret="x"), "name an environment variable or a file instead"),
    ],
)
def test_key_for_a_secret_gets_a_remedy(config: Any, message: str, loaded: Load) -> None:
    """A key that would hold a secret gets a remedy instead of a suggested spelling."""
    assert refusal(loaded, config).endswith(f"unknown key; secrets are never in this file; {message}")


KEYS = [
    f"client_secret={SECRET}",
    f"https://u:{SECRET}@login.example.com",
    f"-----BEGIN PRIVATE KEY-----{SECRET}",
    f"https://login.example.com/?{SECRET}",
    f"{SECRET}abcdefghijklmnop",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("version", ["1.0", "1.99"])
def test_secret_as_an_unknown_key_is_not_shown(key: str, version: str, loaded: Load) -> None:
    """A secret in the place of a key's name is not repeated, neither as a mistake nor as a warning."""
    config = with_identity(**{key: "x"}) | {"configVersion": version}
    text = refusal(loaded, config) if version == "1.0" else repr(loaded(config, ENVIRON).warnings)

    assert "unknown key" in text
    assert SECRET not in text


def test_secret_as_the_name_of_a_profile_is_not_shown(loaded: Load) -> None:
    """A profile whose name is a secret is refused without the secret."""
    assert SECRET not in refusal(loaded, configuration(profiles={KEYS[0]: profile()}))


def test_long_key_that_resembles_a_known_one() -> None:
    """A misspelt key is shown although it is long, and has digits and capital letters."""
    assert shown_key("clientX509CertificateFiles", ["clientX509CertificateFile"]) == "clientX509CertificateFiles"
    assert shown_key("clientX509CertificateFiles", ["scope"]) == "***"


def test_misspelt_value_gets_a_suggestion(loaded: Load) -> None:
    """A misspelt value of an enumeration gets a suggestion, as misspelt keys do."""
    assert refusal(loaded, with_authn("CLIENT_SECRET_BASICS")).endswith("; did you mean CLIENT_SECRET_BASIC?")


UNUSED: list[Any] = [
    with_identity(connection={"privateKeyPasswordEnvVarName": SECRET}),
    with_authn(clientSecretEnvVarName="IDAAS_SECRET", privateKeyEnvVarName=SECRET),
    with_identity(connection={"proxy": f"http://u:{SECRET}@proxy:1"}),
    with_identity(connection={"proxy": f"http://{SECRET}@proxy:1"}),
    configuration(metadata={"values": {"region-id": f"https://u:{SECRET}@x"}}),
    with_exchange(regionId=f"https://u:{SECRET}@idp.example.com"),
]
"""Configurations that are accepted, with a secret in a place where it is not used."""


@pytest.mark.parametrize("config", UNUSED, ids=[f"{number}" for number in range(len(UNUSED))])
def test_unused_secret_is_not_shown(config: Any, loaded: Load) -> None:
    """A secret in a place that is not used appears neither in `config --show`, a reload's changes, nor a repr."""
    found = loaded(config, ENVIRON)
    before = loaded(configuration(), ENVIRON).settings
    texts = [repr([(key, shown(key, value)) for key, value in leaves(found.settings)]), repr(found.settings)]

    assert SECRET not in " ".join((*texts, repr(list(differences(before, found.settings))), *found.warnings))


def test_names_and_paths_are_shown(loaded: Load) -> None:
    """The names of variables and the paths of files are shown as they are."""
    values = {key: shown(key, value) for key, value in leaves(loaded(configuration(), ENVIRON).settings)}

    assert values["profiles.default.identity.authnConfiguration.clientSecretEnvVarName"] == "IDAAS_SECRET"
    assert displayed("tls.caFile", "/etc/ssl/ca.pem") == "/etc/ssl/ca.pem"
    assert displayed("endpoints", ("https://sts.example.com",)) == ("https://sts.example.com",)
