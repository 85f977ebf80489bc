"""The wire to the cloud: one request, bounded in time and size, foreign errors made ours.

What the other side sends is hostile until read: bodies are cut at 256 KiB, the whole exchange has one deadline, no
redirect is followed, nothing is decompressed, and an answer marked by the emulator counts only from loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from ..core.addresses import is_private, proxy_for
from ..core.model import ClockRead, Now, Observe, Unreachable
from .tls import Trust

LARGEST_ANSWER = 262_144
"""Bytes; a token is at most 20 000 characters and an STS answer some 2 000."""

EMULATOR_MARK = "x-idaas-emulator"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. The body is hidden in `repr`: it may hold a credential."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None

    def members(self, where: str) -> dict[str, Any]:
        """The body as a JSON object. Raises Unreachable, which shows the body's kind and size but not its text."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreachable(f"{where}: HTTP {self.status} with {_kind(self.body)} where JSON belongs") from None
        if not isinstance(value, dict):
            raise Unreachable(f"{where}: HTTP {self.status} with a JSON {type(value).__name__} where an object belongs")
        return value

    def text(self, where: str) -> str:
        """The body as ASCII text, white space around it trimmed. Raises Unreachable where it is none."""
        try:
            value = self.body.decode("ascii").strip()
        except UnicodeDecodeError:
            raise Unreachable(f"{where}: HTTP {self.status} with {_kind(self.body)} where text belongs") from None
        if not value:
            raise Unreachable(f"{where}: HTTP {self.status} with an empty body")
        return value


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, to the next byte, and for everything together."""

    connect: float = 5.0
    read: float = 10.0

    @property
    def total(self) -> float:
        return self.connect + 2 * self.read


class Post(Protocol):
    """What token endpoints and STS need of the wire. Raises Unreachable for everything that is no answer."""

    async def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply: ...


class Get(Protocol):
    """What discovery and the DeveloperAPI need of the wire. Raises Unreachable for everything that is no answer."""

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply: ...


class GetPut(Get, Protocol):
    """What the metadata service needs of the wire."""

    async def put(self, url: str, headers: Mapping[str, str]) -> Reply: ...


def printable(text: str) -> str:
    """`text` if it looks like a code or an id, and not like a token; upstream's words are not repeated otherwise."""
    return text if re.fullmatch(r"(?!eyJ)[A-Za-z0-9._:-]{0,64}", text) else "(unreadable)"


