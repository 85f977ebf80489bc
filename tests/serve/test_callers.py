"""The caller rule: which users and groups may have a profile's credentials."""

from __future__ import annotations

import json

import pytest

from app.serve.access import Denial
from app.serve.callers import AllowedCallers, CallerRule, EveryRule
from app.serve.peers.peer import UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess

WRONG = "Caller"
UNKNOWN = "CallerUnknown"

NO_GROUPS = frozenset[int]()
MEMBER = frozenset({20})
STRANGER = frozenset({30})


async def peer(uid: int, groups: frozenset[int] | None) -> Peer:
    """Return a peer whose process has been attested; None: its groups are not certain."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        return PeerProcess(groups=groups)

    found = Peer(lambda: PeerCredentials(uid, 1), attest)
    await found.attest_process()
    return found


def unattested(uid: int) -> Peer:
    """Return a peer whose process has not been attested."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        raise AssertionError

    return Peer(lambda: PeerCredentials(uid, 1), attest)


def rule(uids: set[int], gids: set[int]) -> AllowedCallers:
    """Return a rule."""
    return AllowedCallers(frozenset(uids), frozenset(gids))


def reason(denial: Denial | None) -> str | None:
    """Return the reason of a refusal, or None."""
    return denial.reason if denial is not None else None


@pytest.mark.parametrize(
    ("uids", "gids", "uid", "groups", "expected"),
    [
        ({10}, {20}, 10, STRANGER, None),
        ({10}, {20}, 10, None, None),
        ({10}, {20}, 11, MEMBER, None),
        ({10}, {20}, 11, MEMBER | STRANGER, None),
        ({10}, {20}, 11, STRANGER, WRONG),
        ({10}, {20}, 11, NO_GROUPS, WRONG),
        ({10}, {20}, 11, None, UNKNOWN),
        (set(), {20}, 11, None, UNKNOWN),
        (set(), {20}, 11, MEMBER, None),
        ({10}, set(), 10, STRANGER, None),
        ({10}, set(), 11, STRANGER, WRONG),
        ({10}, set(), 11, None, WRONG),
        (set(), set(), 11, MEMBER, WRONG),
        (set(), set(), 0, MEMBER, WRONG),
    ],
)
async def test_users_and_groups(
    uids: set[int], gids: set[int], uid: int, groups: frozenset[int] | None, expected: str | None
) -> None:
    """A listed user or a member of a listed group is allowed; groups that are not certain allow no caller."""
    assert reason(rule(uids, gids).judge(await peer(uid, groups))) == expected


@pytest.mark.parametrize("gids", [set(), {20}])
def test_unknown_caller(gids: set[int]) -> None:
    """A caller whose user is unknown is refused."""
    assert reason(rule({10}, gids).judge(UNKNOWN_PEER)) == UNKNOWN


def test_groups_not_yet_attested() -> None:
    """A group rule refuses a caller whose process has not been attested."""
    assert reason(rule({10}, {20}).judge(unattested(11))) == UNKNOWN


@pytest.mark.parametrize(
    ("uids", "gids", "expected"),
    [({10}, {20}, False), ({11}, {20}, True), (set(), {20}, True), ({11}, set(), False), (set(), set(), False)],
)
async def test_attestation_is_needed_only_for_groups(uids: set[int], gids: set[int], expected: bool) -> None:
    """The process is needed once, and only where the decision depends on groups."""
    at = rule(uids, gids)

    assert at.needs_process(unattested(10)) is expected
    assert EveryRule((rule({10}, set()), at)).needs_process(unattested(10)) is expected
    assert not at.needs_process(await peer(10, MEMBER))
    assert not at.needs_process(UNKNOWN_PEER)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((rule({10}, set()), rule({10, 11}, set())), None),
        ((rule({10}, set()), rule({11}, set())), WRONG),
        ((rule({11}, set()), rule({10}, set())), WRONG),
        ((rule({11}, {20}), rule({11}, set())), UNKNOWN),
        ((), None),
    ],
)
async def test_every_rule_must_allow(rules: tuple[AllowedCallers, ...], expected: str | None) -> None:
    """Of several rules, each must allow the caller; the first refusal is the reason."""
    assert reason(EveryRule(rules).judge(await peer(10, None))) == expected


@pytest.mark.parametrize(
    ("at", "code", "message"),
    [
        (rule(set(), set()), "AccessDenied.Caller", "this profile is restricted to other users (callers) (IDS-507)"),
        (
            rule(set(), {20}),
            "AccessDenied.CallerUnknown",
            "the calling process could not be identified, and this profile is restricted to certain users (callers) "
            "(IDS-518)",
        ),
    ],
)
async def test_refusal(at: CallerRule, code: str, message: str) -> None:
    """A refusal is 403, and its code and message say what to change."""
    denial = at.judge(await peer(10, None))

    assert denial is not None
    assert denial.response.status == 403
    assert json.loads(denial.response.body) == {"Code": code, "Message": message}
