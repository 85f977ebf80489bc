"""`config --offline`, `config --example`, and `config --show` of a configuration with mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app import cli

from ..conftest import configuration

ROOT = Path(__file__).parents[2]


def config(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `config` with an empty environment and return code, stdout and stderr."""
    code = cli.main(["config", *arguments], {})
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def written(tmp_path: Path, document: Any) -> str:
    """Write a configuration and return its path."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_the_example_is_printed_and_valid_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`config --example` prints config.example.json, which is valid offline: only the target machine has its files."""
    code, printed, _ = config(capsys, "--example")
    path = tmp_path / "config.json"
    path.write_text(printed)
    offline_code, out, err = config(capsys, "--offline", "--config", str(path))

    assert (code, printed) == (0, (ROOT / "config.example.json").read_text())
    assert offline_code == 0, err
    assert out.startswith(f"{path}: valid offline; profiles: default, ")
    assert "not checked here: profiles.default.exchange.roleArn: depends on POD_NAMESPACE\n" in err
    assert "not checked here: profiles.sdk: ~/.cloud_idaas/client-config.json is not on this machine\n" in err
    assert "warning" not in err


def test_mistakes_are_found_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mistakes that any machine can find are reported, each in a line; those of unset variables are not."""
    document = json.loads((ROOT / "config.example.json").read_text())
    profile = document["profiles"]["default"]
    profile["exchange"]["roleArn"] = "${ROLE_ARN}"
    profile["exchange"]["oidcProviderArn"] = "idaas"
    document["server"]["bnd"] = "127.0.0.1:1"
    document["profiles"]["secret"]["identity"]["authnConfiguration"]["clientSecret"] = "in-the-file"
    code, _, err = config(capsys, "--offline", "--config", written(tmp_path, document))

    assert code == 2
    assert len(err.splitlines()) == 3
    assert "server.bnd: unknown key" in err
    assert "in-the-file" not in err
    assert "oidcProviderArn: 'idaas' is not the ARN of an OIDC provider" in err
    assert "ROLE_ARN" not in err


SECRETS: list[tuple[str, str, dict[str, Any], str]] = [
    ("secret", "authnConfiguration", {"authnMethod": "CLIENT_SECRET_POST"}, "clientSecretEnvVarName or clientSecretFi"),
    (
        "secret",
        "authnConfiguration",
        {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "A", "clientSecretFile": "/a"},
        "clientSecretEnvVarName and clientSecretFile are both set",
    ),
    ("default", "authnConfiguration", {"authnMethod": "PRIVATE_KEY_JWT"}, "privateKeyEnvVarName or privateKeyFile is"),
    ("okta", "connection", {"privateKeyFile": "/key.pem"}, "privateKeyFile: needs certificateFile beside it"),
]


@pytest.mark.parametrize(("profile", "key", "value", "message"), SECRETS, ids=range(len(SECRETS)))
def test_a_secret_is_named_once(
    profile: str, key: str, value: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check of which key names a secret needs the file alone, not the target machine."""
    document = json.loads((ROOT / "config.example.json").read_text())
    document["profiles"][profile]["identity"][key] = value
    code, _, err = config(capsys, "--offline", "--config", written(tmp_path, document))

    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("section", "value", "place"),
    [("cache", {"directory": "/c"}, "cache: keyEnvVarName"), ("access", {"pathToken": {}}, "access.pathToken: envVar")],
)
def test_secrets_of_the_start_are_named_once(
    section: str, value: Any, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache has a key, and a path token a place."""
    document = json.loads((ROOT / "config.example.json").read_text()) | {section: value}
    code, _, err = config(capsys, "--offline", "--config", written(tmp_path, document))

    assert (code, len(err.splitlines())) == (2, 1)
    assert place in err


def test_files_of_the_sdk_are_named_with_their_profiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the SDK that this machine lacks is one line, also where the profile's name contains dots."""
    profile = json.loads((ROOT / "config.example.json").read_text())["profiles"]["sdk"]
    names = ("a", "a.b", "a.identity")
    profiles = {
        name: {**profile, "identity": {"type": "idaas", "clientConfigPath": f"/none/{name}.json"}} for name in names
    }
    document = configuration(profiles=profiles)
    code, out, err = config(capsys, "--offline", "--config", written(tmp_path, document))

    assert (code, out) == (0, f"{tmp_path}/config.json: valid offline; profiles: a, a.b, a.identity\n")
    for place, file in (("a", "a"), ('"a.b"', "a.b"), ('"a.identity"', "a.identity")):
        assert f"not checked here: profiles.{place}: /none/{file}.json is not on this machine\n" in err


def test_file_of_the_sdk_that_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file of the SDK is not reported as missing: only the target machine has its content."""
    file = tmp_path / "client-config.json"
    file.touch()
    profile = json.loads((ROOT / "config.example.json").read_text())["profiles"]["sdk"]
    document = configuration(profiles={"a": {**profile, "identity": {"clientConfigPath": str(file)}}})
    code, _, err = config(capsys, "--offline", "--config", written(tmp_path, document))

    assert code == 0
    assert f"not checked here: profiles.a: {file} cannot be used (empty) on this machine\n" in err


def test_no_file_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that does not exist is one line with its path."""
    code, _, err = config(capsys, "--offline", "--config", str(tmp_path / "none.json"))

    assert code == 2
    assert f"{tmp_path}/none.json: no such file" in err


def test_offline_does_not_combine(capsys: pytest.CaptureFixture[str]) -> None:
    """`--offline` with an option that prints something else is bad usage."""
    assert config(capsys, "--offline", "--show")[0] == 2


def test_show_prints_the_values_before_the_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a named variable is missing, `config --show` prints the values, then the mistake with exit code 2."""
    path = written(tmp_path, configuration("default"))
    code, out, err = config(capsys, "--show", "--config", path)

    assert code == 2
    assert "profiles.default.exchange.roleArn" in out
    assert "null  (default)" not in out
    assert "not set" in err


@pytest.mark.parametrize(
    "command", [["config"], ["config", "--offline"], ["get"], ["status"], ["refresh"], ["log-level", "debug"]]
)
def test_sdk_file_is_recognised(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command that reads the configuration recognises the IDaaS SDK's file, with the comments of its examples."""
    path = tmp_path / "client-config.json"
    path.write_text('{ // an example\n "client_id": "app_1", "authnConfiguration": {"authnMethod": "PLUGIN"} }')

    assert cli.main([*command, "--config", str(path)], {}) == 2
    error = capsys.readouterr().err
    assert "this is the IDaaS SDK's file, not a configuration" in error
    assert "identity.clientConfigPath" in error
