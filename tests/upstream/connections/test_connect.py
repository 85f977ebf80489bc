"""Connections by the addresses of a name: their order, the first that answers, and what an error says."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Any

import httpcore
import httpx
import pytest

from app.upstream.connections.attempts import MOST_AT_ONCE
from app.upstream.connections.connect import (
    Attempt,
    Network,
    NotConnected,
    NotSecured,
    causes,
)
from app.upstream.connections.resolver import MOST_ADDRESSES, NameNotResolved, Resolver, alternating
from app.upstream.failures.reasons import describe

from ...ports import unused_port
from ...simulated_loop import simulated


def test_families_alternate() -> None:
    """The addresses alternate between the families, beginning with that of the first address."""
    assert alternating(["::1", "::2", "::3", "192.0.2.1"]) == ["::1", "192.0.2.1", "::2", "::3"]
    assert alternating(["192.0.2.1", "192.0.2.2", "::1"]) == ["192.0.2.1", "::1", "192.0.2.2"]
    assert alternating(["192.0.2.1"]) == ["192.0.2.1"]


async def test_next_address_is_tried() -> None:
    """A name whose first address refuses is reached at its second one."""
    running = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = running.sockets[0].getsockname()[1]
    stream = await Network(Resolver(lambda *_: ["127.0.0.2", "127.0.0.1"])).connect_tcp("name.test", port, 30)
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)

    await stream.aclose()
    running.close()


async def test_address_that_does_not_answer_is_passed() -> None:
    """A name whose first address does not answer is reached at its second one, within the time limit."""
    port = unused_port()
    with socket.socket() as full:
        full.bind(("127.0.0.2", port))
        full.listen(0)
        running = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:  # a full backlog: the kernel drops further attempts
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        stream = await Network(Resolver(lambda *_: ["127.0.0.2", "127.0.0.1"])).connect_tcp("name.test", port, 30)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)

        await stream.aclose()
        with pytest.raises(NotConnected) as caught:
            await Network(Resolver(lambda *_: ["127.0.0.2"])).connect_tcp("name.test", port, 0.1)
        assert f"could not connect to 127.0.0.2:{port}: no answer within 0.1 s" in describe(
            caused_by(caught.value), "name.test"
        )
        running.close()
        for filler in fillers:
            filler.close()


async def test_all_addresses_are_named() -> None:
    """When no address accepts, the error names each one with its cause."""
    port = unused_port()
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(lambda *_: ["127.0.0.1", "127.0.0.2"])).connect_tcp("name.test", port, 30)

    assert describe(caused_by(caught.value), "name.test") == (
        f"could not connect to 127.0.0.1:{port} or 127.0.0.2:{port}: connection refused; the address is this "
        "machine's own, from DNS or /etc/hosts; correct /etc/hosts, allow the name in a DNS filter that blocks it, or "
        "start the server here"
    )


def caused_by(error: BaseException) -> Exception:
    """Return an error of httpx with `error` behind it."""
    found = httpx.ConnectError("All connection attempts failed")
    found.__cause__ = error
    return found


def certificate_error(code: int, message: str = "") -> ssl.SSLCertVerificationError:
    """Return the error of a certificate that OpenSSL rejects with `code`."""
    error: Any = ssl.SSLCertVerificationError(1, message)
    error.verify_code, error.verify_message = code, message
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NameNotResolved("n.test", None, 5), "the name n.test was not resolved within 5 s: no answer from DNS"),
        (
            NameNotResolved("n.test", socket.EAI_NONAME, 0),
            "the name n.test does not exist in DNS; correct the host name",
        ),
        (
            NameNotResolved("n.test", socket.EAI_AGAIN, 0),
            "the name n.test could not be resolved: DNS is not reachable, or its answer is a "
            "failure (SERVFAIL, REFUSED); correct the nameserver",
        ),
        (
            NameNotResolved("n.test", errno.EMFILE, 0),
            "the name n.test was not looked up (DNS): this process has too many open files; raise the limit of open "
            "files",
        ),
        (
            NameNotResolved("n.test", socket.EAI_MEMORY, 0),
            "was not looked up (DNS): this machine has no thread or memory",
        ),
        (NameNotResolved("n.test", socket.EAI_FAIL, 0), "could not be resolved: DNS answers with an error"),
        (
            certificate_error(10),
            "the server's certificate has expired; set this machine's clock, or renew the certificate on the server",
        ),
        (certificate_error(9), "the server's certificate is not valid yet; set this machine's clock"),
        (certificate_error(62), "the server's certificate is for another name; use a name that the certificate has"),
        (certificate_error(64), "the server's certificate is for another name; use a name that the certificate has"),
        (certificate_error(18), "is not from a trusted CA; name its CA with tls.caFile"),
        (certificate_error(20), "is not from a trusted CA; name its CA with tls.caFile"),
        (certificate_error(23, "certificate revoked"), "the server's certificate was rejected: certificate revoked"),
    ],
)
def test_causes(error: Exception, expected: str) -> None:
    """Each cause of a failed look-up or handshake has words and a remedy of its own."""
    message = describe(caused_by(error), "n.test")

    assert message.startswith("could not connect: ")
    assert expected in message


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("WRONG_VERSION_NUMBER", "the server does not speak TLS; correct scheme and port of the URL"),
        (
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "requires a client certificate; name one with connection.certificateFile",
        ),
        ("TLSV1_ALERT_UNKNOWN_CA", "the server does not trust the CA of the client certificate"),
        (
            "DH_KEY_TOO_SMALL",
            "TLS with the server failed: DH_KEY_TOO_SMALL; show what answers there with `openssl s_client",
        ),
    ],
)
def test_handshake_causes(reason: str, expected: str) -> None:
    """A failed handshake is described by the reason of OpenSSL, with a remedy where there is one."""
    error: Any = ssl.SSLError(1, "the words of OpenSSL")
    error.reason = reason

    assert expected in describe(caused_by(error), "n.test")


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES])
def test_causes_of_two_addresses(number: int) -> None:
    """Two addresses that fail for two reasons are named with one reason each."""
    message = describe(
        caused_by(NotConnected([Attempt("[2001:db8::1]:443", number), Attempt("192.0.2.1:443", None)], 5)), "n.test"
    )

    assert message.startswith("could not connect to [2001:db8::1]:443: ")
    assert ", and to 192.0.2.1:443: no answer within 5 s; " in message
    assert message.endswith(
        "allow this machine to reach the host on that port, or configure a proxy or the VPC endpoint"
    )


class SilentAddresses(httpcore.AsyncNetworkBackend):
    """
    A network of which one address answers, after some seconds. Records the addresses that are tried.

    `open`: the attempts under way. `most`: the most of them at once.
    """

    def __init__(self, answers: str, after: float = 0.0) -> None:
        self._after = after
        self.tried: list[str] = []
        self.open = self.most = 0
        self._answers = answers

    async def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self.tried.append(host)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if host != self._answers:
                await asyncio.Event().wait()
            await asyncio.sleep(self._after)
            return httpcore.AsyncMockStream([])
        finally:
            self.open -= 1


@simulated
async def test_last_of_many_addresses() -> None:
    """A name with a hundred addresses, of which only the last answers, is reached within half of the time limit."""
    addresses = [f"192.0.2.{number}" for number in range(100)]
    sockets = SilentAddresses(addresses[-1])
    started = asyncio.get_running_loop().time()
    await Network(Resolver(lambda *_: addresses), sockets).connect_tcp("name.test", 443, 5.0)

    assert sockets.tried == addresses
    assert asyncio.get_running_loop().time() - started < 2.6


@simulated
async def test_attempts_are_limited() -> None:
    """However many addresses a name has, few are tried and fewer are named, so that no descriptor is used up."""
    addresses = [f"2001:db8::{number}" for number in range(1, 1000)]
    sockets = SilentAddresses("none")
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(lambda *_: addresses), sockets).connect_tcp("name.test", 443, 5.0)

    assert len(sockets.tried) == MOST_ADDRESSES
    message = describe(caused_by(caught.value), "name.test")
    assert "or [2001:db8::4]:443: no answer within 5 s (124 more addresses failed); allow" in message


@simulated
async def test_attempts_of_all_names_are_limited() -> None:
    """Names with many silent addresses share the limit, and another name still reaches its second address."""
    sockets = SilentAddresses("198.51.100.2")
    answers = {"other.test": ["198.51.100.1", "198.51.100.2"]}
    many = [f"192.0.2.{number}" for number in range(100)]
    network = Network(Resolver(lambda host, _: answers.get(host, many)), sockets)
    silent = [asyncio.create_task(network.connect_tcp(f"many{n}.test", 443, 60)) for n in range(MOST_AT_ONCE + 10)]
    await asyncio.sleep(30)

    assert sockets.most <= 2 * len(silent) + 1  # one begins before the oldest has ended
    await network.connect_tcp("other.test", 443, 5)
    assert all(isinstance(end, NotConnected) for end in await asyncio.gather(*silent, return_exceptions=True))
    assert sockets.open == 0


@simulated
async def test_slow_address_beside_many_attempts() -> None:
    """Above the limit, an address that answers after its head start is still reached beside a silent one."""
    sockets = SilentAddresses("198.51.100.1", after=0.6)
    answers = {"slow.test": ["198.51.100.1", "198.51.100.2"]}
    network = Network(Resolver(lambda host, _: answers.get(host, ["192.0.2.1"])), sockets)
    silent = [asyncio.create_task(network.connect_tcp(f"one{n}.test", 443, 60)) for n in range(MOST_AT_ONCE + 10)]
    await asyncio.sleep(1)
    await network.connect_tcp("slow.test", 443, 5)

    assert sockets.tried[-2:] == answers["slow.test"]
    await asyncio.gather(*silent, return_exceptions=True)


@simulated
async def test_attempts_of_a_few_names_are_limited() -> None:
    """Three names with a hundred silent addresses each keep no more attempts open than the limit."""
    sockets = SilentAddresses("none")
    network = Network(Resolver(lambda *_: [f"192.0.2.{number}" for number in range(100)]), sockets)
    silent = [network.connect_tcp(f"many{n}.test", 443, 60) for n in range(3)]
    await asyncio.gather(*silent, return_exceptions=True)

    assert (len(sockets.tried), sockets.most) == (300, MOST_AT_ONCE + 1)  # one begins before the oldest has ended


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1", "::1"])
async def test_name_that_dns_blocks(address: str) -> None:
    """A filter of DNS answers with an address of this machine, where no such server runs."""
    port = unused_port()
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(lambda *_: [address])).connect_tcp("name.test", port, 30)

    assert describe(caused_by(caught.value), "name.test").endswith(
        f":{port}: connection refused; the address is this machine's own, from DNS or /etc/hosts; correct /etc/hosts, "
        "allow the name in a DNS filter that blocks it, or start the server here"
    )


def no_look_up(*_: object) -> list[str]:
    """Fail the test: no look-up is expected."""
    raise AssertionError("looked up")


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1:{}"), ("::1", "[::1]:{}")])
async def test_address_needs_no_look_up(host: str, address: str) -> None:
    """An IP address needs no look-up. One of this machine does not count as misled by DNS."""
    port = unused_port()
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(no_look_up)).connect_tcp(host, port, 30)

    assert caught.value.attempts == [Attempt(address.format(port), errno.ECONNREFUSED)]
    assert (caught.value.seconds, str(caught.value)) == (30, "not connected")


@pytest.mark.parametrize(("name", "misled"), [("localhost", False), ("name.test", True)])
async def test_name_of_this_machine_is_not_misled(name: str, misled: bool) -> None:
    """DNS can mislead only a name that is not one of this machine."""
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(lambda *_: ["127.0.0.1"])).connect_tcp(name, unused_port(), 30)

    assert [attempt.misled for attempt in caught.value.attempts] == [misled]


@pytest.mark.parametrize("silent", [False, True])
async def test_failed_handshake_names_the_server(silent: bool) -> None:
    """A TLS handshake that fails or times out is an error with the server's name."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not silent:
            writer.write(b"220 smtp\r\n")
        await reader.read(-1)
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    stream = await Network(Resolver(no_look_up)).connect_tcp("127.0.0.1", running.sockets[0].getsockname()[1], 30)
    with pytest.raises(NotSecured) as caught:
        await stream.start_tls(ssl.create_default_context(), "name.test", 0.1 if silent else 30)
    await stream.aclose()
    running.close()

    assert (caught.value.name, caught.value.timed_out) == ("name.test", silent)
    assert caught.value.__cause__ is not None


