"""`conformance`: check which of the known clients can use a server of the two protocols. The server is not changed."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping

from ...conformance.checker import Checker, ServerUnreachable
from ...conformance.report import to_json, to_text
from ...conformance.wire.budget import Budget
from ...conformance.wire.url import HttpUrl, parse_url
from ...core.errors import ConfigError, Unreachable
from ..errors import CommandFailed

NOT_CONFORMING = 1


def run(arguments: Namespace, _environ: Mapping[str, str]) -> int:
    """Check the server and print the report. Exit code 0: it conforms, 1: it does not."""
    url = _url("URL", arguments.url)
    ecs_url = _ecs_url(arguments.ecs) if arguments.ecs is not None else None
    checker = Checker(Budget(), now=time.time, sleep=time.sleep, slow=arguments.slow)
    try:
        result = checker.check(url, ecs_url)
    except ServerUnreachable as error:
        raise Unreachable(str(error)) from None
    print(to_json(result) if arguments.json else to_text(result))
    if not result.conforms:
        # The URL may have a path token, so the message does not name it.
        raise CommandFailed("the server does not conform", exit_code=NOT_CONFORMING, error_code="IDS-530")
    return 0


def _ecs_url(text: str) -> HttpUrl:
    url = _url("--ecs", text)
    if url.path != "/" or url.query is not None:
        raise ConfigError(
            "--ecs: must be http://HOST:PORT without a path; the paths of ECS metadata are fixed", error_code="IDS-125"
        )
    return url


def _url(argument: str, text: str) -> HttpUrl:
    try:
        return parse_url(text)
    except ValueError as error:
        raise ConfigError(f"{argument}: {error}", error_code="IDS-125") from None
