"""A token that a command prints. tests/e2e/test_command.py kills commands and their children."""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config.decode import convert
from app.core.checks import require
from app.core.errors import ConfigError, NotThereYet, Refused, SidecarError, Unreachable
from app.core.values import Token
from app.identity import command
from app.identity.command import Command, CommandIdentity
from app.system.child_process import ChildProcess
from app.system.child_reaper import Child, ChildReaper, Started

from ..descriptors import opened
from .contexts import NOW, HungDisk, context
from .test_jwt_claims import token

PLACE = "identity.command"
JWT = token({})
ID_TOKEN = token({"exp": NOW + 900})
OF_COMMANDS = ("pipe:", "anon_inode:[pidfd]")
"""The descriptors that a command needs while it runs."""

PRINTED = json.dumps({"access_token": JWT, "id_token": ID_TOKEN, "expires_in": 600})


class Children(ChildReaper):
    """The reaper of orphans, which must know each command while it runs; it records what it hears of them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.started = asyncio.Event()

    async def start(self, starting: Coroutine[Any, Any, Started]) -> Started:
        """Record the start."""
        process = await super().start(starting)
        self.events.append("started")
        self.started.set()
        return process

    def ended(self, process: Child) -> None:
        """Record the end with the exit status."""
        assert isinstance(process, ChildProcess)
        self.events.append(f"ended {process.returncode}")
        super().ended(process)


def shell(script: str, **changes: Any) -> Command:
    """Return the source of the token that a shell script prints."""
    settings: dict[str, Any] = {"timeout": 60.0, "use": "access_token", "place": PLACE, "environ": {}, **changes}
    return Command(("/bin/sh", "-c", script), now=lambda: NOW, **settings)


@pytest.mark.parametrize(
    ("use", "found"), [("access_token", Token(JWT, NOW + 600)), ("id_token", Token(ID_TOKEN, NOW + 900))]
)
async def test_printed_token_is_read(use: str, found: Token) -> None:
    """The configured one of the printed tokens is used, with its own end."""
    assert await shell(f"echo '{PRINTED}'", use=use).token() == found


@pytest.fixture
def own_input() -> Iterator[None]:
    """Give this process a standard input that is not empty."""
    saved = os.dup(0)
    with tempfile.TemporaryFile() as file:
        file.write(b"input of this process")
        file.seek(0)
        os.dup2(file.fileno(), 0)
        yield
    os.dup2(saved, 0)
    os.close(saved)


async def test_command_gets_the_environment_and_no_input(own_input: None, capfd: pytest.CaptureFixture[str]) -> None:
    """The command has exactly the given environment, an empty standard input, and no standard error."""
    script = 'cat; echo error >&2; echo "$PRINTED"'

    assert (await shell(script, environ={"PRINTED": PRINTED, "PATH": os.defpath}).token()).value == JWT
    assert capfd.readouterr().err == ""


async def test_nothing_is_left_behind() -> None:
    """A finished command leaves no task and no descriptor."""
    await shell(f"echo '{PRINTED}'").token()  # opens what the loop keeps for all commands
    before = opened(*OF_COMMANDS)

    await shell(f"echo '{PRINTED}'").token()
    await asyncio.sleep(0)  # the loop removes what was cancelled

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not Counter(opened(*OF_COMMANDS)) - Counter(before)


async def test_command_leads_its_own_process_group(tmp_path: Path) -> None:
    """The command is the leader of a process group, so that its children can be killed with it."""
    path = tmp_path / "ids"
    script = f"read pid _ _ _ group _ < /proc/self/stat; echo $pid $group > {path}; echo '{PRINTED}'"
    await shell(script).token()

    pid, group = (await asyncio.to_thread(path.read_text)).split()
    assert pid == group


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 7", "the command ended with status 7; run the command by hand to see why"),
        ("echo text; exit 7", "the command ended with status 7; run the command by hand to see why"),
        (f"echo '{PRINTED}'; exit 1", "the command ended with status 1; run the command by hand to see why"),
        ("kill -9 $$", "the command ended with status -9; run the command by hand to see why"),
        ("true", "the command printed 0 bytes that are neither a JSON object nor a JWT"),
        ("echo []", "the command printed 3 bytes that are neither a JSON object nor a JWT"),
        ("printf '%100000s' | tr ' ' '['", "the command printed more than 65536 bytes"),
        ("printf '%65536s' | tr ' ' '['", "the command printed 65536 bytes of JSON that is nested too deeply"),
        ("printf '%65537s'", "the command printed more than 65536 bytes"),
        ("printf '%65537s'; sleep 600", "the command printed more than 65536 bytes"),
    ],
)
async def test_unusable_output_is_transient(script: str, message: str) -> None:
    """A command that fails, or prints no token, may succeed later; nothing of its output is repeated."""
    with pytest.raises(Unreachable) as caught:
        await shell(script, environ={"PATH": os.defpath}).token()

    assert str(caught.value) == f"{PLACE}: {message}"
    assert caught.value.error_code == "IDS-324"


async def test_answer_without_a_token_is_transient() -> None:
    """An object without a token has the code of such an answer of a token endpoint."""
    with pytest.raises(Unreachable, match=f"^{PLACE}: an answer without access_token$") as caught:
        await shell("echo {}").token()

    assert caught.value.error_code == "IDS-320"


@pytest.mark.parametrize(
    ("script", "cloud_message"),
    [
        ("printf 'first\\nsecond\\n \\n' >&2", "second"),
        (r"printf 'caf\351' >&2", "caf\ufffd"),
        ("printf 'a%2048s' | tr ' ' 'b' >&2", "b" * 199 + "…"),
        ("seq 100000 100999 >&2", "100999"),
    ],
    ids=["last line that is not blank", "not UTF-8", "last 2,048 bytes", "more than the pipe keeps"],
)
@pytest.mark.parametrize("printed", ["", '{"error": "access_denied"}'], ids=["status", "error"])
async def test_end_of_the_standard_error_is_in_the_message(script: str, cloud_message: str, printed: str) -> None:
    """The last line of the standard error says why the command failed."""
    with pytest.raises((Unreachable, Refused)) as caught:
        await shell(f"{script}; echo '{printed}'; exit 1", environ={"PATH": os.defpath}).token()

    assert caught.value.cloud_message == cloud_message


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("true", Unreachable),
        ("echo '{}'", Unreachable),
        (f"""echo '{{"id_token": "{JWT}"}}'""", ConfigError),
        ("printf '%65537s'; sleep 600", Unreachable),
    ],
    ids=["nothing printed", "no token", "another token", "too much"],
)
async def test_every_failure_has_the_standard_error(script: str, error: type[SidecarError]) -> None:
    """The last line of the standard error is in the message, however the command failed."""
    with pytest.raises(error) as caught:
        await shell(f"echo 'login first' >&2; {script}", environ={"PATH": os.defpath}).token()

    assert caught.value.cloud_message == "login first"


async def test_slow_command_has_the_standard_error() -> None:
    """The last line of the standard error is in the message of a command that does not end in time."""
    for seconds in (0.2, 2, 20):  # a busy machine takes longer to start a shell
        script = "echo 'login first' >&2; exec sleep 600"
        with pytest.raises(Unreachable) as caught:
            await shell(script, timeout=seconds, environ={"PATH": os.defpath}).token()
        if caught.value.cloud_message:
            break

    assert caught.value.cloud_message == "login first"
    assert str(caught.value).endswith('it says "login first"')


async def test_code_of_a_nested_error() -> None:
    """The code within an `error` object is that of the refusal."""
    with pytest.raises(Refused) as caught:
        await shell("""echo '{"error": {"code": "E7", "message": "of-x"}}'""").token()

    assert (caught.value.code, caught.value.cloud_message) == ("E7", "")


async def test_error_of_null_is_none() -> None:
    """An `error` without a value beside a token is no error."""
    assert (await shell(f"echo '{json.dumps({**json.loads(PRINTED), 'error': None})}'").token()).value == JWT


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "a_token", "PASSWORD", "api_key", "AWS_CREDENTIALS"])
async def test_secret_variable_is_hidden_in_the_message(name: str) -> None:
    """The value of a variable whose name is that of a secret is not repeated; other values are."""
    environ = {name: "hidden-value", "USER": "public-user"}

    with pytest.raises(Unreachable) as caught:
        await shell(f'echo "$USER: ${name}" >&2; exit 1', environ=environ).token()

    assert caught.value.cloud_message == "public-user: [hidden]"


async def test_secret_variable_that_is_not_utf8() -> None:
    """A variable with bytes that are not UTF-8 is hidden, too. The error is still that of the command."""
    value = b"geheim-f\xfcr-uns".decode("utf-8", "surrogateescape")

    with pytest.raises(Unreachable) as caught:
        await shell('echo "refused: geheim-f" >&2; exit 1', environ={"CLIENT_SECRET": value}).token()

    assert caught.value.cloud_message == "refused: [hidden]"


@pytest.mark.parametrize("arguments", [("--client-secret", "hidden-value"), ("--api-key=hidden-value",)])
async def test_secret_argument_is_hidden_in_the_message(arguments: tuple[str, ...]) -> None:
    """The value of an option whose name is that of a secret is not repeated."""
    script = 'echo "usage: unknown arguments $*" >&2; exit 2'
    source = Command(("/bin/sh", "-c", script, "sh", *arguments), 60.0, "access_token", PLACE, lambda: NOW, {})

    with pytest.raises(Unreachable) as caught:
        await source.token()

    assert "[hidden]" in caught.value.cloud_message
    assert "hidden-value" not in caught.value.cloud_message


async def test_file_system_that_does_not_answer_is_transient() -> None:
    """The command is not started while the file system of its executable does not answer."""
    disk, children = HungDisk(), Children()

    with pytest.raises(Unreachable) as caught:
        await shell(f"echo '{PRINTED}'", disk=disk, children=children).token()

    assert str(caught.value) == f"{PLACE}: /bin/sh: the file system did not answer within 5 s"
    assert caught.value.error_code == "IDS-601"
    assert (disk.paths, children.events) == (["/bin/sh"], [])


async def test_longest_output_is_read() -> None:
    """An output of 65,536 bytes is read as a whole."""
    script = f"echo '{PRINTED}'; printf '%{65_536 - len(PRINTED) - 1}s'"

    assert (await shell(script, environ={"PATH": os.defpath}).token()).value == JWT


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [("access_denied", 0, "access_denied"), ("access_denied", 3, "access_denied"), ("<b>", 0, "(unreadable)")],
)
async def test_error_of_the_command_is_a_refusal(error: str, status: int, code: str) -> None:
    """An `error` member is a refusal, whatever the exit status is; no HTTP status belongs to it."""
    printed = json.dumps({"error": error, "access_token": JWT, "expires_in": 600})

    with pytest.raises(Refused) as caught:
        await shell(f"echo '{printed}'; exit {status}").token()

    assert str(caught.value) == f"{PLACE}: the command says {code}"
    assert (caught.value.status, caught.value.code, caught.value.error_code) == (0, code, "IDS-324")


async def test_command_that_takes_too_long_is_killed() -> None:
    """A command that exceeds its time limit is killed and reaped."""
    children = Children()

    with pytest.raises(Unreachable) as caught:
        await shell("exec sleep 600", timeout=0.1, environ={"PATH": os.defpath}, children=children).token()

    assert str(caught.value) == f"{PLACE}: the command did not end within 0.1 s"
    assert caught.value.error_code == "IDS-324"
    assert children.events == ["started", "ended -9"]


async def test_cancelled_command_is_killed() -> None:
    """When the caller is cancelled, the command is killed and reaped before that is reported."""
    children = Children()
    call = asyncio.create_task(shell("exec sleep 600", environ={"PATH": os.defpath}, children=children).token())
    await children.started.wait()
    await asyncio.sleep(0)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call

    assert children.events == ["started", "ended -9"]


async def test_script_without_its_interpreter(tmp_path: Path) -> None:
    """The message names the interpreter, not the script, as what is missing."""
    script = tmp_path / "script"
    script.write_text("#!/nowhere/python3\n")
    script.chmod(0o755)
    source = Command((str(script),), 60.0, "access_token", PLACE, lambda: NOW, {})

    with pytest.raises(NotThereYet) as caught:
        await source.token()

    assert caught.value.cause == f"{PLACE}: {script}: its interpreter '/nowhere/python3' does not exist"
    assert caught.value.cure == "install the interpreter, or correct the script's first line"
    assert caught.value.error_code == "IDS-123"


@pytest.mark.parametrize(
    ("mode", "content", "why"), [(0o600, "#!/bin/sh", "not executable by this user"), (0o700, "", "empty")]
)
async def test_incomplete_command(mode: int, content: str, why: str, tmp_path: Path) -> None:
    """A command without content or the right to execute is no configuration error: its program may not be written."""
    script = tmp_path / "script"
    script.touch(mode)
    script.write_text(content)

    with pytest.raises(NotThereYet, match=f"^{PLACE}: {script}: {why}") as caught:
        await Command((str(script),), 60.0, "access_token", PLACE, lambda: NOW, {}).token()
    assert caught.value.error_code == "IDS-123"


async def test_script_of_windows(tmp_path: Path) -> None:
    """A first line that no interpreter can have is a configuration error: no program installs such a file."""
    script = tmp_path / "script"
    script.write_bytes(b"#!/bin/sh\r\n")
    script.chmod(0o700)

    with pytest.raises(ConfigError, match="line ends of Windows"):
        await Command((str(script),), 60.0, "access_token", PLACE, lambda: NOW, {}).token()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("/dev/null",), "/dev/null: cannot be started: Permission denied"),
        (("/bin/sh", "a\0b"), "/bin/sh: cannot be started: not a command"),
    ],
)
async def test_command_that_cannot_be_started(argv: tuple[str, ...], message: str) -> None:
    """A command that cannot be started is a configuration error with its path."""
    with pytest.raises(ConfigError) as caught:
        await Command(argv, 60.0, "access_token", PLACE, lambda: NOW, {}).token()

    assert str(caught.value) == f"{PLACE}: {message}"
    assert caught.value.error_code == "IDS-123"


async def test_command_that_does_not_exist_yet() -> None:
    """A command that another program may still install is no configuration error."""
    with pytest.raises(NotThereYet) as caught:
        await Command(("/nowhere/command",), 60.0, "access_token", PLACE, lambda: NOW, {}).token()

    assert str(caught.value) == f"{PLACE}: /nowhere/command: cannot be started: No such file or directory"
    assert (caught.value.error_code, caught.value.permanent) == ("IDS-123", False)


async def test_command_that_is_being_written(tmp_path: Path) -> None:
    """An executable that its installer still writes can be started a moment later."""
    path = tmp_path / "program"
    path.write_bytes(await asyncio.to_thread(Path("/bin/true").read_bytes))
    path.chmod(0o755)
    source = Command((str(path),), 60.0, "access_token", PLACE, lambda: NOW, {})

    with path.open("ab"), pytest.raises(Unreachable, match=f"^{PLACE}: {path}: cannot be started: Text file busy$"):
        await source.token()
    with pytest.raises(Unreachable, match="the command printed 0 bytes"):
        await source.token()


async def test_settings_reach_the_command() -> None:
    """The token's use, the environment and the place of errors are those of the configuration."""
    script = 'test "$MARK" = 1 && echo "{}"'
    settings = {
        "command": ["/bin/sh", "-c", script],
        "tokenUse": "id_token",
        "timeoutSeconds": 5,
        "environment": ["MARK"],
    }
    identity = convert({"type": "command", **settings}, CommandIdentity)
    children = Children()
    surroundings = context(environ={"MARK": "1"}, children=children)

    with pytest.raises(Unreachable, match=r"^p\.identity\.command: an answer without id_token$"):
        await command.build(identity, "p.identity", surroundings).token()
    assert children.events == ["started", "ended 0"]


