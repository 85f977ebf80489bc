"""Step `endpoint`: DNS, TCP, proxy and TLS of each server that a profile contacts, by the sidecar's own HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ...config.settings import Profile
from ...core.connection import Connection, HttpConfiguration
from ...core.errors import SidecarError
from ...core.text import quoted
from ...exchange import validate
from ...exchange.validate import IdaasInstance
from ...identity import identities
from ...refresh.connections import Connections
from ...setup.fingerprint import Chain
from ..finding import Finding, Step, failed

NAME = "endpoint"

UNTRUSTED = "IDS-212"

LAYERS = {
    "DNS": frozenset({"IDS-201", "IDS-202"}),
    "TCP": frozenset({"IDS-203", "IDS-204", "IDS-205"}),
    "TLS": frozenset({"IDS-210", "IDS-211", "IDS-212", "IDS-213"}),
}
"""The errors of each layer. All layers before the broken layer work."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server of a profile. `use`: `token`, `exchange` or `chain`."""

    url: str
    use: str
    connection: Connection
    place: str
    http: HttpConfiguration | None = None


def of_profile(profile: Profile, place: str) -> Iterator[Endpoint]:
    """Yield the servers that the profile contacts, in the order of a refresh, if the configuration names them."""
    for identity, where in identities.parts(profile.identity, f"{place}.identity"):
        url, connection = identities.own_url(identity, where), identities.connection_of(identity)
        if url is not None and connection is not None:
            yield Endpoint(url, "token", connection, f"{where}.connection", identities.http_of(identity))
    exchange = profile.exchange
    instance = IdaasInstance(*identities.instance_of(profile.identity))
    for url in validate.urls(exchange, instance, f"{place}.exchange"):
        yield Endpoint(url, "exchange", exchange.connection, f"{place}.exchange.connection")
    for index, role in enumerate(profile.chain):
        where = f"{place}.chain[{index}]"
        for url in validate.chained_endpoints(role, exchange, where):
            yield Endpoint(url, "chain", role.connection or exchange.connection, f"{where}.connection")


async def run(
    endpoint: Endpoint, connections: Connections, profile: str, presented: Callable[[str], Chain] | None = None
) -> Step:
    """
    Send a GET without any secret. Any HTTP answer shows that the way to the server works.

    `presented` returns the certificates of a server that is not trusted; None if a proxy is in between.
    """
    facts: dict[str, object] = {"url": endpoint.url, "use": endpoint.use}
    try:
        client = connections.to(endpoint.connection, endpoint.place, endpoint.http)
        response = await client.get(endpoint.url)
    except SidecarError as error:
        facts |= _layers(error.error_code)
        found = replace(failed(error), about=urlsplit(endpoint.url).netloc)
        if error.error_code == UNTRUSTED and presented is not None:
            found = await _with_issuer(found, endpoint.url, presented)
        return Step(NAME, endpoint.url, profile, [found], facts)
    return Step(NAME, f"{endpoint.url} answers (HTTP {response.status})", profile, facts=facts)


def with_failover(steps: Sequence[Step]) -> list[Step]:
    """Return the steps of one list of endpoints. A broken endpoint is only a warning if another one works."""
    if all(step.state == "broken" for step in steps):
        return list(steps)
    return [
        replace(step, findings=[replace(each, state="warning") for each in step.findings])
        if step.state == "broken"
        else step
        for step in steps
    ]


async def _with_issuer(found: Finding, url: str, presented: Callable[[str], Chain]) -> Finding:
    """Return the finding with the issuer of the certificate that the server presents, if it can be read."""
    try:
        chain = await asyncio.to_thread(presented, url)
    except SidecarError:
        return found
    last = chain.presented[-1]
    issuer = quoted(last.issuer)
    return replace(
        found,
        message=f"{found.message}; the server presents {quoted(chain.presented[0].subject)}, signed by {issuer}",
        cure=f"name a PEM file with the certificate of {issuer} in tls.caFile or SSL_CERT_FILE, if you trust it",
    )


def _layers(code: str) -> dict[str, str]:
    """Return the state of each layer; empty if the code of the failure belongs to no layer."""
    found: dict[str, str] = {}
    if not any(code in codes for codes in LAYERS.values()):
        return found
    for layer, codes in LAYERS.items():
        found[layer] = "broken" if code in codes else "ok"
        if code in codes:
            break
    return found
