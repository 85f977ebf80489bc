"""Misconfigurations of the network, of TLS, of proxies and of clocks."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import trustme

from app.emulator import Fault
from app.upstream.connections.connect import Attempt, NotConnected, NotSecured
from app.upstream.connections.resolver import NameNotResolved

from ..conftest import BASE
from .scenario import REMOVED, Case, Scenario, changed

TOKEN_URL, STS_URL = "identity.tokenEndpoint", "exchange.endpoints"


def caused(cause: BaseException, error: type[httpx.TransportError] = httpx.ConnectError) -> Callable[[], Exception]:
    """Return a function that makes an error of the HTTP client with this cause."""

    def make() -> Exception:
        found = error("words")
        found.__cause__ = cause
        return found

    return make


def unconnected(number: int | None) -> Callable[[], Exception]:
    """Return an error of an address that cannot be reached."""
    return caused(NotConnected([Attempt("192.0.2.1:443", number)], 5.0))


def answer(status: int, body: bytes) -> httpx.Response:
    """Return an answer that the client has not read."""
    return httpx.Response(status, stream=httpx.ByteStream(body))


def rejected(code: int) -> Callable[[], Exception]:
    """Return an error of a certificate that was rejected."""
    error = ssl.SSLCertVerificationError(1, "words")
    error.verify_code = code
    return caused(error)


def unreachable(name: str, code: str, says: str, failure: Callable[[], Exception], at: str = "127.0.0.1:7080") -> Case:
    """Return a case of the way to a server, which is cured outside the configuration."""
    return Case(
        name,
        code,
        says,
        lambda scenario: scenario.cloud.failures.update({at: failure}),
        lambda scenario: scenario.cloud.failures.clear(),
    )


def avoided(
    name: str,
    code: str,
    says: str,
    failure: Callable[[], Exception | httpx.Response],
    *,
    passes: Callable[[Scenario], bool],
    cures: Callable[[Scenario], Any],
    breaks: Callable[[Scenario], Any] = lambda _scenario: None,
) -> Case:
    """Return a case of a way on which requests fail, unless `passes` says of the configuration that they pass."""

    def put(scenario: Scenario) -> None:
        breaks(scenario)
        scenario.cloud.failures["127.0.0.1:7080"] = lambda: None if passes(scenario) else failure()

    return Case(name, code, says, put, cures)


def trust_the_ca(scenario: Scenario) -> None:
    """Name the file of a CA."""
    trustme.CA().cert_pem.write_to_path(str(scenario.directory / "ca.pem"))
    scenario.put("/tls", {"caFile": str(scenario.directory / "ca.pem")})


def use_a_proxy(scenario: Scenario) -> None:
    """Set a proxy for the sidecar's requests."""
    scenario.environ["HTTP_PROXY"] = "http://proxy.example:3128"


def bypass_the_proxy(scenario: Scenario) -> None:
    """List the server's host in NO_PROXY."""
    scenario.environ["NO_PROXY"] = "127.0.0.1"


def wrong_host(name: str, code: str, says: str, url: str, failure: Callable[[], Exception]) -> list[Case]:
    """Return a case of the token endpoint and one of STS, whose URL names a server that fails."""
    netloc = url.partition("://")[2].partition("/")[0]

    def breaks(key: str, value: Any) -> Callable[[Scenario], None]:
        def put(scenario: Scenario) -> None:
            scenario.cloud.failures[netloc] = failure
            scenario.kept["right"] = scenario.value(key)
            scenario.put(key, value)

        return put

    return [
        Case(
            f"{name}, {key}",
            code,
            says,
            breaks(key, value),
            lambda scenario, key=key: scenario.put(key, scenario.kept["right"]),
        )  # type: ignore[misc]
        for key, value in ((TOKEN_URL, f"{url}/token"), (STS_URL, [url]))
    ]


def faulty(name: str, code: str, says: str, fault: Fault) -> Case:
    """Return a case of answers that are cured outside the configuration."""
    return Case(
        name,
        code,
        says,
        lambda scenario: scenario.workload.emulator.faults.add(fault),
        lambda scenario: scenario.workload.emulator.faults.clear(),
    )


def outage(scenario: Scenario) -> None:
    """Name an endpoint of STS that has an outage."""
    scenario.cloud.failures["127.0.0.3:7080"] = lambda: answer(503, b'{"Code": "ServiceUnavailable"}')
    scenario.put(STS_URL, ["http://127.0.0.3:7080"])


def gateway(scenario: Scenario) -> None:
    """Name a URL at which a gateway answers with a page."""
    scenario.cloud.failures["127.0.0.4:7080"] = lambda: answer(403, b"<html>")
    scenario.put(STS_URL, ["http://127.0.0.4:7080"])


def failover(scenario: Scenario) -> None:
    """Put an endpoint that refuses connections before the one that works."""
    scenario.cloud.failures["127.0.0.2:7080"] = unconnected(errno.ECONNREFUSED)
    scenario.put(STS_URL, ["http://127.0.0.2:7080", BASE])


