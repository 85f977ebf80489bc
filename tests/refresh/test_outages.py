"""
Everything that can go wrong upstream, for half an hour and for longer than a session lives, at each leg.

Promises 1, 3 and 4 of the contract are looked at all the time, promise 2 while the cloud answers; and when it answers
again, the next attempt, at most one pause away, mends everything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config.loader import Loaded
from app.core.errors import Refused
from app.core.events import Dropped, Refreshed, RefreshFailed
from app.core.schedule import IN_NEED, Schedule
from app.emulator import Emulator, Fault, World
from app.emulator.world.world import CHAINED_ROLE_ARN, MANAGED_ROLE_ARN, PAM_SCOPE
from app.exchange.sts import instant

from ..conftest import BASE, configuration, exchange, identity
from .simulated import Break, Read, Sidecar, Time, sidecar, simulated

HALF_AN_HOUR = 1_800.0
LONGER_THAN_A_SESSION = 5_400.0
READS = 7.0
"""Seconds between two clients' reads."""


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: rsa.RSAPrivateKey) -> Emulator:
    return Emulator(World.default(profiles=("default",)), now=time.cloud, sleep=asyncio.sleep, signing_key=signing_key)


# --- what goes wrong on the way ---------------------------------------------------------------------------------------


def raises(error: Callable[[str], httpx.TransportError], words: str, after: float = 0.0) -> Break:
    """What httpx raises, after so many seconds."""

    async def happens(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
        await asyncio.sleep(after)
        raise error(words)

    return happens


class Trickle(httpx.AsyncByteStream):
    """Half of a body, and then one byte before each time-out, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"access_token": "'
        while True:
            await asyncio.sleep(9)
            yield b"e"


class Half(httpx.AsyncByteStream):
    """Half of a body, and then nothing until httpx gives up."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"Credentials": {"AccessKeyId": "STS.half'
        await asyncio.sleep(10)
        raise httpx.ReadTimeout("")


async def trickles(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    return httpx.Response(200, stream=Trickle())


async def stops_halfway(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    return httpx.Response(200, stream=Half())


async def never_answers(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def has_a_bug(_request: httpx.Request, _inner: httpx.AsyncBaseTransport) -> httpx.Response:
    raise RuntimeError("a library's")


ON_THE_WAY: dict[str, Break] = {
    "connection refused": raises(httpx.ConnectError, "[Errno 111] Connection refused"),
    "no such name": raises(httpx.ConnectError, "[Errno -3] Temporary failure in name resolution"),
    "not trusted": raises(httpx.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
    "TLS broken": raises(httpx.ConnectError, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    "no connection in time": raises(httpx.ConnectTimeout, "", after=5),
    "silence": raises(httpx.ReadTimeout, "", after=10),
    "silence that no time-out ends": never_answers,
    "silence in the middle": stops_halfway,
    "a trickle": trickles,
    "reset": raises(httpx.ReadError, ""),
    "no HTTP": raises(httpx.RemoteProtocolError, "illegal status line"),
    "the proxy says no": raises(httpx.ProxyError, "407 Proxy Authentication Required"),
    "a bug": has_a_bug,
}


# --- what the cloud answers -------------------------------------------------------------------------------------------

Answers = Mapping[str, Any]
"""The members of a `Fault`."""

NONSENSE: dict[str, Answers] = {
    "429": {"status": 429},
    "429, in 2 s": {"status": 429, "headers": {"Retry-After": "2"}},
    "429, in 90 s": {"status": 429, "headers": {"Retry-After": "90"}},
    "429, in a day": {"status": 429, "headers": {"Retry-After": "86400"}},
    "429, in 1500 ms": {"status": 429, "headers": {"x-acs-retry-after": "1500"}},
    "500": {"status": 500},
    "502": {"status": 502, "body": b"<html>bad gateway", "content_type": "text/html"},
    "503": {"status": 503},
    "503, in 30 s": {"status": 503, "headers": {"Retry-After": "30"}},
    "504": {"status": 504, "body": b""},
    "302": {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
    "a login page": {"body": b"<html>log in", "content_type": "text/html"},
    "half of the JSON": {"body": b'{"access_token": "eyJ'},
    "an array": {"body": b"[]"},
    "empty": {"body": b""},
    "empty fields": {
        "body": b'{"access_token": "", "Credentials": {"AccessKeyId": "", "AccessKeySecret": "", "SecurityToken": "",'
        b' "Expiration": ""}, "cloudAccountRoleAccessCredential": {}}'
    },
    "expired before it came": {"expiration_offset": -60},
    "another type": {"body": b"GIF89a", "content_type": "image/gif"},
}

FAIL = "AuthenticationFail"
STS_CODES = {
    f"{FAIL}.NoPermission": "no",
    f"{FAIL}.OIDCToken.AudienceNotMatch": "no",
    f"{FAIL}.OIDCToken.IssuerNotMatch": "no",
    f"{FAIL}.OIDCToken.Expired": "no",
    f"{FAIL}.OIDCToken.Invalid": "no",
    f"{FAIL}.OIDCToken.InvalidSignature": "no",
    f"{FAIL}.OIDCToken.HttpsUrlInvalid": "no",
    f"{FAIL}.OIDCToken.PublicKeyFingerprintMismatch": "no",
    f"{FAIL}.OIDCToken.IssuerConfigurationBroken": "later",
    "EntityNotExist.Role": "no",
    "InvalidParameter.RoleSessionName": "no",
    "InvalidParameter.DurationSeconds": "no",
    "InvalidParameter.PolicyGrammar": "no",
    "Throttling.User": "later",
    "Throttling.Api": "later",
    "Throttling": "later",
    "InvalidTimeStamp.Expired": "no",
    "ServiceUnavailable": "later",
    "InternalError": "later",
}
"""Every code of the reference's table (upstream-protocols.md 4.5), and whether it is a definite no."""

OAUTH_CODES = {
    "invalid_client": "no",
    "invalid_request": "no",
    "invalid_scope": "no",
    "scope_not_found": "no",
    "access_denied": "no",
    "expired_token": "no",
    "operation_denied_by_license": "no",
    "authorization_pending": "later",
    "slow_down": "later",
}
"""The codes that clients of the token endpoint know (3.2)."""

DEVELOPER_API: dict[str, tuple[Answers, str]] = {
    "401": ({"status": 401, "code": "expired_token"}, "no"),
    "403": ({"status": 403, "code": "Forbidden"}, "no"),
    "no such role": ({"status": 404, "code": "cloud_account_role_not_found"}, "no"),
    "not found": ({"status": 404, "code": "not_found"}, "no"),
    "invalid_client_credential": ({"status": 400, "code": "invalid_client_credential"}, "no"),
    "invalid_audience": ({"status": 400, "code": "invalid_audience"}, "no"),
    "licence": ({"status": 403, "code": "operation_denied_by_license"}, "no"),
    "throttled": ({"status": 400, "code": "Throttling.User"}, "later"),
    "500": ({"status": 500}, "later"),
    "502": ({"status": 502}, "later"),
    "503": ({"status": 503}, "later"),
}
"""5.3."""


# --- the story that each of them is told in ---------------------------------------------------------------------------


@dataclass
class Client:
    """One who reads all the time and knows what was issued; `refused` counts 503."""

    sidecar: Sidecar
    refused: int = 0
    least: float = 1e9

    async def reads_for(self, seconds: float) -> None:
        """Reads for so long, each answer against the promises."""
        end = self.sidecar.time.monotonic() + seconds
        while self.sidecar.time.monotonic() < end:
            await self.reads()
            await self.sidecar.time.passes(READS)

    async def reads_until_fresh(self, at_most: float) -> None:
        """Reads until the cloud's answer is there, which must be within so many seconds."""
        end = self.sidecar.time.monotonic() + at_most
        while self.sidecar.profiles.refresher("default").status.state != "fresh":
            assert self.sidecar.time.monotonic() < end, "it did not come back within one pause"
            await self.reads()
            await self.sidecar.time.passes(1)

    async def reads(self) -> None:
        had = self.ends() > self.sidecar.time.wall()
        read = await self.sidecar.read()
        assert not (had and read.waited), "promise 4: it waits though a valid credential is in memory"
        self.judge(read, self.sidecar.time.wall())

    def judge(self, read: Read, now: float) -> None:
        if read.status == 503:
            assert self.ends() <= now, "promise 3: what was issued is served to its last second"
            assert 1 <= read.retry_after <= 600
            self.refused += 1
            return
        body = json.loads(read.response.body)
        assert read.status == 200
        assert all(body[key] for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
        left = (instant(body["Expiration"]) or 0) - now
        assert left > 0, "promise 1: an Expiration in the future"
        self.least = min(self.least, left)

    def ends(self) -> float:
        """The end of the last session that was issued."""
        issued = self.sidecar.seen(Refreshed)
        return float(issued[-1].credentials.expires_at) if issued else 0.0


Switch = Callable[[Sidecar], None]


def answers(kind: str, members: Answers) -> tuple[Switch, Switch]:
    """The emulated cloud's fault, on and off."""
    fault = Fault(kind, times=None, **members)  # type: ignore[arg-type]
    return lambda sidecar: sidecar.emulator.faults.add(fault), lambda sidecar: sidecar.emulator.faults.clear()


def breaks(leg: str, happens: Break) -> tuple[Switch, Switch]:
    """A fault on the way, on and off."""
    return lambda sidecar: sidecar.broken.update({leg: happens}), lambda sidecar: sidecar.broken.clear()


def pause(verdict: str, *, served: bool) -> float:
    """Seconds, the longest pause there is, a request's whole time-out and a second look at the clock included."""
    longest = Schedule().max_retry if served else IN_NEED
    return (Schedule().permanent_retry if verdict == "no" else longest) + 30


async def lives_through(
    loaded: Loaded, cloud: Emulator, time: Time, fault: tuple[Switch, Switch], verdict: str, hint: float = 0.0
) -> Sidecar:
    """Half an hour of the fault, and 90 minutes of it, with what must follow each."""
    begin, end = fault
    async with sidecar(loaded, cloud, time) as running:
        client = Client(running)
        await client.reads_for(1_500)
        begin(running)
        before = len(running.seen(RefreshFailed))
        await client.reads_for(HALF_AN_HOUR)
        assert len(running.seen(RefreshFailed)) > before, "it did not go wrong"
        assert client.refused == 0
        end(running)
        await client.reads_until_fresh(pause(verdict, served=True) + hint)
        client.least = 1e9
        await client.reads_for(3_600)
        assert client.least >= 1_860, "promise 2"
        begin(running)
        await client.reads_for(LONGER_THAN_A_SESSION)
        assert client.refused > 100, "the fault must outlast the session, or promise 3 was not tried"
        assert (await running.read()).status == 503
        end(running)
        await client.reads_until_fresh(pause(verdict, served=False) + hint)
        await client.reads_for(READS)
        assert calls_in_any_hour(running) <= 1 + (25 if verdict == "no" else 186)
        return running


def calls_in_any_hour(running: Sidecar) -> int:
    """The largest number of failed attempts within an hour."""
    found = [event.at for event in running.heard if isinstance(event.event, RefreshFailed)]
    return max(sum(1 for at in found if start <= at < start + 3_600) for start in found)


@pytest.mark.parametrize("leg", ["token", "sts"])
@pytest.mark.parametrize("name", ON_THE_WAY)
@simulated
async def test_on_the_way(name: str, leg: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Whatever happens to the connection: served to the last second, then 503, then 200 within one pause."""
    await lives_through(loaded(), cloud, time, breaks(leg, ON_THE_WAY[name]), "later")


@pytest.mark.parametrize("leg", ["token", "sts"])
@pytest.mark.parametrize("name", NONSENSE)
@simulated
async def test_nonsense(name: str, leg: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Whatever is answered in place of a token or a session: the same."""
    hint = min(300.0, float(NONSENSE[name].get("headers", {}).get("Retry-After", 0)))
    await lives_through(loaded(), cloud, time, answers(leg, NONSENSE[name]), "later", hint)


@pytest.mark.parametrize(("code", "verdict"), STS_CODES.items())
@simulated
async def test_sts_codes(code: str, verdict: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Each error that STS documents: the same, and after a definite no it is asked at most 25 times an hour."""
    await lives_through(loaded(), cloud, time, answers("sts", {"code": code}), verdict)


@pytest.mark.parametrize(("code", "verdict"), OAUTH_CODES.items())
@simulated
async def test_oauth_codes(code: str, verdict: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Each error of the token endpoint: the same."""
    await lives_through(loaded(), cloud, time, answers("token", {"code": code}), verdict)


@pytest.mark.parametrize("name", DEVELOPER_API)
@simulated
async def test_developer_api_errors(name: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Each error of the DeveloperAPI: the same."""
    members, verdict = DEVELOPER_API[name]
    await lives_through(loaded(MANAGED), cloud, time, answers("developerapi", members), verdict)


MANAGED = configuration() | {
    "profiles": {
        "default": {
            "identity": identity(scope=PAM_SCOPE),
            "exchange": {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, "endpoint": BASE},
        }
    }
}


@simulated
async def test_the_right_answer_under_a_wrong_type(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """Some gateways call everything text/plain: what is an answer otherwise is one."""

    async def renamed(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        answer = await inner.handle_async_request(request)
        answer.headers["content-type"] = "text/plain"
        return answer

    async with sidecar(loaded(), cloud, time) as running:
        running.broken.update(token=renamed, sts=renamed)
        client = Client(running)
        await client.reads_for(LONGER_THAN_A_SESSION)

    assert client.refused == 0
    assert client.least >= 1_860


# --- one clock in the cloud is wrong ----------------------------------------------------------------------------------


def by_another_clock(time: Time, ahead: float) -> Break:
    """The true answer, from a server whose clock is ahead by so much."""

    async def happens(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
        time.cloud_ahead = ahead
        try:
            return await inner.handle_async_request(request)
        finally:
            time.cloud_ahead = 0.0

    return happens


@pytest.mark.parametrize("method", ["CLIENT_SECRET_POST", "CLIENT_SECRET_JWT"])
@pytest.mark.parametrize("ahead", [-600, 600])
@pytest.mark.parametrize("legs", [("token",), ("sts",), ("token", "sts")], ids="+".join)
@simulated
async def test_a_clock_of_the_cloud_is_wrong(
    legs: tuple[str, ...], ahead: float, method: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """Ten minutes either way, at each leg or both: nobody goes without; STS has a token of the future wait, no more."""
    future = (legs, ahead) in ((("token",), 600), (("sts",), -600))
    async with sidecar(loaded(proving_by(method)), cloud, time) as running:
        client = Client(running)
        await client.reads_for(1_500)
        running.broken.update(dict.fromkeys(legs, by_another_clock(time, ahead)))
        await client.reads_for(LONGER_THAN_A_SESSION)
        running.broken.clear()
        await client.reads_for(LONGER_THAN_A_SESSION)

    assert client.refused == 0
    assert client.least >= (1_860 - 600 if future else 1_860)
    assert bool(running.seen(RefreshFailed)) == future


def proving_by(method: str) -> dict[str, Any]:
    authentication = {"authnMethod": method, "clientSecretEnvVarName": "IDAAS_SECRET"}
    profile = {"identity": identity(authnConfiguration=authentication), "exchange": exchange()}
    return configuration() | {"profiles": {"default": profile}}


# --- a definite no about the role -------------------------------------------------------------------------------------

CHAINED = {"identity": identity(), "exchange": exchange(), "chain": [{"roleArn": CHAINED_ROLE_ARN}]}


async def refuses_the_chain(request: httpx.Request, inner: httpx.AsyncBaseTransport) -> httpx.Response:
    if request.headers.get("x-acs-action") != "AssumeRole":
        return await inner.handle_async_request(request)
    return httpx.Response(403, stream=httpx.ByteStream(b'{"Code": "NoPermission", "RequestId": "REQ-1"}'))


WITHDRAWN: dict[str, tuple[dict[str, Any], tuple[Switch, Switch]]] = {
    "trust": (configuration()["profiles"]["default"], answers("sts", {"code": f"{FAIL}.NoPermission"})),
    "role": (configuration()["profiles"]["default"], answers("sts", {"code": "EntityNotExist.Role"})),
    "chain": (CHAINED, breaks("sts", refuses_the_chain)),
    "DeveloperAPI": (MANAGED["profiles"]["default"], answers("developerapi", {"status": 403, "code": "Forbidden"})),
}


@pytest.mark.parametrize("name", WITHDRAWN)
@pytest.mark.parametrize("rule", ["stop", "serve"])
@simulated
async def test_on_denied(rule: str, name: str, loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """`stop` drops a session as soon as the role is known to be withdrawn, `serve` serves it to its end."""
    profile, (begin, end) = WITHDRAWN[name]
    config = configuration() | {"profiles": {"default": profile | {"onDenied": rule}}}
    async with sidecar(loaded(config), cloud, time) as running:
        await time.passes(100)
        begin(running)
        while not running.seen(RefreshFailed):
            await time.passes(1)
        refused, read = running.seen(RefreshFailed)[0].error, await running.read()
        dropped = running.seen(Dropped)
        end(running)
        await time.passes(pause("no", served=False))

        assert isinstance(refused, Refused)
        assert (read.status, len(dropped)) == ((503, 1) if rule == "stop" else (200, 0))
        assert (await running.read()).status == 200
        assert running.profiles.refresher("default").healthy


@pytest.mark.parametrize(
    "fault",
    [
        answers("sts", {"code": "Throttling.User"}),
        answers("sts", {"code": f"{FAIL}.OIDCToken.AudienceNotMatch"}),
        answers("sts", {"status": 403, "body": b"<html>a firewall", "content_type": "text/html"}),
        answers("token", {"code": "access_denied"}),
        breaks("sts", ON_THE_WAY["connection refused"]),
    ],
    ids=["throttled", "audience", "a firewall", "token endpoint", "unreachable"],
)
@simulated
async def test_what_withdraws_nothing(
    fault: tuple[Switch, Switch], loaded: Callable[..., Loaded], cloud: Emulator, time: Time
) -> None:
    """`stop` is for a withdrawn role alone: everything else is ridden out, to the session's last second."""
    config = configuration() | {"profiles": {"default": configuration()["profiles"]["default"] | {"onDenied": "stop"}}}
    async with sidecar(loaded(config), cloud, time) as running:
        client = Client(running)
        await client.reads_for(100)
        fault[0](running)
        await client.reads_for(3_400)

        assert client.refused == 0
        assert running.seen(RefreshFailed)
        assert running.seen(Dropped) == []


@simulated
async def test_an_issuer_a_little_ahead(loaded: Callable[..., Loaded], cloud: Emulator, time: Time) -> None:
    """A token from 3 s in STS's future is tried again then: a start is late by seconds, not by minutes."""
    async with sidecar(loaded(), cloud, time) as running:
        running.broken["token"] = by_another_clock(time, 3)
        client = Client(running)
        await client.reads_until_fresh(at_most=6)

    assert [error.error.retry_after for error in running.seen(RefreshFailed)] == [pytest.approx(3, abs=0.1)]
    assert running.emulator.totals == {"token": 1, "sts": 2}
