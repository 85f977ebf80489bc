"""The reports of a running sidecar: its status, as a document and as a page, and the metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from . import __version__
from .config.locate import absolute
from .config.settings import Profile
from .core.clocks import Clocks
from .core.errors import SidecarError
from .core.formats import timestamp
from .core.record import Record
from .core.values import STATES
from .exchange.settings import DeveloperApiExchange
from .identity import identities
from .observe.counters import RefreshCounters, RequestCounters
from .observe.event_log import failure_fields
from .observe.log_events import FAILURE
from .observe.recent_attempts import Attempt, RecentAttempts
from .observe.recent_callers import Caller, RecentCallers, Seen
from .refresh.profiles import Profiles
from .refresh.refresher import Refresher
from .reload import Reloader, ReloadStatus
from .serve.handlers.gate import missing
from .serve.responses import Response, document, response


class Observed(Record, frozen=True):
    """The counters and recent events of requests and refreshes."""

    requests: RequestCounters
    refreshes: RefreshCounters
    attempts: RecentAttempts
    callers: RecentCallers

    @classmethod
    def by(cls, clocks: Clocks) -> Observed:
        """Return empty counters and empty lists of events."""
        wall = clocks.wall
        return cls(RequestCounters(wall), RefreshCounters(wall), RecentAttempts(wall), RecentCallers(wall))


class Report:
    """
    The status and the metrics of one sidecar, built at each request.

    `host`: the name of the pod or machine, for people who look at several sidecars. `listeners` returns the URL of each
    listener.
    """

    def __init__(
        self,
        profiles: Profiles,
        reloader: Reloader,
        observed: Observed,
        *,
        clocks: Clocks,
        host: str,
        listeners: Callable[[], Mapping[str, str]],
    ) -> None:
        self._profiles = profiles
        self._reloader = reloader
        self._observed = observed
        self._clocks = clocks
        self._host = host
        self._listeners = listeners
        self._started = clocks.monotonic()
        self._stopping = False

    def announce_stop(self) -> None:
        """Report from now on that the sidecar is stopping. It still answers requests for some seconds."""
        self._stopping = True

    # --- the status ---------------------------------------------------------------------------------------------------

    def profile(self, refresher: Refresher) -> dict[str, Any]:
        """Return the members of one profile."""
        return self._profile(self._with_settings(refresher))

    def refreshed(self, refresher: Refresher) -> dict[str, Any]:
        """Return the members of one profile for an order, with the reason why a changed configuration is not used."""
        reload = self._reloader.status
        return {
            **self.profile(refresher),
            **_config_error(reload),
        }

    async def status_response(self) -> Response:
        """Return the body of `/status.json`: times as text, durations in seconds."""
        return await self._in_thread(lambda status: document(200, status))

    async def page_response(self, refresh: bool) -> Response:
        """Return the page `/status`. With `refresh`, the page reloads itself."""
        return await self._in_thread(lambda status: _page(status, refresh))

    async def _in_thread(self, render: Callable[[dict[str, Any]], Response]) -> Response:
        """Return the status, rendered in a thread: a thousand profiles take 50 ms as JSON, and 170 ms as a page."""
        head, requests = self._head(), _Requests(self._observed.requests)
        serving = [self._with_settings(item) for item in self._profiles.refreshers]
        return await asyncio.to_thread(lambda: render(self._document(head, serving, requests)))

    def _head(self) -> dict[str, Any]:
        """Return all members of the status except `profiles`, which stays empty."""
        reload, now = self._reloader.status, self._clocks.wall()
        return {
            "version": __version__,
            "host": self._host,
            "now": timestamp(now),
            "uptime_seconds": round(self._clocks.monotonic() - self._started),
            "config": absolute(self._reloader.loaded.origin),
            "config_read_at": timestamp(reload.at),
            "config_age_seconds": max(0, round(now - reload.at)),
            **_config_error(reload),
            "restart_needed": list(reload.restart_needed),
            "stopping": self._stopping,
            "ready": not missing(self._profiles.refreshers),
            "listeners": dict(self._listeners()),
            "profiles": [],
            "callers": [_caller(*item) for item in self._observed.callers.served()],
            "refused_callers": [_caller(*item) for item in self._observed.callers.refused()],
            "denied": dict(self._observed.requests.denied),
        }

    def _with_settings(self, refresher: Refresher) -> _Serving:
        name = refresher.profile
        return _Serving(refresher, self._profiles.profile(name), self._profiles.trial(name))

    def _document(self, head: dict[str, Any], serving: list[_Serving], requests: _Requests) -> dict[str, Any]:
        requests.sum_up()
        return {**head, "profiles": [requests.added_to(self._profile(item)) for item in serving]}

    def _profile(self, serving: _Serving) -> dict[str, Any]:
        """Return the members of one profile. May run in a thread."""
        refresher, trial = serving.refresher, serving.trial
        status = refresher.status
        due = status.next_refresh_at
        return {
            "profile": status.profile,
            **describe(serving.configured),
            "required": status.required,
            "state": status.state,
            "state_meaning": STATES[status.state],
            "expires_at": _text(status.expires_at),
            "left_seconds": int(status.left),
            "life_seconds": int(status.life),
            "next_refresh_at": _text(due),
            "next_refresh_seconds": max(0, round(due - self._clocks.wall())) if due is not None else None,
            "failures": status.failures,
            "last_error": status.last_error,
            "permanent": status.last_error_permanent,
            "failure": _failure(refresher.last_error, status.last_error),
            "on_trial": (trial.status.last_error or "no answer from the cloud yet") if trial is not None else None,
            "on_trial_code": failure_fields(trial.last_error).get("error_code") if trial is not None else None,
            "on_trial_failure": _failure(trial.last_error, trial.status.last_error) if trial is not None else None,
            "attempts": [_attempt(item) for item in self._observed.attempts.of(status.profile)],
        }

    # --- the metrics --------------------------------------------------------------------------------------------------

    async def metrics_response(self) -> Response:
        """Return the body of `/metrics`. A thread builds it, because building takes milliseconds."""
        return response(200, *await asyncio.to_thread(self._scrape))

    def _scrape(self) -> tuple[bytes, bytes]:
        from .observe.exposition import CONTENT_TYPE, exposition  # imported at the first scrape, because it takes long
        from .serve.metrics import SidecarCollector

        settings, reload = self._reloader.loaded.settings, self._reloader.status
        serving = {name: self._profiles.profile(name) for name in settings.profiles if name in self._profiles}
        collector = SidecarCollector(
            self._profiles.refreshers,
            self._observed.requests,
            self._observed.refreshes,
            version=__version__,
            loaded_at=reload.at,
            reloaded=reload.error is None,
            on_trial=[name for name in settings.profiles if self._profiles.trial(name)],
            # A new configuration may be on trial beside the active one.
            unverified_tls=sorted({*unverified(settings.profiles), *unverified(serving)}),
        )
        return exposition(collector), CONTENT_TYPE


class _Serving(NamedTuple):
    """The active refresher of a profile, its configuration, and the profile's refresher on trial."""

    refresher: Refresher
    configured: Profile
    trial: Refresher | None


