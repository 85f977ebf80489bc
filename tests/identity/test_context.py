"""The surroundings of token sources."""

from __future__ import annotations

from .contexts import NOW, context

SERVER = "https://idaas.example.com/token"


def test_clock_of_a_server() -> None:
    """`at` replaces the time, and whether it is synchronised, by those of the server; the original stays."""
    surroundings = context(
        now=lambda: NOW,
        is_synchronised=lambda: False,
        server_now=lambda url: NOW + 60 if url == SERVER else NOW - 60,
        server_is_synchronised=lambda url: url == SERVER,
    )

    at_server = surroundings.at(SERVER)

    assert (at_server.now(), at_server.is_synchronised()) == (NOW + 60, True)
    assert (surroundings.now(), surroundings.is_synchronised()) == (NOW, False)


def test_repr_of_the_surroundings_shows_no_variable() -> None:
    """The environment holds secrets, so the repr does not show it."""
    assert "s3cr3t" not in repr(context(environ={"CLIENT_SECRET": "s3cr3t"}))
