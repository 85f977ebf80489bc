"""Answers that break off, and servers that speak something else: each cause has a message and a remedy of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import trustme

from .test_tls_failures import Handle, authority, certificate, listening, request_to

__all__ = ["authority", "request_to"]

OK = b"HTTP/1.1 200 OK\r\n"
CUTS = "look for a firewall, proxy or load balancer in between that cuts connections"
CLEAR = f"begin the URL with https:// if the port speaks TLS; else {CUTS}"


def sends(data: bytes, *, end: str = "close", first: bool = False) -> Handle:
    """Return a server that sends `data`, then closes, resets or stops. `first`: it does not wait for a request."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if not first:
                await reader.readuntil(b"\r\n\r\n")
            writer.write(data)
            await writer.drain()
            if end == "stop":
                await reader.read()
            if end == "reset":
                await asyncio.sleep(0.1 if data else 0)  # a reset drops data that the client has not read
                reset(writer)
            await asyncio.sleep(0.1 if first else 0)

    return handle


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


ENDS = {
    "closed before an answer": (sends(b""), f"the server closed the connection before an answer; {CLEAR}"),
    "reset before an answer": (
        sends(b"", end="reset"),
        f"the connection to the server was reset before an answer; {CLEAR}",
    ),
    "closed in the head": (
        sends(OK + b"Content-Le"),
        f"the server closed the connection in the middle of the answer; {CUTS}",
    ),
    "closed in the body": (
        sends(OK + b"Content-Length: 100\r\n\r\n{"),
        f"the server closed the connection in the middle of the answer; {CUTS}",
    ),
    "closed in a chunk": (
        sends(OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{"),
        f"the server closed the connection in the middle of the answer; {CUTS}",
    ),
    "reset in the body": (
        sends(OK + b"Content-Length: 100\r\n\r\n{", end="reset"),
        f"the connection to the server was reset in the middle of the answer; {CUTS}",
    ),
    "no answer": (sends(b"", end="stop"), "no answer in time"),
    "stopped in the head": (sends(OK, end="stop"), f"the server stopped in the middle of its answer; {CUTS}"),
    "stopped in the body": (
        sends(OK + b"Content-Length: 100\r\n\r\n{", end="stop"),
        f"the server stopped in the middle of its answer; {CUTS}",
    ),
}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("secure", [False, True])
async def test_answer_that_does_not_end(
    case: str, secure: bool, authority: trustme.CA, request_to: Callable[..., Awaitable[str]]
) -> None:
    """The message says who ended the connection and how far the answer came, in clear and in TLS."""
    handle, expected = ENDS[case]
    async with listening(handle, certificate(authority) if secure else None) as port:
        url = f"{'https' if secure else 'http'}://127.0.0.1:{port}/"
        error = await request_to(url, seconds=1 if "stop" in case or case == "no answer" else 60)

    if url.startswith("https:"):
        expected = expected.replace(CLEAR, CUTS)
    assert error == f"{url}: {expected}"


NO_HTTP = "the server does not speak HTTP; correct host and port of its URL"
OTHERS = {
    "SSH": (sends(b"SSH-2.0-OpenSSH_9.2\r\n", first=True), NO_HTTP),
    "SMTP": (sends(b"220 mail ESMTP\r\n", first=True), NO_HTTP),
    "HTTP/0.9": (sends(b"<html></html>"), NO_HTTP),
    "TLS alert": (
        sends(b"\x15\x03\x01\x00\x02\x02\x16"),
        "the server answers in TLS to a request in clear; begin its URL with https://",
    ),
    "two lengths": (
        sends(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        "the server's answer is not valid HTTP",
    ),
    "HTTP/2": (sends(b"HTTP/2 200\r\n\r\n"), "the server's answer is not valid HTTP"),
}


@pytest.mark.parametrize("case", OTHERS)
async def test_other_protocol(case: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A server that speaks another protocol is distinguished from one that breaks off."""
    handle, expected = OTHERS[case]
    async with listening(handle) as port:
        error = await request_to(f"http://127.0.0.1:{port}/")

    assert error == f"http://127.0.0.1:{port}/: {expected}"


async def test_proxy_that_does_not_speak_http(request_to: Callable[..., Awaitable[str]]) -> None:
    """A proxy that speaks something else, or only TLS, is named, not the server behind it."""
    async with listening(sends(b"\x05\xff")) as socks, listening(sends(b"\x15\x03\x01\x00\x02\x02\x16")) as secure:
        error = await request_to("https://idaas.test/", f"http://127.0.0.1:{socks}")
        assert error.startswith(f"https://idaas.test/: the proxy 127.0.0.1:{socks} does not speak HTTP; ")
        error = await request_to("https://idaas.test/", f"http://127.0.0.1:{secure}")
        assert (
            f"the proxy 127.0.0.1:{secure} answers in TLS to a request in clear; begin its URL with https://" in error
        )


async def test_reset_in_the_handshake(request_to: Callable[..., Awaitable[str]]) -> None:
    """A firewall that resets a connection when it sees the name in the handshake is named as the cause."""

    async def inspect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        reset(writer)

    async with listening(inspect) as port:
        error = await request_to(f"https://127.0.0.1:{port}/")

    assert error.endswith(
        "could not connect: the server accepts connections, but this one was reset in the TLS "
        "handshake; allow the host in the firewall or proxy in between, which inspects the handshake"
    )


async def test_handshake_whose_large_packets_are_lost(request_to: Callable[..., Awaitable[str]]) -> None:
    """Where the server's certificate does not arrive, as with a wrong MTU, the remedy is named."""

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(10)
            writer.write(b"\x16\x03\x03\x40\x00\x02")
            await reader.read()

    async with listening(begin) as port:
        error = await request_to(f"https://127.0.0.1:{port}/", seconds=1)

    assert error.endswith(
        "does not answer the TLS handshake in time; correct the port; if other large requests hang, too, lower the MTU "
        "of this machine's network interface"
    )


REDIRECTS = {
    "http://portal.test/login?u=1": (
        302,
        "a redirect, which is not followed; configure the final URL, or sign in from this machine where a gateway or "
        'captive portal answers; it says "Location: http://portal.test/login"',
    ),
    "/other": (307, "a redirect, which is not followed; configure the final URL; it says"),
    "http://xn--a/": (302, "a redirect to an invalid URL; configure the final URL"),
    "": (304, "which is no answer of an API"),
}


@pytest.mark.parametrize("location", REDIRECTS)
async def test_redirect(location: str, request_to: Callable[..., Awaitable[str]]) -> None:
    """A redirect elsewhere may be a captive portal's; one on the same server is not."""
    status, expected = REDIRECTS[location]
    target = f"Location: {location}\r\n" if location else ""
    async with listening(sends(f"HTTP/1.1 {status} Found\r\n{target}Content-Length: 0\r\n\r\n".encode())) as port:
        error = await request_to(f"http://127.0.0.1:{port}/")

    assert error.removeprefix(f"http://127.0.0.1:{port}/: ").removeprefix(f"HTTP {status}, ").startswith(expected)
