"""Step `caller`: whether this user, with this Host and this path, would get the profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ...config import secret_refs
from ...config.settings import CallerRule, PathToken, Settings
from ...core.addresses import listen_address
from ...core.client_chain import CREDENTIALS_URI as URI
from ...core.errors import SidecarError
from ..client_url import ClientUrl, client_url
from ..finding import Finding, Step, broken
from ..target import Caller

NAME = "caller"


def run(name: str, settings: Settings, caller: Caller, environ: Mapping[str, str]) -> Step:
    """
    Apply the access rules of the configuration to the caller. No request is sent: its answer would contain credentials.

    `environ` is the sidecar's environment, which may hold the path token.
    """
    found = list(_user(name, settings.profiles[name].callers, caller))
    url = client_url(caller.url) if caller.url else None
    if url is not None:
        found += _url(url, name, settings, environ)
    groups = ", ".join(map(str, caller.gids))
    shown = url.shown if url is not None else ""
    facts = {"uid": caller.uid, "gids": list(caller.gids), "url": shown}
    return Step(NAME, f"uid {caller.uid}, groups {groups}; {shown or 'no URL given'}", name, found, facts)


def _user(name: str, rule: CallerRule | None, caller: Caller) -> Iterator[Finding]:
    if rule is None or caller.uid in rule.uids or set(caller.gids) & set(rule.gids):
        return
    named = f"uids {', '.join(map(str, rule.uids)) or 'none'} and gids {', '.join(map(str, rule.gids)) or 'none'}"
    yield broken("IDS-507", f"profiles.{name}.callers: allows {named}, and the caller has uid {caller.uid}")


def _url(url: ClientUrl, name: str, settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    host, port = listen_address(settings.server.bind, "server.bind")
    bound = f"[{host}]" if ":" in host else host
    named = url.authority_host
    if url.scheme != "http" or (port != 0 and url.port != port):
        yield broken("IDS-514", f"{URI}: {url.shown} is not at the sidecar's http://{bound}:{port}")
    if not url.host:
        return
    if named not in {*map(str.lower, settings.access.allowed_hosts), bound}:
        yield broken("IDS-508", f"{URI}: the host {named} is not in access.allowedHosts")
    prefix = _prefix(settings, environ)
    paths = {f"{prefix}/credentials/{name}", *([f"{prefix}/credentials"] if name == "default" else [])}
    if prefix is not None and url.path not in paths:
        wanted = f"/credentials/{name}" if name != "default" else "/credentials"
        token = "/<path token>" if prefix else ""
        other = prefix and re.fullmatch(rf"/[^/]+{re.escape(wanted)}", url.path)
        yield broken(
            "IDS-509",
            f"{URI}: its path token is not that of access.pathToken"
            if other
            else f"{URI}: its path is not {token}{wanted}",
        )


def _prefix(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return the part of a path before /credentials; None if the path token cannot be read here."""
    if settings.access.path_token is None:
        return ""
    if not isinstance(settings.access.path_token, PathToken):
        return None
    try:
        return f"/{secret_refs.path_token(settings.access.path_token, environ)()}"
    except SidecarError:
        return None
