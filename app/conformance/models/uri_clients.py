"""The models of the credentials URI clients. Source of every line: captured requests or the client's source code."""

from __future__ import annotations

from functools import partial

from .client import UriClient
from .json_parser import JsonParser, losing
from .ossfs_parser import ossfs
from .parse_result import ACCESS_KEY, KEYS_AND_EXPIRATION, SESSION_KEYS
from .refresh_rule import RefreshRule
from .timestamps import (
    exactly_20_characters,
    first_19_characters,
    first_20_characters,
    go_layout,
    lenient,
    nodejs,
    rfc3339,
    strict,
)
from .transport import Transport
from .uri_requests import no_ipv6, only_loopback_address, python_request, unchanged_request

_GO_HTTP = ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
_JVM = "Accept: text/html, image/gif, image/jpeg, */*; q=0.2"
_JAVA = ("Accept-Encoding: identity", "Cache-Control: no-cache", "Pragma: no-cache", _JVM, "Connection: keep-alive")
_REQUESTS = ("User-Agent: python-requests/2", "Accept-Encoding: gzip, deflate", "Accept: */*", "Connection: keep-alive")


def _tea(language: str) -> str:
    return f"User-Agent: AlibabaCloud (linux; amd64) {language} Credentials/1 TeaDSL/1"


_GO_PARSER = JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=go_layout, ignores_name_case=True)
_JAVA_AND_PYTHON_PARSER = JsonParser(
    code="exact", required=KEYS_AND_EXPIRATION, expiration=strict, rejects_expired=True
)
_CODE_ONLY_PARSER = JsonParser(code="exact", required=(), expiration=None, ignores_name_case=True)
_JAVA_HTTP = partial(Transport, follows_redirects=False, decodes_gzip=False)

