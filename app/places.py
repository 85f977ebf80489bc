"""Where one talks to and listens: addresses and URLs, checked and chosen. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from .model import ConfigError

METADATA_ADDRESSES = frozenset({"100.100.100.200", "169.254.169.254"})
"""Instance metadata services; a request to one must never leave through a proxy."""

_GLOBAL_STS = frozenset({"ap-south-1", "ap-southeast-2", "cn-beijing-gov-1"})
"""Regions that the STS SDK's own table sends to the global endpoint."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def is_loopback(host: str) -> bool:
    """Whether `host` (no port, no brackets) is this machine by its very form; nothing is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_address(text: str, place: str) -> tuple[str, int]:
    """`127.0.0.1:7117` or `[::1]:7117` as host and port. Raises ConfigError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"{place}: {text!r} is not <IP address>:<port>, such as 127.0.0.1:7117")
    host = match["v6"] or match["v4"]
    if host == "localhost":
        return "127.0.0.1", int(match["port"])
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"{place}: {host!r} is not an IP address; names are not resolved to listen") from None
    return host, int(match["port"])


def authority(host: str, port: int) -> str:
    """Host and port as a URL writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def endpoint(url: str, place: str) -> str:
    """`url` if it is an https URL, or an http one of a loopback host. Raises ConfigError."""
    parts = _split(url, place)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigError(f"{place}: {url!r} would send secrets in clear; use https:// (http is kept for loopback)")
    return url


def sdk_endpoint(url: str, place: str) -> str:
    """`url` as the IDaaS SDK reads it: https is added where no scheme stands, and put for http except on loopback."""
    if "://" not in url:
        url = "https://" + url
    parts = _split(url, place)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "https://" + url.split("://", 1)[1]
    return url


def _split(url: str, place: str):  # type: ignore[no-untyped-def]  # urllib's own result type is private by name
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises on a port that is none
    except ValueError as error:
        raise ConfigError(f"{place}: {url!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or url != url.strip():
        raise ConfigError(f"{place}: {url!r} is not a URL of the form https://host/path")
    return parts


def sts_endpoints(*, region: str | None, vpc: bool, explicit: list[str] | None, place: str) -> tuple[str, ...]:
    """The STS URLs to try, in order: the explicit ones, else the region's, else the global one."""
    if explicit is not None:
        if not explicit:
            raise ConfigError(f"{place}.endpoints: empty; name one, or leave the key out for the region's own")
        return tuple(
            endpoint(url if "://" in url else f"https://{url}", f"{place}.endpoints[{index}]").rstrip("/")
            for index, url in enumerate(explicit)
        )
    if region is None:
        if vpc:
            raise ConfigError(f"{place}.vpc: needs regionId; a VPC endpoint belongs to one region")
        return ("https://sts.aliyuncs.com",)
    if not re.fullmatch(r"[a-z0-9-]{2,40}", region):
        raise ConfigError(f"{place}.regionId: {region!r} is not a region's id, such as cn-hangzhou")
    if region in _GLOBAL_STS and not vpc:
        return ("https://sts.aliyuncs.com",)
    # The finance cloud shares its region's STS (ack-ram-tool maps cn-hangzhou-finance so).
    return (f"https://{'sts-vpc' if vpc else 'sts'}.{region.removesuffix('-finance')}.aliyuncs.com",)


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """
    The proxy through which to reach `url`, or None.

    Loopback and metadata addresses are never proxied: an identity document or a secret would leave the machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or host in METADATA_ADDRESSES:
        return None
    if configured is not None:
        return configured
    chosen = _first(environ, f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    if chosen is None or _exempt(host, _first(environ, "no_proxy", "NO_PROXY") or ""):
        return None
    return chosen if "://" in chosen else f"http://{chosen}"


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def _exempt(host: str, no_proxy: str) -> bool:
    for rule in (item.strip().lower() for item in no_proxy.split(",")):
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
