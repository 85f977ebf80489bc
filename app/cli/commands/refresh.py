"""`refresh`: refresh the running sidecar's credentials now."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.text import coded, one_line
from ..admin_client import admin_request
from ..errors import REFUSED, UNREACHABLE


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Refresh one profile or all."""
    return request_refresh("refresh", arguments, environ)


def request_refresh(action: str, arguments: Namespace, environ: Mapping[str, str]) -> int:
    """
    Request `action` (`refresh` or `purge`) for one profile or all, and print the result of each.

    Exit code: 0 if every profile was refreshed, 3 if the cloud refused one, else 4. If the sidecar does not use a
    changed configuration, it refreshes the previous one, and the output has the reason.
    """
    target = f"/{action}" if arguments.profile is None else f"/{action}/{arguments.profile}"
    profiles = admin_request(arguments.config, environ, "POST", target)["profiles"]
    if arguments.json:
        print(json.dumps(profiles))
    else:
        for profile in profiles:
            print(_line(profile))
        refused = [profile for profile in profiles if profile.get("config_error")]
        if refused:
            reason = one_line(coded(refused[0]["config_error"], refused[0].get("config_error_code")))
            print(f"the changed configuration is not used, and the previous one serves: {reason}")
    return _exit_code(profiles)


def _line(profile: Mapping[str, Any]) -> str:
    name, trial = profile["profile"], profile.get("on_trial")
    changed = (
        f"; the changed settings do not serve yet: {one_line(coded(trial, profile.get('on_trial_code')))}"
        if trial
        else ""
    )
    if profile["last_error"] is None:
        previous = " with the previous settings" if trial or profile.get("config_error") else ""
        return f"{name}: refreshed{previous}; valid until {profile['expires_at']}{changed}"
    expiry = f"; the current credentials are valid until {profile['expires_at']}" if profile["expires_at"] else ""
    error = coded(profile["last_error"], (profile.get("failure") or {}).get("error_code"))
    return f"{name}: failed: {one_line(error)}{expiry}{changed}"


def _exit_code(profiles: Sequence[Mapping[str, Any]]) -> int:
    failed = [profile for profile in profiles if profile["last_error"] is not None]
    if not failed:
        return 0
    return REFUSED if any(profile["permanent"] for profile in failed) else UNREACHABLE
