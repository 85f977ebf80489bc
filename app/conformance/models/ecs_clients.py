"""The clients of the metadata address. Every line is what the client was seen to send, or what its source says."""

from __future__ import annotations

from functools import partial

from .body_parser import FOUR, THREE, TWO, JsonParser
from .client import EcsClient, SessionToken
from .http_library import Transport
from .ossfs_parser import ossfs
from .refetch import Refetch
from .timestamps import exactly_20, go_layout, nineteen, node, rfc3339, seconds_then_z, strict, tolerant

_GO_HTTP = ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
_RAM = "/latest/meta-data/Ram/security-credentials/"
_ONE_SECOND = Transport(first_byte=1)
_NO_GZIP = partial(Transport, decodes=False)
_JAVA_HTTP = partial(Transport, follows=False, decodes=False)
_STRICT = partial(JsonParser, code="exact", required=FOUR, expiration=strict, refuses_expired=True)
_TOLERANT = partial(JsonParser, code="exact", required=FOUR, expiration=tolerant)
_SLS = partial(JsonParser, code="caseless", last_updated_required=True)
_HOURLY = Refetch(margin=900, age=3600)

ECS_CLIENTS: tuple[EcsClient, ...] = (
    EcsClient(
        "credentials-go",
        _ONE_SECOND,
        JsonParser(code="exact", required=FOUR, expiration=go_layout, any_case=True),
        Refetch(margin=180),
        session=SessionToken(query="?"),
        role_name="trimmed",
        query="?",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "alibaba-cloud-sdk-go",
        _ONE_SECOND,
        JsonParser(code="exact", required=FOUR, expiration=go_layout, any_case=True),
        Refetch(margin=180),
        session=SessionToken(raw=False),
        role_name="trimmed",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "alibaba-cloud-sdk-go EcsRamRoleSigner",
        Transport(first_byte=5),
        JsonParser(code="exact", required=FOUR, expiration=go_layout),
        Refetch(seen_share=0.95),
        lists=False,
        lines=_GO_HTTP,
        needs_code_in_errors=True,
    ),
    EcsClient(
        "credentials-java",
        _JAVA_HTTP(first_byte=1),
        _STRICT(),
        _HOURLY,
        session=SessionToken(lines=(), repeats=True),
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "aliyun-java-sdk-core",
        _JAVA_HTTP(first_byte=1),
        JsonParser(code="exact", required=FOUR, expiration=exactly_20),
        Refetch(margin=1080),
        session=SessionToken(lines=(), raw=False),
        role_name="trimmed",
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "credentials-python",
        _ONE_SECOND,
        _STRICT(),
        _HOURLY,
        session=SessionToken(repeats=True, shrugs=True),
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "credentials-nodejs",
        Transport(first_byte=1, follows=False),
        JsonParser(code="exact", required=FOUR, expiration=node, filled=True),
        Refetch(margin=3600),
        session=SessionToken(repeats=True, shrugs=True),
        role_name="trimmed",
        lines=("Connection: keep-alive",),
    ),
    EcsClient(
        "credentials-php",
        Transport(),
        _TOLERANT(refuses_expired=True),
        _HOURLY,
        session=SessionToken(),
        remark="under FPM every PHP request asks",
    ),
    EcsClient(
        "credentials-csharp",
        Transport(first_byte=10, decodes=False, needs_type=True),
        _TOLERANT(refuses_expired=True, flat=True),
        _HOURLY,
        session=SessionToken(),
    ),
    EcsClient(
        "credentials-cpp",
        _NO_GZIP(),
        JsonParser(code="exact", required=FOUR, expiration=seconds_then_z),
        Refetch(margin=180),
    ),
    EcsClient(
        "credentials-swift",
        _NO_GZIP(),
        JsonParser(code=None, required=FOUR, expiration=strict),
        Refetch(margin=180),
    ),
    EcsClient(
        "alibabacloud legacy core for C++",
        _NO_GZIP(),
        JsonParser(code=None, required=TWO, expiration=strict),
        Refetch(margin=60),
        lists=False,
        remark="reads Expiration as local time: right in UTC only",
    ),
    EcsClient(
        "alibabacloud legacy client for PHP",
        Transport(),
        JsonParser(code=None, required=THREE, expiration=tolerant),
        None,
        lists=False,
    ),
    EcsClient(
        "alibabacloud legacy core for .NET",
        Transport(first_byte=1, decodes=False),
        _TOLERANT(),
        Refetch(margin=180),
        session=SessionToken(raw=False),
        role_name="trimmed",
    ),
    EcsClient(
        "aliyun-python-sdk-core",
        _NO_GZIP(),
        JsonParser(code="exact", required=THREE, expiration=None),
        Refetch(age=3240),
        lists=False,
        lines=("Accept-Encoding: identity", "User-Agent: Python-urllib/3", "Connection: close"),
    ),
    EcsClient(
        "OSS Go v2",
        Transport(statuses="any", whole=10),
        JsonParser(code="if present", required=TWO, expiration=rfc3339, last_updated=rfc3339, any_case=True),
        Refetch(seen_share=0.8),
        lines=_GO_HTTP,
        judges_errors=True,
    ),
    EcsClient(
        "OSS Java InstanceProfileCredentialsProvider",
        _JAVA_HTTP(first_byte=5),
        JsonParser(code="exact", required=FOUR, expiration=nineteen),
        Refetch(margin=4320),
        lists=False,
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "ossutil v1",
        Transport(statuses="any", whole=15),
        JsonParser(code="if present", required=TWO, expiration=go_layout, any_case=True),
        Refetch(margin=60),
        lists=False,
        prefix=_RAM,
        lines=_GO_HTTP,
        judges_errors=True,
    ),
    EcsClient(
        "ossfs v1",
        _NO_GZIP(statuses="2xx", first_byte=120),
        ossfs,
        Refetch(margin=1200),
        session=SessionToken(ttl=180, stumbles=frozenset({500, 503})),
        role_name="first line",
    ),
    EcsClient(
        "ossfs2",
        _NO_GZIP(whole=10, needs_length=True),
        JsonParser(code=None, required=TWO, expiration=seconds_then_z),
        Refetch(margin=1200, pace=15),
        session=SessionToken(ttl=180),
        lists=False,
    ),
    EcsClient(
        "SLS Go",
        Transport(statuses="any"),
        _SLS(required=(*TWO, "Expiration"), expiration=rfc3339, last_updated=rfc3339, any_case=True),
        Refetch(margin=120),
        lists=False,
        lines=_GO_HTTP,
        judges_errors=True,
    ),
    EcsClient(
        "SLS Java ECSRoleCredentialsProvider",
        _JAVA_HTTP(statuses="any", first_byte=3),
        _SLS(required=FOUR, expiration=strict, last_updated=strict),
        Refetch(margin=180),
        lists=False,
        judges_errors=True,
    ),
    EcsClient(
        "SLS Java ECSRoleCredentials",
        _JAVA_HTTP(statuses="any", first_byte=3),
        _SLS(required=FOUR, expiration=strict, last_updated=strict),
        Refetch(session_share=0.2),
        lists=False,
        judges_errors=True,
    ),
    EcsClient(
        "LoongCollector",
        _NO_GZIP(statuses="any", whole=1),
        JsonParser(code=None, required=FOUR, expiration=seconds_then_z),
        None,
        session=SessionToken(ttl=3600, any_body=True, each_get=False),
        judges_errors=True,
    ),
    EcsClient(
        "aliyungo (external-dns)",
        Transport(),
        JsonParser(
            code=None,
            required=FOUR,
            expiration=rfc3339,
            last_updated=rfc3339,
            last_updated_required=True,
            any_case=True,
        ),
        Refetch(margin=600, pace=540),
        role_name="first line",
        lines=_GO_HTTP,
        remark="external-dns itself needs region-id and vpc-id too: see rule 22",
    ),
    EcsClient(
        "aliyungo of 2018 (Debian)",
        Transport(),
        JsonParser(
            code=None,
            required=FOUR,
            expiration=rfc3339,
            last_updated=rfc3339,
            last_updated_required=True,
            any_case=True,
        ),
        None,
        role_name="first line",
        prefix=_RAM,
        lines=_GO_HTTP,
    ),
    EcsClient(
        "ack-ram-tool",
        Transport(whole=30),
        JsonParser(code=None, required=TWO, expiration=go_layout, any_case=True),
        Refetch(margin=1860),
        session=SessionToken(ttl=3600, tolerated=frozenset({403, 404}), raw=False, each_get=False),
        role_name="trimmed",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "ecctl",
        Transport(whole=15, follows=False),
        JsonParser(code="exact", required=FOUR, expiration=rfc3339, filled=True, any_case=True, refuses_expired=True),
        Refetch(margin=180),
        session=SessionToken(raw=False, each_get=False),
        role_name="trimmed",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "JindoSDK",
        Transport(),
        JsonParser(code=None, required=THREE, expiration=strict),
        None,
        lists=False,
        prefix="/latest/meta-data/Ram/Security-credentials/",
        remark="closed: modelled from its manual, which shows path and answer",
    ),
)
