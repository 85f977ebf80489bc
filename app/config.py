"""Files and environment to Settings: found, read, checked, and each value's origin kept. No network.

Search order: `--config`, `$IDAAS_SIDECAR_CONFIG`, `/etc/idaas-sidecar/config.json`; with none of them, the IDaaS SDK's
own file or a token file together with the variables that Alibaba SDKs already know make one profile, `default`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from . import check, sdkfile
from .jsonfile import read_object
from .model import ConfigError, Now
from .settings import PROFILE_NAME, IdaasIdentity, Profile, Settings
from .workload import default_session_name

DEFAULT_PATH = Path("/etc/idaas-sidecar/config.json")
MAJOR, MINOR = 1, 0
"""The configVersion this program was written for."""

T = TypeVar("T")

_EXPANDED = frozenset(
    {
        "roleArn",
        "roleSessionName",
        "clientConfigPath",
        "clientSecretFile",
        "privateKeyFile",
        "tokenFile",
        "caFile",
        "file",
    }
)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Checked settings. `sources`: dotted keys to their origin (absent: the default); `warnings`: for the log."""

    settings: Settings
    origin: str
    at: float
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Notes:
    """What reading leaves behind beside the values."""

    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def load(
    path: str | None, environ: Mapping[str, str], *, hostname: str, now: Now, default_path: Path = DEFAULT_PATH
) -> Loaded:
    """The effective configuration. Raises ConfigError: one line with the thing, the place and the cure."""
    notes = _Notes()
    file = _find(path, environ, default_path)
    if file is None:
        origin = "environment"
        raw = _from_environment(environ, default_path, notes)
    else:
        origin = str(file)
        raw = read_object(file)
        _check_version(raw, origin)
    prefix = f"{origin}: " if file else ""
    try:
        _check_keys(raw, notes, origin)
        settings = _convert(_expand(raw, environ))
        settings = _complete(settings, notes, environ, hostname)
        check.settings(settings, environ)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None
    notes.warnings.extend(check.warnings(settings))
    return Loaded(settings, origin, now(), notes.sources, tuple(notes.warnings))


def _find(path: str | None, environ: Mapping[str, str], default_path: Path) -> Path | None:
    named = path or environ.get("IDAAS_SIDECAR_CONFIG")
    if named:
        return Path(named).expanduser()
    return default_path if default_path.exists() else None


def _check_version(raw: dict[str, Any], origin: str) -> None:
    version = raw.get("configVersion")
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]+\.[0-9]+", version):
        raise ConfigError(f'{origin}: configVersion: required; write "configVersion": "{MAJOR}.{MINOR}"')
    if int(version.split(".")[0]) != MAJOR:
        raise ConfigError(f"{origin}: configVersion: {version} is not understood; this program reads {MAJOR}.x")


def _newer(raw: dict[str, Any]) -> bool:
    return int(raw["configVersion"].split(".")[1]) > MINOR


# --- the environment instead of a file -------------------------------------------------------------------------------


