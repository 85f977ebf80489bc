"""The command line, called in this process: usage, exit codes, error messages, and the output of each command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__, cli
from app.cli.commands import env, health
from app.cli.errors import CommandNotStarted, call_command
from app.config.explain import leaves
from app.config.loader import load
from app.core.error_index.index import INDEX
from app.core.errors import ConfigError, NoCredentials, Refused, Unreachable
from app.doctor import output
from app.doctor.steps import configuration as examined
from app.doctor.target import Caller, Target
from app.emulator.world.world import PROVIDER_ARN, role_arn

from ..config.test_misplaced_secrets import MISPLACED, UNUSED
from ..conftest import ENVIRON, configuration, exchange, identity

COMMANDS = (
    "serve", "demo", "emulator", "get", "env", "exec", "config", "doctor", "setup", "conformance", "health",
    "refresh", "purge", "log-level", "status", "migrate", "webhook", "completion", "version", "help",
)  # fmt: skip
SECRET = "Tr0ub4dor"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a configuration file that is valid with ENVIRON."""
    return written(tmp_path, configuration("default", "p2"))


def written(tmp_path: Path, config: Any) -> str:
    """Write a configuration file and return its path."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    return str(file)


def exit_code(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Return the exit code of a command, also where argparse raises SystemExit."""
    try:
        return cli.main(argv, environ)
    except SystemExit as end:
        return int(str(end.code))


