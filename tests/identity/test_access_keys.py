"""The AccessKey that signs the PLUGIN method's call: the order of its sources, and the error of each source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError, NotThereYet, Unreachable
from app.identity.access_keys import AccessKeys
from app.upstream.acs3 import KeyPair

from .contexts import HungDisk

ENVIRONMENT = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIenv", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-env"}
INI = "[default]\ntype = access_key\naccess_key_id = LTAIini\naccess_key_secret = of-ini\n"
INI_STS = "[default]\ntype = sts\naccess_key_id = STS.ini\naccess_key_secret = of-ini\nsecurity_token = token-ini\n"


class Instance:
    """An ECS instance that records the names of the roles that were requested."""

    def __init__(self) -> None:
        self.requested: list[str | None] = []

    async def role(self, name: str | None) -> KeyPair:
        """Return the keys of a role."""
        self.requested.append(name)
        return KeyPair("STS.ecs", "of-ecs", "token-ecs")


def write_file(home: Path, path: str, text: str) -> None:
    """Write a file in the home directory."""
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write_cli_profile(home: Path, mode: str, **members: Any) -> None:
    """Write the Alibaba Cloud CLI's configuration with one profile."""
    profile = {"name": "default", "mode": mode, **members}
    write_file(home, ".aliyun/config.json", json.dumps({"current": "default", "profiles": [profile]}))


async def resolve_keys(home: Path, instance: Instance | None = None, **environ: str) -> KeyPair:
    """Return the keys that the program finds, and check that its repr shows no secret."""
    keys = AccessKeys({"HOME": str(home), **environ}, role=(instance or Instance()).role)
    assert "of-" not in repr(keys)
    assert "disk" not in repr(keys)
    return await keys.keys()


async def test_order_of_key_sources(tmp_path: Path) -> None:
    """The environment comes first, then the CLI's profile, the credentials file, and the instance's role."""
    write_file(tmp_path, ".alibabacloud/credentials", INI)
    write_cli_profile(tmp_path, "AK", access_key_id="LTAIcli", access_key_secret="of-cli")
    without_cli = {"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}

    assert await resolve_keys(tmp_path, **ENVIRONMENT) == KeyPair("LTAIenv", "of-env")
    assert await resolve_keys(tmp_path, **ENVIRONMENT, ALIBABA_CLOUD_SECURITY_TOKEN="t") == KeyPair(
        "LTAIenv", "of-env", "t"
    )
    assert await resolve_keys(tmp_path) == KeyPair("LTAIcli", "of-cli")
    assert await resolve_keys(tmp_path, **without_cli) == KeyPair("LTAIini", "of-ini")
    (tmp_path / ".alibabacloud/credentials").unlink()
    assert await resolve_keys(tmp_path, **without_cli) == KeyPair("STS.ecs", "of-ecs", "token-ecs")


def cli_profile(name: str) -> dict[str, str]:
    """Return a profile of the CLI whose key has the profile's name."""
    return {"name": name, "access_key_id": f"LTAI{name}", "access_key_secret": "of-cli"}


CLI_FILES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({}, {"profiles": [cli_profile("other"), cli_profile("default")]}, "LTAIdefault"),
    ({}, {"current": "", "profiles": [cli_profile("default")]}, "LTAIdefault"),
    ({}, {"current": "b", "profiles": [cli_profile("default"), cli_profile("b")]}, "LTAIb"),
    (
        {"ALIBABA_CLOUD_PROFILE": "c"},
        {"current": "b", "profiles": [cli_profile("b"), cli_profile("c")]},
        "LTAIc",
    ),
    ({}, {"profiles": ["default", None, cli_profile("default")]}, "LTAIdefault"),
    ({}, {"current": "none", "profiles": [cli_profile("default")]}, "LTAIini"),
    ({}, {"profiles": []}, "LTAIini"),
    ({}, {"profiles": 3}, "LTAIini"),
    ({}, {}, "LTAIini"),
]


@pytest.mark.parametrize(("environ", "file", "key_id"), CLI_FILES)
async def test_profile_of_the_cli_is_selected(
    environ: dict[str, str], file: dict[str, Any], key_id: str, tmp_path: Path
) -> None:
    """The variable names the profile, else the file's `current`; without that profile the next source is used."""
    write_file(tmp_path, ".aliyun/config.json", json.dumps(file))
    write_file(tmp_path, ".alibabacloud/credentials", INI)

    assert (await resolve_keys(tmp_path, **environ)).access_key_id == key_id


