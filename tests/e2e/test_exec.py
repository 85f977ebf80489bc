"""`exec` runs a command with a sidecar of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from .cloud import ENV, SECRET, config
from .processes import CommandResult, EmulatedCloud, Process, environment, run
from .wire import fetch

PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
FETCH = """
import json, os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"]).read().decode())
"""
WAIT = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a signal before `sigwait` is not lost
print(os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"], flush=True)
signal.sigwait({signal.SIGTERM})
print("terminated", flush=True)
sys.exit(7)
"""

SIGNAL_AT_THE_START = """
import asyncio, os, signal, sys
from app.cli.commands.exec import _run_command

class Children:
    async def start(self, starting):
        child = await starting
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        return child

sys.exit(asyncio.run(_run_command(["sleep", "600"], dict(os.environ), Children())))
"""


@pytest.fixture
def file(cloud: EmulatedCloud, tmp_path: Path) -> Path:
    """The path of a configuration with two profiles; only `p2` has a rule about callers."""
    path = tmp_path / "config.json"
    settings = config(cloud)
    settings["profiles"]["p2"] = settings["profiles"]["default"] | {"callers": {"uids": [4711]}}
    path.write_text(json.dumps(settings))
    return path


def execute(file: Path, *command: str, flags: tuple[str, ...] = (), **variables: str) -> CommandResult:
    """Run a command with `exec`."""
    env = environment(file.parent, **ENV, **variables)
    return run("exec", "--config", str(file), *flags, "--", *command, env=env)


def test_command_gets_credentials(file: Path) -> None:
    """The URI in the command's environment returns credentials."""
    done = execute(file, sys.executable, "-c", FETCH)

    assert done.code == 0
    assert json.loads(done.out)["Code"] == "Success"
    assert done.err == ""


def test_environment_of_the_command(file: Path) -> None:
    """The secret and the variables that SDKs check first are removed; the rest of the environment is unchanged."""
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "old", "OSS_ACCESS_KEY_ID": "old", "ALIBABA_CLOUD_ECS_METADATA": "node"}
    java = {"JAVA_TOOL_OPTIONS": "-Xmx1g -Dalibabacloud.accessKeyId=old -ea"}
    done = execute(file, sys.executable, "-c", PRINT_ENVIRONMENT, **keys, **java, KEPT="yes")
    environ = json.loads(done.out)
    *_, token, last = environ["ALIBABA_CLOUD_CREDENTIALS_URI"].split("/")

    assert (len(token), last) == (32, "credentials")
    assert environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"
    assert environ["ALIBABA_CLOUD_CLI_PROFILE_DISABLED"] == "true"
    assert environ["ALIBABA_CLOUD_CREDENTIALS_FILE"] == "/dev/null"
    assert environ["ALIBABA_CLOUD_IGNORE_PROFILE"] == "TRUE"
    assert environ["KEPT"] == "yes"
    assert environ["JAVA_TOOL_OPTIONS"] == "-Xmx1g -ea"
    assert not keys.keys() & environ.keys()
    assert SECRET not in done.out


def test_command_gets_no_other_secret(cloud: EmulatedCloud, file: Path) -> None:
    """The command's environment has no secret of another profile, no path token and no cache key."""
    settings = json.loads(file.read_text())
    other = json.loads(json.dumps(settings["profiles"]["p2"]))
    other["identity"]["authnConfiguration"]["clientSecretEnvVarName"] = "OTHER"
    settings["profiles"]["other"] = other
    settings["access"] = {"pathToken": {"envVarName": "PATH_TOKEN"}}
    settings["cache"] = {"directory": str(file.parent / "cache"), "keyEnvVarName": "KEY"}
    file.write_text(json.dumps(settings))
    secrets = {"OTHER": "canary-of-another", "PATH_TOKEN": "canary-of-the-path", "KEY": "canary-of-the-cache" * 2}
    done = execute(file, sys.executable, "-c", PRINT_ENVIRONMENT, **secrets)

    assert done.code == 0
    assert "canary" not in done.out


