"""Step `client environment`: variables of an application that its SDK uses before the credentials URI."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping

from ...config.hosts import allowed_hosts
from ...config.loader import Loaded
from ...core.addresses import bracketed, canonical_host, is_loopback, listen_address
from ...core.client_chain import CREDENTIALS_URI as URI
from ...core.client_chain import HIGHER_PRIORITY_VARIABLES, OTHER_SOURCES_DISABLED, ROLE_NAMES, without_java_keys
from ...core.text import similar
from ...identity import identities
from ...identity.idaas import IdaasIdentity
from ...identity.methods.plugin import IdaasPlugin
from ..addresses import reachable
from ..client_url import client_url
from ..finding import Finding, Step, broken, skipped, warning
from ..target import Target

NAME = "client environment"
STATIC_KEYS, RRSA, ECS_METADATA = "IDS-510", "IDS-511", "IDS-512"
PROXY, WRONG_URI, PROFILE_FILE = "IDS-513", "IDS-514", "IDS-515"
LOCALHOST, FOREIGN_HOST, NOBODY = "IDS-523", "IDS-524", "IDS-525"
CLI_PROFILE_OFF, CREDENTIALS_FILE = "ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "ALIBABA_CLOUD_CREDENTIALS_FILE"
CLI_PROFILE_FILE = "ALIBABA_CLOUD_CONFIG_FILE"
"""The SDK for Go reads this file instead of ~/.aliyun/config.json."""

_READ = {URI: WRONG_URI, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": ECS_METADATA}
_READ |= {CLI_PROFILE_OFF: PROFILE_FILE, CREDENTIALS_FILE: PROFILE_FILE}
"""The variables of a client's chain that lead to the sidecar, and the code of a value that does not."""

_NO_FILE = f"{CREDENTIALS_FILE}=/dev/null"
_RRSA = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE",)
_FIXES_NOTHING = ("ALIBABA_CLOUD_PROFILE", "ALIBABACLOUD_PROFILE", "ALICLOUD_PROFILE")
_LONG_LIVED = re.compile(r"LTAI[0-9A-Za-z]{8,22}")
"""The id of a long-lived AccessKey, which some programs read from variables of their own."""


async def run(target: Target, loaded: Loaded | None) -> Step:
    """Examine the given environment. Without one, examine this process's own if an application would use it."""
    environ = target.client_environ
    if environ is None:
        environ = target.environ
        if URI not in environ and not _set(environ, _static_keys(target, loaded)) and not _misspelt(environ):
            return skipped(NAME, f"{URI} is not set here; give the application's variables with --client-environment")
    own = target.client_environ is None
    found = list(_higher(environ, target, loaded, own=own))
    if not own or URI in environ or _misspelt(environ):
        found += _untrimmed(environ)
        trimmed = {name: value.strip() if name in _READ else value for name, value in environ.items()}
        found += [*_others(trimmed), *_files(trimmed), *await _host(trimmed, target, loaded)]
    return Step(NAME, f"{URI}={client_url(environ.get(URI, '')).shown}", findings=found)


def _higher(environ: Mapping[str, str], target: Target, loaded: Loaded | None, *, own: bool) -> Iterator[Finding]:
    keys = _set(environ, _static_keys(target, loaded) if own else _keys())
    if not own:
        keys += [name for name, value in environ.items() if name not in keys and _LONG_LIVED.fullmatch(value.strip())]
    if keys:
        yield warning(STATIC_KEYS, f"{', '.join(keys)}: set; SDKs use them before {URI}", f"unset {' '.join(keys)}")
    java = [name for name, value in environ.items() if without_java_keys(value) != value]
    if java:
        shown = ", ".join(java)
        yield warning(
            STATIC_KEYS,
            f"{shown}: sets an AccessKey as a property; the SDKs for Java use it before {URI}",
            f"remove -Dalibabacloud.accessKeyId and the options with its secret from {shown}",
        )
    roles = _set(environ, ROLE_NAMES)
    if roles:
        shown = ", ".join(roles)
        yield warning(
            ECS_METADATA,
            f"{shown}: set; terraform and older SDKs ask the instance's role before {URI}",
            f"unset {' '.join(roles)}",
        )
    # Without a configuration file, these variables of the sidecar's own environment are its configuration.
    if not (own and loaded is not None and loaded.origin == "environment"):
        tokens = _set(environ, _RRSA)
        if tokens:
            yield warning(RRSA, f"{', '.join(tokens)}: set; SDKs use it before {URI}", f"unset {' '.join(tokens)}")