SECOND = INI.replace("default", "second").replace("LTAIini", "LTAIsecond")
INI_FILES = [
    ({}, {"credentials.ini": INI, "credentials": SECOND}, KeyPair("LTAIini", "of-ini")),
    ({}, {"credentials": INI + SECOND}, KeyPair("LTAIini", "of-ini")),
    ({"ALIBABA_CLOUD_PROFILE": "second"}, {"credentials": INI + SECOND}, KeyPair("LTAIsecond", "of-ini")),
    ({}, {"credentials": SECOND}, KeyPair("STS.ecs", "of-ecs", "token-ecs")),
    ({}, {"credentials": INI_STS}, KeyPair("STS.ini", "of-ini", "token-ini")),
    ({}, {"credentials": INI.replace("type = access_key\n", "")}, KeyPair("LTAIini", "of-ini")),
    ({}, {"credentials": INI.replace("of-ini", "of-%(x)s%")}, KeyPair("LTAIini", "of-%(x)s%")),
    ({}, {"credentials": f"{INI}# {'x' * (1_048_576 - len(INI) - 2)}"}, KeyPair("LTAIini", "of-ini")),
]


@pytest.mark.parametrize(("environ", "texts", "found"), INI_FILES, ids=range(len(INI_FILES)))
async def test_section_of_the_credentials_file_is_selected(
    environ: dict[str, str], texts: dict[str, str], found: KeyPair, tmp_path: Path
) -> None:
    """The variable names the section, else it is `default`; without it the instance's role is used."""
    for name, text in texts.items():
        write_file(tmp_path, f".alibabacloud/{name}", text)

    assert await resolve_keys(tmp_path, **environ) == found


async def test_credentials_file_has_a_largest_size(tmp_path: Path) -> None:
    """A file above 1 MiB is refused with its path."""
    write_file(tmp_path, ".alibabacloud/credentials", f"{INI}# {'x' * (1_048_577 - len(INI) - 2)}")

    with pytest.raises(
        ConfigError, match=f"^{tmp_path}/.alibabacloud/credentials: larger than 1048576 bytes"
    ) as caught:
        await resolve_keys(tmp_path)

    assert caught.value.error_code == "IDS-102"


@pytest.mark.parametrize("path", [".aliyun/config.json", ".alibabacloud/credentials"])
async def test_file_that_others_can_read_is_refused(path: str, tmp_path: Path) -> None:
    """A file with a secret that other users can read is refused with its path."""
    write_file(tmp_path, path, "{}")
    (tmp_path / path).chmod(0o644)

    with pytest.raises(ConfigError, match=f"^{tmp_path}/{path}: other users can read it") as caught:
        await resolve_keys(tmp_path)

    assert caught.value.error_code == "IDS-102"


async def test_error_names_all_sources(tmp_path: Path) -> None:
    """Without any key, the error names the variable, both files and the variable that excludes the instance."""
    with pytest.raises(ConfigError) as caught:
        await resolve_keys(tmp_path, ALIBABA_CLOUD_ECS_METADATA_DISABLED=" True ")

    assert str(caught.value) == (
        f"PLUGIN: no AccessKey: neither ALIBABA_CLOUD_ACCESS_KEY_ID, nor {tmp_path}/.aliyun/config.json, nor "
        f"{tmp_path}/.alibabacloud/credentials.ini, and ALIBABA_CLOUD_ECS_METADATA_DISABLED is set"
    )
    assert caught.value.error_code == "IDS-325"


async def test_named_file_is_waited_for(tmp_path: Path) -> None:
    """A credentials file that a variable names may still be written, if there is no other source."""
    named = {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(tmp_path / "c.ini")}

    with pytest.raises(NotThereYet, match=r"CREDENTIALS_FILE: .*/c\.ini: no such file"):
        await resolve_keys(tmp_path, **named, ALIBABA_CLOUD_ECS_METADATA_DISABLED="true")
    write_file(tmp_path, "c.ini", INI)
    assert (await resolve_keys(tmp_path, **named, ALIBABA_CLOUD_ECS_METADATA_DISABLED="true")).token is None


async def test_changed_file_is_read_again(tmp_path: Path) -> None:
    """Keys are read at every call, so a rotated file needs no restart."""
    write_file(tmp_path, ".alibabacloud/credentials.ini", INI)
    keys = AccessKeys({"HOME": str(tmp_path)}, role=Instance().role)
    before = await keys.keys()
    write_file(tmp_path, ".alibabacloud/credentials.ini", INI_STS)

    assert (before.token, (await keys.keys()).token) == (None, "token-ini")