def test_cache_of_the_running_sidecar_is_unchanged(file: Path) -> None:
    """The sidecar of `exec` does not read, write or tidy the configured cache."""
    settings = json.loads(file.read_text())
    directory = file.parent / "cache"
    settings["cache"] = {"directory": str(directory), "keyEnvVarName": "KEY"}
    file.write_text(json.dumps(settings))
    entry = directory / "idaas-sidecar" / "p2.sealed"
    entry.parent.mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    entry.write_text("of a profile that the command does not use")
    entry.chmod(0o600)
    done = execute(file, sys.executable, "-c", FETCH, KEY="k" * 32)

    assert done.code == 0
    assert [path.name for path in entry.parent.iterdir()] == ["p2.sealed"]


def test_each_run_has_its_own_token(file: Path) -> None:
    """Two runs have different URIs."""
    first, second = (json.loads(execute(file, sys.executable, "-c", PRINT_ENVIRONMENT).out) for _ in range(2))

    assert first["ALIBABA_CLOUD_CREDENTIALS_URI"] != second["ALIBABA_CLOUD_CREDENTIALS_URI"]


def test_requests_without_the_token_are_refused(file: Path) -> None:
    """Another process that finds the port is refused; signals reach the command, and its exit code is returned."""
    arguments = ("exec", "--config", str(file), "--", sys.executable, "-c", WAIT)
    with Process(*arguments, env=environment(file.parent, **ENV)) as process:
        uri = process.stdout.find(bool)
        base, token, _ = uri.rsplit("/", 2)

        assert fetch(base, f"/{token}/credentials").status == 200
        assert fetch(base, "/credentials").status == 403
        assert fetch(base, "/latest/meta-data/ram/security-credentials/").status == 403
        process.send(signal.SIGTERM)
        assert process.stdout.find(lambda line: "terminated" in line) == "terminated"
        assert process.wait() == 7


def test_signal_while_the_command_starts(tmp_path: Path) -> None:
    """SIGTERM that arrives between the command's start and its first line ends the command, not `exec` alone."""
    program = (sys.executable, "-c", SIGNAL_AT_THE_START)
    with Process(env=environment(tmp_path), program=program) as process:
        assert process.wait() == 128 + signal.SIGTERM


def test_options_without_dashes(file: Path) -> None:
    """The command's own options need no -- before it."""
    done = run("exec", "--config", str(file), sys.executable, "-c", FETCH, env=environment(file.parent, **ENV))

    assert json.loads(done.out)["Code"] == "Success"


@pytest.mark.parametrize("variables", [{}, {"NO_PROXY": "one.example,127.0.0.1"}, {"no_proxy": "one.example"}])
def test_loopback_needs_no_proxy(file: Path, variables: dict[str, str]) -> None:
    """NO_PROXY gets 127.0.0.1 in addition to its present value, so that no proxy is used for the sidecar."""
    fetch = FETCH.replace("ProxyHandler({})", "ProxyHandler()")
    done = execute(file, sys.executable, "-c", fetch, http_proxy="http://127.0.0.1:9", **variables)
    shown = json.loads(execute(file, sys.executable, "-c", PRINT_ENVIRONMENT, **variables).out)

    assert json.loads(done.out)["Code"] == "Success"
    assert {shown["no_proxy"], shown["NO_PROXY"]} == {"one.example,127.0.0.1" if variables else "127.0.0.1"}


def test_proxy_for_plain_http_is_removed(file: Path) -> None:
    """No proxy sees loopback requests of a client that ignores NO_PROXY; the proxy for https stays."""
    proxies = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://one.example",
    }
    shown = json.loads(execute(file, sys.executable, "-c", PRINT_ENVIRONMENT, **proxies).out)

    assert {name: value for name, value in shown.items() if name.lower() in ("http_proxy", "https_proxy")} == {
        "https_proxy": "http://one.example"
    }


STUB = """#!{python}
import json, os, stat, sys
path = sys.argv[sys.argv.index("--config-path") + 1] if "--config-path" in sys.argv else None
print(json.dumps({{
    "arguments": sys.argv[1:],
    "path": path,
    "profile": json.load(open(path)) if path else None,
    "mode": oct(stat.S_IMODE(os.stat(path).st_mode)) if path else None,
    "ignored": os.environ.get("ALIBABA_CLOUD_IGNORE_PROFILE"),
    "uri": os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"],
}}))
"""