def fails(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> tuple[int, str]:
    """Return the exit code and the one line on stderr of a command that fails."""
    code = exit_code(argv, environ)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1, printed.err
    return code, printed.err.rstrip("\n")


def prints(capsys: pytest.CaptureFixture[str], *argv: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Return the output of a command that succeeds, with nothing on stderr."""
    assert exit_code(argv, environ) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


# --- usage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_version(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`version` and `--version` print the name of the command and the version."""
    assert prints(capsys, argument) == f"idaas-sidecar {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of every command has an example that names the command."""
    printed = prints(capsys, command, "--help", environ={})

    assert "example: " in printed
    assert f"idaas-sidecar {command}" in printed.partition("example: ")[2]
    assert "--debug" in printed


def test_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists every command of this version, and no planned command."""
    printed = prints(capsys, "--help", environ={})

    assert [command for command in COMMANDS if not re.search(rf"^    {command}\s", printed, re.MULTILINE)] == []


def test_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """Without arguments the list of commands is printed on stderr, and the exit code is 2."""
    listed = prints(capsys, "--help")

    assert exit_code([], {}) == 2
    assert capsys.readouterr() == (
        "",
        f"{listed}idaas-sidecar: no command is given; the list above has them (IDS-132)\n",
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`help` prints what `--help` prints, and `help COMMAND` what `COMMAND --help` prints."""
    arguments = [command] if command else []

    assert prints(capsys, "help", *arguments) == prints(capsys, *arguments, "--help")


def test_help_of_an_error_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`help CODE` prints the entry of the errors index: each text that it has, with its name."""
    for code, entry in INDEX.items():
        assert exit_code(["help", code], {}) == 0
        texts = {"cause": entry.cause, "cure": entry.cure, "codes of servers": ", ".join(entry.seen)}
        lines = [f"{name}: {text}" for name, text in texts.items() if text]
        assert capsys.readouterr() == ("\n".join([f"{code}: {entry.meaning}", *lines, ""]), "")


def test_help_of_an_unknown_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A code that the index does not have is bad usage."""
    assert exit_code(["help", "IDS-1077"], {}) == 2
    assert capsys.readouterr() == (
        "",
        "idaas-sidecar help: unknown error code 'IDS-1077'; did you mean IDS-107? (IDS-132)\n",
    )


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["srve"], "idaas-sidecar: unknown command 'srve'; did you mean serve?"),
        (["refrsh", "--profile", "p2"], "idaas-sidecar: unknown command 'refrsh'; did you mean refresh?"),
        (["loglevel"], "idaas-sidecar: unknown command 'loglevel'; did you mean log-level?"),
        (["hlep"], "idaas-sidecar: unknown command 'hlep'; did you mean help?"),
        (["help", "gte"], "idaas-sidecar: unknown command 'gte'; did you mean get?"),
        (["--verison"], "idaas-sidecar: unknown option '--verison'; did you mean --version?"),
        (["-v"], "idaas-sidecar: unknown option '-v'; idaas-sidecar --help lists the commands"),
        (
            ["--config", "c.json", "serve"],
            "idaas-sidecar: '--config' before the command; options follow it: idaas-sidecar serve OPTION",
        ),
        (
            ["--debug=1", "get"],
            "idaas-sidecar: '--debug' before the command; options follow it: idaas-sidecar get OPTION",
        ),
        (["frobnicate"], "idaas-sidecar: unknown command 'frobnicate'; idaas-sidecar --help lists the commands"),
        ([""], "idaas-sidecar: unknown command ''; idaas-sidecar --help lists the commands"),
        (["a\nb"], "idaas-sidecar: unknown command 'a\\nb'; idaas-sidecar --help lists the commands"),
    ],
)
def test_an_unknown_command(argv: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command or option is exit 2 and one line, with a similar one if there is one."""
    assert fails(capsys, *argv) == (2, f"{line} (IDS-132)")


USAGE = [
    (["--"], "idaas-sidecar: the following arguments are required: COMMAND; see idaas-sidecar --help"),
    (["get", "--format", "xml"], "idaas-sidecar get: argument --format: invalid choice: 'xml'"),
    (["get", "--nonsense"], "idaas-sidecar get: unrecognized arguments: --nonsense; see idaas-sidecar get --help"),
    (
        ["doctor", "--confg", "x"],
        "idaas-sidecar doctor: unrecognized arguments: --confg x; did you mean --config?; see idaas-sidecar doctor",
    ),
    (["doctor", "--confg=x"], "idaas-sidecar doctor: unrecognized arguments: --confg=x; did you mean --config?"),
    (
        ["setup", "fingerprint", "https://h", "--jsn"],
        "idaas-sidecar setup fingerprint: unrecognized arguments: --jsn; did you mean --json?; see idaas-sidecar setup",
    ),
    (
        ["setup", "fingerprnt", "https://h"],
        "idaas-sidecar setup: argument TOPIC: invalid choice: 'fingerprnt' (choose from 'fingerprint', ",
    ),
    (["get", "--a\nb"], "idaas-sidecar get: unrecognized arguments: --a\\nb; see idaas-sidecar get --help"),
    (["--verbose"], "idaas-sidecar: unknown option '--verbose'; "),
    (["demo", "--port", "http"], "idaas-sidecar demo: argument --port: 'http' is not a whole number from 0 to 65532"),
    (["demo", "--port", "65533"], "idaas-sidecar demo: argument --port: '65533' is not a whole number"),
    (["demo", "--profiles", "0"], "idaas-sidecar demo: argument --profiles: '0' is not a whole number from 1 to 1000"),
    (["demo", "--lifetime", "٣٦٠٠"], "idaas-sidecar demo: argument --lifetime: '٣٦٠٠' is not a whole number"),
    (["emulator", "--port", "65535"], "idaas-sidecar emulator: argument --port: '65535' is not a whole number"),
    (["config", "--schema", "--show"], "idaas-sidecar config: argument --show: not allowed with argument --schema"),
    (["config", "--json"], "idaas-sidecar config: --json: only valid with --show"),
    (["env", "--shell", "csh"], "idaas-sidecar env: argument --shell: invalid choice: 'csh'"),
]


@pytest.mark.parametrize(("argv", "words"), USAGE, ids=[" ".join(argv) for argv, _ in USAGE])
def test_bad_usage(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad usage is exit 2 and one line that names the argument."""
    code, line = fails(capsys, *argv)

    assert code == 2
    assert line.startswith(words)


def test_similar_topic(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt topic of a command is answered with the one that resembles it."""
    _, line = fails(capsys, "setup", "fingerprnt", "https://h")

    assert "; did you mean fingerprint?; see idaas-sidecar setup --help" in line


# --- errors -----------------------------------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], int]:
    """Return the `run` of a command that raises `error`."""

    def run() -> int:
        raise error

    return run


ERRORS = [
    (ConfigError("place: wrong"), 2, "idaas-sidecar version: place: wrong (IDS-100)"),
    (Refused("no", status=400, code="invalid_client"), 3, "idaas-sidecar version: no (IDS-300)"),
    (Unreachable("no answer"), 4, "idaas-sidecar version: no answer (IDS-200)"),
    (NoCredentials("nothing held", retry_after=1), 4, "idaas-sidecar version: nothing held (IDS-501)"),
    (
        CommandNotStarted("cmd: not executable", exit_code=126),
        126,
        "idaas-sidecar version: cmd: not executable (IDS-516)",
    ),
    (
        CommandNotStarted("cmd: no such command", exit_code=127),
        127,
        "idaas-sidecar version: cmd: no such command (IDS-516)",
    ),
    (ConfigError("two   spaces,\ta tab "), 2, "idaas-sidecar version: two spaces, a tab (IDS-100)"),
    (ConfigError(""), 2, "idaas-sidecar version: ConfigError (IDS-100)"),
    (
        ValueError(SECRET),
        70,
        "idaas-sidecar version: internal error (ValueError); run the command again with --debug and report the output "
        "(IDS-901)",
    ),
]


@pytest.mark.parametrize(("error", "code", "line"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
def test_exit_codes(error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of error has its exit code and one line. The text of an internal error is not printed: it may quote a
    secret."""
    assert call_command("version", raising(error), debug=False) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_an_error_of_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of an error's message is a line on stderr that begins with the command's name."""
    assert call_command("config", raising(ConfigError("a: wrong\n\nb: wrong\n")), debug=False) == 2
    assert capsys.readouterr().err == (
        "idaas-sidecar config: a: wrong (IDS-100)\nidaas-sidecar config: b: wrong (IDS-100)\n"
    )


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug a traceback precedes the line; the exit code stays the same."""
    code = call_command("version", raising(ConfigError("place: wrong")), debug=True)

    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "idaas-sidecar version: place: wrong (IDS-100)"


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a command without output, with exit code 130 (128 + SIGINT)."""
    assert call_command("serve", raising(KeyboardInterrupt()), debug=False) == 130
    assert capsys.readouterr() == ("", "")


# --- config -----------------------------------------------------------------------------------------------------------


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


# --- env --------------------------------------------------------------------------------------------------------------

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


# --- health -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({}, ("127.0.0.1", 7118)),
        ({"server": {}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "127.0.0.1:80"}}, ("127.0.0.1", 80)),
        ({"server": {"ops": "0.0.0.0:7118"}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "[::]:7118"}}, ("127.0.0.1", 7118)),
        ({"server": {"ops": "localhost:7118"}}, ("127.0.0.1", 7118)),
    ],
)
def test_address_of_health(config: Any, address: tuple[str, int], tmp_path: Path) -> None:
    """`health` connects to the ops listener, at an address that a client can connect to."""
    assert health.ops_address(written(tmp_path, config), required=True) == address


def test_health_without_a_file() -> None:
    """Without a configuration file `health` uses the default address."""
    assert health.ops_address("/nowhere.json", required=False) == ("127.0.0.1", 7118)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"server": {"ops": None}}, "server.ops: null or not of the form HOST:PORT, so there is no listener to check"),
        ({"server": {"ops": 7118}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "127.0.0.1\0:7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "localhost\r:7118"}}, "server.ops: null or not of the form HOST:PORT"),
        ({"server": []}, "server.ops: null or not of the form HOST:PORT"),
        ([], "server.ops: null or not of the form HOST:PORT"),
        ({"server": {"ops": "127.0.0.1:0"}}, "server.ops: port 0 takes a free port, which this command cannot know"),
    ],
)
def test_health_without_an_address(config: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without an ops listener is exit 1 with one line."""
    path = written(tmp_path, config)

    code, line = fails(capsys, "health", "--config", path)

    assert code == 1
    assert line.startswith(f"idaas-sidecar health: {path}: {words}")


def test_health_with_a_broken_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not JSON, or that does not exist, is exit 1 with one line that names the file."""
    path = tmp_path / "config.json"
    path.write_text("{")

    code, line = fails(capsys, "health", "--config", str(path))
    assert code == 1
    assert line.startswith(f"idaas-sidecar health: {path}: ")
    assert fails(capsys, "health", "--config", "/nowhere.json") == (
        1,
        "idaas-sidecar health: /nowhere.json: no such file (IDS-102)",
    )
