"""`identity.type: command`: a token that an executable prints, bounded in time and size, without a shell."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any

from msgspec import Meta, field

from ..core.base import HIDDEN, Expanded, Strict
from ..core.checks import Check, fails
from ..core.display import looks_random
from ..core.errors import ConfigError, Mistake, NotThereYet, Reason, Refused, SidecarError, Unreachable
from ..core.json_text import TooDeep
from ..core.record import Record
from ..core.text import printable_id, quoted
from ..core.values import Now, Token, TokenUse
from ..system import child_process, files
from ..system.bounded_pipe import BoundedPipe
from ..system.child_process import ChildProcess
from ..system.child_reaper import ChildReaper
from ..system.disk import Disk, Stalled
from ..system.interpreter import Unusable, unusable_interpreter
from ..upstream.answers.error_words import error_words
from ..upstream.redaction import redacted
from .command_output import token_members
from .context import Context, TokenSource
from .token_response import token_from

REAP_SECONDS = 1.0
"""Seconds to wait for the end of a killed process, which takes milliseconds."""

LARGEST_LINE = 2_048
"""Bytes kept from the end of the standard error."""

_SECRET_NAME = re.compile("SECRET|TOKEN|PASS|KEY|CREDENTIAL", re.IGNORECASE)
"""Names of environment variables and options of a command whose values are secrets."""

LARGEST_OUTPUT = 65_536
"""The most bytes of the output. A token has at most 20,000 characters."""


INHERITED = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    )
)
"""Variables that every command inherits, beside those whose names begin with LOCALE.

They include no secret of the sidecar: the command is another program, and all processes of the user can read its
environment.
"""

LOCALE = "LC_"

_PASSING = frozenset({errno.ETXTBSY, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""Errors that pass when a command is started: its file is still open for writing, or a limit is reached."""

VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"


class CommandIdentity(Strict, tag_field="type", tag="command", frozen=True):
    """An executable that prints a token, for methods that the sidecar does not have."""

    command: Annotated[
        tuple[Expanded, ...],
        Meta(
            min_length=1,
            description="Absolute path of the executable, then its arguments. No shell is used. The executable prints "
            "an OAuth token response: `access_token` or `id_token`, and `expires_in` or `expires_at` unless the JWT "
            'has `exp`; or `error`; or a bare JWT, `{"value": ...}`, an ExecCredential, or SPIRE\'s list of SVIDs.',
        ),
    ]
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=120, description="Seconds until the executable is killed, with its child processes.")
    ] = 10.0
    environment: Annotated[
        tuple[Annotated[str, Meta(pattern=VARIABLE, extra={HIDDEN: True})], ...],
        Meta(
            description="Names of the variables of the sidecar that the executable inherits, beside `PATH`, `HOME`, "
            "`TMPDIR`, and those of locale, time zone, proxies and CA certificates."
        ),
    ] = ()
    token_use: Annotated[TokenUse, Meta(description="Which member of the output is the token.")] = "access_token"  # noqa: S105 - a name


