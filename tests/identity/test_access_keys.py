"""Whose AccessKey signs the PLUGIN method's call: the order of places, and what each says when it cannot serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigError
from app.identity.access_keys import AccessKeys
from app.upstream.acs3 import KeyPair

ENVIRONMENT = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIenv", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-env"}
INI = "[default]\ntype = access_key\naccess_key_id = LTAIini\naccess_key_secret = of-ini\n"
INI_STS = "[default]\ntype = sts\naccess_key_id = STS.ini\naccess_key_secret = of-ini\nsecurity_token = token-ini\n"


class Instance:
    """An ECS instance whose role was asked for by these names."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def role(self, name: str | None) -> KeyPair:
        self.asked.append(name)
        return KeyPair("STS.ecs", "of-ecs", "token-ecs")


def written(home: Path, path: str, text: str) -> None:
    file = home / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def cli(home: Path, mode: str, **members: Any) -> None:
    profile = {"name": "default", "mode": mode, **members}
    written(home, ".aliyun/config.json", json.dumps({"current": "default", "profiles": [profile]}))


async def found(home: Path, instance: Instance | None = None, **environ: str) -> KeyPair:
    keys = AccessKeys({"HOME": str(home), **environ}, role=(instance or Instance()).role)
    assert "of-" not in repr(keys)
    return await keys.keys()


async def test_the_order(tmp_path: Path) -> None:
    """Environment, the CLI's profile, the credentials file, the instance: the first that has keys."""
    written(tmp_path, ".alibabacloud/credentials", INI)
    cli(tmp_path, "AK", access_key_id="LTAIcli", access_key_secret="of-cli")
    off = {"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true"}

    assert await found(tmp_path, **ENVIRONMENT) == KeyPair("LTAIenv", "of-env")
    assert await found(tmp_path, **ENVIRONMENT, ALIBABA_CLOUD_SECURITY_TOKEN="t") == KeyPair("LTAIenv", "of-env", "t")
    assert await found(tmp_path) == KeyPair("LTAIcli", "of-cli")
    assert await found(tmp_path, **off) == KeyPair("LTAIini", "of-ini")
    (tmp_path / ".alibabacloud/credentials").unlink()
    assert await found(tmp_path, **off) == KeyPair("STS.ecs", "of-ecs", "token-ecs")


async def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    """Keys are asked for at every call, so a rotated file needs no restart."""
    written(tmp_path, ".alibabacloud/credentials.ini", INI)
    keys = AccessKeys({"HOME": str(tmp_path)}, role=Instance().role)
    before = await keys.keys()
    written(tmp_path, ".alibabacloud/credentials.ini", INI_STS)

    assert (before.token, (await keys.keys()).token) == (None, "token-ini")


@pytest.mark.parametrize(
    ("environ", "asked"), [({}, None), ({"ALIBABA_CLOUD_ECS_METADATA": "role-1"}, "role-1")], ids=["only", "named"]
)
async def test_the_instances_role(environ: dict[str, str], asked: str | None, tmp_path: Path) -> None:
    """The role that is named, else the instance's only one; also where a profile says EcsRamRole."""
    instance = Instance()
    await found(tmp_path, instance, **environ)
    cli(tmp_path, "EcsRamRole", ram_role_name="role-2")
    await found(tmp_path, instance, **environ)
    written(tmp_path, "c.ini", "[p]\ntype = ecs_ram_role\nrole_name = role-3\n")
    file = {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(tmp_path / "c.ini"), "ALIBABA_CLOUD_PROFILE": "p"}
    await found(tmp_path, instance, **file, ALIBABA_CLOUD_CLI_PROFILE_DISABLED="true")

    assert instance.asked == [asked, "role-2", "role-3"]


async def test_the_sidecar_is_never_asked(tmp_path: Path) -> None:
    """A credentials URI in the environment is ours: with it alone there are no keys."""
    uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/credentials"}

    with pytest.raises(ConfigError, match="PLUGIN: no AccessKey: neither ALIBABA_CLOUD_ACCESS_KEY_ID, nor"):
        await found(tmp_path, **uri, ALIBABA_CLOUD_ECS_METADATA_DISABLED="TRUE")


BAD = [
    ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI"}, "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET: not set, though its other half"),
    ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "of-x"}, "", "ALIBABA_CLOUD_ACCESS_KEY_ID: not set, though its other half"),
    ({}, '{"profiles": [{"name": "default", "mode": "RamRoleArn"}]}', "profile 'default': its mode is not supported"),
    (
        {},
        '{"profiles": [{"name": "default", "access_key_id": "x"}]}',
        "access_key_secret is missing",
    ),
    (
        {},
        '{"profiles": [{"name": "default", "mode": "StsToken", "access_key_id": "x", "access_key_secret": "of-x"}]}',
        "profile 'default': sts_token is missing or empty",
    ),
    ({}, "of-x", "config.json:1:1: not JSON"),
    ({}, "[default]\ntype = ram_role_arn\n", "[default]: its type is not supported"),
    (
        {},
        "[default]\ntype = sts\naccess_key_id = x\naccess_key_secret = of-x\n",
        "security_token is missing",
    ),
    ({}, "[default\nof-x", "not an ini file"),
]


@pytest.mark.parametrize(("environ", "text", "words"), BAD, ids=[words for _, _, words in BAD])
async def test_complaints(environ: dict[str, str], text: str, words: str, tmp_path: Path) -> None:
    """One line that names the place and the cure, and no secret."""
    written(tmp_path, ".alibabacloud/credentials" if text.startswith("[") else ".aliyun/config.json", text or "{}")

    with pytest.raises(ConfigError) as caught:
        await found(tmp_path, **environ)

    assert words in str(caught.value)
    assert "of-x" not in str(caught.value)
