"""The wire to the cloud: one POST, bounded in time and size, foreign errors made ours.

What the other side sends is hostile until read: bodies are cut at 256 KiB, the whole exchange has one deadline, no
redirect is followed, nothing is decompressed, and an answer marked by the emulator counts only from loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from .model import ClockRead, ConfigError, Now, Observe, Unreachable
from .places import is_loopback, proxy_for

LARGEST_ANSWER = 262_144
"""Bytes; a token is at most 20 000 characters and an STS answer some 2 000."""

EMULATOR_MARK = "x-idaas-emulator"

SslContext = Callable[[], ssl.SSLContext]


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


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: to connect, to the next byte, and for everything together."""

    connect: float = 5.0
    read: float = 10.0

    @property
    def total(self) -> float:
        return self.connect + 2 * self.read


class Post(Protocol):
    """What tokens and exchange need of the wire. Raises Unreachable for everything that is no answer."""

    async def post(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply: ...


def printable(text: str) -> str:
    """`text` if it looks like a code or an id; upstream's words are not repeated otherwise."""
    return text if re.fullmatch(r"[A-Za-z0-9._:-]{0,100}", text) else "(unreadable)"


class Upstream:
    """Posts forms to the cloud. One per set of limits and trust; safe for concurrent use."""

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
        where = url.partition("?")[0]
        try:
            async with asyncio.timeout(self._total):
                return await self._exchange(url, where, fields, headers)
        except TimeoutError:
            raise Unreachable(f"{where}: no whole answer within {self._total:g} s") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{where}: {_reason(error)}") from None
        except OSError as error:
            raise Unreachable(f"{where}: {error.strerror or type(error).__name__}") from None
        except httpx.InvalidURL as error:
            raise Unreachable(f"{where}: not a usable URL: {error}") from None

    async def _exchange(
        self, url: str, where: str, fields: Mapping[str, str], headers: Mapping[str, str] | None
    ) -> Reply:
        async with self._client.stream("POST", url, data=dict(fields), headers=headers) as response:
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
            self._read_clock(response)
            return Reply(response.status_code, bytes(body), _retry_after(response.headers, self._now()))

    def _read_clock(self, response: httpx.Response) -> None:
        try:
            instant = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError, OverflowError, TypeError):
            return
        # A Date is cut to whole seconds: half a second is its mean error.
        self._observe(ClockRead(instant + 0.5 - self._now()))

    async def aclose(self) -> None:
        await self._client.aclose()


class Routes(httpx.AsyncBaseTransport):
    """Real connections, each through the proxy that `proxy_for` names for its URL, opened when first needed."""

    def __init__(self, *, configured: str | None, environ: Mapping[str, str], context: SslContext) -> None:
        self._configured = configured
        self._environ = environ
        self._context = context
        self._open: dict[tuple[str | None, bool], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = proxy_for(str(request.url), self._configured, self._environ)
        secure = request.url.scheme == "https" or bool(proxy and proxy.startswith("https:"))
        transport = self._open.get((proxy, secure))
        if transport is None:
            # Without TLS no trust store is read: it is 20 to 60 ms and a mebibyte.
            verify = await asyncio.to_thread(self._context) if secure else False
            transport = self._open.setdefault(
                (proxy, secure), httpx.AsyncHTTPTransport(verify=verify, proxy=proxy, trust_env=False)
            )
        try:
            return await transport.handle_async_request(request)
        except httpx.TransportError as error:
            if proxy is None:
                raise
            parts = urlsplit(proxy)  # its name and port alone: a proxy's URL may hold a password
            if isinstance(error, httpx.ProtocolError):
                raise
            raise type(error)(f"{error} (through the proxy {parts.hostname}:{parts.port})".lstrip()) from None

    async def aclose(self) -> None:
        for transport in self._open.values():
            await transport.aclose()


def ssl_context(ca_file: str | None, environ: Mapping[str, str], *, verify: bool = True) -> ssl.SSLContext:
    """
    Trust for upstream calls: `ca_file`, else $SSL_CERT_FILE, else the system's store, else certifi's.

    Raises ConfigError where a named file cannot be used.
    """
    if not verify:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    named, place = (ca_file, "tls.caFile") if ca_file else (environ.get("SSL_CERT_FILE"), "SSL_CERT_FILE")
    if not named:
        paths = ssl.get_default_verify_paths()
        if paths.cafile or paths.capath:
            return ssl.create_default_context()
        import certifi  # a system without a store of its own

        return ssl.create_default_context(cafile=certifi.where())
    try:
        return ssl.create_default_context(cafile=named)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{place}: {named}: no usable PEM bundle: {error.strerror or error}") from None


def _refuse_emulator_from_afar(response: httpx.Response, where: str) -> None:
    # An emulator that somebody put in the cloud's place would hand out keys that are none: loopback or not at all.
    if EMULATOR_MARK in response.headers and not is_loopback(response.request.url.host):
        raise Unreachable(f"{where}: an emulator's answer from an address that is not loopback; refused")


def _retry_after(headers: httpx.Headers, now: float) -> float | None:
    """Seconds asked for by Retry-After (seconds or a date) or by Alibaba's x-acs-retry-after (milliseconds)."""
    milliseconds = headers.get("x-acs-retry-after", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return int(milliseconds[:9]) / 1000
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
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
