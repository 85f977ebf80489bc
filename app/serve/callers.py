"""A profile's rule about callers: which users and groups may have its credentials."""

from __future__ import annotations

from ..core.record import Record
from .access import Denial, deny
from .peers.peer import Peer

_WRONG_CALLER = deny("Caller", "this profile is restricted to other users (callers)")
_UNKNOWN_CALLER = deny(
    "CallerUnknown",
    "the calling process could not be identified, and this profile is restricted to certain users (callers)",
)


class AllowedCallers(Record, frozen=True):
    """Allows a peer with one of the uids, or in one of the groups."""

    uids: frozenset[int]
    gids: frozenset[int]

    def judge(self, peer: Peer) -> Denial | None:
        """Return why the peer is refused, or None. An uncertain identity is refused."""
        # A process of another user in the same pod or machine reaches the same loopback. The kernel knows its user.
        credentials = peer.credentials
        if credentials is not None and credentials.uid in self.uids:
            return None
        if credentials is None:
            return _UNKNOWN_CALLER
        if not self.gids:
            return _WRONG_CALLER
        groups = peer.process.groups if peer.process is not None else None
        if groups is None:
            return _UNKNOWN_CALLER
        return None if groups & self.gids else _WRONG_CALLER

    def needs_process(self, peer: Peer) -> bool:
        """Return whether `judge` depends on groups that are not attested yet."""
        if not self.gids or peer.process is not None:
            return False
        credentials = peer.credentials
        return credentials is not None and credentials.uid not in self.uids


class EveryRule(Record, frozen=True):
    """Several rules, each of which must allow the peer."""

    rules: tuple[AllowedCallers, ...]

    def judge(self, peer: Peer) -> Denial | None:
        """Return why the peer is refused, or None."""
        return next((denial for rule in self.rules if (denial := rule.judge(peer)) is not None), None)

    def needs_process(self, peer: Peer) -> bool:
        """Return whether one of the rules depends on groups that are not attested yet."""
        return any(rule.needs_process(peer) for rule in self.rules)


CallerRule = AllowedCallers | EveryRule
