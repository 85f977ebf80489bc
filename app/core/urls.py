"""Checks and display of server URLs. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from .addresses import authority, is_host_name, is_loopback
from .display import shown_url
from .errors import ConfigError

_NO_URL = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]|%(?![0-9A-Fa-f]{2})")
"""What a URL cannot have (RFC 3986): other characters, and a per cent sign without two hexadecimal digits."""

LONGEST_SHOWN = 200
"""The maximum length in characters of a wrong URL in a message."""

ASCII_FORM = "write the host name in its ASCII form, with xn--"


def refused_character(url: str) -> str:
    """Return the first character that no URL can have, such as a backslash, a space or a homograph; empty if none."""
    found = _NO_URL.search(url)
    return found[0] if found else ""


def check_characters(url: str, place: str) -> None:
    """Raise ConfigError if a URL has a character that no URL can have."""
    wrong = refused_character(url)
    if wrong:
        # The ASCII form is not computed here: that of a homograph would be another company's name.
        in_name = wrong.isalpha() and wrong in url.partition("://")[2].partition("/")[0]
        raise ConfigError(
            f"{place}: {_shown(url)} has {wrong!r}, which a URL cannot have",
            cure=f"copy the URL again from its source{f', or {ASCII_FORM}' if in_name else ''}",
            error_code="IDS-112",
        )


def _shown(url: str) -> str:
    """Return a wrong URL, cut for a message. A value may have kilobytes, and several messages may repeat it."""
    text = shown_url(url)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…")


def is_server(host: str) -> bool:
    """Return whether a URL's host, without brackets, is an IP address without a zone, or a name that DNS can have."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return is_host_name(host)
    return not isinstance(address, ipaddress.IPv6Address) or address.scope_id is None


def is_readable(url: str) -> bool:
    """Return whether host and port of a URL can be read. Python's parser raises ValueError for others."""
    return _parsed(url) is not None


def _parsed(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for an invalid port
    except ValueError:
        return None
    return parts


def token_endpoint(url: str, place: str) -> str:
    """
    Return `url` if it is an `endpoint`, which may have a query (RFC 6749 3.2). Raises ConfigError.

    Azure AD B2C names the policy in the query.
    """
    plain, mark, query = url.partition("?")
    if not query or "#" in query or refused_character(url):
        return endpoint(url, place)
    return f"{endpoint(plain, place)}{mark}{query}"


def endpoint(url: str, place: str) -> str:
    """Return `url` if it is an https URL, or an http URL of a loopback host. Raises ConfigError."""
    parts = _split(url, place)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigError(
            f"{place}: {_shown(url)} would send secrets in clear",
            cure="use https:// (http is for loopback hosts only)",
            error_code="IDS-112",
        )
    if "?" in url or "#" in url:  # also an empty query or fragment: an issuer is compared character by character
        raise ConfigError(
            f"{place}: {_shown(url)} has a query or a fragment",
            cure="write the URL as https://host/path",
            error_code="IDS-112",
        )
    return url


def server_of(url: str) -> str:
    """Return host and port of a URL: the name of the server for its requests, clock and places."""
    parts = urlsplit(url)
    return authority(parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))


def sdk_endpoint(url: str) -> str:
    """
    Return `url` as the IDaaS SDK reads it, with https in place of a missing scheme or of http.

    Unlike in the SDK, http is kept for a loopback host.
    """
    if "://" not in url:
        return f"https://{url}"
    scheme, _, rest = url.partition("://")
    host = re.match(r"\[([^\]]*)\]|([^:/?#]*)", rest)
    kept = scheme != "http" or (host is not None and is_loopback(host[1] or host[2] or ""))
    return url if kept else f"https://{rest}"


def http_authority(url: str, place: str) -> tuple[str, int] | None:
    """Return host and port of an http URL without path and query, else None. Raises ConfigError if it is not a URL."""
    parts = _split(url, place)
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.hostname or "", parts.port or 80


def api_endpoint(text: str, place: str) -> str:
    """Return scheme and authority of a host or URL, as the SDKs read an API endpoint. Raises ConfigError."""
    parts = urlsplit(endpoint(text if "://" in text else f"https://{text}", place))
    return f"{parts.scheme}://{parts.netloc}"


def _split(url: str, place: str) -> SplitResult:
    parts = _parsed(url)
    if parts is None or parts.port == 0:  # not in the words of urlsplit, which quote parts of the URL
        raise ConfigError(
            f"{place}: {_shown(url)} is not a URL: the host or the port is not valid", error_code="IDS-112"
        )
    if parts.username is not None:
        raise ConfigError(
            f"{place}: the URL contains a user name or password",
            cure="remove both from the URL",
            error_code="IDS-112",
        )
    check_characters(url, place)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{place}: {_shown(url)} is not a URL of the form https://host/path", error_code="IDS-112")
    if not is_server(parts.hostname):
        raise ConfigError(
            f"{place}: {_shown(url)} has a host that is neither a valid DNS name nor an address",
            cure="correct the host: labels of 1 to 63 letters, digits and hyphens; "
            "an address in its usual form, such as 192.0.2.1, without a zone",
            error_code="IDS-112",
        )
    return parts
