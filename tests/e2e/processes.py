"""Run the program as real processes, with an empty environment, and wait for them with a deadline.

    with serve(config, home=tmp_path, env={"IDAAS_SECRET": "…"}) as sidecar:
        httpx.get(f"{sidecar.urls['credentials']}/credentials")

A wait that reaches its deadline fails with the output that the process has written.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "app")
DEADLINE = 120.0
"""Seconds until a wait fails. The deadline is long, so that only a hang reaches it, also on a busy machine."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return the variables and PATH only, so that no proxy, CA or SDK variable of the tester has an effect."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **variables}


class OutputLines:
    """The lines that a process writes to a pipe."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._rest = b""
        self._changed = threading.Condition()
        self._ended = False
        os.set_blocking(stream.fileno(), False)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        poll = select.poll()  # `select` permits no descriptor above 1,023, and a test may open a thousand connections
        poll.register(self._stream, select.POLLIN)
        while not self._ended:
            poll.poll()
            with self._changed:
                self._drain()
                self._changed.notify_all()

    def _drain(self) -> None:
        """Read what the pipe holds. The caller holds the lock."""
        while not self._ended:
            try:
                data = os.read(self._stream.fileno(), 65536)
            except BlockingIOError:
                return
            self._ended = not data
            *lines, self._rest = (self._rest + data + (b"" if data or not self._rest else b"\n")).split(b"\n")
            self._lines += [line.decode(errors="replace") for line in lines]

    def lines(self) -> list[str]:
        """Return the lines that were written until now. None that was written before the call is missing."""
        with self._changed:
            self._drain()
            return list(self._lines)

    def find(self, wanted: Callable[[str], bool], seconds: float = DEADLINE) -> str:
        """Wait for the first wanted line and return it. Fails at the deadline or at the end of the stream."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(map(wanted, self._lines)), seconds)
            found = next(filter(wanted, self._lines), None)
            assert found is not None, "\n".join(("no such line in:", *self._lines))
            return found

    def close(self) -> None:
        """
        Wait for the end of the stream and close it. Fails if a child of the process holds the stream open.

        Where the thread still runs, the stream stays open, so that the thread does not read a later file of its number.
        """
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "\n".join(("a child of the process still holds the output:", *self._lines))
        self._stream.close()


class Process:
    """`python -m app` (or `program`) with `arguments`. The process is killed when the context exits."""

    def __init__(
        self, *arguments: str, env: Mapping[str, str], cwd: Path = ROOT, program: tuple[str, ...] = PROGRAM
    ) -> None:
        self._process = subprocess.Popen(
            (*program, *arguments),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout = OutputLines(self._process.stdout)
        self.stderr = OutputLines(self._process.stderr)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def event(self, name: str, seconds: float = DEADLINE, **fields: object) -> dict[str, Any]:
        """Wait for the first log line of the event `name` with these `fields` and return it."""

        def wanted(line: str) -> bool:
            members = log_line(line)
            return members.get("event") == name and fields.items() <= members.items()

        return log_line(self.stderr.find(wanted, seconds))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return all log lines of the event `name` that were written until now."""
        return [members for members in map(log_line, self.stderr.lines()) if members.get("event") == name]

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def running(self) -> bool:
        """Return whether the process has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait until the process exits and return its exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("\n".join(("still running after:", *self.stderr.lines()))) from None

    def stop(self, seconds: float = DEADLINE) -> int:
        """Send SIGTERM, then SIGINT, which ends the drain, and return the exit code."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGINT)
        return self.wait(seconds)

    def anonymous_bytes(self) -> int:
        """Return the anonymous memory of the process in bytes: the memory that the process itself has filled."""
        # From `status`: `smaps_rollup` of a process that cannot be dumped is for root alone.
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(DEADLINE)
        self.stdout.close()
        self.stderr.close()


def log_line(line: str) -> dict[str, Any]:
    """Return the members of a JSON log line; empty for any other line."""
    try:
        members = json.loads(line)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The only line on stderr. Fails if stderr has no line, several lines or a traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def run(
    *arguments: str, env: Mapping[str, str], seconds: float = DEADLINE, program: tuple[str, ...] = PROGRAM
) -> CommandResult:
    """Run a command until it exits."""
    done = subprocess.run(
        (*program, *arguments),
        env=dict(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A `serve` process that listens. `urls`: credentials, ops, and metadata if it is configured."""

    process: Process
    urls: Mapping[str, str]
    config_path: Path


@contextmanager
def serve(
    config: Mapping[str, Any],
    *flags: str,
    home: Path,
    env: Mapping[str, str] | None = None,
    program: tuple[str, ...] = PROGRAM,
) -> Iterator[RunningSidecar]:
    """Run `serve` with `config` and yield it when it listens."""
    path = home / "config.json"
    path.write_text(json.dumps(config))
    path.chmod(0o644)
    arguments = ("serve", "--config", str(path), *flags)
    with Process(*arguments, env=environment(home, **(env or {})), program=program) as process:
        listening = process.event("listening")
        urls = {name: listening[name] for name in ("credentials", "metadata", "ops") if name in listening}
        yield RunningSidecar(process, urls, path)


@dataclass(frozen=True, slots=True)
class Demo:
    """A `demo` process that has its first credentials, with the values of its JSON line."""

    process: Process
    credentials_uri: str
    metadata_url: str
    ops_url: str
    emulator_url: str
    config_path: Path
    env: Mapping[str, str]


@contextmanager
def demo(*flags: str, home: Path, env: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """Run `demo --json` on free ports."""
    with Process("demo", "--json", "--port", "0", *flags, env=environment(home, **(env or {}))) as process:
        values = json.loads(process.stdout.find(bool))
        yield Demo(
            process,
            credentials_uri=values["credentialsUri"],
            metadata_url=values["metadataUrl"],
            ops_url=values["opsUrl"],
            emulator_url=values["emulatorUrl"],
            config_path=Path(values["configPath"]),
            env=values["env"],
        )


@dataclass(frozen=True, slots=True)
class EmulatedCloud:
    """An `emulator` process that listens, with the values of its JSON line."""

    process: Process
    url: str
    tls_url: str
    issuer: str
    ca_file: Path


@contextmanager
def emulator(*flags: str, home: Path, program: tuple[str, ...] = PROGRAM) -> Iterator[EmulatedCloud]:
    """Run `emulator --json` on free ports."""
    with Process("emulator", "--json", "--port", "0", *flags, env=environment(home), program=program) as process:
        values = json.loads(process.stdout.find(bool))
        yield EmulatedCloud(process, values["emulatorUrl"], values["tlsUrl"], values["issuer"], Path(values["caFile"]))


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Poll until `condition()` is true. Fails at the deadline. Tests poll in no other place."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not true within {seconds:g} s"
        time.sleep(0.02)
