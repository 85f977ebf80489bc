"""The proxy for a URL, from the configuration or from the environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from .addresses import stays_here
from .errors import ConfigError
from .no_proxy import exempt
from .urls import ASCII_FORM, is_server, refused_character

NO_PROXY = "none"
"""The configured value for direct connections. The proxy variables of the environment are then ignored."""

_FORM = "not a proxy of the form http://host:port or https://host:port"


def check_proxy(url: str, place: str) -> None:
    """Raise ConfigError unless `url` is a valid proxy URL. The message never quotes the URL: it may hold a password."""
    cause, cure = _wrong(url)
    if cause:
        raise ConfigError(f"{place}: {cause}", cure=cure, error_code="IDS-112")


def _wrong(url: str) -> tuple[str, str]:
    """Return what is wrong with a proxy's URL, and the cure; two empty texts for a valid URL."""
    if url != url.strip():
        return "white space at an end of the proxy's URL", "remove it, also from a variable's value"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        valid = parts.port != 0  # reading it raises ValueError for an invalid port
    except ValueError:
        return _FORM, "write an IPv6 address in brackets, and a port of 1 to 65535"
    if parts.scheme.startswith("socks"):
        return "a SOCKS proxy, which is not supported", "name an HTTP proxy: http://host:port"
    if not host.isascii():
        return "the proxy's name has letters outside ASCII", ASCII_FORM
    alone = parts.path in ("", "/") and not parts.query and not parts.fragment
    clean = not refused_character(parts.netloc.rpartition("@")[2]) and is_server(host)
    good = parts.scheme in ("http", "https") and valid and alone and clean
    return ("", "") if good else (_FORM, "")


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy for requests to `url`, or None for a direct connection.

    `configured` is a proxy or NO_PROXY; None selects the proxy of the environment. Requests to loopback and metadata
    addresses never use a proxy, in any spelling: an identity document or a secret would leave the machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if stays_here(host):
        return None
    if configured is not None:
        return None if configured == NO_PROXY else configured
    port = parts.port or (80 if parts.scheme == "http" else 443)
    variable = proxy_variable(url, environ)
    if variable is None or exempt(host, port, no_proxy(environ)):
        return None
    chosen = environ[variable].strip()  # a variable from a file has the file's line end
    return chosen if "://" in chosen else f"http://{chosen}"


def proxy_variable(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable with the proxy for `url`, or None. Lower case comes first, as in curl."""
    scheme = urlsplit(url).scheme
    return _first(environ, f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")


def no_proxy(environ: Mapping[str, str]) -> str:
    """Return the value of NO_PROXY. Lower case comes first, as in curl."""
    variable = _first(environ, "no_proxy", "NO_PROXY")
    return environ[variable] if variable else ""


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    """Return the first variable with a value. An empty value counts as none, so that one can be set to nothing."""
    return next((name for name in names if environ.get(name, "").strip()), None)