@pytest.fixture
def aliyun(tmp_path: Path) -> str:
    """A program with the name of aliyun-cli, which prints what it was given."""
    path = tmp_path / "aliyun"
    path.write_text(STUB.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


def test_aliyun_cli_gets_a_profile_file_of_its_own(file: Path, aliyun: str) -> None:
    """aliyun-cli reads the URI from a private profile file, which is gone afterwards, and no file of the user."""
    given = json.loads(execute(file, aliyun, "sts", "GetCallerIdentity", ALIBABA_CLOUD_REGION_ID="cn-beijing").out)
    (profile,) = given["profile"]["profiles"]

    assert given["arguments"][:2] == ["sts", "GetCallerIdentity"]
    assert (profile["mode"], profile["credentials_uri"]) == ("CredentialsURI", given["uri"])
    assert (profile["region_id"], given["mode"], given["ignored"]) == ("cn-beijing", "0o600", None)
    assert not Path(given["path"]).exists()


@pytest.mark.parametrize("flag", ["--profile", "--config-path=x", "--mode"])
def test_profile_that_the_user_names(flag: str, file: Path, aliyun: str) -> None:
    """A profile that the command line names is not replaced."""
    given = json.loads(execute(file, aliyun, "sts", flag, "other").out)

    assert given["arguments"] == ["sts", flag, "other"]


def test_files_of_the_running_sidecar_are_unchanged(cloud: EmulatedCloud, file: Path) -> None:
    """`exec` does not write the configured credential files: they belong to the running sidecar."""
    settings = json.loads(file.read_text())
    settings["profiles"]["default"]["files"] = [{"path": str(file.parent / "app.ini")}]
    file.write_text(json.dumps(settings))

    assert execute(file, sys.executable, "-c", FETCH).code == 0
    assert not (file.parent / "app.ini").exists()


def test_profile(file: Path) -> None:
    """`--profile` selects the served profile, and its rule about callers does not apply to the command."""
    done = execute(file, sys.executable, "-c", FETCH, flags=("--profile", "p2"))

    assert json.loads(done.out)["Code"] == "Success"


@pytest.mark.parametrize(("script", "code"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_exit_codes(file: Path, script: str, code: int) -> None:
    """The exit code is that of the command, or 128 plus the number of the signal that ended it."""
    assert execute(file, sys.executable, "-c", script).code == code


@pytest.mark.parametrize("command", ["/no/such/command", "no-such-command"])
def test_command_that_does_not_exist(file: Path, command: str) -> None:
    """A command that does not exist gives one line and exit code 127, as in a shell."""
    done = execute(file, command)

    assert done.code == 127
    assert done.error_line == f"idaas-sidecar exec: {command}: no such command (IDS-516)"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("no-such-command --flag", "no-such-command --flag"),
        ("FOO=1", "FOO=1"),
        ("no-such|wc", "no-such|wc"),
        ("~/no-such", "~/no-such"),
        ("two\nlines", r"'two\nlines'"),
    ],
)
def test_command_for_a_shell(file: Path, command: str, shown: str) -> None:
    """A command line in one argument, or shell syntax, is one line on stderr that says how to write it."""
    done = execute(file, command)

    assert (done.code, done.error_line) == (
        127,
        f"idaas-sidecar exec: {shown}: no such command; write program and arguments apart, or run a shell: "
        "idaas-sidecar exec -- sh -c '...' (IDS-516)",
    )


def test_empty_command(file: Path) -> None:
    """An empty command, as from an unset variable in quotes, is named as such."""
    done = execute(file, "")

    assert (done.code, done.error_line) == (127, "idaas-sidecar exec: '': no such command (IDS-516)")


def test_path_with_a_forbidden_directory(file: Path, tmp_path: Path) -> None:
    """A directory of PATH that the user may not search does not make a missing command "not executable"."""
    forbidden = tmp_path / "forbidden"
    forbidden.mkdir(mode=0)
    done = execute(file, "no-such-command", PATH=f"{forbidden}:{os.environ['PATH']}")

    assert (done.code, done.error_line) == (127, "idaas-sidecar exec: no-such-command: no such command (IDS-516)")


@pytest.mark.parametrize(
    ("first_line", "code", "reason"),
    [
        (
            "#!/no/such/shell -e",
            127,
            "its interpreter '/no/such/shell' does not exist; install the interpreter, or correct "
            "the script's first line",
        ),
        (
            "#! /bin/sh\r",
            127,
            r"its interpreter '/bin/sh\r' does not exist; the script has the line ends of Windows: "
            r"remove them with sed -i 's/\r$//'",
        ),
        ("#!/etc/passwd", 126, f"its interpreter '/etc/passwd' is not executable by this user (uid {os.getuid()})"),
        (
            "#!/tmp",
            126,
            "its interpreter '/tmp' does not exist; install the interpreter, or correct the script's first line",
        ),
    ],
    ids=["missing", "CRLF", "not executable", "directory"],
)
@pytest.mark.parametrize("by_name", [True, False])
def test_script_without_its_interpreter(
    first_line: str, code: int, reason: str, by_name: bool, file: Path, tmp_path: Path
) -> None:
    """The message names the interpreter, not the script, as what is missing; the exit code is that of bash and env."""
    script = tmp_path / "own-script"
    script.write_bytes(f"{first_line}\n".encode())
    script.chmod(0o755)
    done = execute(file, "own-script" if by_name else str(script), PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert (done.code, done.error_line) == (code, f"idaas-sidecar exec: {script}: {reason} (IDS-516)")


def test_script_without_a_first_line(file: Path, tmp_path: Path) -> None:
    """A script without `#!` runs in /bin/sh, as with env and in every shell (POSIX execvp)."""
    script = tmp_path / "own-script"
    script.write_text("echo of-sh; exit 3\n")
    script.chmod(0o755)
    done = execute(file, str(script))

    assert (done.code, done.out) == (3, "of-sh\n")


def test_program_without_its_loader(file: Path, tmp_path: Path) -> None:
    """A program of another C library, as with glibc's on Alpine: the message names the loader that is missing."""
    program = tmp_path / "own-program"
    raw = Path(sys.executable).read_bytes()
    found = re.search(rb"/[!-~]+/(ld[!-~]*\.so[!-~]*)", raw[:4096])
    if found is None:
        pytest.skip("needs a Python that is linked dynamically")
    program.write_bytes(raw.replace(found[1], found[1][:-1] + b"9", 1))
    program.chmod(0o755)
    done = execute(file, str(program))

    loader = found[0].decode()[:-1] + "9"
    assert done.code == 127
    assert done.error_line == (
        f"idaas-sidecar exec: {program}: its loader '{loader}' does not exist; use a build for this system's C library "
        "and architecture (IDS-516)"
    )


@pytest.mark.parametrize("command", ["/etc/passwd", "/tmp"])
def test_command_that_is_not_executable(file: Path, command: str) -> None:
    """A file without the execute permission, and a directory, give one line and exit code 126, as in a shell."""
    done = execute(file, command)

    assert done.code == 126
    assert done.error_line == f"idaas-sidecar exec: {command}: not executable (IDS-516)"


def test_command_that_cannot_be_executed(file: Path) -> None:
    """Any other reason why the system cannot start the command gives one line and exit code 126, as in bash."""
    done = execute(file, "/etc/passwd/command")

    assert done.code == 126
    assert done.error_line == "idaas-sidecar exec: /etc/passwd/command: cannot be executed: Not a directory (IDS-516)"


def test_no_command(file: Path) -> None:
    """Without a command, `exec` gives one line and exit code 2."""
    done = execute(file)

    assert done.code == 2
    assert "idaas-sidecar exec: no command; write the command after --" in done.error_line


def test_refusal_of_the_cloud(file: Path) -> None:
    """Without credentials the command is not started; the exit code is that of `get`."""
    settings = json.loads(file.read_text())
    settings["profiles"]["default"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    file.write_text(json.dumps(settings))
    done = execute(file, sys.executable, "-c", "print('started')")

    assert done.code == 3
    assert done.out == ""
    assert "EntityNotExist" in done.err
