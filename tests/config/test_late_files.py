"""Every file that a configuration can name may be written after the start: `serve` waits, and other commands say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config.json_schema import schema
from app.config.loader import examine, load
from app.core.errors import ConfigError, NotThereYet

from ..conftest import ENVIRON, configuration, exchange
from .configurations import profile, with_authn, with_identity, write_file

NO_FILE = "/nowhere/late"


def with_client(method: str, **keys: str) -> dict[str, Any]:
    """Return a configuration with a client of another provider, which authenticates by `method`."""
    authentication = {"method": method, **keys}
    client = {"type": "oidcClient", "issuer": "https://idp.example.com", "clientId": "c", "audience": "a"}
    return configuration(profiles={"default": profile(identity={**client, "clientAuthentication": authentication})})


def token_file(path: str) -> dict[str, Any]:
    """Return an identity that reads its token from a file."""
    return {"type": "tokenFile", "tokenFile": path}


LATE: dict[str, tuple[dict[str, Any], str]] = {
    "token": (configuration(profiles={"default": profile(identity=token_file(NO_FILE))}), "tokenFile"),
    "OIDC": (
        with_authn("OIDC", applicationFederatedCredentialName="f", oidcTokenFilePath=NO_FILE),
        "oidcTokenFilePath",
    ),
    "subject": (with_identity(tokenExchange={"subject": token_file(NO_FILE)}), "subject.tokenFile"),
    "client_assertion": (with_client("client_assertion", tokenFile=NO_FILE), "clientAuthentication.tokenFile"),
    "client secret": (with_authn(clientSecretFile=NO_FILE), "clientSecretFile"),
    "secret of another provider": (with_client("client_secret_basic", clientSecretFile=NO_FILE), "clientSecretFile"),
    "private key": (with_authn("PRIVATE_KEY_JWT", privateKeyFile=NO_FILE), "privateKeyFile"),
    "key of another provider": (with_client("private_key_jwt", privateKeyFile=NO_FILE), "privateKeyFile"),
    "certificate of another provider": (
        with_client("private_key_jwt", privateKeyFile=NO_FILE, certificateFile=NO_FILE),
        "certificateFile",
    ),
    **{
        f"PCA, {key}": (
            with_authn(
                "PCA",
                applicationFederatedCredentialName="f",
                privateKeyFile=NO_FILE,
                clientX509CertificateFile=NO_FILE,
                x509CertChainsFile=NO_FILE,
            ),
            key,
        )
        for key in ("privateKeyFile", "clientX509CertificateFile", "x509CertChainsFile")
    },
    "CA": (configuration(tls={"caFile": NO_FILE}), "tls.caFile"),
    "CA of a connection": (with_identity(connection={"caFile": NO_FILE}), "connection.caFile"),
    "mutual TLS, certificate": (with_identity(connection={"certificateFile": NO_FILE}), "connection.certificateFile"),
    "mutual TLS, key": (
        with_identity(connection={"certificateFile": NO_FILE, "privateKeyFile": NO_FILE}),
        "connection.privateKeyFile",
    ),
    "path token": (configuration(access={"pathToken": {"file": NO_FILE}}), "access.pathToken.file"),
    "cache key": (configuration(cache={"directory": "/var/cache", "keyFile": NO_FILE}), "cache.keyFile"),
    "the SDK's file": (
        configuration(profiles={"default": profile(identity={"clientConfigPath": NO_FILE})}),
        "identity.clientConfigPath",
    ),
}
"""Configurations that name a missing file, each with the end of the file's key."""


def waits(config: dict[str, Any], path: Path, environ: dict[str, str] = ENVIRON) -> list[str]:
    """Return the lines about the files for which a start waits. Raises ConfigError if the start ends at once."""
    file = str(write_file(path, config)) if config else None
    try:
        result = load(file, environ, hostname="h", now=lambda: 0.0, patient=True, default_path=path)
    except NotThereYet as absence:
        return str(absence).splitlines()
    return [line for line in result.warnings if line.error_code == "IDS-124"]


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("content", [None, b" "], ids=["missing", "empty"])
def test_missing_file_is_waited_for(name: str, content: bytes | None, tmp_path: Path) -> None:
    """A start waits for a missing or empty file. Commands that do not wait report it as a mistake with its key."""
    config, key = LATE[name]
    late = tmp_path / "late"
    config = moved(config, str(late))
    if content is not None:
        late.write_bytes(content)
    lines = waits(config, tmp_path / "config.json")
    found = [mistake for _, mistake in examined(tmp_path / "config.json")]

    says = f"{key}: {late}: {'no such file' if content is None else 'empty'}"
    assert [line for line in lines if says in line], lines
    # A missing token is never a mistake: only the machine that runs the sidecar has it.
    assert bool([line for line in found if says in line]) != key.endswith(("tokenFile", "oidcTokenFilePath"))


def moved(value: Any, path: str) -> Any:
    """Return a configuration in which `path` replaces NO_FILE."""
    if isinstance(value, dict):
        return {key: moved(member, path) for key, member in value.items()}
    return path if value == NO_FILE else value


