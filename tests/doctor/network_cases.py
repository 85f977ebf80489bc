"""Misconfigurations of the network, of TLS, of proxies and of clocks."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import httpx

from app.emulator import Fault
from app.upstream.connect import Attempt, NotConnected, NotSecured
from app.upstream.resolver import NameNotResolved

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
    *wrong_host("wrong port", "IDS-203", "is the port right?", "https://127.0.0.1:1", unconnected(errno.ECONNREFUSED)),
    unreachable(
        "firewall", "IDS-204", "no answer within 5 s | allow this machine to reach the host", unconnected(None)
    ),
    unreachable("network policy", "IDS-204", "network policy", unconnected(errno.EPERM)),
    unreachable("proxy", "IDS-205", "NO_PROXY", lambda: httpx.ProxyError("403 Forbidden")),
    unreachable("no answer", "IDS-206", "no answer in time", lambda: httpx.ReadTimeout("words")),
    unreachable(
        "another protocol", "IDS-207", "https:// for a port that speaks TLS", lambda: httpx.RemoteProtocolError("words")
    ),
    unreachable("expired certificate", "IDS-210", "has expired | set this machine's clock", rejected(10)),
    unreachable("another name", "IDS-211", "use a name that the certificate has", rejected(62)),
    unreachable("unknown CA", "IDS-212", "tls.caFile", rejected(20)),
    unreachable("CA that the message names", "IDS-212", "signed by CN=root | name a PEM file", rejected(19)),
    Case(
        "broken endpoint beside a working one",
        "IDS-203",
        "is the port right?",
        failover,
        lambda scenario: scenario.put(STS_URL, [BASE]),
    ),
    unreachable("no TLS", "IDS-213", "ended the TLS handshake", caused(NotSecured("x", timed_out=False))),
    Case(
        "clock",
        "IDS-214",
        "synchronise the clock",
        lambda scenario: setattr(scenario.cloud, "clock_offset", 300.0),
        lambda scenario: setattr(scenario.cloud, "clock_offset", 0.0),
    ),
    faulty("outage", "IDS-215", "try again later", Fault("sts", status=503, times=None)),
    faulty("quota", "IDS-216", "quota", Fault("sts", code="Throttling.User", times=None)),
    faulty("page of a gateway", "IDS-209", "gateway", Fault("sts", status=403, body=b"<html>", times=None)),
    changed("URL of another API", "IDS-329", "copy the token endpoint's URL", TOKEN_URL, f"{BASE}/api/token"),
]
