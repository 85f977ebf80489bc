"""`make soak MINUTES=N`: a real sidecar with short sessions, random faults and several clients, for minutes or days.

Each response is checked against the promises. At the end the clients' counts, the descriptors, the threads, the
connections and the memory are checked. Exit code 0 or 1. Method: bench/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # import the modules of this checkout, also if the script is started elsewhere
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.soak_clients import Checks, Client, Raw, sdks
from bench.soak_faults import FaultInjector
from bench.soak_setup import LIFE, PROFILES, configuration, prepare
from tests.e2e.processes import RunningSidecar, emulator, serve, wait_until
from tests.e2e.wire import fetch

WARM = 20.0
"""Seconds until the first sample of memory, descriptors and threads. By then every module is loaded."""

SAMPLE = 1.0
MAXIMUM_GROWTH = 2.0
"""MiB of anonymous memory, from the second quarter of the run to the last. Allocators keep memory for reuse; a leak of
1 KiB per request would be ten times as much in two minutes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a soak and print its outcome."""
    arguments = _parser().parse_args(argv)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"soak: {arguments.minutes:g} min, --seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="idaas-sidecar-soak-") as directory:
        found = Soak(Path(directory), 60 * arguments.minutes, random.Random(seed)).run()
    if arguments.json:
        print(json.dumps(found | {"seed": seed}))
    else:
        print("\n".join(f"{key:<28} {value}" for key, value in found.items()))
    return 0 if not found["problems"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=2, help="length in minutes (2)")
    parser.add_argument("--seed", type=int, help="seed of the random faults, to repeat a run")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    return parser


class Soak:
    """One run."""

    def __init__(self, home: Path, seconds: float, rng: random.Random) -> None:
        self._home = home
        self._seconds = seconds
        self._rng = rng
        self._memory: list[float] = []

    def run(self) -> dict[str, Any]:
        """Run the soak and return the outcome. `problems` is empty if everything is as it must be."""
        with ExitStack() as stack:
            cloud = stack.enter_context(emulator(home=self._home))
            environ = prepare(cloud, self._home)
            sidecar = stack.enter_context(serve(configuration(cloud, self._home), home=self._home, env=environ))
            for name in PROFILES:
                sidecar.process.event("credentials_issued", profile=name)
            checks = Checks()
            clients: list[Client] = [*Raw.several(sidecar, checks), *sdks(sidecar, checks, self._home)]
            before = counted(sidecar)
            for client in clients:
                client.start()
            faults = FaultInjector(cloud, sidecar, self._home, self._rng)
            start = self._watch(sidecar, faults, checks)
            faults.clear()
            for client in clients:
                client.stop()
            problems = list(checks.problems) + self._leaks(sidecar, start)
            sidecar_counts = counted(sidecar) - before
            problems += disagreements(sidecar_counts, checks.counts)
            sidecar.process.send(signal.SIGTERM)
            code = sidecar.process.wait(30)
            problems += [f"exit code {code} after SIGTERM"] if code else []
            problems += [f"log: {line}" for line in bugs(sidecar)]
            return self._outcome(clients, checks, faults, problems)

    def _watch(self, sidecar: RunningSidecar, faults: FaultInjector, checks: Checks) -> tuple[int, int]:
        """Inject faults and sample the sidecar; return the descriptors and threads after the warm-up."""
        started, start, minutes = time.monotonic(), (0, 0), 0
        while (passed := time.monotonic() - started) < self._seconds:
            faults.step()
            time.sleep(SAMPLE)
            if passed >= min(WARM, self._seconds / 4):
                start = start if start != (0, 0) else (descriptors(sidecar), threads(sidecar))
                self._memory.append(sidecar.process.anonymous_bytes() / 2**20)
            if passed >= 60 * (minutes + 1):
                minutes += 1
                print(f"soak: {minutes} min: {checks}, {self._memory[-1]:.1f} MiB", file=sys.stderr, flush=True)
        return start

    def _leaks(self, sidecar: RunningSidecar, start: tuple[int, int]) -> list[str]:
        """Return the resources that have not been released some seconds after the last client has stopped."""
        problems = []
        for name, now, before in (("descriptors", descriptors, start[0]), ("threads", threads, start[1])):
            try:
                wait_until(lambda now=now, before=before: now(sidecar) <= before, 15)  # type: ignore[misc]
            except AssertionError:
                problems.append(f"{name}: {now(sidecar)} at the end, {before} at the start")
        growth = self._growth()
        return problems + ([f"memory grew by {growth:.1f} MiB"] if growth > MAXIMUM_GROWTH else [])

    def _growth(self) -> float:
        quarter = max(1, len(self._memory) // 4)
        second, last = sorted(self._memory[quarter : 2 * quarter]), sorted(self._memory[-quarter:])
        return last[len(last) // 2] - second[len(second) // 2] if second else 0.0

    def _outcome(
        self, clients: list[Client], checks: Checks, faults: FaultInjector, problems: list[str]
    ) -> dict[str, Any]:
        return {
            "clients": ", ".join(client.name for client in clients),
            "responses": {str(code): count for code, count in sorted(checks.by_status.items())},
            "SDK calls": dict(checks.sdk),
            "faults": dict(faults.counts),
            "session life": f"{LIFE} s",
            "shortest life seen": f"{checks.shortest_life:.0f} s",
            "memory": f"{self._memory[0]:.1f} to {self._memory[-1]:.1f} MiB, growth {self._growth():+.2f}",
            "problems": problems[:20],
        }


def counted(sidecar: RunningSidecar) -> Counter[tuple[str, str]]:
    """Return the responses at credential paths by profile and status, as the sidecar counts them."""
    found: Counter[tuple[str, str]] = Counter()
    time.sleep(0.6)  # a scrape is reused for half a second
    for line in fetch(sidecar.urls["ops"], "/metrics").body.decode().splitlines():
        if line.startswith("idaas_sidecar_requests_total{") and 'endpoint="credentials"' in line:
            labels = dict(item.split("=") for item in line[line.index("{") + 1 : line.index("}")].split(","))
            profile, code = labels["profile"].strip('"'), labels["code"].strip('"')
            found[profile, code] += int(float(line.rpartition(" ")[2]))
    return found


def disagreements(sidecar_counts: Counter[tuple[str, str]], client_counts: Counter[tuple[str, str]]) -> list[str]:
    """Return the differences between the sidecar's counts and those of the raw clients."""
    return [
        f"{profile}: {count} responses {code} by the clients' count, {sidecar_counts[profile, code]} by the sidecar's"
        for (profile, code), count in client_counts.items()
        if sidecar_counts[profile, code] != count
    ]


def bugs(sidecar: RunningSidecar) -> list[str]:
    """Return log lines that no injected fault explains."""
    marks = ("internal_error", '"library"', "Traceback", "internal error", "log_lines_lost")
    return [line for line in sidecar.process.stderr.lines() if any(mark in line for mark in marks)][:3]


def descriptors(sidecar: RunningSidecar) -> int:
    """Return the number of open descriptors."""
    return len(list(Path(f"/proc/{sidecar.process.pid}/fd").iterdir()))


def threads(sidecar: RunningSidecar) -> int:
    """Return the number of threads."""
    return len(list(Path(f"/proc/{sidecar.process.pid}/task").iterdir()))


if __name__ == "__main__":
    sys.exit(main())
