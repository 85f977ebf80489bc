"""Every kind of log line: name, level, sentence and fields. docs/reference/log-events.md is generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..core.record import Record

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LogEvent(Record, frozen=True):
    """
    One kind of log line.

    `message` is the sentence of the line. It is empty if each line has a sentence of its own. `fields` maps the fields
    that may follow to their meaning; a field without a value is left out. `error_code` is the event's entry in the
    errors index. A line without a code of its own has it in the field of the same name.
    """

    name: str
    level: Level
    message: str
    meaning: str
    fields: Mapping[str, str] = {}
    error_code: str | None = None


_PROFILE = {"profile": "name of the profile"}
_ORDERED_BY = {"uid": "the user who ordered it"}
_ROLE = {
    "identity": "`identity.type` of the profile",
    "role": "ARN of the role whose credentials are served",
    "session": "RoleSessionName, as ActionTrail shows it; empty with the DeveloperAPI, which names the session itself",
}
_SESSION = {
    "access_key_id": "AccessKeyId of the session, to search for in ActionTrail; not a secret",
    "expires_at": "when the session expires",
}
_CALLER = {
    "uid": "user id of the calling process, from the kernel",
    "gids": "group ids of the calling process",
    "pid": "process id of the calling process",
    "executable": "executable of the calling process",
}
_POD = {"namespace": "namespace of the pod", "pod": "name of the pod, or the prefix from which it is made"}
_CERTIFICATE = {"not_after": "when the certificate expires"}

_CODE = {"error_code": "stable code of the failure, explained in [errors](../errors.md)"}

FAILURE = _CODE | {
    "stage": "`token`, `exchange` or `chain[0]`",
    "endpoint": "URL of the request that failed",
    "status": "HTTP status of the answer",
    "code": "error code of the answer, else its status",
    "request_id": "request id or trace id of the answer",
    "cloud_message": "the message of the answer, cleaned, without secrets, at most 300 characters",
}
EVENTS: dict[str, LogEvent] = {}


def _event(
    name: str,
    level: Level,
    message: str,
    meaning: str,
    fields: Mapping[str, str] | None = None,
    *,
    error_code: str | None = None,
) -> LogEvent:
    found = LogEvent(name, level, message, meaning, {**(fields or {}), **(_CODE if error_code else {})}, error_code)
    EVENTS[name] = found
    return found


# --- start and stop ---------------------------------------------------------------------------------------------------

LISTENING = _event(
    "listening",
    "info",
    "all listeners accept connections",
    "The first line of the log. The first credentials are obtained after it, in the background.",
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
    _PROFILE | {"error": "why the profile has no credentials"} | FAILURE | {"seconds": "seconds since the start"},
)
DRAINING = _event(
    "draining",
    "info",
    "SIGTERM: requests are answered until the drain time ends",
    "The drain time is `shutdown.drainSeconds`.",
    {"seconds": "the drain time"},
)
STOPPED = _event("stopped", "info", "the sidecar has stopped", "The last line of the log.")

# --- configuration and files ------------------------------------------------------------------------------------------

CONFIGURATION = _event(
    "configuration",
    "warning",
    "",
    "A warning about a setting that has no effect, or a drawback. The message begins with the key.",
    error_code="IDS-122",
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
    "Correct the file. It is read again when it changes, and at SIGHUP.",
    {"error": "what is wrong, and where"},
    error_code="IDS-100",
)
RESTART_NEEDED = _event(
    "restart_needed",
    "warning",
    "changed keys take effect at the next start",
    "Keys of `server`, `cache` and `startup`, and `access.hopLimit`, `access.maxConnections` and `logging.format`.",
    {"keys": "the changed keys"},
    error_code="IDS-506",
)
WATCHING = _event(
    "watching",
    "info",
    "files are watched for changes",
    "The configuration files, and the secrets, keys and certificates that they name.",
    {"files": "number of files"},
)
FILES_NOT_WATCHED = _event(
    "files_not_watched",
    "warning",
    "the kernel reports no file changes; the files are checked every few seconds",
    "The system has no inotify, or its limits are used up (`fs.inotify.max_user_instances`, `max_user_watches`).",
    {"error": "the reason", "seconds": "seconds between two looks"},
    error_code="IDS-604",
)
FILES_CHANGED = _event(
    "files_changed",
    "info",
    "watched files have changed",
    "A changed configuration or path token is reloaded. A changed secret, key or certificate starts a refresh.",
    {"files": "the files"},
)

# --- refreshes --------------------------------------------------------------------------------------------------------

CREDENTIALS_ISSUED = _event(
    "credentials_issued",
    "info",
    "the profile has new credentials",
    "The audit line of a session that was issued.",
    _PROFILE
    | _ROLE
    | _SESSION
    | {
        "next_refresh_at": "when the next refresh is scheduled",
        "sts_request_id": "request id of STS",
        "seconds": "duration of the refresh",
    },
)
CREDENTIALS_RESTORED = _event(
    "credentials_restored",
    "info",
    "the profile serves credentials from the cache until the first refresh",
    "After a restart, with `cache`.",
    _PROFILE | _ROLE | _SESSION,
)
CREDENTIALS_DROPPED = _event(
    "credentials_dropped",
    "error",
    "the cloud withdrew the role: the profile's credentials are no longer served",
    "Only with `onDenied: stop`.",
    _PROFILE | _ROLE | {"error": "the refusal, with the cloud's error code and words"} | FAILURE,
)
REFRESH_FAILED = _event(
    "refresh_failed",
    "warning",
    "a refresh failed; it is repeated",
    "The level is `error` for permanent failures and internal errors.",
    _PROFILE
    | {"error": "what failed, with the cloud's error code, request id and words"}
    | FAILURE
    | {
        "permanent": "whether a retry cannot succeed before something is changed",
        "failures": "number of failed attempts in a row",
        "retry_in": "seconds to the next attempt",
    },
)
TRACEBACK = _event(
    "traceback",
    "debug",
    "where an internal error occurred",
    "Follows the `refresh_failed` line of an internal error. It has no source lines and no values.",
    _PROFILE | {"frames": "function and line number of each stack frame"},
)
TOKEN_MISMATCH = _event(
    "token_mismatch",
    "warning",
    "",
    "The token's claims differ from the configuration, a new secret is refused and the previous one still works, or "
    "the discovery document cannot be renewed and the known endpoint stays in use.",
    _PROFILE,
    error_code="IDS-300",
)
CLOCK_OFFSET = _event(
    "clock_offset",
    "warning",
    "this machine's clock differs from the cloud's; set the clock",
    "Above 60 s, by the Date header of a server's responses. Repeated only after the clocks agreed. A difference of "
    "more than a week has another message, and is not used for requests.",
    {"server": "host and port of the server", "seconds": "the server's clock minus this machine's"},
    error_code="IDS-214",
)
CLOCK_JUMPED = _event(
    "clock_jumped",
    "warning",
    "the clock was set, or the machine slept; refreshes are scheduled again",
    "The wall clock and the monotonic clock moved apart by more than 5 s.",
    {"seconds": "movement of the wall clock against the monotonic clock"},
)
CACHE_UNUSABLE = _event(
    "cache_unusable",
    "warning",
    "",
    "The encrypted cache could not be read, written or cleared. The sidecar continues without it.",
    _PROFILE,
    error_code="IDS-602",
)
FILES_UNUSABLE = _event(
    "files_unusable",
    "warning",
    "",
    "A credential file (`files` of a profile) could not be written or removed.",
    _PROFILE,
    error_code="IDS-603",
)

SESSION_KEY_LOST = _event(
    "session_key_lost",
    "warning",
    "a restart ends the metadata session tokens of clients",
    "The file with the key of metadata session tokens was emptied, replaced or made readable for others, or cannot be "
    "written. If possible, a new key replaces it. Clients request new tokens.",
    {"error": "the file, and what happened to it"},
    error_code="IDS-606",
)

# --- requests ---------------------------------------------------------------------------------------------------------

CREDENTIALS_SERVED = _event(
    "credentials_served",
    "info",
    "a caller received this session for the first time",
    "The audit line of a use: one line per session and user.",
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
    "The audit line of a refusal. Equal refusals within a second become one line with `count`.",
    {"listener": "name of the listener"}
    | _PROFILE
    | {"reason": "the reason, as in `idaas_sidecar_denied_total`", "count": "number of further equal refusals"}
    | _CALLER,
    error_code="IDS-507",
)

# --- orders -----------------------------------------------------------------------------------------------------------

REFRESH_ORDERED = _event(
    "refresh_ordered",
    "info",
    "a refresh was ordered over the admin socket",
    "By `idaas-sidecar refresh`.",
    _PROFILE | _ORDERED_BY,
)
PURGED = _event(
    "purged",
    "warning",
    "the profile's credentials were dropped by an order over the admin socket",
    "By `idaas-sidecar purge`.",
    _PROFILE | _ORDERED_BY,
)
GIVEN = _event(
    "credentials_given",
    "info",
    "the profile's credentials were given to a user over the admin socket",
    "By `idaas-sidecar get`.",
    _PROFILE | {"uid": "the user who has them now"},
)
LOG_LEVEL_CHANGED = _event(
    "log_level_changed",
    "warning",
    "the log level was changed until the next reload or start",
    "By `idaas-sidecar log-level`.",
    {"now": "the new level"} | _ORDERED_BY,
)

# --- webhook ----------------------------------------------------------------------------------------------------------

WEBHOOK_LISTENING = _event(
    "webhook_listening",
    "info",
    "the admission webhooks accept connections",
    "The first line of `idaas-sidecar webhook`.",
    {
        "version": "version of the program",
        "address": "address of the listener",
        "metrics": "address of the listener with the metrics",
    }
    | _CERTIFICATE,
)
POD_INJECTED = _event(
    "pod_injected",
    "info",
    "the sidecar was added to a pod",
    "A pod that has the sidecar already, such as a copy of another pod, has no line.",
    _POD,
)
POD_REFUSED = _event(
    "pod_refused",
    "warning",
    "a pod was refused",
    "The API server gives the reason to the client, which shows it in the events of the pod's owner.",
    _POD | {"reason": "the message"},
    error_code="IDS-133",
)
WEBHOOK_CERTIFICATE_REPLACED = _event(
    "webhook_certificate_replaced",
    "info",
    "the webhook uses a new certificate",
    "The files of the certificate have changed. Open connections keep the previous certificate.",
    _CERTIFICATE,
)
WEBHOOK_CERTIFICATE_UNUSABLE = _event(
    "webhook_certificate_unusable",
    "error",
    "the webhook's new certificate cannot be used, so the one in use stays",
    "Certificate and key do not fit together, or a file is damaged. The webhook tries again every 5 s.",
    {"error": "the reason"},
    error_code="IDS-128",
)

# --- the program itself -----------------------------------------------------------------------------------------------

INTERNAL_ERROR = _event(
    "internal_error",
    "error",
    "an internal error occurred; please report it",
    "The sidecar continues.",
    {"error": "type of the exception"},
    error_code="IDS-901",
)
LIBRARY = _event(
    "library",
    "warning",
    "a library reported a problem",
    "`text` is present only where the library cannot quote a request or a response in it.",
    {"logger": "name of the library's logger", "text": "the report", "error": "type of the exception"},
)
LOG_LINES_LOST = _event(
    "log_lines_lost",
    "warning",
    "log lines were dropped because the log was not read",
    "The sidecar never waits for the reader of its log.",
    {"count": "number of lines"},
    error_code="IDS-605",
)
