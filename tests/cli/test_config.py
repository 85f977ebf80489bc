"""The command `config`: mistakes, warnings, the schema, and what `--show` prints."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.config.explain import leaves
from app.config.loader import load
from app.doctor import output
from app.doctor.steps import configuration as examined
from app.doctor.target import Caller, Target
from app.emulator.world.world import PROVIDER_ARN, role_arn

from ..config.test_misplaced_secrets import MISPLACED, UNUSED
from ..conftest import ENVIRON, configuration, exchange, identity
from .calls import exit_code, fails, prints, written

SECRET = "Tr0ub4dor"


def test_config_of_a_valid_file(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For a valid file `config` prints its path and its profiles."""
    assert prints(capsys, "config", "--config", path) == f"{path}: valid; profiles: default, p2\n"


def test_config_prints_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with three mistakes gives three lines on stderr and exit 2, from one run."""
    config = configuration(
        profiles={"default": {"identity": {"type": "command"}, "exchange": exchange()}},
        server={"bind": 7117},
        refesh={},
    )
    path = written(tmp_path, config)

    assert exit_code(["config", "--config", path], ENVIRON) == 2

    printed = capsys.readouterr()
    prefix = f"idaas-sidecar config: {path}: "
    assert printed.out == ""
    assert sorted(printed.err.splitlines()) == [
        f"{prefix}profiles.default.identity.command: required (IDS-106)",
        f"{prefix}refesh: unknown key; did you mean refresh? (IDS-104)",
        f"{prefix}server.bind: must be a string, not a whole number (IDS-105)",
    ]


def test_config_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning goes to stderr and leaves the exit code 0."""
    profile = {"identity": {"type": "tokenFile", "tokenFile": "/nowhere"}, "exchange": exchange()}
    path = written(tmp_path, configuration(profiles={"default": profile}))

    assert cli.main(["config", "--config", path], {}) == 0

    printed = capsys.readouterr()
    assert printed.out == f"{path}: valid; profiles: default\n"
    assert printed.err == (
        "idaas-sidecar config: warning: profiles.default.identity.tokenFile: /nowhere: no such file; "
        "waiting for the program that writes it (IDS-124)\n"
    )


def test_the_schema_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    """`config --schema` prints the schema without reading a configuration."""
    printed = prints(capsys, "config", "--schema", "--config", "/nowhere.json", environ={})

    assert json.loads(printed)["title"] == "Configuration of idaas-credential-sidecar"


def shown(printed: str) -> dict[str, tuple[Any, str]]:
    """Return value and source by key, from the output of `config --show --json`."""
    return {row["key"]: (row["value"], row["source"]) for row in json.loads(printed)}


def test_show_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`config --show` names the source of every effective value: the file, a variable or the default."""
    config = configuration(
        profiles={
            "default": {"identity": identity(), "exchange": exchange(roleArn="acs:ram::1234567890123456:role/${APP}")}
        },
        server={"bind": "127.0.0.1:1"},
        proxy=f"http://user:{SECRET}@proxy.example.com:8080",
    )
    path = written(tmp_path, config)
    environ = ENVIRON | {"APP": "cart"}

    printed = prints(capsys, "config", "--show", "--json", "--config", path, environ=environ)

    rows = shown(printed)
    assert rows["profiles.default.identity.type"] == ("idaas", path)
    assert rows["profiles.default.exchange.roleArn"] == ("acs:ram::1234567890123456:role/cart", f"{path} with ${{APP}}")
    assert rows["profiles.default.exchange.durationSeconds"] == (3600, "default")
    assert rows["profiles.default.exchange.roleSessionName"] == ("session-1", path)
    assert rows["server.bind"] == ("127.0.0.1:1", path)
    assert rows["server.ops"] == ("127.0.0.1:7118", "default")
    assert rows["proxy"] == ("http://***@proxy.example.com:8080", path)
    assert SECRET not in printed
    assert ENVIRON["IDAAS_SECRET"] not in printed


def test_show_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A chain is shown role by role, a list as one value; a proxy's password and a command's arguments are hidden."""
    identity = {"type": "command", "command": [sys.executable, "--key", "s3cr3t"]}
    connection = {"proxy": "http://user:s3cr3t@proxy.example.com:3128"}
    exchange = {
        "roleArn": role_arn("a"),
        "oidcProviderArn": PROVIDER_ARN,
        "endpoints": ["a.example.com"],
        "connection": connection,
    }
    profile = {"identity": identity, "exchange": exchange, "chain": [{"roleArn": role_arn("b")}]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"configVersion": "1.0", "profiles": {"default": profile}}))

    printed = prints(capsys, "config", "--show", "--json", "--config", str(path), environ={})

    rows = shown(printed)
    assert rows["profiles.default.chain[0].roleArn"] == (role_arn("b"), str(path))
    assert rows["profiles.default.exchange.endpoints"] == (["a.example.com"], str(path))
    assert rows["profiles.default.identity.command"] == ([sys.executable, "(and 2 arguments)"], str(path))
    assert rows["profiles.default.exchange.connection.proxy"][0] == "http://***@proxy.example.com:3128"
    assert "s3cr3t" not in printed


