"""Bytes that are almost HTTP: requests made from valid and invalid parts, then cut, changed and joined."""

from __future__ import annotations

from hypothesis import strategies

ROLES = b"/latest/meta-data/ram/security-credentials"
HOSTS = [b"127.0.0.1", b"localhost:7117", b"[::1]", b"100.100.100.200"]
BAD_HOSTS = [b"evil.example", b"", b"127.0.0.1.nip.io", b"a@127.0.0.1", b"localhost.", b"127.0.0.1:port"]
FORWARDED = [b"X-Forwarded-For", b"x-forwarded-proto", b"Forwarded", b"VIA", b"X-Real-IP", b"Origin", b"Sec-Fetch-Site"]


def mostly(
    good: strategies.SearchStrategy[bytes], bad: strategies.SearchStrategy[bytes]
) -> strategies.SearchStrategy[bytes]:
    """Return a good value eleven times of twelve: a request with many faults is refused at its first byte."""
    return strategies.integers(0, 11).flatmap(lambda number: bad if number == 11 else good)


methods = mostly(
    strategies.sampled_from([b"GET", b"GET", b"PUT", b"HEAD"]),
    strategies.sampled_from([b"POST", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"G E T", b""]),
)
targets = mostly(
    strategies.sampled_from(
        [
            b"/credentials",
            b"/credentials/p2",
            b"/credentials/?x=%00",
            ROLES,
            ROLES + b"/default",
            ROLES.upper() + b"/p2",
            b"/latest/api/token",
            b"/healthz",
            b"/livez",
            b"/metrics",
            b"//credentials",
            b"/%63redentials",
            b"/credentials/../credentials",
            b"/credentials%00",
            b"http://127.0.0.1/credentials",
            b"*",
            b"credentials",
        ]
    ),
    strategies.binary(max_size=60),
)
versions = mostly(
    strategies.just(b"HTTP/1.1"),
    strategies.sampled_from([b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"RTSP/1.0", b"http/1.1", b""]),
)
hosts = mostly(strategies.sampled_from(HOSTS), strategies.sampled_from(BAD_HOSTS))
ends = strategies.integers(0, 40).flatmap(
    lambda number: (
        strategies.sampled_from([b"\n", b"\r", b"\r\n ", b"\0\r\n"]) if number == 40 else strategies.just(b"\r\n")
    )
)

unusual_headers = strategies.one_of(
    strategies.tuples(strategies.sampled_from(FORWARDED), strategies.sampled_from([b"", b"203.0.113.7"])),
    strategies.tuples(strategies.sampled_from([b"Host", b"HOST", b"host"]), hosts),
    strategies.sampled_from(
        [
            (b"Transfer-Encoding", b"chunked"),
            (b"Transfer-Encoding", b"gzip, chunked"),
            (b"Transfer-Encoding", b"identity"),
            (b"Content-Length", b"0"),
            (b"Content-Length", b"5"),
            (b"Content-Length", b"-1"),
            (b"Content-Length", b"99999999999999999999"),
            (b"Expect", b"100-continue"),
            (b"Connection", b"close"),
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"h2c"),
            (b"X-aliyun-ecs-metadata-token-ttl-seconds", b"60"),
            (b"X-aliyun-ecs-metadata-token", b"METATOKEN123=="),
            (b"X-aliyun-ecs-metadata-token", b"9999999999." + b"0" * 64),
        ]
    ),
    strategies.tuples(strategies.binary(max_size=20), strategies.binary(max_size=40)),
)


@strategies.composite
def requests(draw: strategies.DrawFn) -> bytes:
    """Return one request, which is rarely quite valid."""
    lines = [b" ".join([draw(methods), draw(targets), draw(versions)])]
    lines.append(b"Host: " + draw(hosts))
    if draw(strategies.integers(0, 2)) == 2:
        separators = mostly(strategies.just(b": "), strategies.sampled_from([b":", b" : "]))
        lines += [
            name + draw(separators) + value for name, value in draw(strategies.lists(unusual_headers, max_size=3))
        ]
    if draw(strategies.integers(0, 30)) == 0:
        lines.append(b"X-Long: " + b"a" * draw(strategies.sampled_from([8_000, 16_384, 40_000])))
    raw = b"".join(line + draw(ends) for line in lines) + b"\r\n"
    bodies = strategies.sampled_from([b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\nHost: 127.0.0.1\r\n\r\n"])
    return raw + draw(mostly(strategies.just(b""), bodies))


@strategies.composite
def mutated(draw: strategies.DrawFn, raw: bytes) -> bytes:
    """Return `raw` with a few bytes changed, removed or inserted."""
    data = bytearray(raw)
    for _ in range(max(0, draw(strategies.integers(0, 6)) - 4)):
        at = draw(strategies.integers(0, len(data)))
        match draw(strategies.integers(0, 2)):
            case 0:
                data[at:at] = draw(strategies.binary(max_size=5))
            case 1:
                del data[at : at + draw(strategies.integers(1, 5))]
            case _:
                data[at : at + 1] = draw(strategies.binary(min_size=1, max_size=1))
    return bytes(data)


@strategies.composite
def conversations(draw: strategies.DrawFn) -> list[bytes]:
    """Return what one client sends, in the segments in which it arrives."""
    raw = b"".join(draw(mutated(item)) for item in draw(strategies.lists(requests(), min_size=1, max_size=3)))
    cuts = sorted(draw(strategies.lists(strategies.integers(0, len(raw)), max_size=4)))
    return [piece for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if (piece := raw[start:end])]
