"""The head of a request as the handlers see it."""

from __future__ import annotations

import pytest

from app.serve.peers.peer import UNKNOWN_PEER
from app.serve.request import Request


@pytest.mark.parametrize(
    ("target", "path"), [(b"/a", b"/a"), (b"/a?b=1?c", b"/a"), (b"/a?", b"/a"), (b"?b", b""), (b"/a%3Fb", b"/a%3Fb")]
)
def test_path(target: bytes, path: bytes) -> None:
    """The path ends at the first question mark, and is not decoded."""
    assert Request(b"GET", target, []).path == path


def test_values() -> None:
    """All values of a header are found, in order."""
    request = Request(b"GET", b"/", [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])

    assert [request.values(name) for name in (b"a", b"b", b"c", b"A")] == [[b"1", b"3"], [b"2"], [], []]
    assert request.peer is UNKNOWN_PEER


def test_repr_shows_only_the_method() -> None:
    """A request in a traceback shows neither target nor headers, which may hold secrets."""
    assert repr(Request(b"GET", b"/secret", [(b"a", b"secret")])) == "Request(b'GET', …)"