@pytest.mark.parametrize("options", [(), ("--show",)])
def test_file_whose_name_commands_the_terminal(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of a file may have characters that a terminal obeys; `config` escapes them on stdout, too."""
    path = tmp_path / "a\x1b[31m\u202e.json"
    path.write_text(json.dumps(configuration()))

    printed = prints(capsys, "config", *options, "--config", str(path))

    assert "a\\x1b[31m\\u202e.json" in printed
    assert printed.replace("\n", "").isprintable()


def test_show_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file the source is a variable or the SDK's file; proxy variables are named, and their values hidden."""
    sdk = written(tmp_path, identity())
    environ = ENVIRON | {
        "CLOUD_IDAAS_CONFIG_PATH": sdk,
        "ALIBABA_CLOUD_ROLE_ARN": exchange()["roleArn"],
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": exchange()["oidcProviderArn"],
        "HTTPS_PROXY": f"http://user:{SECRET}@proxy.example.com:8080",
        "NO_PROXY": "example.org",
    }

    printed = prints(capsys, "config", "--show", "--json", environ=environ)

    rows = shown(printed)
    assert rows["profiles.default.identity.clientConfigPath"] == (sdk, "environment CLOUD_IDAAS_CONFIG_PATH")
    assert rows["profiles.default.identity.scope"] == (identity()["scope"], sdk)
    assert rows["profiles.default.exchange.roleArn"][1] == "environment ALIBABA_CLOUD_ROLE_ARN"
    assert rows["profiles.default.exchange.roleSessionName"][1] == "host name"
    assert rows["proxy"] == (None, "environment HTTPS_PROXY, NO_PROXY, chosen for each URL")
    assert SECRET not in printed


def test_show_as_text(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The text output has one aligned line per value, with its source, and none for a default of null."""
    lines = prints(capsys, "config", "--show", "--config", path).splitlines()

    settings = load(path, ENVIRON, hostname="h", now=lambda: 0.0).settings
    assert len(lines) == len([value for _, value in leaves(settings) if value is not None])
    assert lines[0].split() == ["configVersion", '"1.0"', f"({path})"]
    assert len({line.rindex('"127.0.0.1') for line in lines if line.startswith("server.") and "127" in line}) == 1


def test_show_with_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`config --show` prints all that can be read, marks what is wrong, and exits as without --show."""
    profiles = {
        "default": {"identity": identity(issuer="http://a.example.com"), "exchange": exchange(roleArn=5)},
        "second": {"identity": {"type": "nothing"}, "exchange": exchange()},
    }
    access = {"allowedHosts": ["localhost", 3, "a:80"], "pathTokn": "generate"}
    path = written(
        tmp_path, configuration(profiles=profiles, server={"bind": "7117", "ops": "127.0.0.1:2"}, access=access)
    )

    assert cli.main(["config", "--show", "--json", "--config", path], ENVIRON) == 2

    printed = capsys.readouterr()
    rows = {row["key"]: row for row in json.loads(printed.out)}
    default = "profiles.default"
    assert rows[f"{default}.identity.tokenEndpoint"]["value"] == identity()["tokenEndpoint"]
    assert rows[f"{default}.exchange.oidcProviderArn"] == {
        "key": f"{default}.exchange.oidcProviderArn", "value": PROVIDER_ARN, "source": path
    }  # fmt: skip
    assert rows["server.ops"]["value"] == "127.0.0.1:2"
    assert rows["access.allowedHosts"]["value"] == ["localhost", None, None]
    wrong = {key: [each["code"] for each in row["mistakes"]] for key, row in rows.items() if "mistakes" in row}
    assert wrong == {
        f"{default}.identity.issuer": ["IDS-112"],
        f"{default}.exchange.roleArn": ["IDS-105"],
        "profiles.second.identity.type": ["IDS-105"],
        "access.allowedHosts[1]": ["IDS-105"],
        "access.allowedHosts[2]": ["IDS-105"],
        "access.pathTokn": ["IDS-104"],
        "server.bind": ["IDS-121"],
    }
    assert all(rows[key]["value"] is None for key in wrong)
    assert "profiles.second.identity.clientId" not in rows  # a stand-in is no value
    assert len(printed.err.splitlines()) == len(wrong)
    assert exit_code(["config", "--show", "--config", path], ENVIRON) == 2
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(rf"server\.bind +wrong  \({re.escape(path)}\)", line) for line in lines)
    assert any(line.strip().startswith("IDS-121 ") and "server.bind: '7117' is not" in line for line in lines)


def test_show_with_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that names what is not there is shown, with its mistake."""
    changed = identity(authnConfiguration={"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": "/nowhere"})
    path = written(tmp_path, configuration(profiles={"default": {"identity": changed, "exchange": exchange()}}))

    assert cli.main(["config", "--show", "--json", "--config", path], {}) == 2

    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    row = rows["profiles.default.identity.authnConfiguration.clientSecretFile"]
    assert row["value"] == "/nowhere"
    assert [each["message"] for each in row["mistakes"]] == [f"{path}: {row['key']}: /nowhere: no such file"]


@pytest.mark.parametrize("config", [*MISPLACED, *UNUSED], ids=range(len(MISPLACED) + len(UNUSED)))
def test_show_hides_a_misplaced_secret(config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret in a wrong place, beside another mistake, is not shown by `config --show` and `doctor --json`."""
    path = written(tmp_path, config | {"logging": {"level": "loud"}})
    environ = {**ENVIRON, "KEY": SECRET}

    assert cli.main(["config", "--show", "--config", path], environ) == 2
    assert cli.main(["config", "--show", "--json", "--config", path], environ) == 2
    document = output.document([examined.run(Target(path, environ, "h", Caller(0, ()))).step])
    assert "logging.level" in {row["key"] for row in document["steps"][0]["facts"]["values"]}
    assert SECRET not in json.dumps(document) + "".join(capsys.readouterr())


@pytest.mark.parametrize("file", ["{", "[]", '{"configVersion": "2.0"}'])
def test_show_of_a_file_that_cannot_be_read(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be read, the mistake is the only output."""
    path = tmp_path / "config.json"
    path.write_text(file)

    assert fails(capsys, "config", "--show", "--config", str(path))[0] == 2
