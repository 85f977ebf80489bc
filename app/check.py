"""Whether checked types make a configuration that can work, and whether what it names is there. No network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import files, places, secrets, workload
from .model import ConfigError, Secret
from .schedule import Schedule
from .settings import (
    Access,
    AuthnConfiguration,
    IdaasIdentity,
    PathToken,
    Profile,
    Refresh,
    Server,
    Settings,
    StsExchange,
)

LONGEST_POLICY = 2048
"""Characters (AssumeRoleWithOIDC's Policy)."""

LARGEST_BUNDLE = 16_777_216
"""Bytes of a CA bundle; the whole of Mozilla's is a quarter of a mebibyte."""


def settings(whole: Settings) -> None:
    """Raises ConfigError at the first value that cannot work. Pure."""
    for name, profile in whole.profiles.items():
        if isinstance(profile.identity, IdaasIdentity):
            _idaas(profile.identity, f"profiles.{name}.identity")
        _sts(profile.exchange, f"profiles.{name}.exchange")
    _listeners(whole.server, whole.access)
    _hosts(whole.access.allowed_hosts)
    schedule(whole.refresh)
    if whole.proxy is not None:
        places.check_proxy(whole.proxy, "proxy")


def named(whole: Settings, environ: Mapping[str, str]) -> None:
    """Raises ConfigError unless what is named is there: variables, files, the environment's proxies."""
    for name, profile in whole.profiles.items():
        place = f"profiles.{name}"
        if isinstance(profile.identity, IdaasIdentity):
            _secrets(profile.identity, f"{place}.identity", environ)
        for url in _urls(profile, place):
            proxy = places.proxy_for(url, whole.proxy, environ)
            if proxy is not None:
                places.check_proxy(proxy, "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY")
    if whole.access.path_token is not None:
        path_token(whole.access.path_token, environ)()
    if whole.tls.ca_file is not None:
        _bundle(whole.tls.ca_file, "tls.caFile")


def schedule(refresh: Refresh) -> Schedule:
    """The refresh section as arithmetic. Raises ConfigError for a pace that contradicts itself."""
    return Schedule(
        jitter=refresh.jitter,
        min_retry=refresh.min_retry_seconds,
        max_retry=refresh.max_retry_seconds,
        permanent_retry=refresh.permanent_retry_seconds,
    )


def path_token(configured: PathToken, environ: Mapping[str, str]) -> Secret:
    """The reader of the path token, which must be 16 or more characters of the URL-safe alphabet."""
    read = secrets.one_of(
        environ,
        name=configured.env_var_name,
        path=configured.file,
        place="access.pathToken",
        keys=("envVarName", "file"),
    )

    def checked() -> str:
        value = read()
        if len(value) < 16 or not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("access.pathToken: the secret must be 16 or more of A-Z a-z 0-9 - _")
        return value

    return checked


def client_secret(config: AuthnConfiguration, place: str, environ: Mapping[str, str]) -> Secret:
    """The reader of the client secret."""
    return secrets.one_of(
        environ,
        name=config.client_secret_env_var_name,
        path=config.client_secret_file,
        place=f"{place}.authnConfiguration",
        keys=("clientSecretEnvVarName", "clientSecretFile"),
    )


def private_key(config: AuthnConfiguration, place: str, environ: Mapping[str, str]) -> Secret:
    """The reader of the private key's text."""
    return secrets.one_of(
        environ,
        name=config.private_key_env_var_name,
        path=config.private_key_file,
        place=f"{place}.authnConfiguration",
        keys=("privateKeyEnvVarName", "privateKeyFile"),
    )


def private_key_password(config: AuthnConfiguration, place: str, environ: Mapping[str, str]) -> Secret | None:
    """The reader of the private key's password, where one is configured."""
    name = config.private_key_password_env_var_name
    if name is None:
        return None
    return secrets.from_environment(environ, name, f"{place}.authnConfiguration.privateKeyPasswordEnvVarName")


def policy_text(policy: dict[str, Any] | str | None, place: str) -> str | None:
    """The session policy minified, as STS counts it. Raises ConfigError if it is no JSON object or too long."""
    if policy is None:
        return None
    try:
        value = json.loads(policy) if isinstance(policy, str) else policy
    except json.JSONDecodeError as error:
        raise ConfigError(f"{place}.policy: not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{place}.policy: must be a JSON object")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_POLICY:
        raise ConfigError(f"{place}.policy: {len(text)} characters when minified; STS takes {LONGEST_POLICY}")
    return text


def _idaas(identity: IdaasIdentity, place: str) -> None:
    for key, value in (
        ("idaasInstanceId", identity.idaas_instance_id),
        ("clientId", identity.client_id),
        ("issuer", identity.issuer),
        ("tokenEndpoint", identity.token_endpoint),
        ("authnConfiguration", identity.authn_configuration),
    ):
        if not value:
            raise ConfigError(f"{place}.{key}: required")
    if not identity.scope:
        raise ConfigError(f"{place}.scope: required; it reads <audience>|<value>, such as api.example.com|.all")
    workload.audience_of(identity.scope, f"{place}.scope")
    places.endpoint(str(identity.token_endpoint), f"{place}.tokenEndpoint")


def _secrets(identity: IdaasIdentity, place: str, environ: Mapping[str, str]) -> None:
    config = identity.authn_configuration
    assert config is not None  # noqa: S101 - `settings` refused it otherwise; said again for the type checker
    if config.authn_method != "PRIVATE_KEY_JWT":
        client_secret(config, place, environ)()
        return
    from . import keys  # cryptography is 8 MiB: only for those who sign with a key

    place_of_key = f"{place}.authnConfiguration"
    text, password = private_key(config, place, environ)(), private_key_password(config, place, environ)
    key = keys.load_private_key(text, password() if password else None, place_of_key)
    if config.algorithm is not None:
        keys.check_algorithm(config.algorithm, key, place_of_key)
    keys.algorithm_for(key, place_of_key)


def _sts(exchange: StsExchange, place: str) -> None:
    workload.check_role_arn(exchange.role_arn, f"{place}.roleArn")
    workload.check_provider_arn(exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
    workload.check_session_name(str(exchange.role_session_name), f"{place}.roleSessionName")
    _endpoints(exchange, place)
    policy_text(exchange.policy, place)


def _endpoints(exchange: StsExchange, place: str) -> tuple[str, ...]:
    return places.sts_endpoints(region=exchange.region_id, vpc=exchange.vpc, explicit=exchange.endpoints, place=place)


def _urls(profile: Profile, place: str) -> Iterator[str]:
    """What the profile will talk to."""
    if isinstance(profile.identity, IdaasIdentity):
        yield str(profile.identity.token_endpoint)
    yield from _endpoints(profile.exchange, f"{place}.exchange")


def _bundle(path: str, place: str) -> None:
    """Raises ConfigError unless there are certificates in the file; they are parsed when the first call needs them."""
    try:
        raw = files.read(path, LARGEST_BUNDLE)
    except files.Unreadable as why:
        raise ConfigError(f"{place}: {path}: {why}") from None
    if b"-----BEGIN " not in raw or b"CERTIFICATE-----" not in raw:
        raise ConfigError(f"{place}: {path}: holds no PEM certificate (-----BEGIN CERTIFICATE-----)")


def _listeners(server: Server, access: Access) -> None:
    taken: dict[str, tuple[str, int]] = {}
    for key, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
        if address is None:
            continue
        host, port = places.listen_address(address, f"server.{key}")
        if key != "ops" and not places.is_private(host) and not access.unsafe_bind:
            raise ConfigError(
                f"server.{key}: {address} is reachable from other machines; use 127.0.0.1, or set access.unsafeBind"
            )
        for other, its in taken.items():
            if places.overlap((host, port), its):
                raise ConfigError(f"server.{key}: {address} is taken by server.{other}; choose another port")
        taken[key] = host, port
    if access.path_token and server.metadata and access.metadata_tokens != "required":
        raise ConfigError(
            "server.metadata: its clients cannot send access.pathToken; set access.metadataTokens to required, "
            "or leave one of the two out"
        )


def _hosts(hosts: Sequence[str]) -> None:
    if not hosts:
        raise ConfigError("access.allowedHosts: empty, so nobody would get an answer; name the hosts clients ask for")
    for index, host in enumerate(hosts):
        if not places.is_host(host):
            raise ConfigError(
                f"access.allowedHosts[{index}]: {host!r} is no host; write it without port or path, IPv6 as [::1]"
            )
