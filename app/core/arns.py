"""Names: which workload a session belongs to, and which ARNs and scopes are well formed. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from .model import ConfigError

_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_ROLE_ARN = re.compile(r"acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}")
_PROVIDER_ARN = re.compile(r"acs:ram::[0-9]{1,20}:oidc-provider/[A-Za-z0-9._-]{1,128}")
_SCOPE_ITEM = re.compile(r"[^|\s]+\|[^|\s]+")
LONGEST_SESSION_NAME = 64


def default_session_name(environ: Mapping[str, str], hostname: str) -> tuple[str, str]:
    """The workload's name as RoleSessionName, and where it came from: `{namespace}.{pod}`, else the host's name."""
    pod, namespace = environ.get("POD_NAME", ""), environ.get("POD_NAMESPACE", "")
    if pod and namespace:
        return shortened(f"{namespace}.{pod}"), "environment POD_NAMESPACE and POD_NAME"
    if pod:
        return shortened(pod), "environment POD_NAME"
    return shortened(hostname or "unknown"), "host name"


def shortened(name: str) -> str:
    """`name` in STS's alphabet at most 64 characters; a cut name ends in a hash of the whole, so it stays unique."""
    clean = re.sub(r"[^A-Za-z0-9.@_-]", "_", name)
    if len(clean) > LONGEST_SESSION_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{clean[: LONGEST_SESSION_NAME - 9]}-{digest}"
    return clean if len(clean) > 1 else f"{clean}--"[:2]


def check_session_name(name: str, place: str) -> None:
    """Raises ConfigError unless STS takes `name` as RoleSessionName."""
    if not _SESSION_NAME.fullmatch(name):
        raise ConfigError(f"{place}: {name!r} must be 2 to 64 of A-Z a-z 0-9 . @ - _")


def check_role_arn(arn: str, place: str) -> None:
    """Raises ConfigError unless `arn` has the form of a RAM role's."""
    if not _ROLE_ARN.fullmatch(arn):
        raise ConfigError(f"{place}: {arn!r} is not a role's ARN; it reads acs:ram::<account id>:role/<name>")


def check_provider_arn(arn: str, place: str) -> None:
    """Raises ConfigError unless `arn` has the form of a RAM OIDC provider's."""
    if not _PROVIDER_ARN.fullmatch(arn):
        raise ConfigError(
            f"{place}: {arn!r} is not an OIDC provider's ARN; it reads acs:ram::<account id>:oidc-provider/<name>"
        )


def audience_of(scope: str, place: str) -> str:
    """The one audience that `scope` asks for. Raises ConfigError unless each item is `<audience>|<value>` of it."""
    items = scope.split()
    if not items:
        raise ConfigError(f"{place}: empty; it reads <audience>|<value>, such as api.example.com|.all")
    for item in items:
        if not _SCOPE_ITEM.fullmatch(item):
            raise ConfigError(f"{place}: {item!r} must read <audience>|<value> with exactly one |")
    audiences = sorted({item.split("|")[0] for item in items})
    if len(audiences) > 1:
        raise ConfigError(f"{place}: names {len(audiences)} audiences ({', '.join(audiences)}); a token has one")
    return audiences[0]
