"""The loop's turns: how many requests one turn answers, in which order, and when waiting connections are accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

import pytest

from app.serve.turns import LEAST_FURTHER, LONG_TURN, MOST_PER_TURN, RequestQueue, Turns

from ..simulated_loop import SimulatedLoop, simulated


@dataclass(eq=False)
class Request:
    """A connection with requests that wait. `proceed` answers one and waits again for the next."""

    queue: RequestQueue
    order: list[str]
    name: str = "a"
    requests: int = 1
    answered: bool = False
    closed: bool = False
    then: Callable[[], None] = field(default=lambda: None)

    def proceed(self) -> None:
        self.order.append(self.name)
        self.answered = True
        self.requests -= 1
        self.then()
        if self.requests:
            self.queue.wait(self)


async def turn() -> None:
    """Let the loop do one more turn."""
    await asyncio.sleep(0)


def advance(seconds: float) -> None:
    """Move the simulated time, as a busy turn does."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    loop.now += seconds


@simulated
async def test_requests_of_a_quiet_turn_are_admitted() -> None:
    """MOST_PER_TURN requests are answered at once, without work for the loop."""
    turns = Turns()
    queue = turns.queue()

    assert all(queue.admits() for _ in range(MOST_PER_TURN))
    assert turns.count == MOST_PER_TURN
    await turn()
    assert turns.count == MOST_PER_TURN  # no new turn was asked for


@simulated
async def test_busy_turn_ends_at_twice_as_many() -> None:
    """Requests above twice MOST_PER_TURN wait; the next turn admits again."""
    turns = Turns()
    queue = turns.queue()
    admitted = [queue.admits() for _ in range(2 * MOST_PER_TURN + 3)]

    assert admitted == [True] * 2 * MOST_PER_TURN + [False] * 3
    await turn()
    assert turns.count == 0
    assert queue.admits()


@simulated
async def test_waiting_requests_take_several_turns() -> None:
    """A turn answers MOST_PER_TURN further requests, in the order of their arrival; the others follow in the next."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    names = [str(number) for number in range(2 * MOST_PER_TURN + 10)]
    for name in names:
        queue.wait(Request(queue, order, name, answered=True))
    answered = []
    for _ in range(4):
        await turn()
        answered.append(len(order))

    assert answered == [MOST_PER_TURN, 2 * MOST_PER_TURN, 2 * MOST_PER_TURN + 10, 2 * MOST_PER_TURN + 10]
    assert order == names
    assert len(queue) == 0


@simulated
async def test_request_in_a_turn_with_waiting_ones_waits_behind_them() -> None:
    """As long as requests wait, a new one is not admitted; after the last of them it is."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    for _ in range(MOST_PER_TURN + 1):
        queue.wait(Request(queue, order, answered=True))
    await turn()

    assert turns.count == 2 * MOST_PER_TURN
    assert not queue.admits()
    await turn()
    assert turns.count == 1
    assert queue.admits()


@simulated
async def test_one_request_per_turn_of_a_connection() -> None:
    """A connection that waits again is answered in the next turn, so that others are between."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    queue.wait(Request(queue, order, "a", requests=3))
    queue.wait(Request(queue, order, "b", requests=2))
    answered = []
    for _ in range(4):
        await turn()
        answered.append("".join(order))

    assert answered == ["ab", "abab", "ababa", "ababa"]


@simulated
async def test_first_requests_go_before_further_ones() -> None:
    """A connection without a response goes before those that had one, which keep their order."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    for name, answered in (("a", True), ("b", True), ("new", False), ("c", True), ("newer", False)):
        queue.wait(Request(queue, order, name, answered=answered))

    assert len(queue) == 5
    await turn()
    assert order == ["new", "newer", "a", "b", "c"]


@simulated
async def test_queues_take_turns() -> None:
    """A flood in one queue does not delay the request of another."""
    turns, order = Turns(), list[str]()
    flooded, quiet = turns.queue(), turns.queue()
    for _ in range(3 * MOST_PER_TURN):
        flooded.wait(Request(flooded, order, "flood", answered=True))
    for _ in range(2):
        quiet.wait(Request(quiet, order, "probe", answered=True))
    await turn()

    assert [(name, len(list(group))) for name, group in groupby(order)] == [
        ("flood", 1),
        ("probe", 1),
        ("flood", 1),
        ("probe", 1),
        ("flood", MOST_PER_TURN - 4),
    ]