class Command(Record, frozen=True):
    """
    The token that the command `argv` prints as JSON on its standard output, in the form of an OAuth token response.

    The command's standard input is empty, and its environment is `environ`. Its output is never shown. If the command
    fails, the last line of its standard error is shown, without parts that look like a secret.
    """

    HIDDEN = frozenset({"argv", "environ", "children", "disk"})

    argv: tuple[str, ...]
    timeout: float
    use: TokenUse
    place: str
    now: Now
    environ: Mapping[str, str]
    children: ChildReaper = field(default_factory=ChildReaper)
    disk: Disk = field(default_factory=Disk)

    async def token(self) -> Token:
        """
        Return the token. Raises Refused for an `error`, and Unreachable without a usable output.

        Raises ConfigError if the command cannot be started, and NotThereYet if it does not exist, or is not complete.
        `cloud_message` of the error is the last line of the standard error.
        """
        status, output, said = await self._run()
        try:
            return self._token(self._members(output, status), status)
        except SidecarError as error:
            raise error.with_members(cloud_message=self._cleaned(said)) from None

    def _token(self, members: Mapping[str, Any], status: int) -> Token:
        if members.get("error"):
            code = printable_id(error_words(json.dumps(members).encode()).code) or "(unreadable)"
            raise Refused(f"{self.place}: the command says {code}", status=0, code=code, error_code="IDS-324")
        if status != 0:
            raise Unreachable(
                f"{self.place}: the command ended with status {status}",
                cure="run the command by hand to see why",
                error_code="IDS-324",
            )
        return token_from(members, now=self.now(), where=self.place, use=self.use)

    def _cleaned(self, said: bytes) -> str:
        """Return the last line of the standard error, printable, of limited length, and without secrets."""
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        secret = [value for name, value in self.environ.items() if _SECRET_NAME.search(name)]
        for option, value in pairwise((*self.argv, "")):
            if option.startswith("-") and _SECRET_NAME.search(option):
                secret += [option.partition("=")[2]] if "=" in option else [value]
        # Programs repeat their arguments in messages, and an argument may be a token, which `config --show` hides.
        secret += [value for argument in self.argv[1:] if _may_be_secret(value := argument.rpartition("=")[2])]
        return quoted(redacted(lines[-1], secret)) if lines else ""

    async def _run(self) -> tuple[int, bytes, bytes]:
        """Return the exit status, the output, and the end of the standard error."""
        with (
            contextlib.closing(BoundedPipe(LARGEST_OUTPUT)) as pipe,
            contextlib.closing(BoundedPipe(LARGEST_LINE, keep_end=True)) as errors,
        ):
            process = await self._start(pipe.write_end, errors.write_end)
            try:
                try:
                    status = await self._wait(process, pipe)
                finally:
                    self.children.ended(process)
                pipe.read_available()
                if pipe.overflowed.is_set():
                    raise self._overflow()
            except Unreachable as error:
                errors.read_available()
                raise error.with_members(cloud_message=self._cleaned(errors.text)) from None
            errors.read_available()
            return status, pipe.text, errors.text

    async def _wait(self, process: ChildProcess, pipe: BoundedPipe) -> int:
        """Return the exit status. Kill the process if it does not end in time, or prints too much."""
        try:
            async with asyncio.timeout(self.timeout):
                waits = [asyncio.create_task(wait) for wait in (process.wait(), pipe.overflowed.wait())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                if pipe.overflowed.is_set():
                    raise self._overflow()
                return waits[0].result()
        except TimeoutError:
            await _kill(process)
            raise Unreachable(
                f"{self.place}: the command did not end within {self.timeout:g} s", error_code="IDS-324"
            ) from None
        except BaseException:
            await asyncio.shield(_kill(process))
            raise

    async def _start(self, stdout: int, stderr: int) -> ChildProcess:
        try:
            return await self.children.start(
                child_process.start(self.disk, self.argv, self.environ, stdout=stdout, stderr=stderr)
            )
        except Stalled as error:
            raise Unreachable(f"{self.place}: {self.argv[0]}: {error}", error_code="IDS-601") from None
        except (OSError, ValueError) as error:
            raise (await self._failure(error)).at(self.place) from None

    async def _failure(self, error: OSError | ValueError) -> SidecarError:
        """Return the error of a command that the system does not start."""
        number = error.errno if isinstance(error, OSError) else None
        cause = f"{self.argv[0]}: cannot be started: {os.strerror(number) if number else 'not a command'}"
        if number in _PASSING:
            return Unreachable(cause, error_code="IDS-123")
        found = await self._unusable()
        if found is not None:
            kind = NotThereYet if found.may_follow else ConfigError
            return kind(found.reason, error_code="IDS-123")
        if number == errno.ENOENT:
            return NotThereYet(cause, error_code="IDS-123")
        return ConfigError(cause, error_code="IDS-123")

    async def _unusable(self) -> Unusable | None:
        """Return what keeps the command or its interpreter from starting, or None."""
        try:
            return await self.disk.call(self.argv[0], _unusable, self.argv[0])
        except Stalled:
            return None

    def _overflow(self) -> Unreachable:
        return Unreachable(f"{self.place}: the command printed more than {LARGEST_OUTPUT} bytes", error_code="IDS-324")

    def _members(self, output: bytes, status: int) -> dict[str, Any]:
        wrong = "bytes that are neither a JSON object nor a JWT"
        try:
            members = token_members(output, self.use)
        except TooDeep as error:
            members, wrong = None, f"bytes of JSON that is {error}"
        if members is not None:
            return members
        if status != 0:
            return {}
        raise Unreachable(f"{self.place}: the command printed {len(output)} {wrong}", error_code="IDS-324")


def _may_be_secret(value: str) -> bool:
    """Return whether an argument may be a secret, because it is not a script, path or URL."""
    return looks_random(value) and re.fullmatch(r"(?!/|[a-z]+://)\S+", value) is not None


async def _kill(process: ChildProcess) -> None:
    """Kill the command's whole process group and reap it: a child left behind could hold the pipe open."""
    process.kill()
    with contextlib.suppress(TimeoutError):  # a child that left the group may still hold the pipe
        async with asyncio.timeout(REAP_SECONDS):
            await process.wait()


def checks(identity: CommandIdentity, place: str) -> Iterator[Check]:
    """Yield a failing check unless the executable has an absolute path. Pure."""
    if not os.path.isabs(identity.command[0]):
        yield fails(Mistake(f"{place}.command[0]: {identity.command[0]!r} must be an absolute path", "IDS-123"))


def check_executable(path: str, place: str) -> None:
    """
    Raise ConfigError unless the path names a file, and NotThereYet if this user cannot execute the file yet.

    The interpreter is not checked: if its file system hangs, the check of the whole configuration would stop.
    """
    if not files.exists(path):
        raise NotThereYet(f"{place}: {path}: no such file", error_code="IDS-123")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ConfigError(f"{place}: {path}: not a file", error_code="IDS-123")
    if (why := _incomplete(path)) is not None:
        raise NotThereYet(why.at(f"{place}: {path}"), error_code="IDS-123")
    if not os.access(path, os.X_OK):
        raise ConfigError(f"{place}: {path}: not executable by this user (uid {os.getuid()})", error_code="IDS-123")


def _incomplete(path: str) -> Reason | None:
    """Return why a file is not an executable yet, or None: `chmod` is the last step of a download or a copy."""
    try:
        if not os.path.isfile(path):
            return None
        if os.path.getsize(path) == 0:
            return Reason("empty")
        if os.access(path, os.X_OK) or os.statvfs(path).f_flag & os.ST_NOEXEC:
            return None
    except OSError:
        return Reason("removed just now")
    return Reason(f"not executable by this user (uid {os.getuid()})", "run `chmod 0755` on the file")


def _unusable(path: str) -> Unusable | None:
    """Return what keeps the executable at `path` or its interpreter from starting, or None. Blocks."""
    why = _incomplete(path)
    return Unusable(why.at(path), absent=False, may_follow=True) if why is not None else unusable_interpreter(path)


def inherited(environ: Mapping[str, str], named: Collection[str]) -> dict[str, str]:
    """Return the environment of a command: the variables that all commands need, and the variables `named`."""
    return {
        name: value for name, value in environ.items() if name in INHERITED or name.startswith(LOCALE) or name in named
    }


def build(identity: CommandIdentity, place: str, context: Context) -> TokenSource:
    """Return the source of the token that the command prints."""
    return Command(
        identity.command,
        identity.timeout_seconds,
        identity.token_use,
        f"{place}.command",
        context.now,
        inherited(context.environ, identity.environment),
        context.children,
        context.disk,
    )
