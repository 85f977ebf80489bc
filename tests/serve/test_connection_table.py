"""The open connections of a listener: their number, their deadlines, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from app.serve.connection_table import IDLE_SECONDS, TURNS_UNTIL_READ, ConnectionTable, connections_within
from app.serve.responses import STOPPING, TOO_MANY_WAITING, Response

from ..simulated_loop import SimulatedLoop, simulated

FOREVER = float("inf")


class Recorded:
    """A connection that records what the table does to it."""

    def __init__(
        self, *, owes: bool = False, deadline: float = FOREVER, answered: bool = False, unread: int = 0
    ) -> None:
        self.added = 0
        self.owes = owes
        self.answered = answered
        self.unread = unread
        self.dropped = 0
        self.deadline = deadline
        self.task: asyncio.Task[Response] | None = None
        self.closed = False
        self.expired: list[float] = []
        self.given_up: list[Response] = []

    def unread_bytes(self) -> int:
        """Return what the test says."""
        return self.unread

    def drop(self) -> None:
        """Record."""
        self.dropped += 1

    def close(self) -> None:
        """Record."""
        self.closed = True

    def expire(self) -> None:
        """Record the time."""
        self.expired.append(asyncio.get_running_loop().time())

    def give_up(self, response: Response) -> None:
        """Record the response."""
        self.given_up.append(response)


async def read() -> None:
    """Let the loop read what the connections have sent."""
    for _ in range(TURNS_UNTIL_READ):
        await asyncio.sleep(0)


def table(most: int = 16) -> ConnectionTable:
    """Return a table on the running loop."""
    return ConnectionTable(most, asyncio.get_running_loop())


@pytest.mark.parametrize(
    ("busy", "used", "victim"),
    [
        ([False, False, False], [], 0),
        ([False, False, False], [0], 1),
        ([False, False, False], [0, 1], 2),
        ([True, False, False], [], 1),
        ([True, True, False], [], 2),
        ([True, False, True], [], 1),
        ([False, True, True], [], 0),
        ([True, True, True], [], 0),
        ([True, True, True], [0], 1),
    ],
)
@pytest.mark.parametrize("newest_busy", [False, True])
async def test_too_many_connections(busy: list[bool], used: list[int], victim: int, newest_busy: bool) -> None:
    """The idle connection that was unused for longest ends for a new one; without an idle one, the longest waiting."""
    at = table(3)
    connections = [Recorded(owes=value) for value in busy]
    for connection in connections:
        at.add(connection)
    for number in used:
        at.touch(connections[number])
    assert [connection.given_up for connection in connections] == [[], [], []]

    await read()
    newest = Recorded(owes=newest_busy)
    at.add(newest)

    assert [connection.given_up for connection in connections] == [
        [TOO_MANY_WAITING] if number == victim else [] for number in range(3)
    ]
    assert newest.given_up == []
    assert len(at) == 3


@pytest.mark.parametrize(
    ("owes", "answered", "victim"),
    [
        ([True, True, True], [False, True, False], 1),
        ([True, True, True], [False, True, True], 1),
        ([True, True, True], [True, False, True], 0),
        ([True, True, False], [True, True, True], 2),
        ([True, True, False], [True, True, False], 0),
        ([True, True, False], [False, False, False], 2),
        ([True, False, True], [True, True, True], 1),
    ],
)
async def test_client_that_had_a_response(owes: list[bool], answered: list[bool], victim: int) -> None:
    """
    An idle connection ends first, then one that has had a response already, then one that is not read yet.

    A client that waits for its first response ends last.
    """
    at = table(3)
    connections = [Recorded(owes=one, answered=other) for one, other in zip(owes, answered, strict=True)]
    for connection in connections:
        at.add(connection)
    await read()
    at.add(Recorded(answered=True, owes=True))

    assert [bool(connection.given_up) for connection in connections] == [number == victim for number in range(3)]


SHARE = 16_384
QUARTER = 1_048_576 - SHARE
"""Bytes of a response that is unread, so that four such connections need 4 MiB."""


async def test_unread_responses() -> None:
    """Unread responses need 4 MiB at most, with 16 KiB for each connection; the one unread for longest ends first."""
    at = table()
    connections = [Recorded(unread=QUARTER) for _ in range(4)]
    for connection in connections:
        at.stall(connection)
    assert [connection.dropped for connection in connections] == [0, 0, 0, 0]

    at.stall(connections[0])
    assert [connection.dropped for connection in connections] == [0, 0, 0, 0]
    at.stall(Recorded())
    assert [connection.dropped for connection in connections] == [0, 1, 0, 0]
    at.stall(Recorded(unread=2 * QUARTER))
    assert [connection.dropped for connection in connections] == [0, 1, 1, 0]


@pytest.mark.parametrize("end", [ConnectionTable.unstall, ConnectionTable.discard])
async def test_responses_that_were_read(end: Callable[[ConnectionTable, Recorded], None]) -> None:
    """A client that has read its response, or that is gone, needs no memory any more."""
    at, first = table(), Recorded(unread=3 * QUARTER)
    at.stall(first)
    end(at, first)
    end(at, first)
    others = [Recorded(unread=QUARTER) for _ in range(4)]
    for connection in others:
        at.stall(connection)
    assert [connection.dropped for connection in (first, *others)] == [0, 0, 0, 0, 0]
    others[3].unread += 1
    at.stall(others[3])

    assert [connection.dropped for connection in (first, *others)] == [0, 1, 0, 0, 0]


async def test_one_large_response() -> None:
    """A single response may need more."""
    at, large = table(), Recorded(unread=5 * QUARTER)
    at.stall(large)
    assert large.dropped == 0
    at.stall(Recorded())

    assert large.dropped == 1


async def test_closed_connections_do_not_count() -> None:
    """A connection that is closed makes room for another one; closing it twice is no error."""
    at = table(2)
    first, second, third = Recorded(), Recorded(), Recorded()
    at.add(first)
    at.add(second)
    at.discard(first)
    at.discard(first)
    assert len(at) == 1
    at.add(third)

    assert len(at) == 2
    assert [connection.given_up for connection in (first, second, third)] == [[], [], []]


@simulated
async def test_deadlines() -> None:
    """A connection whose deadline has come expires at the next whole second; the others stay."""
    at = table()
    start = asyncio.get_running_loop().time()
    connections = {seconds: Recorded(deadline=start + seconds) for seconds in (0.0, 1.0, 1.1, 2.5, 4.0)}
    for connection in connections.values():
        at.add(connection)
    await asyncio.sleep(3.5)

    first = {seconds: connection.expired[:1] for seconds, connection in connections.items()}
    assert first == {0.0: [start + 1], 1.0: [start + 1], 1.1: [start + 2], 2.5: [start + 3], 4.0: []}


@simulated
async def test_deadlines_are_checked_once_a_second() -> None:
    """A later connection does not add checks; without connections there are none."""
    loop = asyncio.get_running_loop()
    at, start, first = table(), loop.time(), Recorded(deadline=0)
    at.add(first)
    await asyncio.sleep(0.5)
    at.add(Recorded())
    await asyncio.sleep(3)
    assert [later - earlier for earlier, later in pairwise([start, *first.expired])] == [1, 1, 1]

    other = table()
    other.add(first)
    other.discard(first)
    await asyncio.sleep(10.5)
    late = Recorded(deadline=0)
    added = loop.time()
    other.add(late)
    await asyncio.sleep(1.1)
    assert late.expired == [added + 1]


@pytest.mark.parametrize(("seconds", "took", "ended"), [(1.0, 1.0, True), (5.0, 2.0, False)])
@simulated
async def test_drain(seconds: float, took: float, ended: bool) -> None:
    """Idle connections are closed at once; the others have time for their response, and then get the reason."""
    loop = asyncio.get_running_loop()
    at, idle, busy = table(), Recorded(), Recorded(owes=True)

    async def respond() -> None:
        await asyncio.sleep(seconds)
        at.discard(busy)

    at.add(busy)
    at.add(idle)
    busy.task = asyncio.create_task(respond())
    start = loop.time()
    draining = asyncio.create_task(at.drain(2.0))
    await asyncio.sleep(0)
    assert (idle.closed, busy.closed) == (True, False)
    assert (idle.given_up, busy.given_up) == ([], [])
    at.discard(idle)
    await draining

    assert loop.time() - start == took
    assert busy.given_up == ([] if ended else [STOPPING])
    assert (busy.closed, idle.given_up) == (False, [])
    busy.task.cancel()


@simulated
async def test_drain_without_responses() -> None:
    """Where no response is owed, draining does not wait; a connection that does not close is given up."""
    loop = asyncio.get_running_loop()
    at, idle = table(), Recorded()
    at.add(idle)
    start = loop.time()
    await at.drain(2.0)

    assert loop.time() == start
    assert (idle.closed, idle.given_up) == (True, [STOPPING])


@simulated
async def test_closings_that_are_checked() -> None:
    """One of eight closings is checked; after a client that does not read its response, every one for 10 s."""
    at = table()
    assert [at.checks_closing() for _ in range(16)] == ([False] * 7 + [True]) * 2
    at.suspect()
    assert all(at.checks_closing() for _ in range(16))
    await asyncio.sleep(9.9)
    assert at.checks_closing()
    await asyncio.sleep(0.1)

    assert not at.checks_closing()


@pytest.mark.parametrize(("seconds", "victim"), [(0.9, 0), (1.0, 0), (1.1, 1)])
def test_connection_that_is_not_read_yet_is_not_idle(seconds: float, victim: int) -> None:
    """A connection without a request counts as idle after a second. Before, one that had a response ends first."""

    @simulated
    async def test() -> None:
        at = table(2)
        young = Recorded(deadline=asyncio.get_running_loop().time() + IDLE_SECONDS)
        connections = [Recorded(owes=True, answered=True), young]
        for connection in connections:
            at.add(connection)
        await asyncio.sleep(seconds)
        at.add(Recorded(owes=True))

        assert [bool(connection.given_up) for connection in connections] == [number == victim for number in range(2)]

    test()


@pytest.mark.parametrize(
    ("sends", "seconds", "victim"), [(False, 0.5, 1), (False, 1.5, 0), (True, 0.5, 1), (True, 1.5, 1)]
)
def test_connection_that_was_passed_over_is_looked_at_again(sends: bool, seconds: float, victim: int) -> None:
    """A young connection that was passed over counts as idle a second later, unless it has sent a request."""

    @simulated
    async def test() -> None:
        at = table(2)
        young = Recorded(deadline=asyncio.get_running_loop().time() + IDLE_SECONDS)
        at.add(young)
        at.add(Recorded(owes=True, answered=True))
        served = Recorded(owes=True, answered=True)
        at.add(served)
        assert not young.given_up  # the one that was answered ends
        young.owes = sends
        await asyncio.sleep(seconds)
        at.add(Recorded(owes=True))

        assert [bool(connection.given_up) for connection in (young, served)] == [
            number == victim for number in range(2)
        ]

    test()


@pytest.mark.parametrize(
    ("mebibytes", "expected"), [(None, None), (1_000, 40_960), (64, 1_024), (41.5, 64), (41.6, 68), (8, 64)]
)
def test_connections_within_a_memory_limit(mebibytes: float | None, expected: int | None) -> None:
    """With 64 MiB, all listeners have 1,024 connections together; a limit that is too small permits 64."""
    assert connections_within(None if mebibytes is None else int(mebibytes * 1_048_576)) == expected


class Counted(Recorded):
    """A connection that counts how often the table asks whether it owes a response."""

    questions = 0

    @property
    def owes(self) -> bool:
        """Whether a response is owed."""
        type(self).questions += 1
        return self._owes

    @owes.setter
    def owes(self, value: bool) -> None:
        self._owes = value


@simulated
async def test_choice_does_not_look_at_all_connections_again() -> None:
    """A full table of clients that wait is looked at once, and not at every further connection."""
    connections = table(1_000)
    for _ in range(3_000):
        connections.add(Counted(owes=True))

    assert len(connections) == 1_000
    assert 3_000 < Counted.questions < 10_000


@simulated
async def test_client_that_was_passed_over_and_then_answered_is_used_last() -> None:
    """A client that was passed over while it waited counts as used when it is answered, and is idle after that."""
    first, second, third = Recorded(owes=True), Recorded(owes=True), Recorded(owes=True)
    connections = table(2)
    for connection in (first, second, third):
        connections.add(connection)
    assert first.given_up
    second.owes, second.answered = False, True
    connections.touch(second)
    connections.add(fourth := Recorded(owes=True))

    assert second.given_up
    assert not third.given_up
    assert not fourth.given_up
    assert len(connections) == 2


@simulated
async def test_client_that_was_passed_over_and_then_answered_is_idle() -> None:
    """A client that was passed over and is idle since its response ends before those that still wait."""
    clients = [Recorded(owes=True) for _ in range(4)]
    connections = table(3)
    for client in clients:
        connections.add(client)
    clients[2].owes, clients[2].answered = False, True
    connections.touch(clients[2])
    connections.add(Recorded(owes=True))

    assert [bool(client.given_up) for client in clients] == [True, False, True, False]


@simulated
async def test_passed_over_connections_are_swept_and_drained() -> None:
    """Deadlines, the end and a close reach connections that were passed over, too."""
    waiting, closed, other, last = (Recorded(owes=True, deadline=float(2_000 + n)) for n in range(4))
    connections = table(3)
    for connection in (waiting, closed, other, last):
        connections.add(connection)
    assert waiting.given_up
    connections.discard(closed)
    connections.discard(closed)
    assert len(connections) == 2
    await asyncio.sleep(1_010)

    assert [bool(item.expired) for item in (closed, other, last)] == [False, True, True]
    await connections.drain(1)
    assert [bool(item.given_up) for item in (closed, other, last)] == [False, True, True]


@pytest.mark.parametrize(("turns", "victim"), [(TURNS_UNTIL_READ - 1, "waits"), (TURNS_UNTIL_READ, "silent")])
def test_client_that_the_loop_has_not_read_yet_goes_last(turns: int, victim: str) -> None:
    """Clients without a request go before those that wait, once the loop has had the turns to read a request."""

    @simulated
    async def test() -> None:
        silent = [Recorded(deadline=asyncio.get_running_loop().time() + IDLE_SECONDS) for _ in range(2)]
        patient = [Recorded(owes=True) for _ in range(30)]
        connections = table(32)
        for connection in (*silent, *patient):
            connections.add(connection)
        for _ in range(turns):
            await asyncio.sleep(0)
        connections.add(newest := Recorded())

        assert [bool(item.given_up) for item in silent] == [victim == "silent", False]
        assert [bool(item.given_up) for item in patient] == [victim == "waits", *[False] * 29]
        assert not newest.given_up

    test()


@simulated
async def test_slow_turn_makes_no_client_idle() -> None:
    """A client that was accepted in a turn of two seconds is not idle after it: the loop has not read it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    connections = table(2)
    connections.add(busy := Recorded(owes=True, answered=True))
    connections.add(accepted := Recorded(deadline=loop.time() + IDLE_SECONDS))
    loop.now += 2
    connections.add(Recorded(owes=True))

    assert (bool(accepted.given_up), bool(busy.given_up)) == (False, True)


@simulated
async def test_more_clients_in_one_turn_than_the_table_holds() -> None:
    """Of clients accepted in one turn, those that came first are closed where no other is left."""
    clients = [Recorded(deadline=asyncio.get_running_loop().time() + IDLE_SECONDS) for _ in range(5)]
    connections = table(3)
    for client in clients:
        connections.add(client)

    assert [bool(client.given_up) for client in clients] == [True, True, False, False, False]


@simulated
async def test_turns_are_counted_only_after_a_new_client() -> None:
    """The table asks the loop for TURNS_UNTIL_READ turns after the last new client, and for no more."""
    connections = table(2)
    for _ in range(2):
        connections.add(Recorded())
        await asyncio.sleep(0)
    await asyncio.sleep(10)

    assert connections._turn == 1 + TURNS_UNTIL_READ
