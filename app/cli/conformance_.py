"""`conformance`: does any server of the two protocols suit the clients that exist? Asks it, changes nothing."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping

from ..conformance.report import document, text
from ..conformance.survey import NobodyAnswers, Surveyor
from ..conformance.wire.address import Address, address
from ..conformance.wire.exchange import Budget
from ..core.errors import ConfigError, Unreachable


def run(arguments: Namespace, _environ: Mapping[str, str]) -> int:
    uri = _address("URL", arguments.url)
    ecs = _metadata(arguments.ecs) if arguments.ecs is not None else None
    surveyor = Surveyor(Budget(), now=time.time, sleep=time.sleep, slow=arguments.slow)
    try:
        survey = surveyor.look(uri, ecs)
    except NobodyAnswers as error:
        raise Unreachable(str(error)) from None
    print(document(survey) if arguments.json else text(survey))
    return 0 if survey.conforms else 1


def _metadata(url: str) -> Address:
    where = _address("--ecs", url)
    if where.path != "/" or where.query is not None:
        raise ConfigError("--ecs: must be http://HOST:PORT alone: the clients' paths are fixed")
    return where


def _address(what: str, url: str) -> Address:
    try:
        return address(url)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from None
