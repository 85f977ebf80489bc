"""ARNs, session names and scopes: which are well formed, and the session name of a workload. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from .errors import ConfigError

_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_ROLE_ARN = re.compile(r"acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}")
_PROVIDER_ARN = re.compile(r"acs:ram::[0-9]{1,20}:oidc-provider/[A-Za-z0-9._-]{1,128}")
_SCOPE_ITEM = re.compile(r"[^|\s]+\|[^|\s]+")
LONGEST_SESSION_NAME = 64

ACCOUNT_DIGITS = 16
"""The digits of every account id in the documentation of RAM. The documentation states no rule about the length."""


def default_session_name(environ: Mapping[str, str], hostname: str) -> tuple[str, str]:
    """Return the workload's name as RoleSessionName, `{namespace}.{pod}` or the host name, and where it came from."""
    pod, namespace = environ.get("POD_NAME", ""), environ.get("POD_NAMESPACE", "")
    if pod and namespace:
        return shortened(f"{namespace}.{pod}"), "environment POD_NAMESPACE and POD_NAME"
    if pod:
        return shortened(pod), "environment POD_NAME"
    return shortened(hostname or "unknown"), "host name"


def shortened(name: str) -> str:
    """Return `name` in STS's alphabet, at most 64 characters; a cut name ends in a hash of the whole name."""
    clean = re.sub(r"[^A-Za-z0-9.@_-]", "_", name)
    if len(clean) > LONGEST_SESSION_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{clean[: LONGEST_SESSION_NAME - 9]}-{digest}"
    return clean.ljust(2, "-")


def check_session_name(name: str, place: str) -> None:
    """Raise ConfigError unless STS accepts `name` as RoleSessionName."""
    if not _SESSION_NAME.fullmatch(name):
        raise ConfigError(f"{place}: {name!r} must be 2 to 64 of A-Z a-z 0-9 . @ - _", error_code="IDS-105")


def check_role_arn(arn: str, place: str) -> None:
    """Raise ConfigError unless `arn` has the form of a RAM role's ARN."""
    if not _ROLE_ARN.fullmatch(arn):
        raise ConfigError(
            f"{place}: {arn!a} is not the ARN of a role, which has the form acs:ram::<account id>:role/<name>",
            error_code="IDS-110",
        )


def check_provider_arn(arn: str, place: str) -> None:
    """Raise ConfigError unless `arn` has the form of a RAM OIDC provider's ARN."""
    if not _PROVIDER_ARN.fullmatch(arn):
        raise ConfigError(
            f"{place}: {arn!a} is not the ARN of an OIDC provider, which has the form "
            "acs:ram::<account id>:oidc-provider/<name>",
            error_code="IDS-110",
        )


def account_of(arn: str) -> str:
    """Return the account id of an ARN of RAM, `acs:ram::<account id>:<type>/<name>`; empty for another text."""
    prefix = "acs:ram::"
    return arn.removeprefix(prefix).partition(":")[0] if arn.startswith(prefix) else ""


def unusual_account(account: str) -> str:
    """Return what is unusual about an account id, as a sentence; empty for one of the usual length."""
    if not account or len(account) == ACCOUNT_DIGITS:
        return ""
    digits = "1 digit" if len(account) == 1 else f"{len(account)} digits"
    return f"the account id {account} has {digits}, and those of Alibaba Cloud have {ACCOUNT_DIGITS}"


def audience_of(scope: str, place: str) -> str:
    """Return the one audience of `scope`. Raises ConfigError unless each item is `<audience>|<value>` with it."""
    items = scope.split()
    if not items:
        raise ConfigError(
            f"{place}: empty", cure="write <audience>|<value>, such as api.example.com|.all", error_code="IDS-111"
        )
    for item in items:
        if not _SCOPE_ITEM.fullmatch(item):
            raise ConfigError(
                f"{place}: {item!r} must read <audience>|<value> with exactly one |", error_code="IDS-111"
            )
    audiences = sorted({item.split("|")[0] for item in items})
    if len(audiences) > 1:
        raise ConfigError(
            f"{place}: names {len(audiences)} audiences ({', '.join(audiences)}); a token has one", error_code="IDS-111"
        )
    return audiences[0]
