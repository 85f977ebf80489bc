"""A status as `/status.json` has it, for the tests of the page and of the command."""

from __future__ import annotations

from typing import Any

ATTEMPT = {
    "at": "2026-01-02T03:04:05Z",
    "outcome": "success",
    "seconds": 0.31,
    "code": None,
    "stages": [{"stage": "token", "seconds": 0.12}, {"stage": "exchange", "seconds": 0.19}],
}

REFUSED_ATTEMPT = ATTEMPT | {"outcome": "refused", "code": "AuthenticationFail.NoPermission"}

FAILURE = {
    "error_code": "IDS-401",
    "message": "STS refused: HTTP 403, AuthenticationFail.NoPermission",
    "stage": "exchange",
    "endpoint": "https://sts.cn-hangzhou.aliyuncs.com",
    "status": 403,
    "code": "AuthenticationFail.NoPermission",
    "request_id": "1A2B-3C4D",
    "cloud_message": "This operation is forbidden by the permission system.",
    "meaning": "The role's trust policy does not match.",
    "cause": "the subject differs",
    "cure": "the role's trust policy does not match the token",
}

PROFILE: dict[str, Any] = {
    "profile": "default",
    "identity": "idaas",
    "role": "acs:ram::1234567890123456:role/orders",
    "session": "shop.orders-0",
    "required": True,
    "state": "fresh",
    "state_meaning": "valid credentials, and the last refresh succeeded",
    "expires_at": "2026-01-02T04:04:05Z",
    "left_seconds": 2700,
    "life_seconds": 3600,
    "next_refresh_at": "2026-01-02T03:50:00Z",
    "next_refresh_seconds": 600,
    "failures": 0,
    "last_error": None,
    "permanent": False,
    "failure": None,
    "on_trial": None,
    "on_trial_code": None,
    "on_trial_failure": None,
    "attempts": [ATTEMPT],
    "served": 12,
    "refused": 0,
    "last_served_at": "2026-01-02T03:18:00Z",
}

DENIED: dict[str, Any] = PROFILE | {
    "profile": "reports",
    "state": "denied",
    "state_meaning": "no valid credentials, because the cloud refused the last refresh",
    "expires_at": None,
    "left_seconds": 0,
    "life_seconds": 0,
    "next_refresh_at": None,
    "next_refresh_seconds": None,
    "failures": 3,
    "last_error": "STS refused: HTTP 403, AuthenticationFail.NoPermission: "
    "the role's trust policy does not match the token"
    '; it says "This operation is forbidden by the permission system."',
    "permanent": True,
    "failure": FAILURE,
    "on_trial": 'sts.example.com: HTTP 503; wait for the region; it says "Maintenance."',
    "on_trial_code": "IDS-206",
    "on_trial_failure": FAILURE
    | {
        "message": "sts.example.com: HTTP 503",
        "error_code": "IDS-206",
        "cloud_message": "Maintenance.",
        "cure": "wait for the region",
    },
    "attempts": [REFUSED_ATTEMPT, ATTEMPT],
    "served": 0,
    "refused": 2,
    "last_served_at": None,
}

CALLER = {
    "listener": "credentials",
    "profile": "default",
    "uid": 1000,
    "executable": "/usr/bin/python3.11",
    "reason": None,
    "count": 3,
    "last_at": "2026-01-02T03:18:00Z",
}

STATUS: dict[str, Any] = {
    "version": "0.2.0",
    "host": "shop/orders-0",
    "now": "2026-01-02T03:19:05Z",
    "uptime_seconds": 7500,
    "config": "/etc/idaas-sidecar/config.json",
    "config_read_at": "2026-01-02T01:14:05Z",
    "config_age_seconds": 7500,
    "config_error": None,
    "config_error_code": None,
    "config_mistakes": [],
    "restart_needed": [],
    "stopping": False,
    "ready": True,
    "listeners": {"credentials": "http://127.0.0.1:7117", "ops": "http://127.0.0.1:7118"},
    "profiles": [PROFILE],
    "callers": [CALLER],
    "refused_callers": [CALLER | {"uid": None, "executable": None, "profile": None, "reason": "Host", "count": 2}],
    "denied": {"Host": 2},
}

PROBLEMS: dict[str, Any] = STATUS | {
    "ready": False,
    "config_error": "/etc/idaas-sidecar/config.json: profiles: required",
    "config_error_code": "IDS-106",
    "config_mistakes": [
        {
            "message": "/etc/idaas-sidecar/config.json: profiles: required",
            "error_code": "IDS-106",
            "cure": "add the key",
        }
    ],
    "restart_needed": ["server.bind", "cache.directory"],
    "profiles": [PROFILE, DENIED],
}
"""A status with every kind of problem."""


def with_text(value: Any, text: str) -> Any:
    """Return `value` with `text` for every text in it, the keys of `listeners` and `denied` included."""
    if isinstance(value, dict):
        free = set(value) <= {"credentials", "ops"} or set(value) == {"Host"}
        return {text if free else key: with_text(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [with_text(item, text) for item in value]
    return text if isinstance(value, str) else value
