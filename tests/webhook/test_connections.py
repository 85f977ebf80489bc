"""The connections of a listener: a bound, and which one ends beyond it."""

from __future__ import annotations

from app.webhook.serving.connections import Connections

from ..transport import RecordingTransport


def opened(connections: Connections, count: int) -> list[RecordingTransport]:
    """Open connections and return them."""
    found = [RecordingTransport() for _ in range(count)]
    for each in found:
        connections.opened(each)
    return found


def aborted(transports: list[RecordingTransport]) -> list[int]:
    """Return the indexes of those that were ended."""
    return [index for index, each in enumerate(transports) if each.aborted]


def test_the_longest_waiting_connection_ends() -> None:
    """Beyond the bound, a new connection takes the place of the one that has waited for longest."""
    assert aborted(opened(Connections(3), 5)) == [0, 1]


def test_a_connection_with_a_request_stays() -> None:
    """While its request is answered, a connection is not ended; then it is the last of those that wait."""
    connections = Connections(2)
    first, second = opened(connections, 2)
    connections.answering(first)
    opened(connections, 1)
    assert (first.aborted, second.aborted) == (False, True)

    connections.waiting(first)
    (third,) = opened(connections, 1)
    assert (first.aborted, third.aborted) == (False, False)


def test_no_connection_waits() -> None:
    """Where all connections are being answered, the new one ends."""
    connections = Connections(1)
    (first,) = opened(connections, 1)
    connections.answering(first)

    assert aborted([first, *opened(connections, 1)]) == [1]


def test_a_secured_connection_waits_again() -> None:
    """After its handshake, a connection is behind those that still wait for theirs."""
    connections = Connections(2)
    first, second = opened(connections, 2)
    secured = RecordingTransport()
    connections.replaced(first, secured)
    opened(connections, 1)

    assert (second.aborted, secured.aborted) == (True, False)


def test_a_closed_connection_leaves_its_place() -> None:
    """The end of a connection makes room, whatever it was doing."""
    connections = Connections(2)
    first, second = opened(connections, 2)
    connections.answering(first)
    connections.closed(first)
    connections.closed(second)

    assert aborted([second, *opened(connections, 2)]) == []