def test_defaults_of_the_settings() -> None:
    """A command has 10 s and prints an access token; its arguments and environment, which may be secret, are hidden."""
    surroundings = context(environ={"SECRET": "s3cr3t"})

    source = command.build(CommandIdentity(("/x", "s3cr3t")), "p", surroundings)

    assert isinstance(source, Command)
    assert (source.timeout, source.use) == (10.0, "access_token")
    assert "s3cr3t" not in repr(surroundings)
    assert "children" not in repr(source)
    assert "disk" not in repr(source)
    assert re.sub(r"<.*>", "…", repr(source)) == "Command(timeout=10.0, use='access_token', place='p.command', now=…)"


def test_relative_path_is_refused() -> None:
    """The executable has an absolute path, so that no PATH decides what runs."""
    require(command.checks(CommandIdentity(("/bin/sh", "x")), "identity"))
    with pytest.raises(ConfigError, match=r"^identity\.command\[0\]: 'sh' must be an absolute path$") as caught:
        require(command.checks(CommandIdentity(("sh", "/x")), "identity"))
    assert caught.value.error_code == "IDS-123"


def test_executable_is_checked(tmp_path: Path) -> None:
    """The path is a file's. A file that does not exist or that this user may not execute may be written later."""
    path = tmp_path / "program"
    path.write_text("x")

    command.check_executable("/bin/sh", PLACE)
    for unusable, kind, why in (
        (f"{path}.other", NotThereYet, "no such file"),
        (str(tmp_path), ConfigError, "not a file"),
    ):
        with pytest.raises(kind, match=f"^{PLACE}: {unusable}: {why}$") as failed:
            command.check_executable(unusable, PLACE)
        assert failed.value.error_code == "IDS-123"
    with pytest.raises(
        NotThereYet, match=rf"^{PLACE}: {path}: not executable by this user \(uid {os.getuid()}\); run `chmod 0755`"
    ) as caught:
        command.check_executable(str(path), PLACE)
    assert caught.value.error_code == "IDS-123"


