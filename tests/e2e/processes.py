"""The program as real processes: started with an environment made from nothing, waited for with a deadline, ended.

    with serve(config, home=tmp_path, env={"IDAAS_SECRET": "…"}) as sidecar:
        httpx.get(f"{sidecar.urls['credentials']}/credentials")

Every wait fails after its deadline with what the process has said so far.
"""

from __future__ import annotations

import json
import os
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
SECONDS = 20.0
"""The deadline of a wait: generous, because it is only ever reached by a failure."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Nothing of the tester's own environment but PATH, so that no proxy, CA or SDK variable leaks in."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **variables}


class Lines:
    """A stream's lines so far, and those to come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def so_far(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def find(self, wanted: Callable[[str], bool], seconds: float = SECONDS) -> str:
        """The first line that is wanted, there or to come. Fails at the deadline or at the stream's end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or any(map(wanted, self._lines)), seconds)
            found = next(filter(wanted, self._lines), None)
            assert found is not None, "\n".join(("no such line in:", *self._lines))
            return found

    def close(self) -> None:
        self._thread.join(SECONDS)
        self._stream.close()


class Process:
    """`python -m app` (or `program`) with `arguments`; leaving the context ends it, whatever happened."""

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
            encoding="utf-8",
            errors="replace",
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout = Lines(self._process.stdout)
        self.stderr = Lines(self._process.stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

    def event(self, name: str, seconds: float = SECONDS, **fields: object) -> dict[str, Any]:
        """The first log line of the event `name` with these `fields`, there or to come."""

        def wanted(line: str) -> bool:
            members = log_line(line)
            return members.get("event") == name and fields.items() <= members.items()

        return log_line(self.stderr.find(wanted, seconds))

    def events(self, name: str) -> list[dict[str, Any]]:
        """All log lines of the event `name` so far."""
        return [members for members in map(log_line, self.stderr.so_far()) if members.get("event") == name]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def code(self, seconds: float = SECONDS) -> int:
        """The exit code, when it has ended."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("\n".join(("still running after:", *self.stderr.so_far()))) from None

    def stop(self, seconds: float = SECONDS) -> int:
        """SIGTERM and then SIGINT, which cuts draining short; the exit code."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGINT)
        return self.code(seconds)

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(SECONDS)
        self.stdout.close()
        self.stderr.close()


def log_line(line: str) -> dict[str, Any]:
    """The members of a JSON log line; empty for any other line."""
    try:
        members = json.loads(line)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended by itself."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr. Fails where there is none, or more, or a traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


def run(*arguments: str, env: Mapping[str, str], seconds: float = SECONDS) -> Ended:
    """A command from start to end."""
    done = subprocess.run(
        (*PROGRAM, *arguments),
        env=dict(env),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Serving:
    """A `serve` whose listeners answer. `urls`: credentials, ops, and metadata where configured."""

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
) -> Iterator[Serving]:
    """`serve` with `config`, from when it listens."""
    path = home / "config.json"
    path.write_text(json.dumps(config))
    path.chmod(0o644)
    arguments = ("serve", "--config", str(path), *flags)
    with Process(*arguments, env=environment(home, **(env or {})), program=program) as process:
        said = process.event("listening")
        urls = {name: said[name] for name in ("credentials", "metadata", "ops") if name in said}
        yield Serving(process, urls, path)


@dataclass(frozen=True, slots=True)
class Demo:
    """A `demo` that has its first credentials: what its JSON line says."""

    process: Process
    credentials_uri: str
    metadata_url: str
    ops_url: str
    emulator_url: str
    config_path: Path
    env: Mapping[str, str]


@contextmanager
def demo(*flags: str, home: Path, env: Mapping[str, str] | None = None) -> Iterator[Demo]:
    """`demo --json` on free ports."""
    with Process("demo", "--json", "--port", "0", *flags, env=environment(home, **(env or {}))) as process:
        said = json.loads(process.stdout.find(bool))
        yield Demo(
            process,
            credentials_uri=said["credentialsUri"],
            metadata_url=said["metadataUrl"],
            ops_url=said["opsUrl"],
            emulator_url=said["emulatorUrl"],
            config_path=Path(said["configPath"]),
            env=said["env"],
        )


@dataclass(frozen=True, slots=True)
class EmulatedCloud:
    """An `emulator` that answers: what its JSON line says."""

    process: Process
    url: str
    tls_url: str
    issuer: str
    ca_file: Path


@contextmanager
def emulator(*flags: str, home: Path) -> Iterator[EmulatedCloud]:
    """`emulator --json` on free ports."""
    with Process("emulator", "--json", "--port", "0", *flags, env=environment(home)) as process:
        said = json.loads(process.stdout.find(bool))
        yield EmulatedCloud(process, said["emulatorUrl"], said["tlsUrl"], said["issuer"], Path(said["caFile"]))


def until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Returns when `true()` is; the one place where a test may poll. Fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
