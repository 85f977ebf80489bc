"""`make soak MINUTES=N`: a real sidecar with short sessions, random faults and several clients, for minutes or days.

Each answer is held against the promises; at the end what the clients counted, the descriptors, the threads, the
connections and the memory are held against what they should be. Exit code 0 or 1; how and why: bench/README.md.
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

if __name__ == "__main__":  # the checkout's own modules, wherever this is started
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.soak_clients import Client, Raw, Verdicts, sdks
from bench.soak_faults import Weather
from bench.soak_setup import LIFE, PROFILES, configuration, prepared
from tests.e2e.processes import RunningSidecar, emulator, serve, wait_until
from tests.e2e.wire import fetch

WARM = 20.0
"""Seconds before the first look at memory, descriptors and threads: everything has been loaded and asked once."""

SAMPLE = 1.0
MOST_GROWN = 2.0
"""MiB of anonymous memory from the second quarter of the run to the last: allocators do not give back what they may use
again, and a leak of a kibibyte per request would be ten times as much in two minutes."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"soak: {arguments.minutes:g} min, --seed {seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="idaas-sidecar-soak-") as directory:
        found = Soak(Path(directory), 60 * arguments.minutes, random.Random(seed)).run()
    if arguments.json:
        print(json.dumps(found | {"seed": seed}))
    else:
        print("\n".join(f"{key:<28} {value}" for key, value in found.items()))
    return 0 if not found["wrong"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=2, help="how long (default: 2)")
    parser.add_argument("--seed", type=int, help="of the weather, to have the same again")
    parser.add_argument("--json", action="store_true", help="the outcome as one JSON document")
    return parser


class Soak:
    """One run."""

    def __init__(self, home: Path, seconds: float, chance: random.Random) -> None:
        self._home = home
        self._seconds = seconds
        self._chance = chance
        self._memory: list[float] = []

    def run(self) -> dict[str, Any]:
        """The outcome; `wrong` is empty if everything is as it should be."""
        with ExitStack() as stack:
            cloud = stack.enter_context(emulator(home=self._home))
            environ = prepared(cloud, self._home)
            sidecar = stack.enter_context(serve(configuration(cloud, self._home), home=self._home, env=environ))
            for name in PROFILES:
                sidecar.process.event("credentials_issued", profile=name)
            verdicts = Verdicts()
            clients: list[Client] = [*Raw.several(sidecar, verdicts), *sdks(sidecar, verdicts, self._home)]
            before = counted(sidecar)
            for client in clients:
                client.start()
            weather = Weather(cloud, sidecar, self._home, self._chance)
            start = self._watch(sidecar, weather, verdicts)
            weather.clear()
            for client in clients:
                client.stop()
            wrong = list(verdicts.wrong) + self._settled(sidecar, start)
            asked = counted(sidecar) - before
            wrong += disagreements(asked, verdicts.counts)
            sidecar.process.send(signal.SIGTERM)
            code = sidecar.process.wait(30)
            wrong += [f"exit code {code} after SIGTERM"] if code else []
            wrong += [f"log: {line}" for line in bugs(sidecar)]
            return self._outcome(clients, verdicts, weather, wrong)

    def _watch(self, sidecar: RunningSidecar, weather: Weather, verdicts: Verdicts) -> tuple[int, int]:
        """The weather's time; descriptors and threads once warm."""
        began, start, told = time.monotonic(), (0, 0), 0
        while (passed := time.monotonic() - began) < self._seconds:
            weather.changes()
            time.sleep(SAMPLE)
            if passed >= min(WARM, self._seconds / 4):
                start = start if start != (0, 0) else (descriptors(sidecar), threads(sidecar))
                self._memory.append(anonymous(sidecar))
            if passed >= 60 * (told + 1):
                told += 1
                print(f"soak: {told} min: {verdicts}, {self._memory[-1]:.1f} MiB", file=sys.stderr, flush=True)
        return start

    def _settled(self, sidecar: RunningSidecar, start: tuple[int, int]) -> list[str]:
        """What is still there of what should be gone, some seconds after the last client left."""
        wrong = []
        for name, now, before in (("descriptors", descriptors, start[0]), ("threads", threads, start[1])):
            try:
                wait_until(lambda now=now, before=before: now(sidecar) <= before, 15)  # type: ignore[misc]
            except AssertionError:
                wrong.append(f"{name}: {now(sidecar)} at the end, {before} at the start")
        grown = self._grown()
        return wrong + ([f"memory grew by {grown:.1f} MiB"] if grown > MOST_GROWN else [])

    def _grown(self) -> float:
        quarter = max(1, len(self._memory) // 4)
        second, last = sorted(self._memory[quarter : 2 * quarter]), sorted(self._memory[-quarter:])
        return last[len(last) // 2] - second[len(second) // 2] if second else 0.0

    def _outcome(self, clients: list[Client], verdicts: Verdicts, weather: Weather, wrong: list[str]) -> dict[str, Any]:
        return {
            "clients": ", ".join(client.name for client in clients),
            "answers": {str(code): count for code, count in sorted(verdicts.by_status.items())},
            "SDK calls": dict(verdicts.sdk),
            "weather": dict(weather.happened),
            "session life": f"{LIFE} s",
            "least life seen": f"{verdicts.least:.0f} s",
            "memory": f"{self._memory[0]:.1f} to {self._memory[-1]:.1f} MiB, grown {self._grown():+.2f}",
            "wrong": wrong[:20],
        }


def counted(sidecar: RunningSidecar) -> Counter[tuple[str, str]]:
    """What the sidecar says it answered at credential paths, by profile and status."""
    found: Counter[tuple[str, str]] = Counter()
    time.sleep(0.6)  # a scrape is shared for half a second
    for line in fetch(sidecar.urls["ops"], "/metrics").body.decode().splitlines():
        if line.startswith("idaas_sidecar_requests_total{") and 'endpoint="credentials"' in line:
            labels = dict(item.split("=") for item in line[line.index("{") + 1 : line.index("}")].split(","))
            profile, code = labels["profile"].strip('"'), labels["code"].strip('"')
            found[profile, code] += int(float(line.rpartition(" ")[2]))
    return found


def disagreements(theirs: Counter[tuple[str, str]], ours: Counter[tuple[str, str]]) -> list[str]:
    """Where the sidecar's count of what the raw clients asked is not theirs."""
    return [
        f"{profile}: {count} answers {code} by the clients' count, {theirs[profile, code]} by the sidecar's"
        for (profile, code), count in ours.items()
        if theirs[profile, code] != count
    ]


def bugs(sidecar: RunningSidecar) -> list[str]:
    """Log lines that no weather accounts for."""
    marks = ("internal_error", '"library"', "Traceback", "internal error", "log_lines_lost")
    return [line for line in sidecar.process.stderr.lines() if any(mark in line for mark in marks)][:3]


def descriptors(sidecar: RunningSidecar) -> int:
    return len(list(Path(f"/proc/{sidecar.process.pid}/fd").iterdir()))


def threads(sidecar: RunningSidecar) -> int:
    return len(list(Path(f"/proc/{sidecar.process.pid}/task").iterdir()))


def anonymous(sidecar: RunningSidecar) -> float:
    """MiB that the process itself has filled."""
    text = Path(f"/proc/{sidecar.process.pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Anonymous:")).split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
