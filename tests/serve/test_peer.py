"""The other end of a connection: what is asked about it, and when."""

from __future__ import annotations

import asyncio

import pytest

from app.serve.peers.peer import LONGEST_ATTESTATION, UNKNOWN_PEER, Peer, PeerCredentials, PeerProcess, no_process

from ..simulated_loop import simulated

CALLER = PeerCredentials(1001, 4711)
PROCESS = PeerProcess(7, "/bin/x", frozenset({20}))


@pytest.mark.parametrize("found", [CALLER, None])
def test_the_kernel_is_asked_once(found: PeerCredentials | None) -> None:
    """The kernel is asked at the first access and no more, also if the caller is unknown."""
    asked = []

    def identify() -> PeerCredentials | None:
        asked.append(1)
        return found

    peer = Peer(identify, no_process, host="127.0.0.1")
    assert asked == []
    assert peer.host == "127.0.0.1"
    assert peer.process is None

    assert [peer.credentials, peer.credentials] == [found, found]
    assert peer.uid == (1001 if found is not None else None)
    assert asked == [1]


async def test_the_process_is_attested_once() -> None:
    """The process is attested by the caller's credentials, once per connection."""
    asked = []

    async def attest(caller: PeerCredentials) -> PeerProcess:
        asked.append(caller)
        return PROCESS

    peer = Peer(lambda: CALLER, attest)
    await peer.attest_process()
    await peer.attest_process()

    assert peer.process is PROCESS
    assert asked == [CALLER]
    assert peer.host == ""


async def test_unknown_caller_is_not_attested() -> None:
    """Without credentials there is nothing to attest: the process is empty."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        raise AssertionError

    peer = Peer(lambda: None, attest)
    await peer.attest_process()

    assert peer.process == PeerProcess(pid=None, executable=None, groups=None)


@pytest.mark.parametrize(("seconds", "expected"), [(1.9, PROCESS), (2.1, PeerProcess())])
@simulated
async def test_attestation_is_limited(seconds: float, expected: PeerProcess) -> None:
    """An attestation that takes longer than 2 s gives an empty process."""

    async def attest(_caller: PeerCredentials) -> PeerProcess:
        await asyncio.sleep(seconds)
        return PROCESS

    peer = Peer(lambda: CALLER, attest)
    started = asyncio.get_running_loop().time()
    await peer.attest_process()

    assert peer.process == expected
    assert asyncio.get_running_loop().time() - started == pytest.approx(min(seconds, LONGEST_ATTESTATION))
    assert LONGEST_ATTESTATION == 2.0


async def test_unknown_peer() -> None:
    """Nothing is known about the unknown peer."""
    assert UNKNOWN_PEER.credentials is None
    assert UNKNOWN_PEER.uid is None
    assert UNKNOWN_PEER.host == ""
    assert await no_process(CALLER) == PeerProcess()
