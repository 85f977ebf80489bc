"""A token that an executable prints: bounded in time and size, without a shell, nothing of its output shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.model import ConfigError, Now, Refused, Token, TokenUse, Unreachable
from ..system.bounded_pipe import Output
from ..system.child_reaper import Children
from ..upstream.client import printable
from .token_response import token_from

REAP_SECONDS = 1.0
"""For what was killed to be gone, which takes milliseconds."""

LARGEST_OUTPUT = 65_536
"""Bytes; a token is at most 20 000 characters."""


@dataclass(frozen=True, slots=True)
class Command:
    """
    The token that `argv` prints as JSON on its standard output, in the words of an OAuth token response.

    Its standard input is empty and its standard error goes nowhere; it inherits the sidecar's environment.
    """

    argv: tuple[str, ...] = field(repr=False)
    timeout: float
    use: TokenUse
    place: str
    now: Now
    environ: Mapping[str, str] = field(repr=False)
    children: Children = field(default_factory=Children, repr=False)

    async def token(self) -> Token:
        """Raises ConfigError where it cannot be started, Refused for an `error` it prints, else Unreachable."""
        status, output = await self._run()
        members = self._members(output, status)
        if "error" in members:
            code = printable(str(members["error"]))
            raise Refused(f"{self.place}: the command says {code}", status=status, code=code)
        if status != 0:
            raise Unreachable(f"{self.place}: the command ended with status {status}; run it by hand to see why")
        return token_from(members, now=self.now(), where=self.place, use=self.use)

    async def _run(self) -> tuple[int, bytes]:
        """Its status, and what it printed until then."""
        with contextlib.closing(Output(LARGEST_OUTPUT)) as output:
            process = await self._start(output.write_end)
            try:
                status = await self._within(process, output)
            finally:
                self.children.ended(process)
            output.take()
            if output.too_much.is_set():
                raise self._too_much()
            return status, output.text

    async def _within(self, process: Process, output: Output) -> int:
        """Its status, if it ends in time, and before it prints too much; ended it is in any case."""
        try:
            async with asyncio.timeout(self.timeout):
                ways = [asyncio.create_task(way) for way in (process.wait(), output.too_much.wait())]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                if output.too_much.is_set():
                    raise self._too_much()
                return ways[0].result()
        except TimeoutError:
            await _end(process)
            raise Unreachable(f"{self.place}: the command did not end within {self.timeout:g} s") from None
        except BaseException:
            await asyncio.shield(_end(process))
            raise

    async def _start(self, stdout: int) -> Process:
        try:
            starting = asyncio.create_subprocess_exec(
                *self.argv,
                stdin=DEVNULL,
                stdout=stdout,
                stderr=DEVNULL,
                env=dict(self.environ),
                start_new_session=True,  # its own group, so that its children end with it
            )
            return await self.children.started(starting)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a command"
            raise ConfigError(f"{self.place}: {self.argv[0]}: cannot be started: {reason}") from None

    def _too_much(self) -> Unreachable:
        return Unreachable(f"{self.place}: the command printed more than {LARGEST_OUTPUT} bytes")

    def _members(self, output: bytes, status: int) -> dict[str, Any]:
        try:
            members = json.loads(output)
        except (ValueError, RecursionError):
            members = None
        if isinstance(members, dict):
            return members
        if status != 0:
            return {}
        raise Unreachable(f"{self.place}: the command printed {len(output)} bytes that are no JSON object")


async def _end(process: Process) -> None:
    """Kills the command's whole group, because a child that it left behind could hold the pipe open; and reaps it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # a child that left the group may still hold the pipe
        async with asyncio.timeout(REAP_SECONDS):
            await process.wait()
