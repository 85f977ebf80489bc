"""URLs whose host or port Python's parser cannot read: each is a mistake of its key, and never an internal error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config.loader import load
from app.core.errors import ConfigError

from ..conftest import ENVIRON, configuration, identity, managed_exchange
from .configurations import profile, with_exchange, with_identity, write_file

UNREADABLE = ["https://idp.example.com:99999", "https://[::1"]
PLUGIN = {"authnMethod": "PLUGIN", "pluginName": "alibabacloudPluginCredentialProvider"}
CLIENT = {"type": "oidcClient", "clientId": "c", "clientAuthentication": {"clientSecretEnvVarName": "IDAAS_SECRET"}}


def places(url: str) -> dict[str, Any]:
    """Return a configuration with `url` at each key that takes one."""
    managed = {key: value for key, value in managed_exchange().items() if key != "endpoint"}
    return {
        "identity.issuer": configuration(profiles={"default": profile(identity=CLIENT | {"issuer": url})}),
        "identity.tokenEndpoint": configuration(
            profiles={"default": profile(identity=CLIENT | {"tokenEndpoint": url})}
        ),
        "identity.tokenEndpoint of IDaaS": with_identity(tokenEndpoint=url),
        "identity.issuer of IDaaS": with_identity(issuer=url),
        "identity.openApiEndpoint": with_identity(openApiEndpoint=url, authnConfiguration=PLUGIN),
        "identity.developerApiEndpoint": configuration(
            profiles={"default": profile(identity=identity(developerApiEndpoint=url, scope=None), exchange=managed)}
        ),
        "identity.connection.proxy": with_identity(connection={"proxy": url}),
        "exchange.endpoints": with_exchange(endpoints=[url]),
        "exchange.endpoint": configuration(
            profiles={"default": profile(identity=identity(scope=None), exchange=managed | {"endpoint": url})}
        ),
        "proxy": configuration(proxy=url),
    }


@pytest.mark.parametrize("url", UNREADABLE)
@pytest.mark.parametrize("place", places(""))
@pytest.mark.parametrize("environ", [{}, {"HTTPS_PROXY": "http://proxy.example.com:3128"}], ids=["direct", "proxy"])
def test_unreadable_url(place: str, url: str, environ: dict[str, str], tmp_path: Path) -> None:
    """The message begins with the key, whether the environment has a proxy or not."""
    path = write_file(tmp_path / "config.json", places(url)[place])
    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON | environ, hostname="h", now=lambda: 0.0)

    key = place.partition(" ")[0]
    key = key if key == "proxy" else f"profiles.default.{key}"
    assert str(caught.value).startswith(f"{path}: {key}")
