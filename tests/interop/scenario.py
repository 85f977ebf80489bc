"""
What all clients go through together, so that the sidecar starts and stops once for all of them:

    1. It is healthy: each client calls five times, alone, and what that costs is counted. Then once for profile `p2`.
    2. It goes, everybody calls; it comes back, everybody calls: those that ask, until they have the new session.
    3. Sessions have 115 s left, and the cloud goes down: clients that start only now call twice.
    4. It goes, everybody calls; it comes back, and so does the cloud: as in 2.
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
from .program import Answer, Program, ask_all, ask_until
from .testbed import Requests, Stage, staged

CALLS = 5
GAP = 10.0
"""Seconds for which the sidecar is away while sessions are new."""
IN_EVERY_MARGIN = 115.0
"""Seconds: SLS Go has the shortest margin, 120 (its `defaultFetchAhead`). The acts take less."""
STATIC = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIstatic", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "static"}

Answers = Mapping[str, Answer]
"""By the client's name."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """One client's five calls, and what they cost."""

    answers: list[Answer]
    costs: Requests


@dataclass(slots=True)
class Story:
    """What was held and what was told, act by act."""

    held: dict[str, Answer] = field(default_factory=dict)
    """By profile, in the first act."""
    healthy: dict[str, Healthy] = field(default_factory=dict)
    other: Answers = field(default_factory=dict)
    static: dict[str, Healthy] = field(default_factory=dict)
    preferred: dict[str, Healthy] = field(default_factory=dict)
    away: Answers = field(default_factory=dict)
    back: Answers = field(default_factory=dict)
    held_back: Answer = field(default_factory=dict)
    down: list[Answers] = field(default_factory=list)
    held_down: list[Answer] = field(default_factory=list)
    """Before and after the calls."""
    answered_down: Requests = field(default_factory=Requests)
    away_at_the_end: Answers = field(default_factory=dict)
    back_at_the_end: Answers = field(default_factory=dict)
    held_at_the_end: Answer = field(default_factory=dict)


def play(clients: Iterable[Client], home: Path) -> Story:
    """The whole story. With clients of the metadata address, all of it in a namespace that has that address."""
    cast = {client.name: client for client in clients}
    metadata = any(client.at_metadata_address for client in cast.values())
    story = Story()
    with metadata_namespace() if metadata else nullcontext(), staged(home, metadata=metadata) as stage:
        with ExitStack() as stack:
            with stage.serving():
                programs = stack.enter_context(started(cast, stage, home))
                _healthy(story, stage, programs)
                _others(story, stage, cast, home, metadata=metadata)
            gone = time.monotonic()
            story.away = ask_all(programs)
            wait_until(lambda: time.monotonic() - gone >= GAP, 2 * GAP)
            with stage.serving():
                story.held_back = stage.held()
                asking = {name: each for name, each in programs.items() if cast[name].again}
                story.back = ask_all(programs) | ask_until(asking, story.held_back)
        stage.shorten(IN_EVERY_MARGIN)
        with ExitStack() as stack:
            with stage.serving():
                stage.break_cloud()
                programs = stack.enter_context(started(cast, stage, home))
                _down(story, stage, programs)
            story.away_at_the_end = ask_all(programs)
            stage.mend_cloud()
            with stage.serving():
                story.held_at_the_end = stage.held()
                asking = {name: each for name, each in programs.items() if cast[name].margin}
                story.back_at_the_end = ask_all(programs) | ask_until(asking, story.held_at_the_end)
    return story


def _healthy(story: Story, stage: Stage, programs: Mapping[str, Program]) -> None:
    story.held = {profile: stage.held(profile) for profile in ("default", "p2")}
    story.healthy = {name: called(program, stage) for name, program in programs.items()}


def _others(story: Story, stage: Stage, cast: Mapping[str, Client], home: Path, *, metadata: bool) -> None:
    """Those that can be told a profile, and default chains with something that they prefer."""
    with started({name: each for name, each in cast.items() if each.takes_a_profile}, stage, home, "p2") as programs:
        story.other = ask_all(programs)
    chains = {name: each for name, each in cast.items() if each.protocol == "chain"}
    with started(chains, stage, home, **STATIC) as programs:
        story.static = {name: called(program, stage) for name, program in programs.items()}
    if metadata:
        with started(chains, stage, home, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false") as programs:
            story.preferred = {name: called(program, stage) for name, program in programs.items()}


def _down(story: Story, stage: Stage, programs: Mapping[str, Program]) -> None:
    story.held_down = [stage.held()]
    before = stage.answered()
    story.down = [ask_all(programs), ask_all(programs)]
    story.answered_down = stage.answered() - before
    story.held_down.append(stage.held())


def called(program: Program, stage: Stage) -> Healthy:
    """`CALLS` calls, one after the other; nobody else may call meanwhile."""
    before = stage.answered()
    answers = [program.ask() for _ in range(CALLS)]
    return Healthy(answers, stage.answered() - before)


@contextmanager
def started(
    cast: Mapping[str, Client], stage: Stage, home: Path, profile: str = "default", **variables: str
) -> Iterator[dict[str, Program]]:
    """The clients' processes, which do nothing until they are asked; `variables` beat those they are told."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start(client, stage, home, profile, variables)) for name, client in cast.items()
        }


def start(client: Client, stage: Stage, home: Path, profile: str, variables: Mapping[str, str]) -> Program:
    arguments, told = directions(client, stage, profile)
    environment = {**bare_environment(home), **client.kit.environment, **client.environment, **told, **variables}
    command = [*client.kit.start(client.program), *arguments]
    return Program(command, environment, home / f"{client.name}.stderr")


def directions(client: Client, stage: Stage, profile: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and variables that lead the client to the profile."""
    uri = stage.uri(profile)
    match client.protocol:
        case "uri":
            return [uri], {}
        case "chain":
            return [], {"ALIBABA_CLOUD_CREDENTIALS_URI": uri, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        case "ecs":
            return [profile], {}
        case "endpoint":
            base = stage.metadata_url
            return [], {"METADATA_ENDPOINT": base, "ALIBABA_CLOUD_IMDS_ENDPOINT": base}
        case _:
            return [], {}
