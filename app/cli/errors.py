"""The messages on stderr and the exit code of a command that fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ..core.errors import ConfigError, Mistake, Refused, SidecarError, code_of
from ..core.text import coded, one_line

TYPE_CHECKING = False  # importing `typing` for the real constant would take a tenth of the time of `health`
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = "idaas-sidecar"

UNHEALTHY = 1
BAD_USAGE, REFUSED, UNREACHABLE, INTERNAL_ERROR = 2, 3, 4, 70
CANNOT_EXECUTE, NOT_FOUND = 126, 127
INTERRUPTED, PIPE_CLOSED = 130, 141

EXIT_CODES = {
    0: "success",
    UNHEALTHY: "not healthy (`health`), findings (`doctor`), not conforming (`conformance`), not as STS needs it "
    "(`setup fingerprint`, `setup cluster`), or refused (`webhook explain`)",
    BAD_USAGE: "bad usage or configuration",
    REFUSED: "the cloud refused",
    UNREACHABLE: "the cloud, or the running sidecar, cannot be reached, or a file or address that another program "
    "makes does not exist yet",
    INTERNAL_ERROR: "an error in this program (EX_SOFTWARE of sysexits.h); `--debug` prints the traceback",
    CANNOT_EXECUTE: "`exec`: the command cannot be executed",
    NOT_FOUND: "`exec`: the command does not exist",
    INTERRUPTED: "interrupted by Ctrl-C (128 + SIGINT)",
    PIPE_CLOSED: "the reader of stdout closed the pipe (128 + SIGPIPE)",
}
"""The meaning of each exit code. `exec` otherwise exits with the code of its command."""


BAD_COMMAND_LINE = "IDS-132"
"""The stable code of a command line that no command accepts."""


class CommandFailed(SidecarError):
    """A failure with an exit code of its own."""

    def __init__(self, cause: str, *, exit_code: int, error_code: str) -> None:
        super().__init__(cause)
        self.exit_code = exit_code
        self.error_code = error_code


class CommandNotStarted(CommandFailed):
    """`exec` could not start the command. `exit_code`: the code that a shell returns in this case, 126 or 127."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message, exit_code=exit_code, error_code="IDS-516")


def complaint(program: str, message: str, error_code: str) -> str:
    """
    Return the line of a command about a failure: it names the command, and ends with the code in the errors index.

    Everything that a command writes on stderr about a failure has this form; tests/cli/test_every_failure.py checks it.
    """
    return f"{program}: {one_line(coded(message, error_code))}"


def bad_usage(program: str, message: str) -> NoReturn:
    """Report a command line that no command accepts. Raises SystemExit."""
    print(complaint(program, message, BAD_COMMAND_LINE), file=sys.stderr)
    raise SystemExit(BAD_USAGE)


def print_warning(command: str, warning: Mistake) -> None:
    """Print a warning on stderr."""
    print(complaint(f"{PROGRAM} {command}", f"warning: {warning}", warning.error_code), file=sys.stderr)


def call_command(name: str, run: Callable[[], int], *, debug: bool) -> int:
    """
    Return the exit code of `run`, or the exit code of the error that it raises.

    Each line of the error's message becomes one line on stderr. With `debug` the traceback precedes them.
    """
    try:
        code = run()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout at exit. With /dev/null, the flush succeeds without a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:
        if debug:
            import traceback

            traceback.print_exc()
        for line, error_code in _message_lines(error):
            print(complaint(f"{PROGRAM} {name}", line, error_code), file=sys.stderr)
        return _exit_code(error)


def _message_lines(error: Exception) -> list[tuple[str, str]]:
    """
    Return the lines to print, and the code of each in the errors index (docs/errors.md).

    The message of a foreign error is left out, because it may quote a secret.
    """
    if not isinstance(error, SidecarError):
        kind = type(error).__name__
        return [(f"internal error ({kind}); run the command again with --debug and report the output", code_of(error))]
    if isinstance(error, ConfigError) and not error.cloud_message:
        parts = [(line, mistake.error_code) for mistake in error.mistakes for line in mistake.splitlines()]
    else:
        parts = [(line, error.error_code) for line in str(error).splitlines()]
    lines = [(" ".join(line.split()), code) for line, code in parts]
    return [(line, code) for line, code in lines if line] or [(type(error).__name__, error.error_code)]


def _exit_code(error: Exception) -> int:
    match error:
        case CommandFailed():
            return error.exit_code
        case ConfigError():
            return BAD_USAGE
        case Refused():
            return REFUSED
        case SidecarError():
            return UNREACHABLE
        case _:
            return INTERNAL_ERROR