@pytest.mark.parametrize(
    ("environ", "requested"), [({}, None), ({"ALIBABA_CLOUD_ECS_METADATA": "role-1"}, "role-1")], ids=["only", "named"]
)
async def test_instance_role_is_selected(environ: dict[str, str], requested: str | None, tmp_path: Path) -> None:
    """The named role is used, else the instance's only one, also for a profile of type EcsRamRole."""
    instance = Instance()
    await resolve_keys(tmp_path, instance, **environ)
    write_cli_profile(tmp_path, "EcsRamRole", ram_role_name="role-2")
    await resolve_keys(tmp_path, instance, **environ)
    write_file(tmp_path, "c.ini", "[p]\ntype = ecs_ram_role\nrole_name = role-3\n")
    file = {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(tmp_path / "c.ini"), "ALIBABA_CLOUD_PROFILE": "p"}
    await resolve_keys(tmp_path, instance, **file, ALIBABA_CLOUD_CLI_PROFILE_DISABLED="true")

    assert instance.requested == [requested, "role-2", "role-3"]


async def test_credentials_uri_is_never_used(tmp_path: Path) -> None:
    """A credentials URI in the environment is the sidecar's own, so with it alone there are no keys."""
    uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/credentials"}

    with pytest.raises(ConfigError, match="PLUGIN: no AccessKey: neither ALIBABA_CLOUD_ACCESS_KEY_ID, nor"):
        await resolve_keys(tmp_path, **uri, ALIBABA_CLOUD_ECS_METADATA_DISABLED="TRUE")


ERRORS = [
    (
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI"},
        "",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET: not set, though its other half",
        "IDS-325",
    ),
    (
        {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-x"},
        "",
        "ALIBABA_CLOUD_ACCESS_KEY_ID: not set, though its other half",
        "IDS-325",
    ),
    (
        {},
        '{"profiles": [{"name": "default", "mode": "RamRoleArn"}]}',
        "profile 'default': its mode is not supported",
        "IDS-325",
    ),
    (
        {},
        '{"profiles": [{"name": "default", "access_key_id": "x"}]}',
        "access_key_secret is missing",
        "IDS-325",
    ),
    (
        {},
        '{"profiles": [{"name": "default", "mode": "StsToken", "access_key_id": "x", "access_key_secret": "of-x"}]}',
        "profile 'default': sts_token is missing or empty",
        "IDS-325",
    ),
    ({}, "of-x", "config.json:1:1: not JSON", "IDS-103"),
    ({}, "[default]\ntype = ram_role_arn\n", "[default]: its type is not supported", "IDS-325"),
    (
        {},
        "[default]\ntype = sts\naccess_key_id = x\naccess_key_secret = of-x\n",
        "security_token is missing",
        "IDS-325",
    ),
    ({}, "[default\nof-x", "not an ini file", "IDS-126"),
    (
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-x\udcff"},
        "",
        "PLUGIN: the AccessKey or its STS token has blanks, control characters or characters outside ASCII",
        "IDS-325",
    ),
]


@pytest.mark.parametrize(
    ("environ", "text", "message", "error_code"), ERRORS, ids=[message for _, _, message, _ in ERRORS]
)
async def test_unusable_source_is_reported(
    environ: dict[str, str], text: str, message: str, error_code: str, tmp_path: Path
) -> None:
    """An unusable source is reported in one line with its place, remedy and code, and without a secret."""
    write_file(tmp_path, ".alibabacloud/credentials" if text.startswith("[") else ".aliyun/config.json", text or "{}")

    with pytest.raises(ConfigError) as caught:
        await resolve_keys(tmp_path, **environ)

    assert message in str(caught.value)
    assert "of-x" not in str(caught.value)
    assert caught.value.error_code == error_code


async def test_file_system_that_does_not_answer_is_transient() -> None:
    """The files of one home directory are read as one call, whose time limit is a transient error."""
    disk = HungDisk()

    with pytest.raises(Unreachable) as caught:
        await AccessKeys({"HOME": "/home/user"}, Instance().role, disk).keys()

    assert str(caught.value) == (
        "PLUGIN: the AccessKey's files below /home/user/: the file system did not answer within 5 s"
    )
    assert caught.value.error_code == "IDS-601"
    assert disk.paths == ["/home/user/.aliyun/config.json"]
