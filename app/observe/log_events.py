"""Every line that the log can hold: name, level, sentence and fields. docs/reference/log-events.md is made of this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """
    One kind of line.

    `message` is its sentence; an empty one is given by the caller, because it names a thing. `fields` maps the fields
    that may follow to their meaning; a field without a value is left out.
    """

    name: str
    level: Level
    message: str
    meaning: str
    fields: Mapping[str, str] = field(default_factory=dict)


_PROFILE = {"profile": "name of the profile"}
_ROLE = {
    "identity": "identity type of the profile",
    "role": "ARN of the role whose credentials are served",
    "session": "RoleSessionName, as ActionTrail shows it; empty where the DeveloperAPI names it",
}
_SESSION = {
    "access_key_id": "AccessKeyId of the session, to join with ActionTrail; not a secret",
    "expires_at": "end of the session",
}
_CALLER = {
    "uid": "user id of the calling process, from the kernel",
    "gids": "its group ids",
    "pid": "its process id",
    "executable": "its executable",
}

EVENTS: dict[str, LogEvent] = {}


def _event(name: str, level: Level, message: str, meaning: str, fields: Mapping[str, str] | None = None) -> LogEvent:
    found = LogEvent(name, level, message, meaning, fields or {})
    EVENTS[name] = found
    return found


# --- start and stop ---------------------------------------------------------------------------------------------------

LISTENING = _event(
    "listening",
    "info",
    "all listeners accept connections",
    "The first line of a start. Credentials follow in the background.",
    {
        "version": "version of the sidecar",
        "config": "the configuration file, or `environment`",
        "credentials": "URL of the credentials listener",
        "metadata": "URL of the metadata listener",
        "ops": "URL of the operations listener",
        "admin": "path of the admin socket",
    },
)
START_UP_FAILED = _event(
    "start_up_failed",
    "error",
    "a required profile has no credentials at the end of start-up",
    "The process exits with 2, 3 or 4. One line per profile.",
    _PROFILE | {"error": "why there are none", "seconds": "how long start-up lasted"},
)
DRAINING = _event(
    "draining",
    "info",
    "SIGTERM: requests are answered until the drain time ends",
    "`shutdown.drainSeconds` after SIGTERM.",
    {"seconds": "the drain time"},
)
STOPPED = _event("stopped", "info", "the sidecar has stopped", "The last line.")

# --- configuration and files ------------------------------------------------------------------------------------------

CONFIGURATION = _event(
    "configuration",
    "warning",
    "",
    "A setting works, but worse than its owner may expect. The message names the key.",
)
CONFIG_RELOADED = _event(
    "config_reloaded",
    "info",
    "the changed configuration is in use",
    "After SIGHUP or a change of a configuration file.",
    {"config": "the configuration file", "changes": "list of `key`, `was` and `is`, without secrets"},
)
CONFIG_RELOAD_FAILED = _event(
    "config_reload_failed",
    "error",
    "the changed configuration cannot be used; the previous one stays in use",
    "Correct the file: it is read again when it changes, or at SIGHUP.",
    {"error": "what is wrong, and where"},
)
RESTART_NEEDED = _event(
    "restart_needed",
    "warning",
    "changed keys take effect at the next start",
    "Addresses, the cache and some limits cannot be changed while the sidecar runs.",
    {"keys": "the changed keys"},
)
WATCHING = _event(
    "watching",
    "info",
    "files are watched for changes",
    "The configuration, and the secrets, keys and certificates that it names.",
    {"files": "how many files"},
)
FILES_NOT_WATCHED = _event(
    "files_not_watched",
    "warning",
    "file changes are not noticed; send SIGHUP after a change",
    "The system has no inotify, or its limits are used up.",
    {"error": "why"},
)
FILES_CHANGED = _event("files_changed", "info", "watched files have changed", "", {"files": "the files"})

# --- refreshes --------------------------------------------------------------------------------------------------------

CREDENTIALS_ISSUED = _event(
    "credentials_issued",
    "info",
    "the profile has new credentials",
    "The audit line of an issue.",
    _PROFILE
    | _ROLE
    | _SESSION
    | {
        "next_refresh_at": "when the next refresh is planned",
        "sts_request_id": "request id of STS",
        "seconds": "how long the refresh took",
    },
)
CREDENTIALS_RESTORED = _event(
    "credentials_restored",
    "info",
    "the profile serves credentials from the cache until the first refresh",
    "After a restart, with a cache.",
    _PROFILE | _ROLE | _SESSION,
)
CREDENTIALS_DROPPED = _event(
    "credentials_dropped",
    "error",
    "the cloud withdrew the role: the profile's credentials are no longer served",
    "With `onDenied: stop`.",
    _PROFILE | _ROLE | {"error": "the refusal"},
)
REFRESH_FAILED = _event(
    "refresh_failed",
    "warning",
    "a refresh failed; valid credentials are served meanwhile",
    "Level `error` for failures that a repetition cannot cure.",
    _PROFILE
    | {
        "error": "what failed, with the cloud's error code and request id",
        "permanent": "whether a repetition cannot succeed before something is changed",
        "failures": "failed refreshes in a row",
        "retry_in": "seconds to the next attempt",
    },
)
TRACEBACK = _event(
    "traceback",
    "debug",
    "where an internal error occurred",
    "Follows a `refresh_failed` line of an internal error. Frames without source lines or values.",
    _PROFILE | {"frames": "function and line of each frame"},
)
TOKEN_MISMATCH = _event(
    "token_mismatch",
    "warning",
    "",
    "The token's claims differ from the configuration, or the identity works not as configured.",
    _PROFILE,
)
CLOCK_OFFSET = _event(
    "clock_offset",
    "warning",
    "this machine's clock differs from the cloud's; set the clock",
    "By the Date header of the cloud's answers.",
    {"seconds": "the cloud's clock minus this machine's"},
)
CLOCK_JUMPED = _event(
    "clock_jumped",
    "warning",
    "the clock was set, or the machine slept; refreshes are planned again",
    "",
    {"seconds": "how far the wall clock moved by itself"},
)
CACHE_UNUSABLE = _event(
    "cache_unusable",
    "warning",
    "",
    "The encrypted cache was not read, written or cleared. Service goes on without it.",
    _PROFILE,
)
FILES_UNUSABLE = _event(
    "files_unusable",
    "warning",
    "",
    "A credential file (`files` of a profile) was not written or removed.",
    _PROFILE,
)

# --- requests ---------------------------------------------------------------------------------------------------------

CREDENTIALS_SERVED = _event(
    "credentials_served",
    "info",
    "a caller received this session for the first time",
    "The audit line of a use: one per session and user.",
    {"listener": "name of the listener"}
    | _PROFILE
    | _ROLE
    | _SESSION
    | {"sts_request_id": "request id of STS"}
    | _CALLER,
)
DENIED = _event(
    "denied",
    "warning",
    "a request was refused",
    "The audit line of a refusal. Equal refusals within a second are one line with their count.",
    {"listener": "name of the listener"}
    | _PROFILE
    | {"reason": "the reason, as in `idaas_sidecar_denied_total`", "count": "how many more"}
    | _CALLER,
)

# --- orders -----------------------------------------------------------------------------------------------------------

REFRESH_ORDERED = _event(
    "refresh_ordered", "info", "a refresh was ordered over the admin socket", "`idaas-sidecar refresh`.", _PROFILE
)
PURGED = _event(
    "purged",
    "warning",
    "the profile's credentials were dropped by an order over the admin socket",
    "`idaas-sidecar purge`.",
    _PROFILE,
)
LOG_LEVEL_CHANGED = _event(
    "log_level_changed",
    "warning",
    "the log level was changed until the next reload or start",
    "`idaas-sidecar log-level`.",
    {"now": "the level"},
)

# --- the program itself -----------------------------------------------------------------------------------------------

INTERNAL_ERROR = _event(
    "internal_error", "error", "an internal error occurred; please report it", "", {"error": "type of the exception"}
)
LIBRARY = _event(
    "library",
    "warning",
    "a library reported a problem",
    "A library's text is shown only where it cannot quote a request or an answer.",
    {"logger": "name of the logger", "text": "the report", "error": "type of the exception"},
)
LOG_LINES_LOST = _event(
    "log_lines_lost",
    "warning",
    "log lines were dropped because the log was not read",
    "The process never waits for the reader of its log.",
    {"count": "how many lines"},
)
