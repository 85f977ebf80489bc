"""Reads one JSON object from an https URL, with bounds for time and size. Any status but 200 is refused."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx

from ..core.errors import ConfigError, Refused, Unreachable
from ..system.json_file import LARGEST, parse_object
from ..upstream.plain_answers import plain
from .ca_file import trusting

TIMEOUT_SECONDS = 10.0
"""Seconds for the whole answer: a server that sends single bytes slowly must not delay the command for long."""


def json_object(url: str, ca_file: str | None, seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """
    Return the object. Ignores the proxies of the environment, because the issuer is checked from outside.

    `seconds`: the time limit for the whole answer.
    Raises Unreachable, Refused for a status other than 200, and ConfigError for text that is not a JSON object.
    """
    verify = trusting(ca_file)
    try:
        body = asyncio.run(_body(url, verify, seconds))
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: a label of the host is empty or too long
        raise ConfigError(f"{url!r}: not a URL", cure="correct the URL", error_code="IDS-112") from None
    except TimeoutError:
        raise Unreachable(f"{url}: no whole answer within {seconds:g} s") from None
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}: {error or 'the connection broke off'}") from None
    return parse_object(body, url)


async def _body(url: str, verify: ssl.SSLContext, seconds: float) -> bytes:
    async with (
        asyncio.timeout(seconds),
        httpx.AsyncClient(verify=verify, trust_env=False, timeout=seconds, **plain()) as client,
        client.stream("GET", url) as response,
    ):
        if response.status_code != 200:
            status = response.status_code
            cure = "publish the document there for everyone"
            raise Refused(f"{url}: HTTP {status}", status=status, code=str(status), cure=cure)
        body = bytearray()
        async for part in response.aiter_bytes(65536):
            body += part
            if len(body) > LARGEST:
                raise ConfigError(
                    f"{url}: larger than {LARGEST} bytes", cure="publish the document alone", error_code="IDS-208"
                )
        return bytes(body)
