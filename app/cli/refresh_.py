"""`refresh`: has the running sidecar prove its identity anew, now."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from .admin_client import order


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    return renew("refresh", arguments, environ)


def renew(what: str, arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Orders `what` for one profile or all; prints what came of it. Exit code 3 for a refusal, 4 for no answer."""
    target = f"/{what}" if arguments.profile is None else f"/{what}/{arguments.profile}"
    profiles = order(arguments.config, environ, "POST", target)["profiles"]
    if arguments.json:
        print(json.dumps(profiles))
    else:
        for profile in profiles:
            print(_line(profile))
    return _code(profiles)


def _line(profile: Mapping[str, Any]) -> str:
    if profile["last_error"] is None:
        return f"{profile['profile']}: refreshed; good until {profile['expires_at']}"
    rest = f"; what is held is good until {profile['expires_at']}" if profile["expires_at"] else ""
    return f"{profile['profile']}: failed: {profile['last_error']}{rest}"


def _code(profiles: Sequence[Mapping[str, Any]]) -> int:
    failed = [profile for profile in profiles if profile["last_error"] is not None]
    if not failed:
        return 0
    return 3 if any(profile["permanent"] for profile in failed) else 4
