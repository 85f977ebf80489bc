"""Where one talks to and listens: addresses and URLs, checked and chosen. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from .model import ConfigError

METADATA_ADDRESSES = frozenset({"100.100.100.200", "169.254.169.254"})
"""Instance metadata services; a request to one must never leave through a proxy."""

NO_PROXY = "none"
"""Configured in a proxy's place: this leg goes straight there, whatever the environment says."""

_GLOBAL_STS = frozenset({"ap-south-1", "ap-southeast-2", "cn-beijing-gov-1"})
"""Regions that the STS SDK's own table sends to the global endpoint."""

_DEVELOPER_API_VPC = {
    "cn-hangzhou": "cn",
    "cn-hongkong": "hk",
    "ap-southeast-1": "sg",
    "ap-southeast-5": "jk",
    "ap-northeast-2": "sel",
    "eu-central-1": "eu",
}
"""Regions of IDaaS and how their VPC hosts abbreviate them (DOC api-eiam-developerapi-2022-02-25-endpoint)."""

_URL = re.compile(r"[!-~]+")
"""What a URL is written with: visible ASCII, so nothing invisible and no homograph."""

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def is_loopback(host: str) -> bool:
    """Whether `host` (no port, no brackets) is this machine by its very form; nothing is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether nobody but this machine reaches what listens on `host`: loopback, or the ECS metadata address."""
    return is_loopback(host) or host == "100.100.100.200"


def is_host(text: str) -> bool:
    """Whether `text` is the host part of a Host header: a name, an IPv4 address, or an IPv6 one in brackets."""
    return re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text) is not None


def overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two listeners cannot both have their addresses: one port, and one host or a wildcard."""
    hosts = {one[0], other[0]}
    same_family = (":" in one[0]) == (":" in other[0])
    return one[1] == other[1] != 0 and (len(hosts) == 1 or (same_family and bool(hosts & {"0.0.0.0", "::"})))  # noqa: S104


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
    if parts.query or parts.fragment:
        raise ConfigError(f"{place}: {without_login(url)!r} has a query or a fragment; leave it out")
    return url


def without_login(url: str) -> str:
    """`url` to be shown: a user name and password in it are starred."""
    return re.sub(r"//[^/]*@", "//***@", url)


def sdk_endpoint(url: str) -> str:
    """`url` as the IDaaS SDK reads it: https is added where no scheme stands, and put for http except on loopback."""
    if "://" not in url:
        return f"https://{url}"
    scheme, _, rest = url.partition("://")
    host = re.match(r"\[([^\]]*)\]|([^:/?#]*)", rest)
    kept = scheme != "http" or (host is not None and is_loopback(host[1] or host[2] or ""))
    return url if kept else f"https://{rest}"


def http_authority(url: str, place: str) -> tuple[str, int] | None:
    """Host and port of an http URL that has nothing more, else None. Raises ConfigError where it is no URL."""
    parts = _split(url, place)
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.hostname or "", parts.port or 80


def api_endpoint(text: str, place: str) -> str:
    """A host or URL as scheme and authority alone, as the SDKs take their API endpoints. Raises ConfigError."""
    parts = urlsplit(endpoint(text if "://" in text else f"https://{text}", place))
    return f"{parts.scheme}://{parts.netloc}"


def developer_api(*, region: str | None, vpc: bool, explicit: str | None, place: str) -> str:
    """The DeveloperAPI's URL: the explicit one, else the region's. Raises ConfigError."""
    if explicit is not None:
        return api_endpoint(explicit, f"{place}.endpoint")
    if region is None:
        raise ConfigError(
            f"{place}.regionId: required to find the DeveloperAPI, unless {place}.endpoint or the identity's "
            "developerApiEndpoint is set"
        )
    _check_region(region, place)
    if not vpc:
        return f"https://eiam-developerapi.{region}.aliyuncs.com"
    if region not in _DEVELOPER_API_VPC:
        raise ConfigError(f"{place}.vpc: {region} has no such host; there are {', '.join(_DEVELOPER_API_VPC)}")
    return f"https://eiam-developerapi-{_DEVELOPER_API_VPC[region]}.vpc-proxy.aliyuncs.com"


def _check_region(region: str, place: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]{2,40}", region):
        raise ConfigError(f"{place}.regionId: {region!r} is not a region's id, such as cn-hangzhou")


def _split(url: str, place: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises on a port that is none
    except ValueError as error:
        raise ConfigError(f"{place}: {without_login(url)!r} is not a URL: {error}") from None
    if parts.username is not None:
        raise ConfigError(f"{place}: a user name or password does not belong into the URL; take it out")
    if parts.scheme not in ("http", "https") or not parts.hostname or not _URL.fullmatch(url):
        raise ConfigError(f"{place}: {without_login(url)!r} is not a URL of the form https://host/path")
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
    _check_region(region, place)
    if region in _GLOBAL_STS and not vpc:
        return ("https://sts.aliyuncs.com",)
    # The finance cloud shares its region's STS (ack-ram-tool maps cn-hangzhou-finance so).
    return (f"https://{'sts-vpc' if vpc else 'sts'}.{region.removesuffix('-finance')}.aliyuncs.com",)


def check_proxy(url: str, place: str) -> None:
    """Raises ConfigError unless `url` is a proxy's that we can use; it is not quoted, it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"{place}: not a proxy of the form http://host:port or https://host:port")


def proxy_for(url: str, configured: str | None, environ: Mapping[str, str]) -> str | None:
    """
    The proxy through which to reach `url`, or None. `configured` may be NO_PROXY; None leaves it to the environment.

    Loopback and metadata addresses are never proxied: an identity document or a secret would leave the machine.
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