def misspelt_region(scenario: Scenario) -> None:
    """Let a letter of the region be missing. The server of that name does not exist."""
    scenario.kept["right"] = scenario.value(STS_URL)
    scenario.put(STS_URL, REMOVED)
    scenario.put("exchange.regionId", "cn-hangzou")
    missing = NameNotResolved("sts.cn-hangzou.aliyuncs.com", socket.EAI_NONAME, 5.0)
    scenario.cloud.failures["sts.cn-hangzou.aliyuncs.com"] = caused(missing)


CASES = [
    Case(
        "region without a letter",
        "IDS-122",
        "write cn-hangzhou into profiles.default.exchange.regionId",
        misspelt_region,
        lambda scenario: scenario.put("exchange.regionId", "cn-hangzhou"),
    ),
    *wrong_host(
        "misspelled host",
        "IDS-201",
        "does not exist in DNS | correct the host name",
        "https://idaas.exmaple",
        caused(NameNotResolved("idaas.exmaple", socket.EAI_NONAME, 5.0)),
    ),
    unreachable("silent DNS", "IDS-202", "/etc/resolv.conf", caused(NameNotResolved("x", None, 5.0))),
    *wrong_host(
        "wrong port",
        "IDS-203",
        "connection refused | correct host and port",
        "https://127.0.0.1:1",
        unconnected(errno.ECONNREFUSED),
    ),
    avoided(
        "firewall",
        "IDS-204",
        "no answer within 5 s | allow this machine to reach the host on that port, or configure a proxy",
        unconnected(None),
        passes=lambda scenario: scenario.value("/proxy") is not REMOVED,
        cures=lambda scenario: scenario.put("/proxy", "http://proxy.example:3128"),
    ),
    unreachable("network policy", "IDS-204", "network policy", unconnected(errno.EPERM)),
    avoided(
        "proxy",
        "IDS-205",
        "list the host in NO_PROXY",
        lambda: httpx.ProxyError("403 Forbidden"),
        breaks=use_a_proxy,
        passes=lambda scenario: "127.0.0.1" in scenario.environ.get("NO_PROXY", ""),
        cures=bypass_the_proxy,
    ),
    avoided(
        "page of a proxy",
        "IDS-209",
        "list its host in NO_PROXY",
        lambda: answer(403, b"<html>"),
        breaks=use_a_proxy,
        passes=lambda scenario: "127.0.0.1" in scenario.environ.get("NO_PROXY", ""),
        cures=bypass_the_proxy,
    ),
    avoided(
        "slow server",
        "IDS-206",
        "raise httpConfiguration.readTimeout",
        lambda: httpx.ReadTimeout("words"),
        passes=lambda scenario: scenario.value("identity.httpConfiguration.readTimeout") == 30_000,
        cures=lambda scenario: scenario.put("identity.httpConfiguration", {"readTimeout": 30_000}),
    ),
    *wrong_host(
        "another protocol",
        "IDS-207",
        "https:// for a port that speaks TLS",
        "http://127.0.0.1:7443",
        lambda: httpx.RemoteProtocolError("words"),
    ),
    unreachable("expired certificate", "IDS-210", "has expired | set this machine's clock", rejected(10)),
    *wrong_host("another name", "IDS-211", "use a name that the certificate has", "https://192.0.2.7", rejected(62)),
    avoided(
        "unknown CA",
        "IDS-212",
        "tls.caFile",
        rejected(20),
        passes=lambda scenario: scenario.value("/tls.caFile") is not REMOVED,
        cures=trust_the_ca,
    ),
    avoided(
        "CA that the message names",
        "IDS-212",
        "signed by CN=root | name a PEM file",
        rejected(19),
        passes=lambda scenario: scenario.value("/tls.caFile") is not REMOVED,
        cures=trust_the_ca,
    ),
    Case(
        "broken endpoint beside a working one",
        "IDS-203",
        "connection refused | correct host and port",
        failover,
        lambda scenario: scenario.put(STS_URL, [BASE]),
    ),
    *wrong_host(
        "no TLS",
        "IDS-213",
        "ended the TLS handshake",
        "https://127.0.0.1:7081",
        caused(NotSecured("x", timed_out=False)),
    ),
    Case(
        "clock",
        "IDS-214",
        "synchronise the clock",
        lambda scenario: setattr(scenario.cloud, "clock_offset", 300.0),
        lambda scenario: setattr(scenario.cloud, "clock_offset", 0.0),
    ),
    Case(
        "outage of an endpoint",
        "IDS-215",
        "name a second in endpoints",
        outage,
        lambda scenario: scenario.put(STS_URL, ["http://127.0.0.3:7080", BASE]),
    ),
    Case(
        "quota",
        "IDS-216",
        "raise the quota of the account",
        lambda scenario: scenario.world(calls_per_second=0),
        lambda scenario: scenario.world(calls_per_second=100),
    ),
    Case("page of a gateway", "IDS-209", "correct the URL", gateway, lambda scenario: scenario.put(STS_URL, [BASE])),
    changed("STS endpoint with a path", "IDS-444", "without a path into endpoints", STS_URL, [f"{BASE}/sts"], [BASE]),
    changed(
        "STS as the token endpoint", "IDS-329", "token endpoint's URL from the application's page", TOKEN_URL, BASE
    ),
    changed("URL of another API", "IDS-329", "copy the token endpoint's URL", TOKEN_URL, f"{BASE}/api/token"),
]
