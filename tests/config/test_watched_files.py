"""Which files a configuration names, for whom, and what it is that they change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.config.loader import load
from app.config.watched_files import WatchedFiles, watched_files
from app.identity.methods.oidc import KUBERNETES_TOKEN

from ..conftest import configuration, exchange, identity


def named(tmp_path: Path, config: dict[str, Any], **environ: str) -> WatchedFiles:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    environ |= {"HOME": str(tmp_path)}
    loaded = load(str(path), environ, hostname="h", now=lambda: 0.0, look=False)
    return watched_files(loaded.settings, loaded.files, environ)


def by(method: str, **keys: Any) -> dict[str, Any]:
    credential = {"applicationFederatedCredentialName": "x"} if method in ("OIDC", "PCA") else {}
    return identity(authnConfiguration={"authnMethod": method, **credential, **keys})


def test_secrets_and_keys(tmp_path: Path) -> None:
    """What a profile proves itself with is told apart from what is read whenever it is used; each has its profiles."""
    config = configuration(
        profiles={
            "one": {"identity": by("CLIENT_SECRET_POST", clientSecretFile="/s"), "exchange": exchange()},
            "two": {
                "identity": by(
                    "PCA", privateKeyFile="/k", clientX509CertificateFile="/c", x509CertChainsFile="~/chain"
                ),
                "exchange": exchange(connection={"caFile": "/ca"}),
            },
            "three": {
                "identity": by("CLIENT_SECRET_POST", clientSecretFile="/s")
                | {"tokenExchange": {"subject": {"type": "tokenFile", "tokenFile": "/t"}}},
                "exchange": exchange(connection={"certificateFile": "/tls.pem", "privateKeyFile": "/tls.key"}),
            },
        },
        tls={"caFile": "/all"},
    )

    found = named(tmp_path, config)

    assert dict(found.proofs) == {
        "/s": {"one", "three"},
        "/k": {"two"},
        "/c": {"two"},
        f"{tmp_path}/chain": {"two"},
        "/tls.pem": {"three"},
        "/tls.key": {"three"},
    }
    assert dict(found.read_later) == {"/ca": {"two"}, "/t": {"three"}, "/all": {"one", "two", "three"}}


def test_the_clusters_token(tmp_path: Path) -> None:
    """The OIDC method's file is found where it is looked for: by its path, by a variable, at Kubernetes' own place."""
    config = configuration(
        profiles={
            "path": {"identity": by("OIDC", oidcTokenFilePath="/path"), "exchange": exchange()},
            "variable": {"identity": by("OIDC", oidcTokenFilePathEnvVarName="WHERE"), "exchange": exchange()},
            "unset": {"identity": by("OIDC", oidcTokenFilePathEnvVarName="NOWHERE"), "exchange": exchange()},
            "cluster": {"identity": by("OIDC"), "exchange": exchange()},
        }
    )

    found = named(tmp_path, config, WHERE="/variable")

    assert dict(found.read_later) == {"/path": {"path"}, "/variable": {"variable"}, KUBERNETES_TOKEN: {"cluster"}}


def test_the_configuration_itself(tmp_path: Path) -> None:
    """Our file, the SDK's behind a profile, and the path token's."""
    sdk = tmp_path / "sdk.json"
    sdk.write_text(json.dumps(identity()))
    config = configuration(
        profiles={"default": {"identity": {"clientConfigPath": str(sdk)}, "exchange": exchange()}},
        access={"pathToken": {"file": "/token"}},
    )

    found = named(tmp_path, config)

    assert found.configuration == {str(tmp_path / "config.json"), str(sdk)}
    assert found.path_token == {"/token"}
    assert found.all() == found.configuration | found.path_token
