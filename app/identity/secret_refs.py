"""From the keys of an identity to the readers of the secrets, files and names that they point at."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.model import ConfigError, Secret
from ..system import secrets
from .settings import AuthnConfiguration, Keys

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path


def client_secret(keys: Keys, place: str, environ: Mapping[str, str]) -> Secret:
    """The reader of the client secret."""
    return secrets.one_of(
        environ,
        name=keys.client_secret_env_var_name,
        path=keys.client_secret_file,
        place=place,
        keys=("clientSecretEnvVarName", "clientSecretFile"),
    )


def private_key(keys: Keys, place: str, environ: Mapping[str, str]) -> Secret:
    """The reader of the private key's text."""
    return secrets.one_of(
        environ,
        name=keys.private_key_env_var_name,
        path=keys.private_key_file,
        place=place,
        keys=("privateKeyEnvVarName", "privateKeyFile"),
    )


def password(holder: Keys, place: str, environ: Mapping[str, str]) -> Secret | None:
    """The reader of the private key's password, where one is configured."""
    name = holder.private_key_password_env_var_name
    return secrets.from_environment(environ, name, f"{place}.privateKeyPasswordEnvVarName") if name else None


def certificate(config: AuthnConfiguration, place: str) -> Secret:
    """The reader of the PCA client's certificate."""
    return _text_or_file(
        config.client_x509_certificate,
        config.client_x509_certificate_file,
        place,
        ("clientX509Certificate", "clientX509CertificateFile"),
    )


def certificate_chain(config: AuthnConfiguration, place: str) -> Secret:
    """The reader of the PCA client's intermediate certificates."""
    return _text_or_file(
        config.x509_cert_chains, config.x509_cert_chains_file, place, ("x509CertChains", "x509CertChainsFile")
    )


def federated_token(config: AuthnConfiguration, place: str, environ: Mapping[str, str]) -> Secret:
    """The reader of the OIDC method's token file, found in the SDK's order: path, variable, Kubernetes' own."""
    if config.oidc_token_file_path:
        return secrets.from_file(config.oidc_token_file_path, f"{place}.oidcTokenFilePath")
    if not config.oidc_token_file_path_env_var_name:
        return secrets.from_file(KUBERNETES_TOKEN, f"{place}.oidcTokenFilePath")
    key = f"{place}.oidcTokenFilePathEnvVarName"
    path = secrets.from_environment(environ, config.oidc_token_file_path_env_var_name, key)
    return lambda: secrets.from_file(path(), key)()


def _text_or_file(text: str | None, path: str | None, place: str, keys: tuple[str, str]) -> Secret:
    if text and path:
        raise ConfigError(f"{place}: {keys[0]} and {keys[1]} are both set; keep one")
    if path:
        return secrets.from_file(path, f"{place}.{keys[1]}")
    if text:
        return lambda: text
    raise ConfigError(f"{place}: {keys[0]} or {keys[1]} is required")
