"""The files that a configuration names, the profiles that use each file, and the effect of a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.config.loader import load
from app.config.watched_files import WatchedFiles, watched_files
from app.identity.methods.oidc import KUBERNETES_TOKEN

from ..conftest import configuration, exchange, identity


def watched(tmp_path: Path, config: dict[str, Any], **environ: str) -> WatchedFiles:
    """Return the watched files of a configuration."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    environ |= {"HOME": str(tmp_path)}
    loaded = load(str(path), environ, hostname="h", now=lambda: 0.0, look=False)
    return watched_files(loaded.settings, loaded.files, environ)


def authenticated_by(method: str, **keys: Any) -> dict[str, Any]:
    """Return an application of IDaaS that authenticates by `method`."""
    credential = {"applicationFederatedCredentialName": "x"} if method in ("OIDC", "PCA") else {}
    return identity(authnConfiguration={"authnMethod": method, **credential, **keys})


def test_proofs_and_files_read_later_are_separate(tmp_path: Path) -> None:
    """Files that prove an identity are separate from files that are read at each use; each file has its profiles."""
    config = configuration(
        profiles={
            "one": {"identity": authenticated_by("CLIENT_SECRET_POST", clientSecretFile="/s"), "exchange": exchange()},
            "two": {
                "identity": authenticated_by(
                    "PCA", privateKeyFile="/k", clientX509CertificateFile="/c", x509CertChainsFile="~/chain"
                ),
                "exchange": exchange(connection={"caFile": "/ca"}),
            },
            "three": {
                "identity": authenticated_by("CLIENT_SECRET_POST", clientSecretFile="/s")
                | {"tokenExchange": {"subject": {"type": "tokenFile", "tokenFile": "/t"}}},
                "exchange": exchange(connection={"certificateFile": "/tls.pem", "privateKeyFile": "/tls.key"}),
            },
        },
        tls={"caFile": "/all"},
    )

    files = watched(tmp_path, config)

    assert dict(files.proofs) == {
        "/s": {"one", "three"},
        "/k": {"two"},
        "/c": {"two"},
        f"{tmp_path}/chain": {"two"},
        "/tls.pem": {"three"},
        "/tls.key": {"three"},
    }
    assert dict(files.read_later) == {"/ca": {"two"}, "/t": {"three"}, "/all": {"one", "two", "three"}}


def test_oidc_token_file_is_watched_at_its_path(tmp_path: Path) -> None:
    """The OIDC method's token file is watched at its path, its variable's path, or the default path of Kubernetes."""
    config = configuration(
        profiles={
            "path": {"identity": authenticated_by("OIDC", oidcTokenFilePath="/path"), "exchange": exchange()},
            "variable": {
                "identity": authenticated_by("OIDC", oidcTokenFilePathEnvVarName="WHERE"),
                "exchange": exchange(),
            },
            "unset": {
                "identity": authenticated_by("OIDC", oidcTokenFilePathEnvVarName="NOWHERE"),
                "exchange": exchange(),
            },
            "cluster": {"identity": authenticated_by("OIDC"), "exchange": exchange()},
        }
    )

    files = watched(tmp_path, config, WHERE="/variable")

    assert dict(files.read_later) == {"/path": {"path"}, "/variable": {"variable"}, KUBERNETES_TOKEN: {"cluster"}}


def test_configuration_and_path_token_are_watched(tmp_path: Path) -> None:
    """The configuration, the SDK's file that a profile names, and the path token's file are watched."""
    sdk = tmp_path / "sdk.json"
    sdk.write_text(json.dumps(identity()))
    config = configuration(
        profiles={"default": {"identity": {"clientConfigPath": str(sdk)}, "exchange": exchange()}},
        access={"pathToken": {"file": "/token"}},
    )

    files = watched(tmp_path, config)

    assert files.configuration == {str(tmp_path / "config.json"), str(sdk)}
    assert files.path_token == {"/token"}
    assert files.all() == files.configuration | files.path_token
