"""The values of a configuration: defaults, variables, and the source of each value."""

from __future__ import annotations

from pathlib import Path

from app.config.loader import load
from app.emulator.world.world import PROVIDER_ARN, role_arn
from app.exchange.settings import StsExchange
from app.identity.idaas import IdaasIdentity

from ..conftest import ENVIRON, configuration, exchange, identity
from .configurations import Load, with_exchange, write_file


def test_minimal_configuration_gets_defaults(tmp_path: Path) -> None:
    """Types, the session name and all other values have defaults, and `sources` has the source of each given value."""
    minimal_identity = {key: value for key, value in identity().items() if key != "type"}
    arns = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN}
    config = configuration(profiles={"default": {"identity": minimal_identity, "exchange": arns}})
    path = write_file(tmp_path / "c.json", config)

    result = load(str(path), ENVIRON, hostname="host-1", now=lambda: 5.0)

    settings = result.settings
    assert isinstance(settings.profiles["default"].identity, IdaasIdentity)
    assert settings.profiles["default"].exchange.role_session_name == "host-1"
    assert settings.profiles["default"].exchange.duration_seconds == 3600
    assert (settings.server.bind, settings.server.ops, settings.server.metadata) == (
        "127.0.0.1:7117",
        "127.0.0.1:7118",
        None,
    )
    assert (settings.startup.gate, settings.startup.timeout_seconds, settings.shutdown.drain_seconds) == (
        "credentials",
        60,
        25,
    )
    assert result.origin == str(path)
    assert result.at == 5.0
    assert result.warnings == ()
    assert result.sources["profiles.default.exchange.roleSessionName"] == "host name"
    assert result.sources["profiles.default.identity.scope"] == str(path)
    assert "server.bind" not in result.sources


def test_session_name_of_a_pod(loaded: Load) -> None:
    """In a pod the session name is `{namespace}.{pod}`, and its source names the two variables."""
    environ = ENVIRON | {"POD_NAMESPACE": "shop", "POD_NAME": "cart-1"}

    result = loaded(with_exchange(roleSessionName=None), environ)

    assert result.settings.profiles["default"].exchange.role_session_name == "shop.cart-1"
    assert result.sources["profiles.default.exchange.roleSessionName"] == "environment POD_NAMESPACE and POD_NAME"


def test_variables_are_replaced(loaded: Load, tmp_path: Path) -> None:
    """`${VAR}` is replaced in ARNs, session names and paths, and `~` in paths; the source names the variables."""
    write_file(tmp_path / "secret", "s")
    authn = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "~/secret"}
    config = configuration(
        profiles={
            "default": {
                "identity": identity(authnConfiguration=authn),
                "exchange": exchange(roleArn="acs:ram::1:role/${NS}-${APP}", roleSessionName="${APP}"),
            }
        }
    )

    result = loaded(config, {"NS": "shop", "APP": "cart", "HOME": str(tmp_path)})

    profile = result.settings.profiles["default"]
    assert profile.exchange.role_arn == "acs:ram::1:role/shop-cart"
    assert profile.exchange.role_session_name == "cart"
    assert isinstance(profile.identity, IdaasIdentity)
    assert profile.identity.authn_configuration is not None
    assert profile.identity.authn_configuration.client_secret_file == f"{tmp_path}/secret"
    assert result.sources["profiles.default.exchange.roleArn"] == f"{result.origin} with ${{NS}}, ${{APP}}"


def test_variables_in_every_string(loaded: Load) -> None:
    """`${VAR}` is replaced in tags, words of a choice, lists, URLs and values; `$${` stands for `${`."""
    config = configuration(
        profiles={
            "default": {
                "identity": identity(type="${KIND}", issuer="https://${HOST}/${PATH_}", scope="${HOST}|$${b}"),
                "exchange": exchange(endpoints=["https://sts.${REGION}.aliyuncs.com"]),
            }
        },
        logging={"level": "${LEVEL}"},
        access={"allowedHosts": ["${HOST}"]},
    )
    environ = {"KIND": "idaas", "HOST": "idp.example", "PATH_": "x/y", "REGION": "cn-beijing", "LEVEL": "debug"}

    result = loaded(config, ENVIRON | environ)

    profile = result.settings.profiles["default"]
    assert isinstance(profile.identity, IdaasIdentity)
    assert profile.identity.issuer == "https://idp.example/x/y"
    assert profile.identity.scope == "idp.example|${b}"
    assert isinstance(profile.exchange, StsExchange)
    assert profile.exchange.endpoints == ["https://sts.cn-beijing.aliyuncs.com"]
    assert result.settings.logging.level == "debug"
    assert result.settings.access.allowed_hosts == ["idp.example"]


def test_variables_in_a_policy_are_not_replaced(loaded: Load) -> None:
    """A policy may have variables of its own, so `${...}` in a policy is not replaced."""
    policy = {"Statement": [{"Resource": "acs:oss:*:*:${acs:RequestTag}/*", "roleArn": "${NOT_SET}"}]}
    config = with_exchange(policy=policy)

    assert loaded(config).settings.profiles["default"].exchange.policy == policy


def test_ssl_cert_file_is_the_default_ca_file(loaded: Load, tmp_path: Path) -> None:
    """$SSL_CERT_FILE is the default of tls.caFile, and tls.caFile overrides it."""
    configured, default = (
        write_file(tmp_path / name, "-----BEGIN CERTIFICATE-----\n") for name in ("configured.pem", "default.pem")
    )
    environ = ENVIRON | {"SSL_CERT_FILE": str(default)}

    by_environment = loaded(None, environ)
    by_file = loaded(configuration(tls={"caFile": str(configured)}), environ)

    assert by_environment.settings.tls.ca_file == str(default)
    assert by_environment.sources["tls.caFile"] == "environment SSL_CERT_FILE"
    assert by_file.settings.tls.ca_file == str(configured)


def test_search_order_of_the_configuration(tmp_path: Path) -> None:
    """The argument comes first, then $IDAAS_SIDECAR_CONFIG, then the path in /etc."""
    first, second, third = (write_file(tmp_path / f"{name}.json", configuration()) for name in "abc")
    environ = ENVIRON | {"IDAAS_SIDECAR_CONFIG": str(second)}

    def origin(path: Path | None, environ: dict[str, str]) -> str:
        named = str(path) if path else None
        return load(named, environ, hostname="h", now=lambda: 0.0, default_path=third).origin

    assert origin(first, environ) == str(first)
    assert origin(None, environ) == str(second)
    assert origin(None, ENVIRON) == str(third)


def test_referenced_files_are_not_checked_without_look(tmp_path: Path) -> None:
    """With `look=False`, for commands that use no secret, secrets that only another container has are not read."""
    path = write_file(tmp_path / "c.json", configuration())

    assert load(str(path), {}, hostname="h", now=lambda: 0.0, look=False).settings.profiles["default"]
