"""One request to the cloud, bounded in time and size; every failure becomes Unreachable.

The answer may be hostile. So a body ends at 256 KiB, the exchange has one deadline, and no redirect is followed. Only
the beginning of an error's body is decompressed. An answer with the emulator's mark is accepted only from
loopback.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import httpx

from ..core.addresses import authority, bracketed, is_private
from ..core.errors import Unreachable
from ..core.events import ClockRead, Observe
from ..core.record import Record
from ..core.text import quoted
from ..core.urls import server_of
from ..core.values import Now
from .answers.error_body import compression, in_utf8, unpacked
from .answers.retry_after import instant, retry_after
from .connections.bounded import CLOSED, Ended, TooMuch
from .connections.transport import PROXY
from .failures.error_codes import error_code
from .failures.reasons import describe
from .plain_answers import charset_of, is_redirect, location_of, plain
from .redaction import redacted, secrets_of
from .response import UpstreamResponse

LARGEST_ANSWER = 262_144
"""The most bytes of a body. A token has at most 20,000 characters, and an STS answer some 2,000."""

EMULATOR_HEADER = "x-idaas-emulator"

REQUEST_ID_HEADERS = (
    *("x-acs-request-id", "x-ms-request-id", "x-okta-request-id", "x-request-id", "x-correlation-id", "request-id"),
    *("x-auth0-requestid", "x-github-request-id", "correlation-id"),
    *("x-amzn-requestid", "x-amz-apigw-id", "eagleeye-traceid", "x-b3-traceid", "x-trace-id", "cf-ray", "x-amz-cf-id"),
)
"""
Headers with the request id, for an answer whose body has none: of Alibaba Cloud, Entra, Okta, Auth0, GitHub, PingOne,
gateways and CDNs.
"""


class Limits(Record, frozen=True):
    """Time limits in seconds: to connect, to the next byte, and for the whole exchange."""

    connect: float = 5.0
    read: float = 10.0

    @property
    def total(self) -> float:
        return self.connect + 2 * self.read


class UpstreamClient:
    """Sends requests to the cloud. Use one client per set of limits and trust; it is safe for concurrent use."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *, limits: Limits, now: Now, observe: Observe) -> None:
        self._client = httpx.AsyncClient(
            transport=transport,
            trust_env=False,  # proxies and trust come only from the transport, never implicitly from the environment
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "idaas-credential-sidecar",
            },
            **plain(),
        )
        self._total = limits.total
        self._now = now
        self._observe = observe

    async def post(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> UpstreamResponse:
        """Return the answer to a form POST with any status. Raises Unreachable if no complete answer arrives."""
        return await self._request("POST", url, headers, dict(fields))

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> UpstreamResponse:
        """Return the answer to a GET, as `post` does."""
        return await self._request("GET", url, headers)

    async def put(self, url: str, headers: Mapping[str, str]) -> UpstreamResponse:
        """Return the answer to a PUT without a body, as `post` does."""
        return await self._request("PUT", url, headers)

    async def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None, fields: dict[str, str] | None = None
    ) -> UpstreamResponse:
        where = url.partition("?")[0]
        try:
            return await self._send(method, url, where, headers, fields)
        except Unreachable as error:
            raise error.with_members(endpoint=where) from None

    async def _send(
        self,
        method: str,
        url: str,
        where: str,
        headers: Mapping[str, str] | None,
        fields: dict[str, str] | None,
    ) -> UpstreamResponse:
        try:
            request = self._client.build_request(method, url, data=fields, headers=headers)
            async with asyncio.timeout(self._total):
                return await self._exchange(request, where, secrets_of(fields or {}, headers or {}))
        except TimeoutError:
            raise Unreachable(f"{where}: no complete answer within {self._total:g} s", error_code="IDS-206") from None
        except TooMuch as error:
            raise Unreachable(f"{where}: {error}", error_code="IDS-208") from None
        except httpx.LocalProtocolError:  # a header that cannot be sent; the server has said nothing
            raise Unreachable(
                f"{where}: a key, token or name to send there has a character that HTTP does not allow",
                error_code="IDS-218",
            ) from None
        except (httpx.HTTPError, OSError) as error:
            proxy = request.extensions.get(PROXY)
            raise Unreachable(
                describe(error, request.url.host, proxy).at(where), error_code=error_code(error, proxy)
            ) from None
        except httpx.InvalidURL as error:
            raise Unreachable(f"{where}: not a usable URL: {error}", error_code="IDS-112") from None
        except UnicodeEncodeError:  # values of the request come from outside, too: a role's name, a token, a key
            raise Unreachable(
                f"{where}: a key, token or name to send there is not ASCII, so it is invalid", error_code="IDS-218"
            ) from None
        except UnicodeError:  # an issuer's document names a host with an invalid xn-- label
            raise Unreachable(f"{where}: not a usable URL: its host name is not valid", error_code="IDS-112") from None

    async def _exchange(self, request: httpx.Request, where: str, sent: tuple[str, ...]) -> UpstreamResponse:
        response = await self._client.send(request, stream=True)
        try:
            _refuse_remote_emulator(response, where)
            failed = response.status_code >= 400
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            compressed = encoding != "identity"
            if compressed and not failed:
                raise Unreachable(f"{where}: an answer {compression(encoding)}", error_code="IDS-208")
            if 300 <= response.status_code < 400:
                raise _redirect(response, where, sent)
            body = await _body(response, where, cut=failed)
            if compressed:
                body = unpacked(body, encoding)
                compressed = not body
            if failed:
                body = in_utf8(body, charset_of(response))
            date = _date(response.headers)
            if date is not None:
                # A Date is cut to whole seconds, so its mean error is half a second.
                self._observe(ClockRead(server_of(where), date + 0.5 - self._now()))
            now = self._now() if date is None else date
            return UpstreamResponse(
                response.status_code,
                body,
                retry_after(response.headers, now),
                next(filter(None, map(response.headers.get, REQUEST_ID_HEADERS)), ""),
                sent,
                encoding if compressed else "",
                response.headers.get("www-authenticate", ""),
            )
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()


