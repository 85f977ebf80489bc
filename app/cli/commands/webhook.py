"""`webhook`: run the admission webhooks. `webhook explain`: print the webhooks' decision about a pod."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...core.errors import ConfigError
from ...core.json_text import json_text
from ...core.text import one_line
from ...main import Signals
from ...main import run as run_loop
from ...observe import log_events
from ...observe.library_log import LibraryHandler
from ...observe.log import Log
from ...start import complete
from ...system import files
from ...system.json_file import parse_object
from ...system.sockets import all_bound, bound
from ...system.yaml_file import parse_documents
from ...webhook.explain import as_json, as_text, explained, pods
from ...webhook.policy import FilePolicies, PolicySource
from ...webhook.settings import Settings, read_settings
from ..arguments.webhook import SETTINGS

FINDINGS = 1

LARGEST = 67_108_864
"""The most bytes of a file, for the CredentialPolicies of a large cluster or a List of its pods."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run the webhooks until SIGTERM, or `webhook explain`."""
    if arguments.topic == "explain":
        return run_loop(lambda: _explain(arguments, environ))
    settings, sockets = complete("webhook", lambda: _complete(arguments, environ))
    return run_loop(lambda: _serve(arguments, environ, settings, sockets))


def _complete(arguments: Namespace, environ: Mapping[str, str]) -> tuple[Settings, dict[str, socket.socket]]:
    """
    Return the settings and the listening sockets.

    Raises ConfigError for a mistake, else NotThereYet without a certificate or an address.
    """
    from ...webhook.serving import api_server, certificates

    settings = read_settings(arguments.settings)
    api_server.base_url(environ)
    certificates.require(arguments.certificate)
    return settings, all_bound(
        {"pods": partial(bound, arguments.bind, "--bind"), "metrics": partial(bound, arguments.metrics, "--metrics")}
    )


async def _serve(
    arguments: Namespace, environ: Mapping[str, str], settings: Settings, sockets: Mapping[str, socket.socket]
) -> int:
    from ...webhook.serving.api_server import ApiServerPolicies, base_url
    from ...webhook.serving.application import Webhook
    from ...webhook.serving.certificates import Certificates
    from ...webhook.serving.server import serve

    log = Log(sys.stderr, level="info", json_lines=not sys.stderr.isatty(), now=time.time)
    logging.basicConfig(handlers=[LibraryHandler(log)], level=logging.WARNING, force=True)
    policies = ApiServerPolicies(base_url(environ), arguments.service_account, monotonic=time.monotonic)
    loop = asyncio.get_running_loop()

    def write(event: log_events.LogEvent, field: str, value: str) -> None:
        loop.call_soon_threadsafe(partial(log.write, event, **{field: value}))

    certificates = Certificates(
        arguments.certificate,
        lambda why: write(log_events.WEBHOOK_CERTIFICATE_UNUSABLE, "error", why),
        lambda expiry: write(log_events.WEBHOOK_CERTIFICATE_REPLACED, "not_after", expiry),
    )
    signals = Signals(loop)
    webhook = Webhook(policies, settings, log)
    try:
        await serve(webhook, sockets["pods"], sockets["metrics"], certificates, log, signals.stop, signals.at_once)
    finally:
        await policies.close()
        log.write(log_events.STOPPED)
        log.close()
    return 0


async def _explain(arguments: Namespace, environ: Mapping[str, str]) -> int:
    policies = _policies(arguments, environ)
    settings = _settings(arguments.settings)
    place = "stdin" if arguments.pod == "-" else arguments.pod
    found = pods(_objects(arguments.pod), arguments.namespace, place)
    if not found:
        raise ConfigError(f"{place}: no pod and no workload in it", error_code="IDS-126")
    refused = False
    for what, namespace, pod in found:
        explanation = await explained(what, namespace, pod, policies, settings)
        refused = refused or explanation.decision.outcome == "refused"
        if arguments.json:
            print(json_text(as_json(explanation), indent=2))
        else:
            print("\n".join(map(one_line, as_text(explanation))))
    return FINDINGS if refused else 0


def _policies(arguments: Namespace, environ: Mapping[str, str]) -> PolicySource:
    if arguments.policies is not None:
        return FilePolicies(_objects(arguments.policies), arguments.policies)
    from ...webhook.serving.api_server import ApiServerPolicies, base_url

    return ApiServerPolicies(base_url(environ), arguments.service_account, monotonic=time.monotonic)


def _settings(path: str | None) -> Settings:
    if path is None:
        return read_settings(SETTINGS) if files.exists(SETTINGS) else Settings()
    return read_settings(path)


def _objects(path: str) -> list[Any]:
    """
    Return the objects of a file, or of standard input. Raises ConfigError.

    A text that begins with a brace is JSON. JSON needs no PyYAML, which the production image does not have.
    """
    place = "stdin" if path == "-" else path
    try:
        raw = files.read_stream(sys.stdin.buffer, LARGEST) if path == "-" else files.read(path, LARGEST)
    except files.Unreadable as why:
        raise ConfigError(why.at(place), error_code="IDS-102") from None
    if raw.lstrip()[:1] == b"{":
        return [parse_object(raw, place)]
    return parse_documents(raw, place, extra="webhook")
