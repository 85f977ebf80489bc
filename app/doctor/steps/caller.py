"""Step `caller`: whether this user, with this Host and this path, would get the profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...config import secret_refs
from ...config.hosts import allowed_hosts
from ...config.settings import CallerRule, PathToken, Settings
from ...core.addresses import bracketed, canonical_host, listen_address
from ...core.checks import profile_place
from ...core.client_chain import CREDENTIALS_URI as URI
from ...core.errors import SidecarError
from ...core.text import similar
from ..client_url import ClientUrl, client_url
from ..finding import Finding, Step, broken, skipped
from ..target import Caller

NAME = "caller"


def run(
    name: str, settings: Settings, caller: Caller, environ: Mapping[str, str], *, examined: Sequence[str] | None = None
) -> Step:
    """
    Apply the access rules of the configuration to the caller. No request is sent: its answer would contain credentials.

    `environ` is the sidecar's environment, which may hold the path token. `examined`: all profiles of this run; None if
    the user named this one. The caller's URL names one profile and is examined with it: a caller needs no right to the
    others. A URL that names no profile is examined with the first one.
    """
    url = client_url(caller.url) if caller.url else None
    served = _served(settings, environ)
    named = next((each for each, paths in served.items() if url is not None and url.path in paths), None)
    examined = [name] if examined is None else examined
    if named in examined and named != name:
        return skipped(NAME, f"{URI} is that of the profile {named}", name)
    if served and url is not None and named is None and name != examined[0]:
        return skipped(NAME, f"{URI} is that of no profile", name)
    found = list(_user(name, settings.profiles[name].callers, caller))
    if url is not None and (named == name or name == examined[0]):
        found += _url(url, name, settings, served, _prefix(settings, environ))
    groups = ", ".join(map(str, caller.gids))
    shown = url.shown if url is not None else ""
    facts = {"uid": caller.uid, "gids": list(caller.gids), "url": shown}
    return Step(NAME, f"uid {caller.uid}, groups {groups}; {shown or 'no URL given'}", name, found, facts)


def _served(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    """Return the paths of each profile; empty if the path token cannot be read here."""
    prefix = _prefix(settings, environ)
    if prefix is None:
        return {}
    return {
        name: frozenset({f"{prefix}/credentials/{name}", *([f"{prefix}/credentials"] if name == "default" else [])})
        for name in settings.profiles
    }


def _user(name: str, rule: CallerRule | None, caller: Caller) -> Iterator[Finding]:
    if rule is None or caller.uid in rule.uids or set(caller.gids) & set(rule.gids):
        return
    named = f"uids {', '.join(map(str, rule.uids)) or 'none'} and gids {', '.join(map(str, rule.gids)) or 'none'}"
    yield broken("IDS-507", f"{profile_place(name)}.callers: allows {named}, and the caller has uid {caller.uid}")


def _url(
    url: ClientUrl, name: str, settings: Settings, served: Mapping[str, frozenset[str]], prefix: str | None
) -> Iterator[Finding]:
    host, port = listen_address(settings.server.bind, "server.bind")
    bound = bracketed(host)
    named = url.authority_host
    token = "/<path token>" if prefix else ""
    base = f"http://{bound}:{port or url.port}{token}"
    meant = _meant(url, name, served, prefix)
    cure = f"set {URI} to the URL of the application's profile" if meant is None else f"set {URI}={base}{meant}"
    if url.scheme != "http" or (port != 0 and url.port != port):
        yield broken("IDS-514", f"{URI}: {url.shown} is not at the sidecar's http://{bound}:{port}", cure)
    if not url.host:
        return
    if canonical_host(named) not in allowed_hosts(settings):
        yield broken("IDS-508", f"{URI}: the host {named} is not in access.allowedHosts")
    if prefix is None or any(url.path in paths for paths in served.values()):
        return
    if prefix and any(f"{prefix}{_without_token(url)}" in paths for paths in served.values()):
        yield broken("IDS-509", f"{URI}: its path token is not that of access.pathToken", cure)
        return
    known = ", ".join(token + _path(each) for each in served)
    several = f"its path is that of no profile; the paths are {known}"
    yield broken("IDS-509", f"{URI}: {several if len(served) > 1 else f'its path is not {known}'}", cure)


def _meant(url: ClientUrl, name: str, served: Mapping[str, frozenset[str]], prefix: str | None) -> str | None:
    """
    Return the path, without the path token, that the URL probably means; None if several profiles fit.

    The path of another profile than the application's would give the application another role.
    """
    for path in (url.path, f"{prefix or ''}{_without_token(url)}"):
        if any(path in paths for paths in served.values()):
            return path.removeprefix(prefix or "")
    near = similar(url.path.rpartition("/")[2], served)
    if near is None and len(served) > 1 and name == "default":
        return None
    return _path(near or name)


def _without_token(url: ClientUrl) -> str:
    return url.path.removeprefix(f"/{url.path[1:].partition('/')[0]}")


def _path(profile: str) -> str:
    return "/credentials" if profile == "default" else f"/credentials/{profile}"


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