def _from_environment(environ: Mapping[str, str], default_path: Path, notes: _Notes) -> dict[str, Any]:
    sdk, token_file = sdkfile.default_path(environ), environ.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE")
    role, provider = environ.get("ALIBABA_CLOUD_ROLE_ARN"), environ.get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN")
    if sdk.exists() and token_file:
        raise ConfigError(
            f"two identities: the IDaaS SDK's file {sdk} and ALIBABA_CLOUD_OIDC_TOKEN_FILE={token_file}; "
            "remove one, or write a configuration file"
        )
    if not sdk.exists() and not token_file:
        raise ConfigError(
            f"no configuration: no --config, no $IDAAS_SIDECAR_CONFIG, no {default_path}, no {sdk} and no "
            "$ALIBABA_CLOUD_OIDC_TOKEN_FILE; start from config.example.json, or try `idaas-sidecar demo`"
        )
    if not role:
        raise ConfigError(
            "ALIBABA_CLOUD_ROLE_ARN: not set; name the RAM role to assume, acs:ram::<account id>:role/<name>"
        )
    if not provider:
        raise ConfigError(
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: not set; a role managed by IDaaS (developerApi) is not in this version, "
            "so name the OIDC provider, acs:ram::<account id>:oidc-provider/<name>"
        )
    place = "profiles.default"
    identity: dict[str, Any]
    if token_file:
        identity = {"type": "tokenFile", "tokenFile": token_file}
        notes.sources[f"{place}.identity.tokenFile"] = "environment ALIBABA_CLOUD_OIDC_TOKEN_FILE"
    else:
        identity = {"type": "idaas", "clientConfigPath": str(sdk)}
        notes.sources[f"{place}.identity.clientConfigPath"] = "the IDaaS SDK's search order"
    exchange = {"type": "sts"} | dict(_exchange_variables(environ, f"{place}.exchange", notes))
    return {
        "configVersion": f"{MAJOR}.{MINOR}",
        "profiles": {"default": {"identity": identity, "exchange": exchange}},
    }


def _exchange_variables(environ: Mapping[str, str], place: str, notes: _Notes) -> Iterator[tuple[str, Any]]:
    for key, variable in (
        ("roleArn", "ALIBABA_CLOUD_ROLE_ARN"),
        ("oidcProviderArn", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN"),
        ("roleSessionName", "ALIBABA_CLOUD_ROLE_SESSION_NAME"),
        ("regionId", "ALIBABA_CLOUD_STS_REGION"),
        ("vpc", "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED"),
    ):
        value = environ.get(variable, "").strip()
        if not value:
            continue
        notes.sources[f"{place}.{key}"] = f"environment {variable}"
        # Without a region the SDKs ignore the VPC flag; a file of ours may not be so vague.
        yield (
            key,
            (value.lower() == "true" and bool(environ.get("ALIBABA_CLOUD_STS_REGION")) if key == "vpc" else value),
        )


# --- keys -------------------------------------------------------------------------------------------------------------


def _check_keys(raw: dict[str, Any], notes: _Notes, origin: str) -> None:
    """Unknown keys: an error, or under a newer minor version a warning and gone. Known ones: their origin is noted."""
    lenient = _newer(raw)
    for holder, key, path, names in list(_walk(raw, inspect.type_info(Settings), "", notes, origin)):
        complaint = f"{path}: unknown key{_did_you_mean(key, names)}"
        if not lenient:
            raise ConfigError(complaint)
        del holder[key]
        notes.warnings.append(f"{complaint}; ignored, because configVersion {raw['configVersion']} is newer than ours")


_Unknown = tuple[dict[str, Any], str, str, list[str]]


def _walk(value: Any, info: inspect.Type, path: str, notes: _Notes, origin: str) -> Iterator[_Unknown]:
    if isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.UnionType):
        info = _member(value, info)
    if (
        isinstance(info, inspect.DictType)
        and isinstance(value, dict)
        and isinstance(info.value_type, inspect.StructType)
    ):
        for name, item in value.items():
            yield from _walk(item, info.value_type, _join(path, name), notes, origin)
    elif isinstance(info, inspect.StructType) and isinstance(value, dict):
        yield from _walk_struct(value, info, path, notes, origin)
    elif path and origin != "environment":
        notes.sources[path] = origin


def _walk_struct(
    value: dict[str, Any], info: inspect.StructType, path: str, notes: _Notes, origin: str
) -> Iterator[_Unknown]:
    known: dict[str, inspect.Type] = {item.encode_name: item.type for item in info.fields}
    if info.tag_field:
        known[info.tag_field] = inspect.StrType()
    for key, item in value.items():
        if key in known:
            yield from _walk(item, known[key], _join(path, key), notes, origin)
        else:
            yield value, key, _join(path, key), sorted(known)


