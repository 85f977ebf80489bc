"""The command line in process: usage, exit codes, one line per error, and what each command prints."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__, cli
from app.cli import env_, health_
from app.cli.config_ import leaves
from app.config.loader import load
from app.core.errors import ConfigError, NoCredentials, Refused, Unreachable
from app.emulator.world.world import PROVIDER_ARN, role_arn

from ..conftest import ENVIRON, configuration, exchange, identity

COMMANDS = (
    "serve", "demo", "emulator", "get", "env", "exec", "config", "conformance", "health", "refresh", "purge", "version",
)  # fmt: skip
SECRET = "Tr0ub4dor"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A configuration file that works with ENVIRON."""
    return written(tmp_path, configuration("default", "p2"))


def written(tmp_path: Path, config: Any) -> str:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return str(file)


def fails(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> tuple[int, str]:
    """The exit code and the one line on stderr of a command that fails."""
    try:
        code = cli.main(argv, environ)
    except SystemExit as end:  # argparse's way
        code = int(str(end.code))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1, printed.err
    return code, printed.err.rstrip("\n")


def prints(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """What a command that succeeds prints."""
    assert cli.main(argv, environ) == 0
    return capsys.readouterr().out


# --- usage ------------------------------------------------------------------------------------------------------------


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The command's name and the version."""
    assert prints(capsys, "version") == f"idaas-sidecar {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself with an example that begins with its name."""
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"], {})

    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert "example: " in printed
    assert f"idaas-sidecar {command}" in printed.partition("example: ")[2]
    assert "--debug" in printed


def test_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """What this version has is listed, and nothing that is to come."""
    with pytest.raises(SystemExit):
        cli.main(["--help"], {})

    printed = capsys.readouterr().out
    assert [command for command in COMMANDS if not re.search(rf"^    {command}\s", printed, re.MULTILINE)] == []
    assert not any(later in printed for later in ("doctor", "setup"))


USAGE = [
    ([], "idaas-sidecar: the following arguments are required: COMMAND; see idaas-sidecar --help"),
    (["srve"], "idaas-sidecar: argument COMMAND: invalid choice: 'srve'"),
    (["get", "--format", "xml"], "idaas-sidecar get: argument --format: invalid choice: 'xml'"),
    (["get", "--nonsense"], "idaas-sidecar: unrecognized arguments: --nonsense"),
    (["demo", "--port", "http"], "idaas-sidecar demo: argument --port: 'http' is not a whole number from 0 to 65532"),
    (["demo", "--port", "65533"], "idaas-sidecar demo: argument --port: '65533' is not a whole number"),
    (["demo", "--profiles", "0"], "idaas-sidecar demo: argument --profiles: '0' is not a whole number from 1 to 1000"),
    (["demo", "--lifetime", "٣٦٠٠"], "idaas-sidecar demo: argument --lifetime: '٣٦٠٠' is not a whole number"),
    (["emulator", "--port", "65535"], "idaas-sidecar emulator: argument --port: '65535' is not a whole number"),
    (["config", "--schema", "--show"], "idaas-sidecar config: argument --show: not allowed with argument --schema"),
    (["config", "--json"], "idaas-sidecar config: --json: goes with --show"),
    (["env", "--shell", "csh"], "idaas-sidecar env: argument --shell: invalid choice: 'csh'"),
]


@pytest.mark.parametrize(("argv", "words"), USAGE, ids=[" ".join(argv) or "nothing" for argv, _ in USAGE])
def test_bad_usage(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and one line that names the argument."""
    code, line = fails(capsys, *argv)

    assert code == 2
    assert line.startswith(words)


# --- errors -----------------------------------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


ERRORS = [
    (ConfigError("place: wrong"), 2, "idaas-sidecar version: place: wrong"),
    (Refused("no", status=400, code="invalid_client"), 3, "idaas-sidecar version: no"),
    (Unreachable("nobody there"), 4, "idaas-sidecar version: nobody there"),
    (NoCredentials("nothing held", retry_after=1), 4, "idaas-sidecar version: nothing held"),
    (ConfigError("two\nlines"), 2, "idaas-sidecar version: two lines"),
    (
        ValueError(SECRET),
        70,
        "idaas-sidecar version: internal error (ValueError); run it again with --debug and report what that shows",
    ),
]


@pytest.mark.parametrize(("error", "code", "line"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
def test_exit_codes(error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of error has its code and one line; a bug's text is not shown, for it may quote anything."""
    assert cli.call("version", raising(error), debug=False) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the traceback comes first; the line and the exit code stay."""
    code = cli.call("version", raising(ConfigError("place: wrong")), debug=True)

    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "idaas-sidecar version: place: wrong"


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupt ends a command in silence, with the shell's code for it."""
    assert cli.call("serve", raising(KeyboardInterrupt()), debug=False) == 130
    assert capsys.readouterr() == ("", "")


# --- config -----------------------------------------------------------------------------------------------------------


def test_config_says_good(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that works: its name and its profiles."""
    assert prints(capsys, "config", "--config", path) == f"{path}: good; profiles: default, p2\n"


def test_config_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is only warned about goes to stderr and leaves the exit code 0."""
    profile = {"identity": {"type": "tokenFile", "tokenFile": "/nowhere"}, "exchange": exchange()}
    path = written(tmp_path, configuration(profiles={"default": profile}))

    assert cli.main(["config", "--config", path], {}) == 0

    printed = capsys.readouterr()
    assert printed.out == f"{path}: good; profiles: default\n"
    assert printed.err == (
        "idaas-sidecar config: warning: profiles.default.identity.tokenFile: /nowhere: no such file; "
        "waiting for the program that writes it\n"
    )


def test_the_schema_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    """`config --schema` prints the schema, whatever is configured or not."""
    printed = prints(capsys, "config", "--schema", "--config", "/nowhere.json", environ={})

    assert json.loads(printed)["title"] == "Configuration of idaas-credential-sidecar"


def shown(printed: str) -> dict[str, tuple[Any, str]]:
    return {row["key"]: (row["value"], row["source"]) for row in json.loads(printed)}


def test_show_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every effective value with the file, the variable or the default that it is from."""
    config = configuration(
        profiles={"default": {"identity": identity(), "exchange": exchange(roleArn="acs:ram::1:role/${APP}")}},
        server={"bind": "127.0.0.1:1"},
        proxy=f"http://user:{SECRET}@proxy.example.com:8080",
    )
    path = written(tmp_path, config)
    environ = ENVIRON | {"APP": "cart"}

    printed = prints(capsys, "config", "--show", "--json", "--config", path, environ=environ)

    rows = shown(printed)
    assert rows["profiles.default.identity.type"] == ("idaas", path)
    assert rows["profiles.default.exchange.roleArn"] == ("acs:ram::1:role/cart", f"{path} with ${{APP}}")
    assert rows["profiles.default.exchange.durationSeconds"] == (3600, "default")
    assert rows["profiles.default.exchange.roleSessionName"] == ("session-1", path)
    assert rows["server.bind"] == ("127.0.0.1:1", path)
    assert rows["server.ops"] == ("127.0.0.1:7118", "default")
    assert rows["proxy"] == ("http://***@proxy.example.com:8080", path)
    assert SECRET not in printed
    assert ENVIRON["IDAAS_SECRET"] not in printed


def test_show_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A chain link by link, a list as a whole with its source; no proxy's password and no command's arguments."""
    identity = {"type": "command", "command": [sys.executable, "--key", "s3cr3t"]}
    who = {"proxy": "http://user:s3cr3t@proxy.example.com:3128"}
    exchange = {
        "roleArn": role_arn("a"),
        "oidcProviderArn": PROVIDER_ARN,
        "endpoints": ["a.example.com"],
        "connection": who,
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


def test_show_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file each value names its variable or the SDK's file; proxies are named and not shown."""
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
    """One line per value, aligned, the origin in parentheses."""
    lines = prints(capsys, "config", "--show", "--config", path).splitlines()

    settings = load(path, ENVIRON, hostname="h", now=lambda: 0.0).settings
    assert len(lines) == len(list(leaves(settings)))
    assert lines[0].split() == ["configVersion", '"1.0"', f"({path})"]
    assert len({line.rindex('"127.0.0.1') for line in lines if line.startswith("server.") and "127" in line}) == 1


# --- env --------------------------------------------------------------------------------------------------------------

SHELLS = [
    (
        "sh",
        [
            "export ALIBABA_CLOUD_CREDENTIALS_URI=http://127.0.0.1:7117/credentials",
            "export ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
            "unset ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET ALIBABA_CLOUD_SECURITY_TOKEN "
            "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        ],
    ),
    (
        "fish",
        [
            "set -gx ALIBABA_CLOUD_CREDENTIALS_URI 'http://127.0.0.1:7117/credentials'",
            "set -gx ALIBABA_CLOUD_ECS_METADATA_DISABLED 'true'",
            "set -e ALIBABA_CLOUD_ACCESS_KEY_ID",
            "set -e ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "set -e ALIBABA_CLOUD_SECURITY_TOKEN",
            "set -e ALIBABA_CLOUD_OIDC_TOKEN_FILE",
        ],
    ),
    (
        "powershell",
        [
            "$env:ALIBABA_CLOUD_CREDENTIALS_URI = 'http://127.0.0.1:7117/credentials'",
            "$env:ALIBABA_CLOUD_ECS_METADATA_DISABLED = 'true'",
            "Remove-Item Env:ALIBABA_CLOUD_ACCESS_KEY_ID -ErrorAction SilentlyContinue",
            "Remove-Item Env:ALIBABA_CLOUD_ACCESS_KEY_SECRET -ErrorAction SilentlyContinue",
            "Remove-Item Env:ALIBABA_CLOUD_SECURITY_TOKEN -ErrorAction SilentlyContinue",
            "Remove-Item Env:ALIBABA_CLOUD_OIDC_TOKEN_FILE -ErrorAction SilentlyContinue",
        ],
    ),
]


@pytest.mark.parametrize(("shell", "lines"), SHELLS, ids=[shell for shell, _ in SHELLS])
def test_env(shell: str, lines: list[str], path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of each shell; the sidecar's secrets need not be in the client's environment."""
    assert prints(capsys, "env", "--config", path, "--shell", shell, environ={}).splitlines() == lines


def test_env_for_kubernetes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The block of a container is the one in the manifest that we ship, for the configuration that we ship there."""
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
    """A token that is in a file, or made at start, cannot stand in a manifest: the complaint says what can."""
    path = written(tmp_path, configuration(access={"pathToken": "generate"}))

    code, complaint = fails(capsys, "env", "--config", path, "--shell", "k8s", environ={})

    assert code == 2
    assert "access.pathToken: a manifest cannot hold it; set envVarName" in complaint


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
    """The profile's path, the address that a client can ask, and the path token where there is one."""
    path = written(tmp_path, configuration("default", "p2", **changes))
    environ = {"PATH_TOKEN": "0123456789abcdef"}

    first = prints(capsys, "env", "--config", path, "--profile", profile, environ=environ).splitlines()[0]

    assert first == f"export ALIBABA_CLOUD_CREDENTIALS_URI={shlex.quote(uri)}"


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell"])
def test_env_quotes(shell: str) -> None:
    """Whatever a value holds, it stays a value."""
    line = env_.lines({"NAME": "a'b$c \"d\\e"}, shell)[0]

    expected = {
        "sh": "export NAME=" + shlex.quote("a'b$c \"d\\e"),
        "fish": "set -gx NAME 'a\\'b$c \"d\\\\e'",
        "powershell": "$env:NAME = 'a''b$c \"d\\e'",
    }
    assert line == expected[shell]


@pytest.mark.parametrize("command", ["env", "get"])
def test_an_unknown_profile(command: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile that does not exist is named with those that do."""
    code, line = fails(capsys, command, "--config", path, "--profile", "prod")

    assert code == 2
    assert line == f"idaas-sidecar {command}: --profile: there is no profile 'prod' in {path}; there is default, p2"


def test_env_cannot_know_a_random_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Port 0 is only known to the process that took one."""
    path = written(tmp_path, configuration(server={"bind": "127.0.0.1:0"}))

    assert fails(capsys, "env", "--config", path) == (
        2,
        "idaas-sidecar env: server.bind: port 0 is only known to the running sidecar; configure a port",
    )


# --- health -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({}, ("127.0.0.1", 7118)),
        ({"server": {}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "127.0.0.1:80"}}, ("127.0.0.1", 80)),
        ({"server": {"ops": "0.0.0.0:7118"}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "[::]:7118"}}, ("::1", 7118)),
        ({"server": {"ops": "localhost:7118"}}, ("127.0.0.1", 7118)),
    ],
)
def test_whom_health_asks(config: Any, address: tuple[str, int], tmp_path: Path) -> None:
    """The ops listener, by an address that can be asked."""
    assert health_.ops_address(written(tmp_path, config), required=True) == address


def test_health_without_a_file() -> None:
    """Without a file the default listener is asked."""
    assert health_.ops_address("/nowhere.json", required=False) == ("127.0.0.1", 7118)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"server": {"ops": None}}, "server.ops is null or no address, so there is nobody to ask"),
        ({"server": {"ops": 7118}}, "server.ops is null or no address"),
        ({"server": {"ops": "7118"}}, "server.ops is null or no address"),
        ({"server": []}, "server.ops is null or no address"),
        ([], "server.ops is null or no address"),
    ],
)
def test_whom_health_cannot_ask(config: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that names nobody is exit 1 with one line."""
    path = written(tmp_path, config)

    code, line = fails(capsys, "health", "--config", path)

    assert code == 1
    assert line.startswith(f"idaas-sidecar health: {path}: {words}")


def test_health_with_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No JSON, and no file: exit 1 with one line each."""
    path = tmp_path / "config.json"
    path.write_text("{")

    assert fails(capsys, "health", "--config", str(path))[0] == 1
    assert fails(capsys, "health", "--config", "/nowhere.json")[0] == 1