@simulated
async def test_closed_connection_takes_no_place() -> None:
    """A connection that was closed while it waited is passed over, and does not count."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    for _ in range(MOST_PER_TURN):
        queue.wait(Request(queue, order, "closed", answered=True, closed=True))
    for _ in range(MOST_PER_TURN):
        queue.wait(Request(queue, order, "open", answered=True))
    await turn()

    assert order == ["open"] * MOST_PER_TURN
    assert turns.count == MOST_PER_TURN


@pytest.mark.parametrize(
    ("seconds", "waiting", "accepted"),
    [(LONG_TURN, 0, 0), (LONG_TURN + 0.001, 0, 1), (0.0, 1, 1)],
    ids=["short", "long", "requests wait"],
)
def test_connections_are_accepted_in_batches(seconds: float, waiting: int, accepted: int) -> None:
    """The backlog of every listener is taken after a long turn, or when requests wait; else the loop does it."""

    @simulated
    async def test() -> None:
        turns, order, calls = Turns(), list[str](), list[str]()
        queue = turns.queue(lambda: calls.append("one"))
        turns.queue(lambda: calls.append("two"))
        turns.queue()
        advance(-asyncio.get_running_loop().time())  # from 0, LONG_TURN is added without rounding
        turns.over()
        for _ in range(waiting):
            queue.wait(Request(queue, order))
        advance(seconds)
        await turn()

        assert calls == ["one", "two"] * accepted
        assert len(order) == waiting

    test()


@simulated
async def test_turn_is_measured_from_its_own_begin() -> None:
    """The time between two turns does not count as the length of the second."""
    turns, calls = Turns(), list[str]()
    turns.queue(lambda: calls.append("accept"))
    turns.over()
    await turn()
    advance(10)
    turns.over()
    turns.over()
    await turn()
    await turn()

    assert calls == []


@simulated
async def test_accepted_connections_come_before_waiting_ones() -> None:
    """Connections are accepted at the begin of a turn, so that their requests are in it or in the next."""
    turns, order = Turns(), list[str]()
    queue = turns.queue(lambda: order.append("accept"))
    queue.wait(Request(queue, order, "a", requests=2))
    await turn()
    await turn()

    assert order == ["accept", "a", "accept", "a"]


@simulated
async def test_closed_connection_leaves_its_queue() -> None:
    """A connection that is closed while it waits is forgotten at once, however many others wait before it."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    first, further = Request(queue, order, "first"), Request(queue, order, "further", answered=True)
    for connection in (first, further):
        queue.wait(connection)
        queue.wait(connection)
        assert len(queue) == 1
        queue.leave(connection)
        assert len(queue) == 0
        queue.leave(connection)
    await turn()

    assert order == []


@simulated
async def test_all_first_requests_are_answered_in_a_turn() -> None:
    """However many new connections wait, each is answered in the turn, beside LEAST_FURTHER kept ones."""
    turns, order = Turns(), list[str]()
    flooded, quiet = turns.queue(), turns.queue()
    for _ in range(2 * MOST_PER_TURN):
        flooded.wait(Request(flooded, order, "kept", answered=True))
    for _ in range(10 * MOST_PER_TURN):
        flooded.wait(Request(flooded, order, "first"))
    quiet.wait(Request(quiet, order, "probe"))
    await turn()

    assert order[:2] == ["first", "probe"]
    assert order[2:] == [*["first"] * (10 * MOST_PER_TURN - 1), *["kept"] * LEAST_FURTHER]


@simulated
async def test_first_requests_leave_room_for_further_ones() -> None:
    """First requests count: a turn answers MOST_PER_TURN requests in all, if few enough of them are first ones."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    for _ in range(10):
        queue.wait(Request(queue, order, "first"))
    for _ in range(2 * MOST_PER_TURN):
        queue.wait(Request(queue, order, "kept", answered=True))
    await turn()

    assert order == ["first"] * 10 + ["kept"] * (MOST_PER_TURN - 10)


@simulated
async def test_new_connection_gets_one_response_in_a_turn() -> None:
    """A connection that has had its first response in a turn waits for the next one with its further request."""
    turns, order = Turns(), list[str]()
    queue = turns.queue()
    queue.wait(Request(queue, order, "new", requests=2))
    queue.wait(Request(queue, order, "kept", requests=2, answered=True))
    answered = []
    for _ in range(2):
        await turn()
        answered.append(list(order))

    assert answered == [["new", "kept"], ["new", "kept", "new", "kept"]]


@simulated
async def test_queues_of_different_length() -> None:
    """Beside a longer queue, a connection that waits again in a turn is not answered twice in it."""
    turns, order = Turns(), list[str]()
    short, long = turns.queue(), turns.queue()
    short.wait(Request(short, order, "short", requests=2, answered=True))
    for _ in range(3):
        long.wait(Request(long, order, "long", answered=True))
    await turn()

    assert order == ["short", "long", "long", "long"]