def _member(value: Any, union: inspect.UnionType) -> inspect.Type:
    """The union's member that `value` will become: the struct with its tag, else whatever is no struct."""
    structs = [item for item in union.types if isinstance(item, inspect.StructType)]
    if isinstance(value, dict) and structs:
        return next((item for item in structs if item.tag == value.get("type", item.tag)), structs[0])
    return inspect.AnyType()


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _did_you_mean(key: str, names: list[str]) -> str:
    import difflib  # only for an error message

    close = difflib.get_close_matches(key, names, 1, 0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(names)}"


def _expand(value: Any, environ: Mapping[str, str], path: str = "", key: str = "") -> Any:
    """`value` with `${VAR}` put in wherever a key allows it. Raises ConfigError for a variable that is not set."""
    if isinstance(value, dict):
        return {name: _expand(item, environ, _join(path, name), name) for name, item in value.items()}
    if not isinstance(value, str) or key not in _EXPANDED:
        return value

    def put(match: re.Match[str]) -> str:
        if not environ.get(match[1]):
            raise ConfigError(f"{path}: the environment variable {match[1]} is not set")
        return environ[match[1]]

    return _VARIABLE.sub(put, value)


def _convert(raw: dict[str, Any]) -> Settings:
    profiles = raw.get("profiles")
    for name, profile in (profiles if isinstance(profiles, dict) else {}).items():
        place = f"profiles.{name}"
        if not re.fullmatch(PROFILE_NAME, name):
            raise ConfigError(f"{place}: a profile's name matches {PROFILE_NAME.strip('^$')}")
        if isinstance(profile, dict):
            _default_type(profile.get("identity"), "idaas")
            _default_type(profile.get("exchange"), "sts")
            _converted(profile, Profile, place)
    return _converted(raw, Settings)


def _default_type(value: Any, name: str) -> None:
    if isinstance(value, dict):
        value.setdefault("type", name)


def _converted(raw: dict[str, Any], kind: type[T], place: str = "") -> T:
    """`raw` as `kind`; `place` goes before the complaint's path, because msgspec's own leave out the names in a map."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(sdkfile.readable(error, place)) from None


# --- what the file leaves to be found ---------------------------------------------------------------------------------


def _complete(settings: Settings, notes: _Notes, environ: Mapping[str, str], hostname: str) -> Settings:
    profiles = {}
    for name, profile in settings.profiles.items():
        place = f"profiles.{name}"
        identity, exchange = profile.identity, profile.exchange
        if isinstance(identity, IdaasIdentity) and identity.client_config_path:
            identity = _sdk_identity(identity, f"{place}.identity", notes)
        if exchange.role_session_name is None:
            session, source = default_session_name(environ, hostname)
            exchange = msgspec.structs.replace(exchange, role_session_name=session)
            notes.sources[f"{place}.exchange.roleSessionName"] = source
        profiles[name] = msgspec.structs.replace(profile, identity=identity, exchange=exchange)
    return msgspec.structs.replace(settings, profiles=profiles)


def _sdk_identity(identity: IdaasIdentity, place: str, notes: _Notes) -> IdaasIdentity:
    path = str(identity.client_config_path)
    if identity != IdaasIdentity(client_config_path=path):
        raise ConfigError(f"{place}: clientConfigPath stands beside other keys; keep the path or the keys")
    found = sdkfile.load(Path(path).expanduser())
    for key, value in leaves(found, place):
        if value is not None:
            notes.sources[key] = path
    return msgspec.structs.replace(found, client_config_path=path)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key of `value` (a Settings or a part of one) with its value, as `config --show` prints them."""
    if isinstance(value, msgspec.Struct):
        for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            yield from leaves(getattr(value, name), _join(path, encoded))
    elif isinstance(value, dict) and value and all(isinstance(item, msgspec.Struct) for item in value.values()):
        for name, item in value.items():
            yield from leaves(item, _join(path, name))
    else:
        yield path, value