async def _body(response: httpx.Response, where: str, *, cut: bool) -> bytes:
    """Return the body. Raises Unreachable above LARGEST_ANSWER; with `cut`, as for an error, the rest is not read."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                if cut:
                    return bytes(body[:LARGEST_ANSWER])
                raise Unreachable(f"{where}: an answer of more than {LARGEST_ANSWER} bytes", error_code="IDS-208")
    except httpx.RemoteProtocolError as error:
        stream = response.extensions.get("network_stream")
        if stream is not None and stream.get_extra_info(CLOSED):
            raise httpx.RemoteProtocolError("") from Ended(begun=True)
        raise error from None
    return bytes(body)


def _refuse_remote_emulator(response: httpx.Response, where: str) -> None:
    # An emulator in place of the cloud would issue invalid keys, so its answers are accepted only from loopback.
    if EMULATOR_HEADER in response.headers and not is_private(response.request.url.host):
        raise Unreachable(
            f"{where}: an emulator's answer from an address that is not this machine's; refused", error_code="IDS-217"
        )


def _redirect(response: httpx.Response, where: str, sent: tuple[str, ...]) -> Unreachable:
    """Return the error of an answer with a 3xx status. A target elsewhere may be the page of a captive portal."""
    cure = "configure the final URL"
    if is_redirect(response) and not _is_url(location_of(response) or ""):
        return Unreachable(f"{where}: a redirect to an invalid URL", cure=cure, error_code="IDS-208")
    target = _target(response, sent)
    said, own = urlsplit(target.removeprefix("Location: ")).hostname, response.request.url.host
    if said is not None and said.split(".")[-2:] != own.split(".")[-2:]:
        cure += ", or sign in from this machine where a gateway or captive portal answers"
    what = "a redirect, which is not followed" if is_redirect(response) else "which is no answer of an API"
    return Unreachable(
        f"{where}: HTTP {response.status_code}, {what}",
        cure=cure if is_redirect(response) else "",
        cloud_message=target,
        error_code="IDS-208",
    )


def _is_url(location: str) -> bool:
    """Return whether a redirect's target is a URL, or part of one."""
    try:
        httpx.URL(location).host  # noqa: B018 - raises UnicodeError, a ValueError, for an invalid xn-- label
    except (httpx.InvalidURL, ValueError):
        return False
    return True


_TARGET = re.compile(r"https?://(?!.*eyJ)[A-Za-z0-9.:\[\]-]+[A-Za-z0-9._~/-]*")
"""A URL whose path holds plain names and no JWT."""


def _target(response: httpx.Response, sent: tuple[str, ...]) -> str:
    """
    Return `Location: ` and a redirect's URL without login and query, which may hold secrets; "" without a URL.

    A URL with a secret of the request, `sent`, is left out.
    """
    try:
        location = location_of(response) or ""
        parts = urlsplit(urljoin(str(response.request.url), location))
        host = authority(parts.hostname or "", parts.port) if parts.port else bracketed(parts.hostname or "")
    except ValueError:
        return ""
    target = f"{parts.scheme}://{host}{parts.path}"
    known = bool(location) and _TARGET.fullmatch(target) is not None and redacted(target, sent) == target
    return f"Location: {quoted(target)}" if known else ""


def _date(headers: httpx.Headers) -> float | None:
    """Return the server's time by its Date, and by Age if the answer comes from a cache; or None."""
    date, age = instant(headers.get("date", "")), headers.get("age", "0").strip()
    if date is None or not (age.isascii() and age.isdigit()):
        return None
    return date + float(age[:9])
