"""The handlers behind the sockets of credentials and metadata. A change replaces them in one step at run time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from .config import secret_refs
from .config.hosts import allowed_hosts
from .config.settings import Access, PathToken, Profile, Settings
from .core.addresses import listen_address
from .core.clocks import Clocks
from .core.errors import ConfigError
from .observe.counters import RequestCounters
from .refresh.lazy_pipeline import same
from .refresh.profiles import Profiles
from .serve.access import Guard
from .serve.audit import Audit
from .serve.callers import AllowedCallers, CallerRule, EveryRule
from .serve.dispatch import Dispatcher
from .serve.ecs_metadata import MetadataValues, SessionTokens
from .serve.handlers.credential_endpoint import CredentialEndpoint
from .serve.handlers.credentials import CredentialHandler, ListenerRules
from .serve.rate_limit import RateLimit
from .system import runtime_dir
from .system.disk import SILENT, in_time
from .system.runtime_dir import KeptKey


class CredentialDispatchers:
    """
    The dispatchers of the credentials and metadata listeners.

    `apply` changes their rules, values and refreshers in one step. `given_path_token` replaces the configured path
    token.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        profiles: Profiles,
        *,
        audit: Audit,
        counters: RequestCounters,
        clocks: Clocks,
        session_key: bytes,
        report_lost_key: Callable[[str], None],
        given_path_token: str | None,
        port: int,
    ) -> None:
        self._environ = environ
        self._profiles = profiles
        self._clocks = clocks
        self._given_token = given_path_token
        self._port = port
        self._server = settings.server
        self._key_is_cached = False
        self._report_lost_key = report_lost_key
        self._said = ""
        # The monotonic clock keeps a client's token valid when the machine's time is corrected.
        kept = self._kept_at_start(settings.access)
        self._sessions = SessionTokens(kept.key or session_key, clocks.monotonic)
        self._endpoints: dict[str, CredentialEndpoint] = {}
        self._rates: dict[str, RateLimit] = {}
        handlers = self._handlers(settings, self._token_at_start(settings.access))
        self.dispatchers = {name: Dispatcher(name, handler, counters, audit) for name, handler in handlers.items()}

    def apply(self, settings: Settings, path_token: str | None, session_key: KeptKey) -> None:
        """
        Use these settings, this path token and the active refreshers from the next request on.

        New metadata session tokens are signed with `session_key`, if it is given. Earlier tokens stay valid.
        """
        self._say(session_key)
        if session_key.key is not None and not self._key_is_cached:
            self._sessions.sign_with(session_key.key)
        for name, handler in self._handlers(settings, path_token).items():
            self.dispatchers[name].apply(handler)

    def replace(self, name: str, configured: Profile) -> None:
        """Serve a profile with this configuration and its active refresher from the next request on."""
        endpoint = self._endpoints[name] = self._endpoint(name, configured)
        for dispatcher in self.dispatchers.values():
            dispatcher.replace(endpoint)

    def replace_session_key(self, kept: KeptKey) -> None:
        """Replace the key of the metadata session tokens, and drop the remembered decisions of the old tokens."""
        self._say(kept)
        if kept.key is not None:
            self._key_is_cached = True
            self._sessions.replace_key(kept.key)
        for dispatcher in self.dispatchers.values():
            dispatcher.forget_decisions()

    def session_key(self, access: Access) -> KeptKey:
        """Read or make the key that survives a restart, or none unless tokens are required and a port is fixed."""
        server = self._server
        fixed = self._port and listen_address(server.bind, "server.bind")[1]
        if not fixed and server.metadata is not None:
            fixed = self._port and listen_address(server.metadata, "server.metadata")[1]
        if access.metadata_tokens != "required" or not fixed:
            return KeptKey(None)
        return runtime_dir.kept_session_key(self._environ, os.geteuid(), fixed)

    def path_token(self, access: Access) -> str | None:
        """Return the given path token, else the configured one, else a generated one, else None. Raises ConfigError."""
        if self._given_token is not None or access.path_token is None:
            return self._given_token
        if isinstance(access.path_token, PathToken):
            return secret_refs.path_token(access.path_token, self._environ)()
        path = runtime_dir.path_token_file(self._environ, os.geteuid(), self._port)
        return runtime_dir.generated_path_token(path)

    def _kept_at_start(self, access: Access) -> KeptKey:
        """Return the result of `session_key`, within the time limit of a file system call."""
        try:
            kept = in_time(self.session_key, access)
        except TimeoutError:
            kept = KeptKey(None, f"the runtime directory: {SILENT}")
        self._say(kept)
        return kept

    def _token_at_start(self, access: Access) -> str | None:
        """Return the result of `path_token`, within the time limit of a file system call. Raises ConfigError."""
        try:
            return in_time(self.path_token, access)
        except TimeoutError:
            raise ConfigError(f"access.pathToken: {SILENT}", error_code="IDS-601") from None

    def _say(self, kept: KeptKey) -> None:
        """Report once that clients need new session tokens after a restart."""
        if kept.lost and kept.lost != self._said:
            self._report_lost_key(kept.lost)
        self._said = kept.lost

    def _handlers(self, settings: Settings, path_token: str | None) -> dict[str, CredentialHandler]:
        access = settings.access
        self._endpoints = {name: self._endpoint(name, profile) for name, profile in settings.profiles.items()}
        return {
            name: CredentialHandler(
                self._endpoints,
                ListenerRules(
                    guard=guard(settings, refuse_browsers=access.browsers == "refuse"),
                    sessions=self._sessions,
                    sessions_required=access.metadata_tokens == "required",
                    path_token=path_token.encode() if path_token is not None else None,
                    now=self._clocks.monotonic,
                    rate=self._rate(name, access.requests_per_second),
                    values=MetadataValues(settings.metadata.values, document=settings.metadata.identity_document),
                    metadata_only=name == "metadata",
                ),
            )
            for name in ("credentials", "metadata")
        }

    def _endpoint(self, name: str, configured: Profile) -> CredentialEndpoint:
        refresher, rule = self._profiles.refresher(name), _rule(self._profiles.profile(name), configured)
        before = self._endpoints.get(name)
        if before is not None and before.source is refresher and before.callers == rule:
            return before  # this endpoint knows which users have received the session already
        return CredentialEndpoint(refresher, self._clocks, rule)

    def _rate(self, name: str, per_second: float | None) -> RateLimit | None:
        if per_second is None:
            return None
        found = self._rates.get(name)
        if found is None or found.per_second != per_second:
            found = self._rates[name] = RateLimit(per_second, self._clocks.monotonic)
        return found


def guard(settings: Settings, *, refuse_browsers: bool) -> Guard:
    """Return the access rules that hold for every path."""
    access = settings.access
    return Guard(
        allowed_hosts=allowed_hosts(settings),
        refuse_forwarded=access.forwarded == "refuse",
        refuse_browsers=refuse_browsers,
    )


def _callers(profile: Profile) -> AllowedCallers | None:
    rule = profile.callers
    return AllowedCallers(frozenset(rule.uids), frozenset(rule.gids)) if rule is not None else None


def _rule(serving: Profile, configured: Profile) -> CallerRule | None:
    """
    Return the caller rule for the active session of a profile.

    While another role is on trial, the old role's session is served. Callers that only the new rule names were never
    meant to have the old role, so both rules must allow a caller.
    """
    rule, before = _callers(configured), _callers(serving)
    if same(serving, configured) or before is None or before == rule:
        return rule
    return before if rule is None else EveryRule((rule, before))
