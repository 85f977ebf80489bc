"""The AccessKey that signs the PLUGIN method's call: the first one of the SDKs' default chain on this machine.

The order: environment variables, the CLI's `~/.aliyun/config.json`, the SDKs' credentials file, the ECS instance's
role. `ALIBABA_CLOUD_CREDENTIALS_URI` is never read: it names the sidecar for clients, so the sidecar would ask itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import field

from ..core.errors import ConfigError, NotThereYet, Unreachable
from ..core.record import Record
from ..system import files
from ..system.disk import Disk, Stalled
from ..system.json_file import read_object
from ..upstream.acs3 import KeyPair

LARGEST = 1_048_576
"""The most bytes of a credentials file."""

_ID, _SECRET, _TOKEN = "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"
_FILE = "ALIBABA_CLOUD_CREDENTIALS_FILE"
_SENDABLE = re.compile("[!-~]+")
_CURE = "use an AccessKey, an STS token or an ECS role there, or another authnMethod"


class EcsRole(Record, frozen=True):
    """The instance's role by name; None for its only role."""

    name: str | None


class AccessKeys(Record, frozen=True):
    """The sources of an AccessKey. `role` asks the ECS metadata service for a role's keys; None: its only role."""

    HIDDEN = frozenset({"environ", "disk"})

    environ: Mapping[str, str]
    role: Callable[[str | None], Awaitable[KeyPair]]
    disk: Disk = field(default_factory=Disk)

    async def keys(self) -> KeyPair:
        """
        Return the present keys. Reads files each time.

        Raises ConfigError, Unreachable, and the errors of `role`; NotThereYet if the only source is a file that a
        variable names and that does not exist.
        """
        try:
            found = await self.disk.call(self._home(".aliyun/config.json"), self._found)
        except Stalled as error:
            raise Unreachable(
                f"PLUGIN: the AccessKey's files below {self._home('')}: {error}", error_code="IDS-601"
            ) from None
        if isinstance(found, EcsRole):
            return await self.role(found.name)
        if not all(map(_SENDABLE.fullmatch, filter(None, (found.access_key_id, found.secret, found.token)))):
            raise ConfigError(
                "PLUGIN: the AccessKey or its STS token has blanks, control characters or characters outside ASCII",
                cure="copy it again into its variable or file",
                error_code="IDS-325",
            )
        return found

    def _found(self) -> KeyPair | EcsRole:
        found = self._environment() or self._cli_profile() or self._credentials_file() or self._instance()
        if found is None and (named := self._named_file()) and not files.exists(named):
            raise NotThereYet(f"PLUGIN: {_FILE}: {named}: no such file")
        if found is None:
            raise ConfigError(
                f"PLUGIN: no AccessKey: neither {_ID}, nor {self._home('.aliyun/config.json')}, nor "
                f"{self._ini_path()}, and ALIBABA_CLOUD_ECS_METADATA_DISABLED is set",
                error_code="IDS-325",
            )
        return found

    def _environment(self) -> KeyPair | None:
        key_id, secret = (self.environ.get(name, "").strip() for name in (_ID, _SECRET))
        if bool(key_id) != bool(secret):
            raise ConfigError(
                f"{_SECRET if key_id else _ID}: not set, though its other half is",
                cure="set both or neither",
                error_code="IDS-325",
            )
        return KeyPair(key_id, secret, self.environ.get(_TOKEN, "").strip() or None) if key_id else None

    def _cli_profile(self) -> KeyPair | EcsRole | None:
        path = self._home(".aliyun/config.json")
        if self._is("ALIBABA_CLOUD_CLI_PROFILE_DISABLED") or not files.exists(path):
            return None
        whole = read_object(path, secret=True)
        name = self.environ.get("ALIBABA_CLOUD_PROFILE") or whole.get("current") or "default"
        profiles = whole.get("profiles")
        for profile in profiles if isinstance(profiles, list) else ():
            if isinstance(profile, dict) and profile.get("name") == name:
                return _of_cli(profile, f"{path}: profile {name!r}")
        return None

    def _credentials_file(self) -> KeyPair | EcsRole | None:
        path = self._ini_path()
        if not files.exists(path):
            return None
        import configparser  # needed only if there is such a file

        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(files.read_secret(path, LARGEST).decode())
        except files.Unreadable as why:
            raise ConfigError(why.at(path), error_code="IDS-102") from None
        except (configparser.Error, UnicodeDecodeError):
            raise ConfigError(
                f"{path}: not an ini file", error_code="IDS-126"
            ) from None  # the original text would quote the line
        name = self.environ.get("ALIBABA_CLOUD_PROFILE") or "default"
        return _of_ini(parser[name], f"{path}: [{name}]") if parser.has_section(name) else None

    def _instance(self) -> EcsRole | None:
        if self._is("ALIBABA_CLOUD_ECS_METADATA_DISABLED"):
            return None
        return EcsRole(self.environ.get("ALIBABA_CLOUD_ECS_METADATA") or None)

    def _is(self, name: str) -> bool:
        return self.environ.get(name, "").strip().lower() == "true"

    def _home(self, path: str) -> str:
        return f"{self.environ.get('HOME') or '~'}/{path}"

    def _named_file(self) -> str:
        return self.environ.get(_FILE, "").strip()

    def _ini_path(self) -> str:
        usual = (self._home(f".alibabacloud/{name}") for name in ("credentials.ini", "credentials"))
        return self._named_file() or next(filter(files.exists, usual), self._home(".alibabacloud/credentials.ini"))


def _of_cli(profile: Mapping[str, Any], place: str) -> KeyPair | EcsRole:
    mode = profile.get("mode", "AK")
    if mode == "EcsRamRole":
        return EcsRole(str(profile.get("ram_role_name") or "") or None)
    if mode not in ("AK", "StsToken"):
        raise ConfigError(f"{place}: its mode is not supported here", cure=_CURE, error_code="IDS-325")
    names = ("access_key_id", "access_key_secret", "sts_token")
    return _pair(profile, names, place, session=mode == "StsToken")


def _of_ini(section: Mapping[str, str], place: str) -> KeyPair | EcsRole:
    kind = section.get("type", "access_key")
    if kind == "ecs_ram_role":
        return EcsRole(section.get("role_name") or None)
    if kind not in ("access_key", "sts"):
        raise ConfigError(f"{place}: its type is not supported here", cure=_CURE, error_code="IDS-325")
    return _pair(section, ("access_key_id", "access_key_secret", "security_token"), place, session=kind == "sts")


def _pair(values: Mapping[str, Any], names: tuple[str, str, str], place: str, *, session: bool) -> KeyPair:
    for name in names if session else names[:2]:
        if not isinstance(values.get(name), str) or not values[name]:
            raise ConfigError(f"{place}: {name} is missing or empty", error_code="IDS-325")
    key_id, secret, token = (values.get(name) for name in names)
    return KeyPair(str(key_id), str(secret), str(token) if session else None)
