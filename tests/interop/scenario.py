"""The steps that all clients run through together, so that the sidecar starts and stops once for all of them.

1. The sidecar is healthy. Each client calls five times, alone, and its requests are counted. Then it calls once for
   profile `p2`.
2. The sidecar is stopped and all clients call. It starts again and all clients call; those that fetch on every call
   repeat the call until they have the new session.
3. Sessions have 115 s left and the cloud is down. Clients that start only now call twice.
4. The sidecar is stopped and all clients call. The sidecar and the cloud start again, and all clients call as in 2.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ..e2e.processes import wait_until
from .clients import Client
from .conftest import bare_environment
from .namespace import metadata_namespace
from .program import Program, Result, call_all, call_until
from .testbed import Requests, Testbed, run_testbed

CALLS = 5
RESTART_GAP = 10.0
"""Seconds for which the sidecar is stopped while sessions are new."""
IN_EVERY_MARGIN = 115.0
"""Seconds. SLS Go has the shortest margin, 120 s (its `defaultFetchAhead`). The last two steps take less than 115 s."""
STATIC = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIstatic", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "static"}

Results = Mapping[str, Result]
"""Results by the name of the client."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The results of one client's five calls, and the requests that they caused."""

    results: list[Result]
    requests: Requests


@dataclass(slots=True)
class Outcome:
    """The results of all steps, and the sessions that the sidecar served in them."""

    sessions: dict[str, Result] = field(default_factory=dict)
    """Step 1: by profile."""
    healthy: dict[str, Calls] = field(default_factory=dict)
    other_profile: Results = field(default_factory=dict)
    static_keys: dict[str, Calls] = field(default_factory=dict)
    metadata_enabled: dict[str, Calls] = field(default_factory=dict)
    stopped: Results = field(default_factory=dict)
    """Step 2: while the sidecar is stopped, and after its restart."""
    restarted: Results = field(default_factory=dict)
    session_restarted: Result = field(default_factory=dict)
    outage: list[Results] = field(default_factory=list)
    """Step 3: the two calls of each client, the sessions before and after them, and their requests."""
    sessions_outage: list[Result] = field(default_factory=list)
    requests_outage: Requests = field(default_factory=Requests)
    stopped_at_the_end: Results = field(default_factory=dict)
    """Step 4: the same as step 2, at the end of a session."""
    restarted_at_the_end: Results = field(default_factory=dict)
    session_at_the_end: Result = field(default_factory=dict)


def run_scenario(clients: Iterable[Client], home: Path) -> Outcome:
    """Run all steps. If a client uses the metadata address, they run in a namespace that has this address."""
    by_name = {client.name: client for client in clients}
    metadata = any(client.at_metadata_address for client in by_name.values())
    outcome = Outcome()
    with metadata_namespace() if metadata else nullcontext(), run_testbed(home, metadata=metadata) as testbed:
        with ExitStack() as stack:
            with testbed.serving():
                programs = stack.enter_context(started(by_name, testbed, home))
                _healthy(outcome, testbed, programs)
                _variants(outcome, testbed, by_name, home, metadata=metadata)
            stopped_at = time.monotonic()
            outcome.stopped = call_all(programs)
            wait_until(lambda: time.monotonic() - stopped_at >= RESTART_GAP, 2 * RESTART_GAP)
            with testbed.serving():
                outcome.session_restarted = testbed.session()
                fetching = {name: program for name, program in programs.items() if by_name[name].later_calls}
                outcome.restarted = call_all(programs) | call_until(fetching, outcome.session_restarted)
        testbed.shorten_sessions(IN_EVERY_MARGIN)
        with ExitStack() as stack:
            with testbed.serving():
                testbed.break_cloud()
                programs = stack.enter_context(started(by_name, testbed, home))
                _outage(outcome, testbed, programs)
            outcome.stopped_at_the_end = call_all(programs)
            testbed.repair_cloud()
            with testbed.serving():
                outcome.session_at_the_end = testbed.session()
                fetching = {name: program for name, program in programs.items() if by_name[name].margin}
                outcome.restarted_at_the_end = call_all(programs) | call_until(fetching, outcome.session_at_the_end)
    return outcome


def _healthy(outcome: Outcome, testbed: Testbed, programs: Mapping[str, Program]) -> None:
    outcome.sessions = {profile: testbed.session(profile) for profile in ("default", "p2")}
    outcome.healthy = {name: call(program, testbed) for name, program in programs.items()}


def _variants(outcome: Outcome, testbed: Testbed, clients: Mapping[str, Client], home: Path, *, metadata: bool) -> None:
    """Call with another profile, and with default chains that have a source of higher precedence."""
    with_profile = {name: client for name, client in clients.items() if client.takes_a_profile}
    with started(with_profile, testbed, home, "p2") as programs:
        outcome.other_profile = call_all(programs)
    chains = {name: client for name, client in clients.items() if client.protocol == "chain"}
    with started(chains, testbed, home, **STATIC) as programs:
        outcome.static_keys = {name: call(program, testbed) for name, program in programs.items()}
    if metadata:
        with started(chains, testbed, home, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false") as programs:
            outcome.metadata_enabled = {name: call(program, testbed) for name, program in programs.items()}


def _outage(outcome: Outcome, testbed: Testbed, programs: Mapping[str, Program]) -> None:
    outcome.sessions_outage = [testbed.session()]
    before = testbed.requests()
    outcome.outage = [call_all(programs), call_all(programs)]
    outcome.requests_outage = testbed.requests() - before
    outcome.sessions_outage.append(testbed.session())


def call(program: Program, testbed: Testbed) -> Calls:
    """Call `CALLS` times, one after the other. No other client may call meanwhile."""
    before = testbed.requests()
    results = [program.call() for _ in range(CALLS)]
    return Calls(results, testbed.requests() - before)


@contextmanager
def started(
    clients: Mapping[str, Client], testbed: Testbed, home: Path, profile: str = "default", **variables: str
) -> Iterator[dict[str, Program]]:
    """Start the clients' processes, which wait for their first call. `variables` override all others."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start(client, testbed, home, profile, variables))
            for name, client in clients.items()
        }


def start(client: Client, testbed: Testbed, home: Path, profile: str, variables: Mapping[str, str]) -> Program:
    """Start one client's process."""
    arguments, settings = directions(client, testbed, profile)
    environment = {**bare_environment(home), **client.kit.environment, **client.environment, **settings, **variables}
    command = [*client.kit.start(client.program), *arguments]
    return Program(command, environment, home / f"{client.name}.stderr")


def directions(client: Client, testbed: Testbed, profile: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and variables that direct the client to the profile."""
    uri = testbed.uri(profile)
    match client.protocol:
        case "uri":
            return [uri], {}
        case "chain":
            return [], {"ALIBABA_CLOUD_CREDENTIALS_URI": uri, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        case "ecs":
            return [profile], {}
        case "endpoint":
            base = testbed.metadata_url
            return [], {"METADATA_ENDPOINT": base, "ALIBABA_CLOUD_IMDS_ENDPOINT": base}
        case _:
            return [], {}
