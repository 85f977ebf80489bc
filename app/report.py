"""What a running sidecar reports: the status of its profiles, and the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from . import __version__
from .config.settings import Profile
from .core.formats import timestamp
from .core.values import Status
from .exchange.settings import DeveloperApiExchange
from .identity import identities
from .observe.counters import RefreshCounters, RequestCounters
from .refresh.profiles import Profiles
from .reload import Reloader
from .serve.handlers.gate import missing
from .serve.responses import Response, document, response


class Report:
    """The status and the metrics of one sidecar, made from its parts when they are requested."""

    def __init__(
        self, profiles: Profiles, reloader: Reloader, requests: RequestCounters, refreshes: RefreshCounters
    ) -> None:
        self._profiles = profiles
        self._reloader = reloader
        self._requests = requests
        self._refreshes = refreshes

    def status(self) -> dict[str, Any]:
        """Return the present state as JSON members; times as text."""
        reload = self._reloader.status
        return {
            "version": __version__,
            "config": self._reloader.loaded.origin,
            "config_read_at": timestamp(reload.at),
            "config_error": reload.error,
            "restart_needed": list(reload.restart_needed),
            "ready": not missing(self._profiles.refreshers),
            "profiles": [self.profile(item.status) for item in self._profiles.refreshers],
        }

    def profile(self, status: Status) -> dict[str, Any]:
        """Return the members of one profile."""
        trial = self._profiles.trial(status.profile)
        return {
            "profile": status.profile,
            **describe(self._profiles.profile(status.profile)),
            "required": status.required,
            "state": status.state,
            "expires_at": _text(status.expires_at),
            "next_refresh_at": _text(status.next_refresh_at),
            "failures": status.failures,
            "last_error": status.last_error,
            "permanent": status.last_error_permanent,
            "on_trial": (trial.status.last_error or "no answer from the cloud yet") if trial is not None else None,
        }

    async def status_response(self) -> Response:
        """Return the body of `/status.json`."""
        return document(200, self.status())

    async def metrics_response(self) -> Response:
        """Return the body of `/metrics`; it is made in a thread, because it takes milliseconds."""
        return response(200, *await asyncio.to_thread(self._scrape))

    def _scrape(self) -> tuple[bytes, bytes]:
        from .serve import metrics  # 60 ms: at the first scrape

        settings, reload = self._reloader.loaded.settings, self._reloader.status
        serving = {name: self._profiles.profile(name) for name in settings.profiles if name in self._profiles}
        collector = metrics.SidecarCollector(
            self._profiles.refreshers,
            self._requests,
            self._refreshes,
            version=__version__,
            loaded_at=reload.at,
            reloaded=reload.error is None,
            on_trial=[name for name in settings.profiles if self._profiles.trial(name)],
            # One configuration may be on trial beside the other.
            unverified_tls=sorted({*unverified(settings.profiles), *unverified(serving)}),
        )
        return metrics.exposition(collector), metrics.CONTENT_TYPE


def describe(profile: Profile) -> dict[str, str]:
    """
    Return what the audit says about a profile beside its name.

    The role is the last one of the chain, because clients get its credentials. The DeveloperAPI names its sessions.
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


def _text(instant: float | None) -> str | None:
    return timestamp(instant) if instant is not None else None
