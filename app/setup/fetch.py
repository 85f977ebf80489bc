"""One JSON object from an https URL, bounded in time and size. A redirect is refused, as any status but 200."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from ..core.errors import ConfigError, Refused, Unreachable
from ..system.json_file import LARGEST, parse_object

TIMEOUT_SECONDS = 10.0


def json_object(url: str, ca_file: str | None) -> dict[str, Any]:
    """
    Return the object. Without the proxies of the environment, because the issuer is checked from outside.

    Raises Unreachable, Refused for a status that is not 200, and ConfigError for text that is not a JSON object.
    """
    try:
        verify = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"SSL_CERT_FILE: {ca_file}: {error.strerror or error}", error_code="IDS-115") from None
    try:
        with (
            httpx.Client(verify=verify, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                status = response.status_code
                message = f"{url}: HTTP {status}; publish the document there for everyone"
                raise Refused(message, status=status, code=str(status))
            body = b""
            for part in response.iter_bytes(65536):
                body += part
                if len(body) > LARGEST:
                    raise ConfigError(
                        f"{url}: larger than {LARGEST} bytes; publish the document alone", error_code="IDS-208"
                    )
    except httpx.HTTPError as error:
        raise Unreachable(f"{url}: {error or type(error).__name__}") from None
    return parse_object(body, url)
