"""The messages on stderr and the exit code of a command that fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from ..core.errors import ConfigError, Refused, SidecarError
from ..core.text import one_line

BAD_USAGE, REFUSED, UNREACHABLE, INTERNAL_ERROR = 2, 3, 4, 70
CANNOT_EXECUTE, NOT_FOUND = 126, 127
INTERRUPTED, PIPE_CLOSED = 130, 141

EXIT_CODES = {
    0: "success",
    1: "not healthy (`health`), findings (`doctor`), not conforming (`conformance`), not as STS needs it "
    "(`setup fingerprint`, `setup cluster`), or refused (`webhook explain`)",
    BAD_USAGE: "bad usage or configuration",
    REFUSED: "the cloud refused",
    UNREACHABLE: "the cloud, or the running sidecar, cannot be reached",
    INTERNAL_ERROR: "an error in this program (EX_SOFTWARE of sysexits.h); `--debug` prints the traceback",
    CANNOT_EXECUTE: "`exec`: the command cannot be executed",
    NOT_FOUND: "`exec`: the command does not exist",
    INTERRUPTED: "interrupted by Ctrl-C (128 + SIGINT)",
    PIPE_CLOSED: "the reader of stdout closed the pipe (128 + SIGPIPE)",
}
"""The meaning of each exit code. `exec` otherwise exits with the code of its command."""


class CommandNotStarted(SidecarError):
    """`exec` could not start the command. `exit_code`: the code that a shell returns in this case, 126 or 127."""

    error_code = "IDS-516"

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


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
        for line in _message_lines(error):
            print(f"idaas-sidecar {name}: {line}", file=sys.stderr)
        return _exit_code(error)


def _message_lines(error: Exception) -> list[str]:
    """
    Return the lines to print, each with its code in the errors index (docs/errors.md).

    The message of a foreign error is left out, because it may quote a secret.
    """
    if not isinstance(error, SidecarError):
        kind = type(error).__name__
        return [f"internal error ({kind}); run the command again with --debug and report the output (IDS-901)"]
    if isinstance(error, ConfigError) and not error.cloud_message:
        parts = [(line, mistake.error_code) for mistake in error.mistakes for line in mistake.splitlines()]
    else:
        parts = [(line, error.error_code) for line in str(error).splitlines()]
    lines = [(one_line(" ".join(line.split())), code) for line, code in parts]
    return [f"{line} ({code})" for line, code in lines if line] or [type(error).__name__]


def _exit_code(error: Exception) -> int:
    match error:
        case CommandNotStarted():
            return error.exit_code
        case ConfigError():
            return BAD_USAGE
        case Refused():
            return REFUSED
        case SidecarError():
            return UNREACHABLE
        case _:
            return INTERNAL_ERROR