class _Requests:
    """The numbers of requests for each profile that got credentials or were refused. A snapshot of the counters."""

    def __init__(self, counters: RequestCounters) -> None:
        self._counted = list(counters.requests.items())
        self._last_served = dict(counters.last_served)
        self._served: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def sum_up(self) -> None:
        """Add up the counts of all profiles in one pass."""
        for (_, _, code, profile), count in self._counted:
            if code == 200:
                self._served[profile] += count
            elif 400 <= code < 500:
                self._refused[profile] += count

    def added_to(self, members: dict[str, Any]) -> dict[str, Any]:
        """Return the members of a profile, with the counts of its requests added."""
        name = members["profile"]
        return {
            **members,
            "served": self._served[name],
            "refused": self._refused[name],
            "last_served_at": _text(self._last_served.get(name)),
        }


def host_name(environ: Mapping[str, str], hostname: str) -> str:
    """Return the pod's namespace and name from the variables of the downward API, else `hostname`."""
    pod, namespace = environ.get("POD_NAME"), environ.get("POD_NAMESPACE")
    return "/".join(filter(None, (namespace, pod))) if pod else hostname


def describe(profile: Profile) -> dict[str, str]:
    """
    Return the members that the audit adds about a profile, beside its name.

    The role is the last role of the chain, because clients get its credentials. The DeveloperAPI chooses the names of
    its sessions.
    """
    last = profile.chain[-1] if profile.chain else profile.exchange
    session = "" if isinstance(last, DeveloperApiExchange) else str(last.role_session_name)
    kind = type(profile.identity).__struct_config__.tag
    return {"identity": str(kind), "role": last.role_arn, "session": session}


