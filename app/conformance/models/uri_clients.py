"""The clients of the credentials URI. Every line is what the client was seen to send, or what its source says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, urlencode

from ..wire.address import Address, Ask
from .body_parser import FOUR, THREE, TWO, JsonParser, Refusal, losing
from .client import UriClient
from .http_library import Transport
from .ossfs_parser import ossfs
from .refetch import Refetch
from .timestamps import exactly_20, go_layout, nineteen, node, rfc3339, seconds_then_z, strict, tolerant

_GO_HTTP = ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
_JVM = "Accept: text/html, image/gif, image/jpeg, */*; q=0.2"
_JAVA = ("Accept-Encoding: identity", "Cache-Control: no-cache", "Pragma: no-cache", _JVM, "Connection: keep-alive")
_REQUESTS = ("User-Agent: python-requests/2", "Accept-Encoding: gzip, deflate", "Accept: */*", "Connection: keep-alive")


def _tea(language: str) -> str:
    return f"User-Agent: AlibabaCloud (linux; amd64) {language} Credentials/1 TeaDSL/1"


def plain(*lines: str) -> Callable[[Address], Ask]:
    """The target as configured, and Host with the port."""
    return lambda address: Ask(address.target, address.authority, lines)


def python(*lines: str) -> Callable[[Address], Ask]:
    """Host without the port; the query anew: blank values dropped, of duplicates the last, a blank as `+`."""
    return lambda address: Ask(_requeried(address), address.host_name, lines)


def _requeried(address: Address) -> str:
    query = urlencode(dict(parse_qsl(address.query or "")))
    return f"{address.path}?{query}" if query else address.path


def _no_ipv6(address: Address) -> Refusal | None:
    return Refusal("a URL with 127.0.0.1", "an IPv6 address") if ":" in address.host else None


def _loopback_literal(address: Address) -> Refusal | None:
    if address.literal and address.loopback:
        return None
    return Refusal("a URL with a literal loopback address", "another host")


_go = partial(JsonParser, code=None, required=FOUR, expiration=go_layout, any_case=True)
_JAVA_PARSER = JsonParser(code="exact", required=FOUR, expiration=strict, refuses_expired=True)
_PYTHON_PARSER = _JAVA_PARSER
_ONCE_PARSER = JsonParser(code="exact", required=(), expiration=None, any_case=True)
_JAVA_HTTP = partial(Transport, follows=False, decodes=False)

URI_CLIENTS: tuple[UriClient, ...] = (
    UriClient(
        "credentials-go",
        plain(_tea("Golang/1"), "Accept-Encoding: gzip"),
        Transport(first_byte=10, whole=15),
        _go(),
        Refetch(margin=180),
    ),
    UriClient("alibaba-cloud-sdk-go", plain(*_GO_HTTP), Transport(first_byte=10, whole=15), _go(), Refetch(margin=180)),
    UriClient(
        "credentials-java",
        plain(_tea("Java/17"), *_JAVA),
        _JAVA_HTTP(statuses="2xx", first_byte=10),
        _JAVA_PARSER,
        Refetch(margin=900),
    ),
    UriClient(
        "aliyun-java-sdk-core",
        plain(*_JAVA),
        _JAVA_HTTP(first_byte=10),
        JsonParser(code="exact", required=FOUR, expiration=exactly_20),
        Refetch(each_call=True),
    ),
    UriClient(
        "credentials-python",
        python("Accept-Encoding: identity", _tea("Python/3")),
        Transport(first_byte=10),
        _PYTHON_PARSER,
        Refetch(margin=900),
        cannot_use=_no_ipv6,
    ),
    UriClient(
        "credentials-python async",
        python(_tea("Python/3"), "Accept: */*", "Accept-Encoding: gzip, deflate"),
        Transport(first_byte=10),
        _PYTHON_PARSER,
        Refetch(margin=900),
        cannot_use=_no_ipv6,
    ),
    UriClient(
        "credentials-nodejs",
        plain("Connection: keep-alive"),
        Transport(first_byte=5, follows=False),
        JsonParser(code=None, required=FOUR, expiration=node, filled=True),
        Refetch(margin=900),
    ),
    UriClient(
        "credentials-php",
        plain(_tea("PHP/8")),
        Transport(),
        JsonParser(code=None, required=FOUR, expiration=tolerant, refuses_expired=True),
        Refetch(margin=900),
        remark="under FPM every PHP request asks",
    ),
    UriClient(
        "credentials-csharp",
        plain(_tea("runtime")),
        Transport(statuses="2xx", whole=5, decodes=False, needs_type=True),
        losing(
            JsonParser(code="exact", required=FOUR[3:], expiration=tolerant, refuses_expired=True, flat=True), *THREE
        ),
        Refetch(margin=900),
        unable="it never copies the keys out of the answer",
    ),
    UriClient(
        "credentials-cpp",
        plain(),
        Transport(),
        losing(JsonParser(code="exact", required=FOUR, expiration=seconds_then_z), "AccessKeyId"),
        Refetch(margin=180),
        unable="it stores the AccessKeyId as the secret and overwrites it; its AccessKeyId stays empty",
    ),
    UriClient(
        "credentials-swift",
        plain(),
        Transport(),
        JsonParser(code=None, required=FOUR, expiration=strict),
        Refetch(margin=180),
        unable="it asks for http://http://…",
    ),
    UriClient("aliyun-cli", plain(*_GO_HTTP), Transport(), _ONCE_PARSER, Refetch()),
    UriClient("terraform-provider-alicloud", plain(*_GO_HTTP), Transport(), _ONCE_PARSER, Refetch()),
    UriClient(
        "ecctl",
        plain(*_GO_HTTP),
        Transport(whole=15, follows=False),
        JsonParser(code="exact", required=FOUR, expiration=rfc3339, filled=True, any_case=True, refuses_expired=True),
        Refetch(margin=180),
        cannot_use=_loopback_literal,
    ),
    UriClient(
        "ack-ram-tool",
        plain("User-Agent: ack-ram-tool", "Accept-Encoding: gzip"),
        Transport(whole=30),
        JsonParser(code=None, required=TWO, expiration=go_layout, any_case=True),
        Refetch(margin=1860),
    ),
    UriClient(
        "oss2",
        plain(*_REQUESTS),
        Transport(first_byte=10),
        JsonParser(code="exact", required=("Expiration",), expiration=strict, last_updated=strict),
        Refetch(session_share=0.15),
    ),
    UriClient(
        "OSS Java EcsRamRoleCredentialsProvider",
        plain(*_JAVA),
        _JAVA_HTTP(first_byte=5),
        JsonParser(code="exact", required=TWO, expiration=nineteen),
        Refetch(margin=3240),
    ),
    UriClient(
        "OSS Java CustomSessionCredentialsProvider",
        plain(*_JAVA),
        _JAVA_HTTP(first_byte=5),
        JsonParser(code=None, required=TWO, expiration=nineteen, also={"StatusCode": "200"}),
        Refetch(margin=720),
    ),
    UriClient(
        "ossutil v1",
        plain(*_GO_HTTP),
        Transport(statuses="any", whole=15),
        JsonParser(code="if present", required=TWO, expiration=go_layout, any_case=True),
        Refetch(margin=60),
        judges_errors=True,
    ),
    UriClient(
        "ossfs v1",
        plain("User-Agent: ossfs/1", "Accept: */*"),
        Transport(statuses="2xx", first_byte=120, decodes=False),
        ossfs,
        Refetch(margin=1200),
        remark="asks 100.100.100.200 for a token first, unless mounted with disable_imdsv2",
    ),
    UriClient(
        "ossfs2",
        plain("User-Agent: photon"),
        Transport(whole=10, decodes=False, needs_length=True),
        JsonParser(code=None, required=TWO, expiration=seconds_then_z),
        Refetch(margin=1200, pace=15),
        remark="asks 100.100.100.200 for a token first, always: that connection must succeed",
    ),
    UriClient(
        "JindoSDK",
        plain(),
        Transport(),
        JsonParser(code=None, required=THREE, expiration=strict),
        None,
        remark="closed: modelled from its manual, which shows the ECS answer and tells nothing of refetching",
    ),
)
