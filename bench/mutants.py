"""
A mutation pass: does a test notice each small change of the program?

    .venv/bin/python bench/mutants.py                       # serve, refresh, exchange, identity, store
    … --only app/serve/memo.py                              # one file, or a folder
    … --survivors FILE                                      # where the survivors are written, as JSON

The unit tests run once under coverage.py, which says which tests run which line. Each mutant then runs in a child
process that was forked before anything of ours was imported, with the tests of its line, until one fails. A mutant that
no test notices is a survivor; `bench/survivors.json` lists those that change nothing a caller can observe, with the
reason. Exit code 1: a survivor that is not listed, or fewer than 95 % killed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import io
import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import coverage
import pytest
from mutations import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGES = ("app/serve", "app/refresh", "app/exchange", "app/identity", "app/store")
IGNORED = tuple(
    f"--ignore=tests/{name}"
    for name in (
        "e2e",
        "interop",
        "fuzz",
        "deploy",
        "emulator",
        "conformance",
        "test_checks.py",
        "identity/test_methods.py",
    )
)
"""Tests of real processes do not see a mutant; the others do not run these packages."""
QUIET = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
HEAVY = (
    "asyncio",
    "cachetools",
    "cryptography.x509",
    "fastapi",
    "httpx",
    "hypothesis",
    "jwt",
    "msgspec",
    "prometheus_client",
    "pydantic",
    "trustme",
    "uvicorn",
)
"""Imported before the fork: nothing of ours, and whatever takes long."""
GOAL = 0.95
LIMIT = 120.0
"""Seconds for the tests of one mutant: an endless loop is noticed by this."""
LISTED = ROOT / "bench" / "survivors.json"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: `killed`, `timeout`, `survived` or `uncovered` (no unit test runs its line)."""

    mutant: Mutant
    verdict: str
    test: str = ""


class PerTest:
    """A pytest plugin: lines are recorded under the name of the test that runs them; and each test's seconds."""

    def __init__(self, recorder: coverage.Coverage) -> None:
        self.seconds: dict[str, float] = {}
        self._recorder = recorder

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._recorder.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - began


class MutatedModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module and executes the mutated source in place of its own."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        relative = Path(mutant.path).with_suffix("").parts
        self._name = ".".join(relative[:-1] if relative[-1] == "__init__" else relative)

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name != self._name:
            return None
        package = Path(self._mutant.path).name == "__init__.py"
        spec = importlib.util.spec_from_loader(name, self, origin=str(ROOT / self._mutant.path), is_package=package)
        assert spec is not None
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [str((ROOT / self._mutant.path).parent)]
        return spec

    def exec_module(self, module: Any) -> None:
        code = compile(self._mutant.source, str(ROOT / self._mutant.path), "exec")
        exec(code, module.__dict__)


class FirstFailure:
    """A pytest plugin: the first test that failed."""

    test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


def in_child(work: Callable[[], object]) -> tuple[int, int]:
    """Fork; return the child's pid and the reading end of the pipe that gets the pickled result of `work`."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    os.setsid()
    try:
        with open(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def result(reading: int) -> Any:
    """Return what a child sent, or None if it ended without a word. Waits for it."""
    with open(reading, "rb") as pipe:
        data = pipe.read()
    return pickle.loads(data) if data else None


@dataclass(frozen=True)
class Coverage:
    """Which unit tests run which line, fastest first."""

    lines: dict[tuple[str, int], list[str]]
    files: dict[str, list[str]]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that can notice a mutant; for a line that runs at import, all of its module."""
        if mutant.at_import:
            return self.files.get(mutant.path, [])
        return self.lines.get((mutant.path, mutant.line), [])


def covering(paths: Sequence[str], tests: Sequence[str]) -> Coverage:
    """Run the unit tests once, recording which lines each one runs."""

    def work() -> object:
        recorder = coverage.Coverage(
            data_file=None, config_file=False, include=[str(ROOT / path) for path in paths], messages=False
        )
        plugin = PerTest(recorder)
        recorder.start()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = int(pytest.main([*QUIET, "-m", "not fuzz and not interop", *IGNORED, *tests], [plugin]))
        recorder.stop()
        found = recorder.get_data()
        lines = {path: found.contexts_by_lineno(str(ROOT / path)) for path in paths}
        return code, said.getvalue()[-3000:], lines, plugin.seconds

    pid, reading = in_child(work)
    answer = result(reading)
    os.waitpid(pid, 0)
    if answer is None or answer[0] != 0:
        sys.exit(f"the tests do not pass without a mutation:\n{answer[1] if answer else 'the process ended'}")
    _, _, found, seconds = answer
    covered = {(path, line): set(names) for path, lines in found.items() for line, names in lines.items()}
    files: dict[str, set[str]] = defaultdict(set)
    for (path, _), names in covered.items():
        files[path] |= names

    def ordered(names: Iterable[str]) -> list[str]:
        return sorted(filter(None, names), key=lambda name: seconds.get(name, 0))

    return Coverage(
        {at: ordered(names) for at, names in covered.items()}, {at: ordered(names) for at, names in files.items()}
    )