def unverified(profiles: Mapping[str, Profile]) -> list[str]:
    """Return the profiles whose token endpoint is used without TLS verification."""
    return [
        name
        for name, profile in profiles.items()
        if any(
            http is not None and http.unsafe_ignore_ssl_cert
            for http in (identities.http_of(part) for part, _ in identities.parts(profile.identity, ""))
        )
    ]


def _page(status: Mapping[str, Any], refresh: bool) -> Response:
    from .serve import status_page  # imports `html`, so only at the first page

    return response(200, status_page.render(status, refresh=refresh).encode(), status_page.HTML, status_page.HEADERS)


def _failure(error: Exception | None, text: str | None) -> dict[str, object] | None:
    """
    Return the known facts of the last failure, with its entry of the errors index; None without a failure.

    `text`: the text that is shown for an error which the program did not raise on purpose.
    """
    if error is None:
        return None
    message, cure = (error.cause, error.cure) if isinstance(error, SidecarError) else (text, "")
    from .core.error_index.index import INDEX  # only a failure needs these texts

    fields = dict.fromkeys(FAILURE) | failure_fields(error)
    entry = INDEX.get(str(fields["error_code"]))
    meaning, cause, usual = (entry.meaning, entry.cause, entry.cure) if entry is not None else ("", "", "")
    known = {"message": message, "meaning": meaning, "cause": cause, "cure": cure or usual}
    return {**fields, **{name: value or None for name, value in known.items()}}


def _config_error(reload: ReloadStatus) -> dict[str, object]:
    """Return why the changed configuration is not used: in one text, and each mistake with its code and cure apart."""
    mistakes: list[dict[str, object]] = []
    if reload.mistakes:
        from .core.error_index.index import INDEX  # texts that only a failure needs

        for each in reload.mistakes:
            entry = INDEX.get(each.error_code)
            cure = each.cure or (entry.cure if entry is not None else "")
            mistakes.append({"message": each.cause, "error_code": each.error_code, "cure": cure or None})
    return {"config_error": reload.error, "config_error_code": reload.error_code, "config_mistakes": mistakes}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": timestamp(attempt.at),
        "outcome": attempt.outcome,
        "seconds": round(attempt.seconds, 3),
        "code": attempt.code or None,
        "stages": [{"stage": stage, "seconds": round(seconds, 3)} for stage, seconds in attempt.durations()],
    }


def _caller(caller: Caller, seen: Seen) -> dict[str, Any]:
    return {
        "listener": caller.listener,
        "profile": caller.profile or None,
        "uid": caller.uid,
        "executable": seen.executable or None,
        "reason": caller.reason or None,
        "count": seen.times,
        "last_at": timestamp(seen.at),
    }


def _text(instant: float | None) -> str | None:
    return timestamp(instant) if instant is not None else None