def _untrimmed(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each variable of the client's chain with white space at an end, which clients do not trim."""
    for name, code in _READ.items():
        if environ.get(name, "") != environ.get(name, "").strip():
            yield broken(code, f"{name}: white space at an end of the value", f"remove the white space from {name}")


def _others(environ: Mapping[str, str]) -> Iterator[Finding]:
    url = client_url(environ.get(URI, ""))
    name = _misspelt(environ)
    if name:
        yield warning(WRONG_URI, f"{name}: set, but SDKs read {URI}", f"rename {name} to {URI}")
        return
    if URI not in environ:
        yield warning(WRONG_URI, f"{URI}: not set, so the application does not ask the sidecar")
        return
    if url.scheme != "http" or not url.host:
        yield warning(WRONG_URI, f"{URI}: not an http URL; the sidecar serves http on loopback")
    if environ.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "").lower() != "true":
        yield warning(ECS_METADATA, "ALIBABA_CLOUD_ECS_METADATA_DISABLED: not true; SDKs ask the instance's role first")
    proxies = _set(environ, ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"))
    if proxies and is_loopback(url.host):
        # A warning even if NO_PROXY names the host, because Alibaba Cloud's Python SDK does not read NO_PROXY.
        yield warning(
            PROXY,
            f"{', '.join(proxies)}: set; Alibaba Cloud's Python SDK uses it for {url.host}, and ignores NO_PROXY",
            f"unset {' '.join(proxies)} for the application",
        )


def _misspelt(environ: Mapping[str, str]) -> str:
    """Return the variable that is probably meant as the URI; empty if the URI or no such variable is set."""
    wanted = URI.replace("_", "")
    known = {*HIGHER_PRIORITY_VARIABLES, *OTHER_SOURCES_DISABLED}
    names = () if URI in environ else (name for name in environ if name not in known)
    return next((name for name in names if similar(name.upper().replace("_", ""), [wanted], 0.9)), "")


async def _host(environ: Mapping[str, str], target: Target, loaded: Loaded | None) -> list[Finding]:
    """Return the findings about the URI's host, or about the program that listens there. Connects, sends no data."""
    url = client_url(environ.get(URI, ""))
    host, shown, port = url.host, url.authority_host, url.port
    if url.scheme != "http" or not host:
        return []
    if host == "localhost":
        found = [warning(LOCALHOST, f"{URI}: names localhost, which ecctl refuses, and which may stand for ::1")]
    elif not is_loopback(host) and canonical_host(shown) not in _own_hosts(loaded):
        return [broken(FOREIGN_HOST, f"{URI}: names {shown}, which is no host of this sidecar")]
    else:
        found = []
    if not await asyncio.to_thread(target.connects, host, port):
        found.append(
            broken(NOBODY, f"{URI}: no program listens at {shown}:{port}", await _correct_port(target, loaded, port))
        )
    return found


async def _correct_port(target: Target, loaded: Loaded | None, port: int) -> str:
    """Return the cure for a wrong port while a sidecar listens at the configured port; empty without one."""
    if loaded is None:
        return ""
    bind, right = listen_address(loaded.settings.server.bind, "server.bind")
    if right in (0, port) or not await asyncio.to_thread(target.is_sidecar, reachable(bind), right):
        return ""
    return f"correct the port in {URI}: the sidecar listens at port {right}"


def _own_hosts(loaded: Loaded | None) -> set[str]:
    if loaded is None:
        return set()
    bind, _ = listen_address(loaded.settings.server.bind, "server.bind")
    return {*allowed_hosts(loaded.settings), canonical_host(bracketed(bind))}


def _files(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each file with keys that the application's SDK reads before the URI."""
    home = environ.get("HOME", "")
    read = {}
    if environ.get(CLI_PROFILE_OFF, "").lower() != "true":
        read[f"{home}/.aliyun/config.json"] = f"{CLI_PROFILE_OFF}=true"
        if environ.get(CLI_PROFILE_FILE):
            read[environ[CLI_PROFILE_FILE]] = f"{CLI_PROFILE_OFF}=true"
    # The SDKs for Python and Java read the first name. The SDKs for Go and Node read the second one.
    usual = [f"{home}/.alibabacloud/{name}" for name in ("credentials.ini", "credentials")]
    read |= dict.fromkeys([environ.get(CREDENTIALS_FILE, "")] if environ.get(CREDENTIALS_FILE) else usual, _NO_FILE)
    for path, setting in read.items():
        named = path in (environ.get(CREDENTIALS_FILE), environ.get(CLI_PROFILE_FILE))
        if (named or home.startswith("/")) and _has_content(path):
            yield warning(
                PROFILE_FILE, f"{path}: exists; SDKs use it before {URI}", f"set {setting}, or move the file away"
            )


def _has_content(path: str) -> bool:
    """Return whether a file may contain keys. An empty file, such as /dev/null, contains none."""
    try:
        return os.stat(path).st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # this user may not examine the file, but the application's user may read it
        return True


def _keys() -> tuple[str, ...]:
    other = (*_RRSA, *_FIXES_NOTHING, *ROLE_NAMES)
    return tuple(name for name in HIGHER_PRIORITY_VARIABLES if name not in other)


def _static_keys(target: Target, loaded: Loaded | None) -> tuple[str, ...]:
    """Return the variables of static keys. Leaves out variables with which an identity or this command signs."""
    profiles = loaded.settings.profiles.values() if loaded is not None else ()
    uses_keys = any(
        isinstance(part, IdaasIdentity) and isinstance(part.authn_configuration, IdaasPlugin)
        for profile in profiles
        for part, _ in identities.parts(profile.identity, "")
    )
    reader = target.ram.variables if target.ram is not None else ()
    return () if uses_keys else tuple(name for name in _keys() if name not in reader)


def _set(environ: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if environ.get(name)]
