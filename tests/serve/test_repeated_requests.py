"""Repeated requests at a listener on a unix socket: what is remembered, and how a repetition is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.serve.responses import INTERNAL_ERROR, NOT_FOUND, Response

from ..simulated_loop import simulated
from .simulated_clients import (
    CLOSE,
    ENDS,
    FAILURE,
    GET,
    OK,
    OTHER,
    PEER,
    STAYS,
    Outcome,
    RecordedRepeats,
    after,
    listening,
)

WITH_BODY = b"GET /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("segments", "response", "expected"),
    [
        ([GET], OK, [(GET, True)]),
        ([CLOSE], OK, [(CLOSE, False)]),
        ([GET, CLOSE], OK, [(GET, True), (CLOSE, False)]),
        ([GET], NOT_FOUND, []),
        ([GET.replace(b"GET", b"PUT")], OK, []),
        ([GET[:9], GET[9:]], OK, []),
        ([b"GET /b HTTP/1.1\r\nX: ", GET], OK, []),
        ([GET + GET], OK, []),
        ([GET + GET[:9], GET[9:]], OK, []),
        ([WITH_BODY % 3 + b"abc"], OK, []),
        ([WITH_BODY % 5 + b"a\r\n\r\n"], OK, []),
        ([WITH_BODY % 2 + b"\r\n"], OK, []),
        ([WITH_BODY % 4 + b"\r\n\r\n"], OK, []),
        ([WITH_BODY % 0], OK, [(WITH_BODY % 0, True)]),
        ([b"GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"], OK, []),
        ([b"\r\n" + GET], OK, []),
    ],
)
@simulated
async def test_what_is_remembered(
    tmp_path: Path, segments: list[bytes], response: Response, expected: list[tuple[bytes, bool]]
) -> None:
    """A segment is remembered if it is one whole GET without a body that was answered 200 at once."""
    repeats = RecordedRepeats()
    async with listening(tmp_path, lambda _request: response, repeats=repeats) as place:
        client = await place.connect()
        for segment in segments:
            client.send(segment)
            await asyncio.sleep(0.1)

        assert [(head, keep_alive) for head, _, keep_alive in repeats.remembered] == expected
        assert all(request in place.requests for _, request, _ in repeats.remembered)


@simulated
async def test_awaited_response_is_not_remembered(tmp_path: Path) -> None:
    """A response that had to wait is not remembered."""
    repeats = RecordedRepeats()
    async with listening(tmp_path, lambda _request: after(1), repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(STAYS)

        assert repeats.remembered == []


@pytest.mark.parametrize(("keep_alive", "method"), [(True, b"GET"), (True, b"HEAD"), (False, b"GET")])
@pytest.mark.parametrize("seconds", [None, 1.0])
@simulated
async def test_repeated_request(tmp_path: Path, keep_alive: bool, method: bytes, seconds: float | None) -> None:
    """A remembered segment gets the outcome of its decision, at once or after a wait, without being parsed."""
    repeats = RecordedRepeats()
    repeats.know(GET, keep_alive=keep_alive, method=method)
    repeats.outcome = lambda: OTHER if seconds is None else after(seconds, OTHER)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await client.receive(OTHER.bytes_for(method, keep_alive=keep_alive))

        assert client.seconds == (seconds or 0)
        assert (place.requests, repeats.remembered) == ([], [])
        assert repeats.repeated == [PEER]
        if keep_alive:
            client.send(CLOSE)
            assert await client.rest() == ENDS
            assert len(place.asked_for_peer) == 1
        else:
            assert await client.rest() == b""


@simulated
async def test_repeated_request_behind_a_part_of_another(tmp_path: Path) -> None:
    """A segment is looked up only where a request begins; after the request, the next one is looked up."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    async with listening(tmp_path, lambda _request: OTHER, repeats=repeats) as place:
        client = await place.connect()
        start = b"GET /b HTTP/1.1\r\nX: "
        for segment in (start, GET, GET):
            client.send(segment)
            await asyncio.sleep(0.1)

        assert repeats.asked == [start, GET]
        assert len(place.requests) == 1
        assert len(repeats.repeated) == 1


@simulated
async def test_repeated_request_behind_a_response_that_is_owed(tmp_path: Path) -> None:
    """A remembered segment that arrives before the response that is owed is dropped, and that response is the last."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    repeats.outcome = lambda: after(1)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)
        await asyncio.sleep(0.5)
        client.send(GET)

        assert await client.rest() == ENDS
        assert len(repeats.repeated) == 1


@pytest.mark.parametrize("refused", [b"\x16\x03\x01", b"GET * HTTP/1.1\r\n\r\n"])
@simulated
async def test_repeated_request_behind_a_refusal(tmp_path: Path, refused: bytes) -> None:
    """A remembered segment after a refusal is dropped."""
    repeats = RecordedRepeats()
    repeats.know(GET)
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(refused)
        assert (await client.rest()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        client.send(GET)
        await asyncio.sleep(0.5)

        assert repeats.repeated == []


@simulated
async def test_repetition_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If a repetition raises, the client gets 500 and the connection ends."""

    def raise_error() -> Outcome:
        raise RuntimeError

    repeats = RecordedRepeats()
    repeats.know(GET)
    repeats.outcome = raise_error
    async with listening(tmp_path, lambda _request: OK, repeats=repeats) as place:
        client = await place.connect()
        client.send(GET)

        assert await client.rest() == INTERNAL_ERROR.bytes_for(b"GET", keep_alive=False)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [FAILURE]
