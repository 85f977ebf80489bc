"""The proxy for a URL: the configured one, or the one of the environment. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from .addresses import METADATA_ADDRESSES, is_loopback
from .errors import ConfigError

NO_PROXY = "none"
"""The configured value for direct connections. The proxy variables of the environment are then ignored."""


def check_proxy(url: str, place: str) -> None:
    """Raise ConfigError unless `url` is a valid proxy URL. The message never quotes it: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"{place}: not a proxy of the form http://host:port or https://host:port")


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """
    Return the proxy for requests to `url`, or None for a direct connection.

    `configured` is a proxy or NO_PROXY; None selects the proxy of the environment. Requests to loopback and metadata
    addresses never use a proxy: an identity document or a secret would leave the machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or host in METADATA_ADDRESSES:
        return None
    if configured is not None:
        return None if configured == NO_PROXY else configured
    chosen = _first(environ, f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    if chosen is None or _exempt(host, _first(environ, "no_proxy", "NO_PROXY") or ""):
        return None
    return chosen if "://" in chosen else f"http://{chosen}"


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _exempt(host: str, no_proxy: str) -> bool:
    for rule in (item.strip().lower() for item in no_proxy.split(",")):
        rule = rule if rule.count(":") != 1 else rule.partition(":")[0]
        if not rule:
            continue
        if rule == "*" or host == rule or host.endswith("." + rule.lstrip("*").lstrip(".")):
            return True
        if "/" in rule and _within(host, rule):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