def attempt(mutant: Mutant, tests: Sequence[str]) -> str | None:
    """In a child: return the test that notices the mutant, or None."""
    sys.meta_path.insert(0, MutatedModule(mutant))
    plugin = FirstFailure()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main([*QUIET, "-x", "--tb=no", *tests], [plugin])
    return plugin.test or ("the tests could not be run" if code else None)


@dataclass(frozen=True)
class Running:
    """A child that tests a mutant until a monotonic time."""

    mutant: Mutant
    pid: int
    reading: int
    until: float


def outcomes(mutants: Sequence[Mutant], coverage: Coverage, jobs: int) -> Iterator[Outcome]:
    """Yield what becomes of each mutant, as it becomes known."""
    waiting, running = list(reversed(mutants)), list[Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            if names := coverage.tests(mutant):
                child = in_child(partial(attempt, mutant, names))
                running.append(Running(mutant, *child, time.monotonic() + LIMIT))
            else:
                yield Outcome(mutant, "uncovered")
        for child in list(running):
            if os.waitpid(child.pid, os.WNOHANG)[0]:
                running.remove(child)
                yield _ended(child)
            elif time.monotonic() > child.until:
                os.killpg(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                os.close(child.reading)
                running.remove(child)
                yield Outcome(child.mutant, "timeout")
        time.sleep(0.005)


def _ended(child: Running) -> Outcome:
    with open(child.reading, "rb") as pipe:
        data = pipe.read()
    test = pickle.loads(data) if data else "the process ended"
    return Outcome(child.mutant, "killed" if test else "survived", test or "")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Change the program in small ways; list the changes that no unit test notices."
    )
    parser.add_argument("--only", action="append", metavar="PATH", help="a file or folder; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--survivors", metavar="FILE", help="write the survivors to FILE, as JSON")
    parser.add_argument("--tests", action="append", metavar="PATH", help="these tests alone; may be repeated")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try only one mutant in N")
    arguments = parser.parse_args()

    paths = [path for chosen in arguments.only or PACKAGES for path in _modules(chosen)]
    mutants = [mutant for path in paths for mutant in mutants_of(ROOT, path)][:: arguments.every]
    reasons = json.loads(LISTED.read_text()) if LISTED.exists() else {}
    for name in HEAVY:
        importlib.import_module(name)
    print(f"{len(mutants)} mutants of {len(paths)} modules; the unit tests run once first", file=sys.stderr)
    coverage = covering(paths, arguments.tests or ["tests"])
    began, alive, verdicts = time.monotonic(), list[Outcome](), Counter[str]()
    for outcome in outcomes(mutants, coverage, arguments.jobs):
        verdicts[outcome.verdict] += 1
        done = sum(verdicts.values())
        if outcome.verdict in ("survived", "uncovered"):
            alive.append(outcome)
            print(f"{outcome.verdict:9} {outcome.mutant.name}", flush=True)
        if sys.stderr.isatty() or done % 100 == 0:
            left = (time.monotonic() - began) / done * (len(mutants) - done)
            print(f"{done} of {len(mutants)}, {len(alive)} alive, {left / 60:.0f} min left", file=sys.stderr)
    if arguments.survivors:
        found = [{"mutant": outcome.mutant.name, "verdict": outcome.verdict} for outcome in alive]
        Path(arguments.survivors).write_text(json.dumps(found, indent=1) + "\n")
    unlisted = [outcome for outcome in alive if outcome.mutant.key not in reasons]
    killed = (len(mutants) - len(alive)) / max(1, len(mutants))
    print(f"{killed:.1%} of {len(mutants)} killed; {len(alive)} alive, {len(unlisted)} of them not in {LISTED.name}")
    return int(bool(unlisted) or killed < GOAL)


def _modules(chosen: str) -> list[str]:
    at = ROOT / chosen
    found = [at] if at.is_file() else sorted(at.rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


if __name__ == "__main__":
    sys.exit(main())