URI_CLIENTS: tuple[UriClient, ...] = (
    UriClient(
        "credentials-go",
        unchanged_request(_tea("Golang/1"), "Accept-Encoding: gzip"),
        Transport(first_byte_timeout=10, total_timeout=15),
        _GO_PARSER,
        RefreshRule(margin=180),
    ),
    UriClient(
        "alibaba-cloud-sdk-go",
        unchanged_request(*_GO_HTTP),
        Transport(first_byte_timeout=10, total_timeout=15),
        _GO_PARSER,
        RefreshRule(margin=180),
    ),
    UriClient(
        "credentials-java",
        unchanged_request(_tea("Java/17"), *_JAVA),
        _JAVA_HTTP(accepts="2xx", first_byte_timeout=10),
        _JAVA_AND_PYTHON_PARSER,
        RefreshRule(margin=900),
    ),
    UriClient(
        "aliyun-java-sdk-core",
        unchanged_request(*_JAVA),
        _JAVA_HTTP(first_byte_timeout=10),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=exactly_20_characters),
        RefreshRule(every_call=True),
    ),
    UriClient(
        "credentials-python",
        python_request("Accept-Encoding: identity", _tea("Python/3")),
        Transport(first_byte_timeout=10),
        _JAVA_AND_PYTHON_PARSER,
        RefreshRule(margin=900),
        unsupported_url=no_ipv6,
    ),
    UriClient(
        "credentials-python async",
        python_request(_tea("Python/3"), "Accept: */*", "Accept-Encoding: gzip, deflate"),
        Transport(first_byte_timeout=10),
        _JAVA_AND_PYTHON_PARSER,
        RefreshRule(margin=900),
        unsupported_url=no_ipv6,
    ),
    UriClient(
        "credentials-nodejs",
        unchanged_request("Connection: keep-alive"),
        Transport(first_byte_timeout=5, follows_redirects=False),
        JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=nodejs, rejects_empty=True),
        RefreshRule(margin=900),
    ),
    UriClient(
        "credentials-php",
        unchanged_request(_tea("PHP/8")),
        Transport(),
        JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=lenient, rejects_expired=True),
        RefreshRule(margin=900),
        remark="under FPM each PHP request fetches credentials",
    ),
    UriClient(
        "credentials-csharp",
        unchanged_request(_tea("runtime")),
        Transport(accepts="2xx", total_timeout=5, decodes_gzip=False, needs_content_type=True),
        losing(
            JsonParser(
                code="exact", required=("Expiration",), expiration=lenient, rejects_expired=True, rejects_nested=True
            ),
            *SESSION_KEYS,
        ),
        RefreshRule(margin=900),
        defect="it never copies the keys from the response",
    ),
    UriClient(
        "credentials-cpp",
        unchanged_request(),
        Transport(),
        losing(JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=first_20_characters), "AccessKeyId"),
        RefreshRule(margin=180),
        defect="it stores the AccessKeyId as the secret and overwrites it; the AccessKeyId stays empty",
    ),
    UriClient(
        "credentials-swift",
        unchanged_request(),
        Transport(),
        JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=strict),
        RefreshRule(margin=180),
        defect="it requests http://http://…",
    ),
    UriClient("aliyun-cli", unchanged_request(*_GO_HTTP), Transport(), _CODE_ONLY_PARSER, RefreshRule()),
    UriClient(
        "terraform-provider-alicloud", unchanged_request(*_GO_HTTP), Transport(), _CODE_ONLY_PARSER, RefreshRule()
    ),
    UriClient(
        "ecctl",
        unchanged_request(*_GO_HTTP),
        Transport(total_timeout=15, follows_redirects=False),
        JsonParser(
            code="exact",
            required=KEYS_AND_EXPIRATION,
            expiration=rfc3339,
            rejects_empty=True,
            ignores_name_case=True,
            rejects_expired=True,
        ),
        RefreshRule(margin=180),
        unsupported_url=only_loopback_address,
    ),
    UriClient(
        "ack-ram-tool",
        unchanged_request("User-Agent: ack-ram-tool", "Accept-Encoding: gzip"),
        Transport(total_timeout=30),
        JsonParser(code=None, required=ACCESS_KEY, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=1860),
    ),
    UriClient(
        "oss2",
        unchanged_request(*_REQUESTS),
        Transport(first_byte_timeout=10),
        JsonParser(code="exact", required=("Expiration",), expiration=strict, last_updated=strict),
        RefreshRule(session_fraction=0.15),
    ),
    UriClient(
        "OSS Java EcsRamRoleCredentialsProvider",
        unchanged_request(*_JAVA),
        _JAVA_HTTP(first_byte_timeout=5),
        JsonParser(code="exact", required=ACCESS_KEY, expiration=first_19_characters),
        RefreshRule(margin=3240),
    ),
    UriClient(
        "OSS Java CustomSessionCredentialsProvider",
        unchanged_request(*_JAVA),
        _JAVA_HTTP(first_byte_timeout=5),
        JsonParser(code=None, required=ACCESS_KEY, expiration=first_19_characters, exact_values={"StatusCode": "200"}),
        RefreshRule(margin=720),
    ),
    UriClient(
        "ossutil v1",
        unchanged_request(*_GO_HTTP),
        Transport(accepts="any", total_timeout=15),
        JsonParser(code="any case if present", required=ACCESS_KEY, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=60),
        ignores_status=True,
    ),
    UriClient(
        "ossfs v1",
        unchanged_request("User-Agent: ossfs/1", "Accept: */*"),
        Transport(accepts="2xx", first_byte_timeout=120, decodes_gzip=False),
        ossfs,
        RefreshRule(margin=1200),
        remark="requests a token from 100.100.100.200 first, unless mounted with disable_imdsv2",
    ),
    UriClient(
        "ossfs2",
        unchanged_request("User-Agent: photon"),
        Transport(total_timeout=10, decodes_gzip=False, needs_content_length=True),
        JsonParser(code=None, required=ACCESS_KEY, expiration=first_20_characters),
        RefreshRule(margin=1200, poll_interval=15),
        remark="always requests a token from 100.100.100.200 first; that connection must succeed",
    ),
    UriClient(
        "JindoSDK",
        unchanged_request(),
        Transport(),
        JsonParser(code=None, required=SESSION_KEYS, expiration=strict),
        None,
        remark="closed source: modelled from its manual, which shows the ECS response but not the refresh rule",
    ),
)