async def test_stream_passes_on_what_it_carries() -> None:
    """A connection passes reads, writes and the close to its inner connection."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        received.set_result(await reader.read(-1))
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    stream = await Network(Resolver(no_look_up)).connect_tcp("127.0.0.1", running.sockets[0].getsockname()[1], 30)
    assert await stream.read(65_536, 30) == b"hello"
    await stream.write(b"bye", 30)
    await stream.aclose()

    assert await received == b"bye"
    running.close()


class Opened(httpcore.AsyncMockStream):
    """A connection that records its end."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


class TimedAddresses(httpcore.AsyncNetworkBackend):
    """A network whose addresses accept after some seconds. Records what is opened and what is given up."""

    def __init__(self, **seconds: float) -> None:
        self._seconds = seconds
        self.opened: list[Opened] = []
        self.given_up: list[str] = []

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        try:
            await asyncio.sleep(self._seconds[f"to_{host[-1]}"])
        except asyncio.CancelledError:
            self.given_up.append(host)
            raise
        self.opened.append(Opened([]))
        return self.opened[-1]


class PairedAddresses(httpcore.AsyncNetworkBackend):
    """A network of two addresses that accept at the same moment. Records what is opened, and the options."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.options: list[Any] = []
        self._second = asyncio.Event()

    async def connect_tcp(self, host: str, *options: Any, **_: Any) -> httpcore.AsyncNetworkStream:
        self.options.append(options)
        if len(self.options) == 2:
            self._second.set()
        else:
            await self._second.wait()
        self.opened.append(Opened([]))
        return self.opened[-1]


@simulated
async def test_one_of_two_connections_is_closed() -> None:
    """Of two addresses that accept at the same moment, one connection is used and the other one is closed."""
    sockets = PairedAddresses()
    network = Network(Resolver(lambda *_: ["192.0.2.1", "192.0.2.2"]), sockets)
    await network.connect_tcp("name.test", 443, 60, "192.0.2.9", [])

    assert [stream.closed for stream in sockets.opened] == [False, True]
    assert sockets.options == [(443, None, "192.0.2.9", [])] * 2


@simulated
async def test_attempts_behind_the_first_connection_are_given_up() -> None:
    """The first address that accepts ends all other attempts."""
    sockets = TimedAddresses(to_1=9, to_2=0.1)
    started = asyncio.get_running_loop().time()
    await Network(Resolver(lambda *_: ["192.0.2.1", "192.0.2.2"]), sockets).connect_tcp("name.test", 443, 60)

    assert asyncio.get_running_loop().time() - started == pytest.approx(0.35, abs=0.05)
    assert (len(sockets.opened), sockets.opened[0].closed, sockets.given_up) == (1, False, ["192.0.2.1"])


@simulated
async def test_address_that_answers_at_once_is_the_only_one() -> None:
    """An address that accepts within its head start leaves the others alone."""
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    sockets = SilentAddresses(addresses[0])
    await Network(Resolver(lambda *_: addresses), sockets).connect_tcp("name.test", 443, 60)

    assert sockets.tried == addresses[:1]


@simulated
async def test_slow_address_has_the_whole_time() -> None:
    """An address that accepts late, long after its head start, is connected to."""
    sockets = TimedAddresses(to_1=50)
    await Network(Resolver(no_look_up), sockets).connect_tcp("192.0.2.1", 443, 60)

    assert (len(sockets.opened), sockets.opened[0].closed) == (1, False)


@simulated
async def test_attempts_end_with_the_time_limit() -> None:
    """Attempts without an answer are closed when the time is over, so that they hold no descriptor."""
    sockets = TimedAddresses(to_1=90, to_2=90)
    with pytest.raises(NotConnected):
        await Network(Resolver(lambda *_: ["192.0.2.1", "192.0.2.2"]), sockets).connect_tcp("name.test", 443, 5)

    assert sorted(sockets.given_up) == ["192.0.2.1", "192.0.2.2"]


class LateAddresses(TimedAddresses):
    """A network whose first address refuses late."""

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        if host == "192.0.2.1":
            await asyncio.sleep(1)
            raise httpcore.ConnectError("refused")
        return await super().connect_tcp(host)


@simulated
async def test_late_refusal_does_not_end_the_others() -> None:
    """An address that refuses does not shorten the time of an attempt that is under way."""
    sockets = LateAddresses(to_2=2)
    await Network(Resolver(lambda *_: ["192.0.2.1", "192.0.2.2"]), sockets).connect_tcp("name.test", 443, 60)

    assert (len(sockets.opened), sockets.opened[0].closed) == (1, False)


class NoSockets(httpcore.AsyncNetworkBackend):
    """A network that fails without an error of the system."""

    async def connect_tcp(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("of another kind")


async def test_failure_without_a_number() -> None:
    """An attempt that fails without an errno has the number 0. An address without an answer has none."""
    with pytest.raises(NotConnected) as caught:
        await Network(Resolver(no_look_up), NoSockets()).connect_tcp("192.0.2.1", 443, 30)

    assert caught.value.attempts == [Attempt("192.0.2.1:443", 0)]


@simulated
async def test_network_waits() -> None:
    """A pause of the pool takes its seconds."""
    started = asyncio.get_running_loop().time()
    await Network(Resolver(no_look_up)).sleep(2.5)

    assert asyncio.get_running_loop().time() - started == pytest.approx(2.5)


def test_causes_of_a_group() -> None:
    """The causes of an error include the members of a group and the causes of each member, without repetitions."""
    first, second = OSError(1, "first"), ValueError("second")
    second.__context__ = first
    group = ExceptionGroup("both", [first, second])

    assert list(causes(caused_by(group)))[1:] == [group, first, second]
