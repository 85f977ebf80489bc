"""The command line, called in this process: usage, exit codes and error messages."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from app import __version__
from app.cli.errors import CommandNotStarted, call_command
from app.core.error_index.index import INDEX
from app.core.errors import ConfigError, NoCredentials, Refused, Unreachable

from .calls import exit_code, fails, prints

SECRET = "Tr0ub4dor"
COMMANDS = (
    "serve", "demo", "emulator", "get", "env", "exec", "config", "doctor", "setup", "conformance", "health",
    "refresh", "purge", "log-level", "status", "migrate", "webhook", "completion", "version", "help",
)  # fmt: skip


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


def test_help_of_a_code_in_small_letters(capsys: pytest.CaptureFixture[str]) -> None:
    """A code can be typed in small letters."""
    assert prints(capsys, "help", "ids-301") == prints(capsys, "help", "IDS-301")


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
