"""All stores of a sidecar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..config import secret_refs
from ..config.settings import Profile, Settings
from ..core.events import Event, Observe
from ..core.values import Credentials
from ..system.runtime_dir import KeptKey
from .credential_files import CredentialFiles
from .sealed_cache import SealedCache
from .session_store import SessionStore


class Stores:
    """The stores of a sidecar: the encrypted cache, for restarts, and the credential files, for other programs."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], profile: Callable[[str], Profile], report: Observe
    ) -> None:
        self._profile = profile
        self._report = report
        self._sealed: SealedCache | None = None
        self._cache: SessionStore | None = None
        self._files: SessionStore | None = None
        if settings.cache.directory is not None:
            key = secret_refs.cache_key(settings.cache, environ)
            self._sealed = SealedCache(settings.cache.directory, key)
            self._cache = SessionStore(self._sealed, profile, report)
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Write credential files from now on if a profile has any."""
        if self._files is None and any(profile.files for profile in settings.profiles.values()):
            self._files = SessionStore(CredentialFiles(), self._profile, self._report, store="files", apart=True)

    def all(self) -> list[SessionStore]:
        """Return the stores in use."""
        return [store for store in (self._cache, self._files) if store is not None]

    def observe(self, event: Event) -> None:
        """Store a session that was issued, or remove one that was dropped."""
        for store in self.all():
            store.observe(event)

    async def restore(self, names: list[str]) -> tuple[KeptKey | None, dict[str, Credentials]]:
        """Return the key of metadata session tokens and the sessions from before a restart; None and {} if missing."""
        if self._cache is None or self._sealed is None:
            return None, {}
        return await self._cache.ask(self._sealed.instance), await self._cache.restore(names)
