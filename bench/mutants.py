"""
A mutation pass: does a test notice each small change of the program?

    .venv/bin/python bench/mutants.py                       # serve, refresh, exchange, identity, store
    … --only app/serve/memo.py --tests tests/serve          # one file, or a folder, with a part of the tests

The unit tests run once under coverage.py, which says which tests run which line. Each mutant then runs in a forked
child with the tests of its line, until one fails. A mutant within a function replaces the function's code in a process
that has collected the tests; one that runs at import is tried in a process that has imported nothing of ours.

A mutant that no test notices is a survivor. `bench/survivors.json` lists those that change nothing a caller can
observe, each with the reason. Exit code 1: a survivor that is not listed, a listed one whose line has changed, or fewer
than 95 % killed.
"""

from __future__ import annotations

import argparse
import gc
import importlib.abc
import importlib.util
import json
import os
import pickle
import re
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from mutations import Mutant, mutants_of, stale

ROOT = Path(__file__).parents[1]
PACKAGES = ("app/serve", "app/refresh", "app/exchange", "app/identity", "app/store")
IGNORED = tuple(
    f"--ignore=tests/{name}"
    for name in (
        "cluster",
        "conformance",
        "deploy",
        "doctor",
        "e2e",
        "emulator",
        "fuzz",
        "interop",
        "migrate",
        "setup",
        "webhook",
        "test_checks.py",
        "test_mutants.py",
        "test_pytest_plugin.py",
        "identity/test_methods.py",
    )
)
"""Tests of real processes do not see a mutant; the others test other packages."""
QUIET = (
    "-q",
    "-s",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-m",
    "not fuzz and not interop",
)
HEAVY = (
    *("asyncio", "cachetools", "cryptography.x509", "fastapi", "httpx", "hypothesis", "jwt", "msgspec"),
    *("prometheus_client", "pydantic", "trustme", "uvicorn"),
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

    @property
    def alive(self) -> bool:
        return self.verdict in ("survived", "uncovered")


@dataclass(frozen=True)
class Coverage:
    """The unit tests that run each line and each module, fastest first."""

    lines: dict[tuple[str, int], list[str]]
    modules: dict[str, list[str]]

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that can notice a mutant; for a line that runs at import, all of its module or package."""
        if mutant.at_import:
            return self.modules.get(mutant.path) or self._of_package(mutant.path)
        lines = (mutant.path, mutant.line), (mutant.path, mutant.statement)
        # Coverage does not say which test ran a line in a thread: the tests of the module run then.
        return next(filter(None, map(self.lines.get, lines)), self.modules.get(mutant.path, []))

    def _of_package(self, path: str) -> list[str]:
        """Return the tests of the package's other modules: no test runs a line of a module without functions."""
        package = path.rpartition("/")[0]
        tests = (tests for module, tests in self.modules.items() if module.rpartition("/")[0] == package)
        return list(dict.fromkeys(chain.from_iterable(tests)))


# --- children ---------------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> tuple[int, int]:
    """Fork; return the child's pid and the reading end of the pipe that gets the pickled result of `work`."""
    sys.stdout.flush()
    sys.stderr.flush()
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


def received(reading: int) -> Any:
    """Return what a child sent, or None if it ended without a word. Waits for it."""
    with open(reading, "rb") as pipe:
        data = pipe.read()
    return pickle.loads(data) if data else None


def silent() -> None:
    """Send this process's output nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


@dataclass(frozen=True)
class Running:
    """A child that tests a mutant until a monotonic time."""

    mutant: Mutant
    pid: int
    reading: int
    until: float


def outcomes(
    mutants: Iterable[Mutant], coverage_: Coverage, attempt: Callable[[Mutant, list[str]], str], jobs: int
) -> Iterator[Outcome]:
    """Yield what becomes of each mutant, as it becomes known."""
    waiting, running = list(mutants)[::-1], list[Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            if names := coverage_.tests(mutant):
                child = in_child(partial(attempt, mutant, names))
                running.append(Running(mutant, *child, time.monotonic() + LIMIT))
            else:
                yield Outcome(mutant, "uncovered")
        for child in list(running):
            if os.waitpid(child.pid, os.WNOHANG)[0]:
                running.remove(child)
                test = received(child.reading)
                test = "the process ended" if test is None else test
                yield Outcome(child.mutant, "killed" if test else "survived", test)
            elif time.monotonic() > child.until:
                os.killpg(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                os.close(child.reading)
                running.remove(child)
                yield Outcome(child.mutant, "timeout")
        time.sleep(0.002)


# --- mutants within functions -----------------------------------------------------------------------------------------


class Session:
    """A pytest plugin: collects the tests, records what they cover, and tries the mutants in place of running them."""

    def __init__(
        self,
        paths: Sequence[str],
        mutants: Sequence[Mutant],
        imported: set[tuple[str, int]],
        jobs: int,
        report: Callable[[Outcome], None],
    ) -> None:
        self._paths, self._mutants, self._jobs, self._report = paths, mutants, jobs, report
        self._imported = imported
        self.coverage = Coverage({}, {})
        self.later: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        pid, reading = in_child(partial(self._covered, list(session.items)))
        answer = received(reading)
        os.waitpid(pid, 0)
        if answer is None or isinstance(answer, str):
            raise pytest.UsageError(f"a test fails without a mutation: {answer or 'the process ended'}")
        self.coverage = answer
        now = [mutant for mutant in self._mutants if not mutant.at_import]
        for outcome in outcomes(now, self.coverage, self._attempt, self._jobs):
            mutant = outcome.mutant
            only_at_import = outcome.verdict == "uncovered" and (mutant.path, mutant.line) in self._imported
            if outcome.test == NEEDS_IMPORT or only_at_import:
                self.later.append(replace(mutant, at_import=True))
            else:
                self._report(outcome)
        return True

    def _covered(self, items: list[pytest.Item]) -> Coverage | str:
        """In a child: run all tests; return their coverage, or the one that fails."""
        silent()
        recorder = coverage.Coverage(
            data_file=None, config_file=False, include=[str(ROOT / path) for path in self._paths], messages=False
        )
        seconds = {}
        recorder.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            recorder.switch_context(item.nodeid)
            began = time.perf_counter()
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                return item.nodeid
            seconds[item.nodeid] = time.perf_counter() - began
        recorder.stop()
        found = recorder.get_data()
        lines = {path: found.contexts_by_lineno(str(ROOT / path)) for path in self._paths}
        modules: dict[str, set[str]] = defaultdict(set)
        texts = {path: path.read_text() for path in {item.path for item in items}}
        for path, tests in lines.items():
            modules[path].update(*tests.values())
            # A constant runs no line of its module when it is used: the tests that import the module run in any case.
            imports = _import_of(path)
            modules[path].update(item.nodeid for item in items if imports.search(texts[item.path]))

        def ordered(names: Iterable[str]) -> list[str]:
            return sorted(filter(None, names), key=lambda name: seconds.get(name, 0))

        return Coverage(
            {(path, line): ordered(names) for path, tests in lines.items() for line, names in tests.items()},
            {path: ordered(names) for path, names in modules.items()},
        )

    def _attempt(self, mutant: Mutant, names: list[str]) -> str:
        """In a child: return the test that notices the mutant, or nothing."""
        silent()
        if not replaced(mutant):
            return NEEDS_IMPORT
        items = [self._items[name] for name in names]
        for item, following in zip(items, [*items[1:], None], strict=True):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                return item.nodeid
        return ""


NEEDS_IMPORT = "(needs an import)"


def replaced(mutant: Mutant) -> bool:
    """Give the functions of the mutated module their new code; return whether that can be done."""
    path = str(ROOT / mutant.path)
    changed = {(code.co_qualname, code.co_firstlineno): code for code in _codes(mutant.compiled(path))}
    functions = [
        found for found in gc.get_objects() if type(found) is FunctionType and found.__code__.co_filename == path
    ]
    done = False
    for function in functions:
        code = changed.get((function.__code__.co_qualname, function.__code__.co_firstlineno))
        if code is None or code == function.__code__:
            continue
        if code.co_freevars != function.__code__.co_freevars:
            return False
        function.__code__ = code
        done = True
    return done


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


# --- mutants that run at import ---------------------------------------------------------------------------------------


def lines_at_import(paths: Sequence[str]) -> set[tuple[str, int]]:
    """In a child: return the lines that run when the modules are imported."""
    silent()
    include = [str(ROOT / path) for path in paths]
    recorder = coverage.Coverage(data_file=None, config_file=False, include=include, messages=False)
    recorder.start()
    for path in paths:
        importlib.import_module(_module_name(path)[0])
    recorder.stop()
    found = recorder.get_data()
    return {(path, line) for path in paths for line in found.lines(str(ROOT / path)) or ()}


def _module_name(path: str) -> tuple[str, bool]:
    """Return a module's name, and whether it is a package."""
    parts = Path(path).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return ".".join(parts[:-1] if is_package else parts), is_package


def _import_of(path: str) -> re.Pattern[str]:
    """Return what a file contains that imports a module, or a name of it."""
    package, _, module = _module_name(path)[0].rpartition(".")
    return re.compile(rf"^from {re.escape(package)}(?:\.{module} import\b| import .*\b{module}\b)", re.MULTILINE)


class MutatedModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module and executes the mutated one in its place."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._path = ROOT / mutant.path
        self._name, self._is_package = _module_name(mutant.path)

    def find_spec(self, name: str, path: object, target: object = None) -> Any:
        if name != self._name:
            return None
        spec = importlib.util.spec_from_loader(name, self, origin=str(self._path), is_package=self._is_package)
        if spec is not None and spec.submodule_search_locations is not None:
            spec.submodule_search_locations[:] = [str(self._path.parent)]
        return spec

    def exec_module(self, module: Any) -> None:
        module.__file__ = str(self._path)
        exec(self._mutant.compiled(str(self._path)), module.__dict__)


class FirstFailure:
    """A pytest plugin: the first test or module that failed."""

    test = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


def attempt_at_import(mutant: Mutant, tests: list[str]) -> str:
    """In a child: return the test that notices the mutant, or nothing."""
    silent()
    sys.meta_path.insert(0, MutatedModule(mutant))
    plugin = FirstFailure()
    code = pytest.main([*QUIET, "-x", "--tb=no", *tests], [plugin])
    return plugin.test or ("the tests could not be run" if code else "")


# --- the whole --------------------------------------------------------------------------------------------------------


class Progress:
    """Prints survivors as they become known, and how far the pass has come."""

    def __init__(self, total: int) -> None:
        self._total, self._began = total, time.monotonic()
        self.verdicts = Counter[str]()
        self.alive: list[Mutant] = []

    def __call__(self, outcome: Outcome) -> None:
        self.verdicts[outcome.verdict] += 1
        if outcome.alive:
            self.alive.append(outcome.mutant)
            print(f"{outcome.verdict:9} {outcome.mutant.name}", flush=True)
        done = self.verdicts.total()
        if done % 100 == 0:
            left = (time.monotonic() - self._began) / done * (self._total - done)
            print(f"{done} of {self._total}, {len(self.alive)} alive, {left / 60:.0f} min left", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Change the program in small ways; list what no unit test notices.")
    parser.add_argument("--only", action="append", metavar="PATH", help="a file or folder; may be repeated")
    parser.add_argument("--tests", action="append", metavar="PATH", help="these tests alone; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try only one mutant in N")
    arguments = parser.parse_args()

    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    paths = [path for chosen in arguments.only or PACKAGES for path in _modules(chosen)]
    mutants = [mutant for path in paths for mutant in mutants_of(ROOT, path)][:: arguments.every]
    for name in HEAVY:
        importlib.import_module(name)
    pid, reading = in_child(partial(lines_at_import, paths))
    imported = received(reading)
    os.waitpid(pid, 0)
    print(f"{len(mutants)} mutants of {len(paths)} modules; the unit tests run once first", file=sys.stderr)

    def within_functions() -> object:
        progress = Progress(len(mutants))
        session = Session(paths, mutants, imported, arguments.jobs, progress)
        code = pytest.main(
            [*QUIET, "--no-header", "--no-summary", *IGNORED, *(arguments.tests or ["tests"])], [session]
        )
        return code, session.coverage, session.later, progress

    pid, reading = in_child(within_functions)
    answer = received(reading)
    os.waitpid(pid, 0)
    if answer is None or answer[0] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return 1
    _, found, later, progress = answer
    at_import = [mutant for mutant in mutants if mutant.at_import]
    for outcome in outcomes([*at_import, *later], found, attempt_at_import, arguments.jobs):
        progress(outcome)
    return _summary(progress)


def _summary(progress: Progress) -> int:
    reasons = json.loads(LISTED.read_text()) if LISTED.exists() else {}
    total, alive = progress.verdicts.total(), progress.alive
    unlisted = [mutant for mutant in alive if mutant.key not in reasons]
    killed = (total - len(alive)) / max(1, total)
    print(f"{killed:.1%} of {total} killed; {len(alive)} alive, {len(unlisted)} of them not in {LISTED.name}")
    gone = stale(ROOT, reasons)
    for key in gone:
        print(f"no longer a mutant, but in {LISTED.name}: {key}")
    return int(bool(unlisted or gone) or killed < GOAL)


def _modules(chosen: str) -> list[str]:
    at = ROOT / chosen
    found = [at] if at.is_file() else sorted(at.rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


if __name__ == "__main__":
    sys.exit(main())