def test_inherited_environment() -> None:
    """
    A command inherits where programs and files are, the locale, proxies and CA certificates, and what is named.

    It inherits no other variable, because the secrets of the sidecar are among them.
    """
    usual = {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_ALL", "LC_TIME"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    }
    others = {"CLIENT_SECRET", "MARK", "MARK_2", "LCX"}
    environ = {name: f"value of {name}" for name in usual | others}

    assert command.inherited(environ, ["MARK", "UNSET"]) == {name: f"value of {name}" for name in usual | {"MARK"}}


async def test_token_among_the_arguments_is_not_repeated() -> None:
    """The message of a command that repeats its arguments does not contain one that looks like a secret."""
    argv = ("/bin/sh", "-c", 'echo "unknown: $*" >&2; exit 2', "sh", "--audience", "--token=Tr0ub4dorAnd3")
    source = Command(argv, timeout=60.0, use="access_token", place=PLACE, now=lambda: NOW, environ={})

    with pytest.raises(Unreachable) as caught:
        await source.token()

    assert caught.value.cloud_message == "unknown: --audience --token=[hidden]"


@pytest.mark.parametrize(
    "argv",
    [
        ("/bin/sh", "Tr0ub4dorAnd3"),
        ("/bin/sh", "-c", 'echo "unknown: $*" >&2; exit 2', "sh", "Tr0ub4dorAnd3"),
        ("/bin/sh", "-c", 'echo "unknown: $*" >&2; exit 2', "sh", "-t=Tr0ub4dorAnd3"),
    ],
    ids=["the first", "the last", "of an option"],
)
async def test_argument_that_looks_like_a_secret_is_not_repeated(argv: tuple[str, ...]) -> None:
    """An argument that looks like a generated secret is hidden at every place and after every option."""
    with pytest.raises(Unreachable) as caught:
        await Command(argv, 60.0, "access_token", PLACE, lambda: NOW, {}).token()

    assert "[hidden]" in caught.value.cloud_message
    assert "Tr0ub4dor" not in caught.value.cloud_message


@pytest.mark.parametrize("argument", ["/opt/Tools2/helper", "https://idp.example.com/Tenant1"])
async def test_path_or_url_among_the_arguments_is_repeated(argument: str) -> None:
    """A path or a URL is not hidden: it is not a secret, and the message needs it."""
    argv = ("/bin/sh", "-c", 'echo "not found: $1" >&2; exit 2', "sh", argument)

    with pytest.raises(Unreachable) as caught:
        await Command(argv, 60.0, "access_token", PLACE, lambda: NOW, {}).token()

    assert caught.value.cloud_message == f"not found: {argument}"
