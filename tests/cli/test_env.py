"""The command `env`: its lines for each shell, for Kubernetes, and for a URL that is not known."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.commands import env

from ..conftest import configuration
from .calls import fails, prints, written

SET = {
    "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/credentials",
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true",
    "ALIBABA_CLOUD_CREDENTIALS_FILE": "/dev/null",
}
UNSET = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "ALIBABA_CLOUD_PROFILE",
    "ALIBABACLOUD_ACCESS_KEY_ID",
    "ALIBABACLOUD_ACCESS_KEY_SECRET",
    "ALIBABACLOUD_SECURITY_TOKEN",
    "ALIBABACLOUD_PROFILE",
    "ALICLOUD_ACCESS_KEY_ID",
    "ALICLOUD_ACCESS_KEY_SECRET",
    "ALICLOUD_SECURITY_TOKEN",
    "ALICLOUD_PROFILE",
    "ALICLOUD_ACCESS_KEY",
    "ALICLOUD_SECRET_KEY",
    "ALICLOUD_SHARED_CREDENTIALS_FILE",
    "ALICLOUD_CREDENTIALS_URI",
    "ALICLOUD_ACCESS_KEY_STS_TOKEN",
    "ALIYUN_ACCESS_KEY_ID",
    "ALIYUN_ACCESS_KEY_SECRET",
    "OSS_ACCESS_KEY_ID",
    "OSS_ACCESS_KEY_SECRET",
    "OSS_SESSION_TOKEN",
    "ALIBABA_CLOUD_ECS_METADATA",
    "ALICLOUD_ECS_ROLE_NAME",
)
SHELLS = [
    ("sh", [*(f"export {name}={value}" for name, value in SET.items()), f"unset {' '.join(UNSET)}"]),
    ("fish", [*(f"set -gx {name} '{value}'" for name, value in SET.items()), *(f"set -e {name}" for name in UNSET)]),
    (
        "powershell",
        [
            *(f"$env:{name} = '{value}'" for name, value in SET.items()),
            *(f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in UNSET),
        ],
    ),
]


@pytest.mark.parametrize(("shell", "lines"), SHELLS, ids=[shell for shell, _ in SHELLS])
def test_env(shell: str, lines: list[str], path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`env` prints lines in each shell's syntax, also where the sidecar's secrets are not in the environment."""
    assert prints(capsys, "env", "--config", path, "--shell", shell, environ={}).splitlines() == lines


def test_env_for_kubernetes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the configuration of deploy/kubernetes/sidecar.yaml, `env` prints the application's `env` of that file."""
    config_map, deployment = [
        item
        for item in yaml.safe_load_all((Path(__file__).parents[2] / "deploy/kubernetes/sidecar.yaml").read_text())
        if item and item["kind"] in ("ConfigMap", "Deployment")
    ]
    path = written(tmp_path, json.loads(config_map["data"]["config.json"]))
    (application,) = deployment["spec"]["template"]["spec"]["containers"]

    printed = prints(capsys, "env", "--config", path, "--shell", "k8s", environ={})

    assert yaml.safe_load(printed) == application["env"]


def test_a_manifest_holds_no_path_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path token from a file, or generated at start, cannot be in a manifest; the message names the alternative."""
    path = written(tmp_path, configuration(access={"pathToken": "generate"}))

    code, line = fails(capsys, "env", "--config", path, "--shell", "k8s", environ={})

    assert code == 2
    assert "access.pathToken: a manifest cannot contain the token; set envVarName" in line


@pytest.mark.parametrize(
    ("changes", "profile", "uri"),
    [
        ({}, "p2", "http://127.0.0.1:7117/credentials/p2"),
        ({"server": {"bind": "[::1]:80"}}, "default", "http://[::1]:80/credentials"),
        (
            {"server": {"bind": "0.0.0.0:80"}, "access": {"unsafeBind": True}},
            "default",
            "http://127.0.0.1:80/credentials",
        ),
        (
            {"access": {"pathToken": {"envVarName": "PATH_TOKEN"}}},
            "default",
            "http://127.0.0.1:7117/0123456789abcdef/credentials",
        ),
    ],
)
def test_env_prints_the_right_uri(
    changes: dict[str, Any], profile: str, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The URI has an address that a client can connect to, the path token if there is one, and the profile."""
    path = written(tmp_path, configuration("default", "p2", **changes))
    environ = {"PATH_TOKEN": "0123456789abcdef"}

    first = prints(capsys, "env", "--config", path, "--profile", profile, environ=environ).splitlines()[0]

    assert first == f"export ALIBABA_CLOUD_CREDENTIALS_URI={shlex.quote(uri)}"


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell"])
def test_env_quotes(shell: str) -> None:
    """A value with quotes, spaces, `$` and backslashes is quoted for the shell."""
    line = env.shell_lines({"NAME": "a'b$c \"d\\e"}, shell)[0]

    expected = {
        "sh": "export NAME=" + shlex.quote("a'b$c \"d\\e"),
        "fish": "set -gx NAME 'a\\'b$c \"d\\\\e'",
        "powershell": "$env:NAME = 'a''b$c \"d\\e'",
    }
    assert line == expected[shell]


@pytest.mark.parametrize("command", ["env", "get"])
def test_an_unknown_profile(command: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message about an unknown profile lists the configured profiles."""
    code, line = fails(capsys, command, "--config", path, "--profile", "prod")

    assert code == 2
    sentence = f"--profile: there is no profile 'prod' in {path}; there is default, p2"
    assert line == f"idaas-sidecar {command}: {sentence} (IDS-120)"


def test_env_cannot_know_a_random_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With port 0 only the running sidecar knows its port, so `env` fails."""
    path = written(tmp_path, configuration(server={"bind": "127.0.0.1:0"}))

    assert fails(capsys, "env", "--config", path) == (
        2,
        "idaas-sidecar env: server.bind: port 0 is only known to the running sidecar; configure a port (IDS-121)",
    )