def examined(path: Path) -> list[tuple[str, str]]:
    """Return the mistakes that `idaas-sidecar config` reports for a file."""
    return [(place, str(line)) for place, line in examine(str(path), ENVIRON, hostname="h").found]


def test_token_of_oidc_that_a_variable_names_is_waited_for(tmp_path: Path) -> None:
    """The message names the variable's key. A variable that is not set ends the start."""
    keys = {"applicationFederatedCredentialName": "f", "oidcTokenFilePathEnvVarName": "TOKEN_FILE"}
    config = with_authn("OIDC", **keys)

    [line] = waits(config, tmp_path / "config.json", ENVIRON | {"TOKEN_FILE": f"{tmp_path}/late"})
    assert f"oidcTokenFilePathEnvVarName: {tmp_path}/late: no such file" in line
    with pytest.raises(ConfigError, match="oidcTokenFilePathEnvVarName: the environment variable TOKEN_FILE is not"):
        waits(config, tmp_path / "config.json")


def test_command_is_waited_for(tmp_path: Path) -> None:
    """A start also waits for an executable that an init container or an agent installs late."""
    late = tmp_path / "late"
    config = configuration(profiles={"default": profile(identity={"type": "command", "command": [str(late)]})})

    [line] = waits(config, tmp_path / "config.json")
    [(place, mistake)] = examined(tmp_path / "config.json")
    assert f"command[0]: {late}: no such file; waiting for the program that writes it" in line
    assert place == "profiles.default.identity.command[0]"
    assert mistake.endswith(f" {place}: {late}: no such file")


def test_incomplete_command_is_waited_for(tmp_path: Path) -> None:
    """A start also waits for an executable that is being copied: `chmod` comes last. Other commands report it."""
    late = tmp_path / "late"
    config = configuration(profiles={"default": profile(identity={"type": "command", "command": [str(late)]})})
    key = "profiles.default.identity.command[0]"
    late.touch(0o700)
    [empty] = waits(config, tmp_path / "config.json")
    late.chmod(0o600)
    late.write_text("#!/bin/sh")

    [line] = waits(config, tmp_path / "config.json")
    [(place, mistake)] = examined(tmp_path / "config.json")
    assert f"{key}: {late}: empty; waiting for the program that writes it" in empty
    assert f"{key}: {late}: not executable by this user" in line
    assert "waiting for the program that writes it; run `chmod 0755` on the file" in line
    assert (place, "not executable by this user" in mistake) == (key, True)


def test_start_waits_for_the_time_of_the_file(tmp_path: Path) -> None:
    """The wait for the SDK's file lasts as long as `startup.timeoutSeconds`, and the code is that of a missing file."""
    config = LATE["the SDK's file"][0] | {"startup": {"timeoutSeconds": 7}}
    path = str(write_file(tmp_path / "config.json", config))

    with pytest.raises(NotThereYet) as caught:
        load(path, ENVIRON, hostname="h", now=lambda: 0.0, patient=True)
    assert (caught.value.patience, caught.value.error_code) == (7.0, "IDS-124")
    assert NO_FILE in caught.value.files


def test_sdk_file_that_a_variable_names_is_waited_for(tmp_path: Path) -> None:
    """Without a configuration file, the message names the variable."""
    environ = {"CLOUD_IDAAS_CONFIG_PATH": f"{tmp_path}/late", "ALIBABA_CLOUD_ROLE_ARN": exchange()["roleArn"]}

    assert waits({}, tmp_path / "config.json", environ) == [f"CLOUD_IDAAS_CONFIG_PATH: {tmp_path}/late: no such file"]


def test_bundle_that_a_variable_names_is_waited_for(tmp_path: Path) -> None:
    """The warning names the file of SSL_CERT_FILE."""
    lines = waits(configuration(), tmp_path / "config.json", ENVIRON | {"SSL_CERT_FILE": f"{tmp_path}/late"})

    assert [line for line in lines if f"{tmp_path}/late: no such file" in line]


def test_mistakes_beside_a_late_file_end_the_start(tmp_path: Path) -> None:
    """A mistake that waiting cannot correct is reported at once, even if a file is missing, too."""
    config = configuration(profiles={"default": profile(identity={"clientConfigPath": NO_FILE})}, prxy="x")

    with pytest.raises(Exception, match="prxy: unknown key") as caught:
        waits(config, tmp_path / "config.json")
    assert "clientConfigPath" not in str(caught.value)


def file_keys(node: Any) -> Iterator[str]:
    """Yield the keys of a JSON Schema whose values are files that the program reads."""
    if isinstance(node, dict):
        for key in node.get("properties", {}):
            if key == "file" or key.endswith(("File", "FilePath", "ConfigPath")):
                yield key
        for value in node.values():
            yield from file_keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from file_keys(value)


def test_every_file_is_tried() -> None:
    """LATE has each key that names a file."""
    assert set(file_keys(schema())) == {key.rpartition(".")[2] for _, key in LATE.values()}
