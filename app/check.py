"""Whether checked types make a configuration that can work; and what in it works badly. No network, no disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from . import places, secrets, workload
from .model import ConfigError, Secret
from .schedule import QUIET_ABOVE, SHORTEST_SESSION, Schedule, lead
from .settings import AuthnConfiguration, IdaasIdentity, PathToken, Profile, Refresh, Settings, StsExchange

LONGEST_POLICY = 2048
"""Characters (AssumeRoleWithOIDC's Policy)."""


def settings(whole: Settings, environ: Mapping[str, str]) -> None:
    """Raises ConfigError at the first thing that cannot work. Secrets are looked for here and read when used."""
    for name, profile in whole.profiles.items():
        _profile(profile, f"profiles.{name}", environ)
    _listeners(whole)
    schedule(whole.refresh)
    if whole.proxy is not None and not whole.proxy.startswith(("http://", "https://")):
        raise ConfigError(f"proxy: {whole.proxy!r} is not a URL of the form http://host:port")
    if whole.access.path_token is not None:
        path_token(whole.access.path_token, environ)()


def warnings(whole: Settings) -> Iterator[str]:
    """What works, but worse than its owner may think."""
    for name, profile in whole.profiles.items():
        seconds = profile.exchange.duration_seconds
        if seconds <= SHORTEST_SESSION:
            yield (
                f"profiles.{name}.exchange.durationSeconds: sessions of {seconds} s never leave the 900 s margin of "
                "the Python, Java, Node, PHP and C# SDKs: each of their calls will ask again; 3600 is the default"
            )
        elif lead(seconds) < QUIET_ABOVE:
            yield (
                f"profiles.{name}.exchange.durationSeconds: sessions of {seconds} s are replaced with "
                f"{lead(seconds):.0f} s left; clients with a margin of up to {QUIET_ABOVE:.0f} s will ask more often; "
                "3600 keeps them quiet"
            )
        if isinstance(profile.identity, IdaasIdentity) and profile.identity.http_configuration.unsafe_ignore_ssl_cert:
            yield (
                f"profiles.{name}.identity.httpConfiguration.unsafeIgnoreSslCert: TLS VERIFICATION IS OFF for the "
                "token endpoint: whoever is on the path can take the client's secret; use tls.caFile instead"
            )
    if whole.access.unsafe_bind:
        yield "access.unsafeBind: credentials may be served on addresses that other machines reach"


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


def _profile(profile: Profile, place: str, environ: Mapping[str, str]) -> None:
    if isinstance(profile.identity, IdaasIdentity):
        _idaas(profile.identity, f"{place}.identity", environ)
    _sts(profile.exchange, f"{place}.exchange")


def _idaas(identity: IdaasIdentity, place: str, environ: Mapping[str, str]) -> None:
    if identity.client_config_path:
        place = identity.client_config_path
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
    config = identity.authn_configuration
    assert config is not None  # noqa: S101 - checked above, said again for the type checker
    wanted = private_key if config.authn_method == "PRIVATE_KEY_JWT" else client_secret
    wanted(config, place, environ)()


def _sts(exchange: StsExchange, place: str) -> None:
    workload.check_role_arn(exchange.role_arn, f"{place}.roleArn")
    workload.check_provider_arn(exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
    workload.check_session_name(str(exchange.role_session_name), f"{place}.roleSessionName")
    places.sts_endpoints(region=exchange.region_id, vpc=exchange.vpc, explicit=exchange.endpoints, place=place)
    policy_text(exchange.policy, place)


def _listeners(whole: Settings) -> None:
    server, access = whole.server, whole.access
    for key, address in (("bind", server.bind), ("metadata", server.metadata)):
        if address is None:
            continue
        host, _ = places.listen_address(address, f"server.{key}")
        if not (places.is_loopback(host) or host in places.METADATA_ADDRESSES) and not access.unsafe_bind:
            raise ConfigError(
                f"server.{key}: {address} is reachable from other machines; use 127.0.0.1, or set access.unsafeBind"
            )
    if server.ops is not None:
        places.listen_address(server.ops, "server.ops")
    if access.path_token and server.metadata and access.metadata_tokens != "required":
        raise ConfigError(
            "server.metadata: its clients cannot send access.pathToken; set access.metadataTokens to required, "
            "or leave one of the two out"
        )