class Upstream:
    """Asks the cloud. One per set of limits and trust; safe for concurrent use."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, limits: Limits, now: Now, observe: Observe) -> None:
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,  # proxies and trust come through the transport, never unseen from the environment
            follow_redirects=False,
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "idaas-credential-sidecar",
            },
        )
        self._total = limits.total
        self._now = now
        self._observe = observe

    async def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to a form POST, whatever its status. Raises Unreachable for everything that is no answer."""
        return await self._ask("POST", url, headers, dict(fields))

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to a GET, as `post` gives it."""
        return await self._ask("GET", url, headers)

    async def put(self, url: str, headers: Mapping[str, str]) -> Reply:
        """The answer to a PUT without a body, as `post` gives it."""
        return await self._ask("PUT", url, headers)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None, fields: dict[str, str] | None = None
    ) -> Reply:
        where = url.partition("?")[0]
        try:
            async with asyncio.timeout(self._total):
                return await self._exchange(method, url, where, headers, fields)
        except TimeoutError:
            raise Unreachable(f"{where}: no whole answer within {self._total:g} s") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{where}: {_reason(error)}") from None
        except OSError as error:
            raise Unreachable(f"{where}: {error.strerror or type(error).__name__}") from None
        except httpx.InvalidURL as error:
            raise Unreachable(f"{where}: not a usable URL: {error}") from None
        except UnicodeEncodeError:  # what is sent came from outside too: a role's name, a token, a key
            raise Unreachable(f"{where}: a key, token or name to send there is not ASCII, so it is none") from None

    async def _exchange(
        self, method: str, url: str, where: str, headers: Mapping[str, str] | None, fields: dict[str, str] | None
    ) -> Reply:
        async with self._client.stream(method, url, data=fields, headers=headers) as response:
            _refuse_emulator_from_afar(response, where)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise Unreachable(f"{where}: a compressed answer that nobody asked for")
            if 300 <= response.status_code < 400:
                raise Unreachable(
                    f"{where}: HTTP {response.status_code}, a redirect, which is not followed; configure the final URL"
                )
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise Unreachable(f"{where}: an answer of more than {LARGEST_ANSWER} bytes")
            told = _instant(response.headers.get("date", ""))
            if told is not None:
                # A Date is cut to whole seconds: half a second is its mean error.
                self._observe(ClockRead(told + 0.5 - self._now()))
            now = self._now() if told is None else told
            return Reply(response.status_code, bytes(body), _retry_after(response.headers, now))

    async def aclose(self) -> None:
        await self._client.aclose()


class Routes(httpx.AsyncBaseTransport):
    """
    Real connections, each through the proxy that `proxy_for` names for its URL, opened when first needed.

    `proxy`: this leg's own, `places.NO_PROXY` for none at all, None for what the environment says. Connections are
    made anew when `trust` has changed.
    """

    def __init__(self, *, proxy: str | None, environ: Mapping[str, str], trust: Trust) -> None:
        self._proxy = proxy
        self._environ = environ
        self._trust = trust
        self._open: dict[tuple[str | None, Hashable], httpx.AsyncHTTPTransport] = {}
        self._aside: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url), self._proxy, self._environ)
        transport = await self._transport(proxy, secure=_secure(request.url.scheme, proxy))
        try:
            return await transport.handle_async_request(request)
        except httpx.TransportError as error:
            if proxy is None:
                raise
            parts = urlsplit(proxy)  # its name and port alone: a proxy's URL may hold a password
            if isinstance(error, httpx.ProtocolError):
                raise
            raise type(error)(f"{error} (through the proxy {parts.hostname}:{parts.port})".lstrip()) from None

    async def _transport(self, proxy: str | None, *, secure: bool) -> httpx.AsyncHTTPTransport:
        # Without TLS no trust store is read: it is 20 to 60 ms and a mebibyte.
        version = await asyncio.to_thread(self._trust.version) if secure else None
        transport = self._open.get((proxy, version))
        if transport is None:
            verify = await asyncio.to_thread(self._trust.context) if secure else False
            transport = httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, trust_env=False)
            await self._retire(proxy)
            self._open[proxy, version] = transport
        return transport

    async def _retire(self, proxy: str | None) -> None:
        """Sets the transport with the files of before aside; a request may be under way on it, so it closes later."""
        gone, self._aside = self._aside, []
        for key in [key for key in self._open if key[0] == proxy and key[1] is not None]:
            self._aside.append(self._open.pop(key))
        for transport in gone:
            await transport.aclose()

    async def aclose(self) -> None:
        for transport in (*self._open.values(), *self._aside):
            await transport.aclose()


def _secure(scheme: str, proxy: str | None) -> bool:
    return scheme == "https" or bool(proxy and proxy.startswith("https:"))


def _refuse_emulator_from_afar(response: httpx.Response, where: str) -> None:
    # An emulator that somebody put in the cloud's place would hand out keys that are none: loopback or not at all.
    if EMULATOR_MARK in response.headers and not is_private(response.request.url.host):
        raise Unreachable(f"{where}: an emulator's answer from an address that is not this machine's; refused")


def _retry_after(headers: httpx.Headers, now: float) -> float | None:
    """Seconds asked for by Retry-After (or a date, by its clock, `now`) or by Alibaba's x-acs-retry-after (ms)."""
    milliseconds = headers.get("x-acs-retry-after", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return int(milliseconds[:9]) / 1000
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _instant(value)
    return max(0.0, until - now) if until is not None else None


def _instant(text: str) -> float | None:
    """An HTTP date as seconds since the epoch, or None."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _reason(error: httpx.HTTPError) -> str:
    """What went wrong on the wire, in words; httpx leaves many messages empty."""
    if isinstance(error, httpx.ConnectTimeout):
        return "could not connect in time"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        cure = "; name its CA with tls.caFile" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        return f"could not connect: {error}{cure}" if str(error) else "could not connect"
    if isinstance(error, httpx.ProxyError):
        number = re.match(r"[0-9]{3}\b", str(error))
        return f"the proxy refused: {number[0] if number else 'it did not say why'}"
    return type(error).__name__  # a protocol error's text quotes what the other side sent


def _kind(body: bytes) -> str:
    if not body:
        return "an empty body"
    if body.lstrip()[:1] == b"<":
        return f"{len(body)} bytes of HTML or XML"
    return f"{len(body)} bytes of something else"
