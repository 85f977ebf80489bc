"""The models of the ECS metadata clients. Source of every line: captured requests or the client's source code."""

from __future__ import annotations

from functools import partial

from .client import EcsClient, TokenUse
from .json_parser import JsonParser
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

_GO_HTTP = ("User-Agent: Go-http-client/1.1", "Accept-Encoding: gzip")
_RAM = "/latest/meta-data/Ram/security-credentials/"
_ONE_SECOND = Transport(first_byte_timeout=1)
_NO_GZIP = partial(Transport, decodes_gzip=False)
_JAVA_HTTP = partial(Transport, follows_redirects=False, decodes_gzip=False)
_STRICT = partial(JsonParser, code="exact", required=KEYS_AND_EXPIRATION, expiration=strict, rejects_expired=True)
_LENIENT = partial(JsonParser, code="exact", required=KEYS_AND_EXPIRATION, expiration=lenient)
_SLS = partial(JsonParser, code="any case", last_updated_required=True)
_ALIYUNGO = JsonParser(
    code=None,
    required=KEYS_AND_EXPIRATION,
    expiration=rfc3339,
    last_updated=rfc3339,
    last_updated_required=True,
    ignores_name_case=True,
)
_HOURLY_REFRESH = RefreshRule(margin=900, max_age=3600)

ECS_CLIENTS: tuple[EcsClient, ...] = (
    EcsClient(
        "credentials-go",
        _ONE_SECOND,
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=180),
        token=TokenUse(query="?"),
        role_name="stripped",
        query="?",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "alibaba-cloud-sdk-go",
        _ONE_SECOND,
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=180),
        token=TokenUse(strips=True),
        role_name="stripped",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "alibaba-cloud-sdk-go EcsRamRoleSigner",
        Transport(first_byte_timeout=5),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=go_layout),
        RefreshRule(elapsed_fraction=0.95),
        lists_roles=False,
        lines=_GO_HTTP,
        needs_error_code=True,
    ),
    EcsClient(
        "credentials-java",
        _JAVA_HTTP(first_byte_timeout=1),
        _STRICT(),
        _HOURLY_REFRESH,
        token=TokenUse(lines=(), retries_without=True),
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "aliyun-java-sdk-core",
        _JAVA_HTTP(first_byte_timeout=1),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=exactly_20_characters),
        RefreshRule(margin=1080),
        token=TokenUse(lines=(), strips=True),
        role_name="stripped",
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "credentials-python",
        _ONE_SECOND,
        _STRICT(),
        _HOURLY_REFRESH,
        token=TokenUse(retries_without=True, skips_invalid=True),
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "credentials-nodejs",
        Transport(first_byte_timeout=1, follows_redirects=False),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=nodejs, rejects_empty=True),
        RefreshRule(margin=3600),
        token=TokenUse(retries_without=True, skips_invalid=True),
        role_name="stripped",
        lines=("Connection: keep-alive",),
    ),
    EcsClient(
        "credentials-php",
        Transport(),
        _LENIENT(rejects_expired=True),
        _HOURLY_REFRESH,
        token=TokenUse(),
        remark="under FPM each PHP request fetches credentials",
    ),
    EcsClient(
        "credentials-csharp",
        Transport(first_byte_timeout=10, decodes_gzip=False, needs_content_type=True),
        _LENIENT(rejects_expired=True, rejects_nested=True),
        _HOURLY_REFRESH,
        token=TokenUse(),
    ),
    EcsClient(
        "credentials-cpp",
        _NO_GZIP(),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=first_20_characters),
        RefreshRule(margin=180),
    ),
    EcsClient(
        "credentials-swift",
        _NO_GZIP(),
        JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=strict),
        RefreshRule(margin=180),
    ),
    EcsClient(
        "alibabacloud legacy core for C++",
        _NO_GZIP(),
        JsonParser(code=None, required=ACCESS_KEY, expiration=strict),
        RefreshRule(margin=60),
        lists_roles=False,
        remark="reads Expiration as local time, which is correct only in UTC",
    ),
    EcsClient(
        "alibabacloud legacy client for PHP",
        Transport(),
        JsonParser(code=None, required=SESSION_KEYS, expiration=lenient),
        None,
        lists_roles=False,
    ),
    EcsClient(
        "alibabacloud legacy core for .NET",
        Transport(first_byte_timeout=1, decodes_gzip=False),
        _LENIENT(),
        RefreshRule(margin=180),
        token=TokenUse(strips=True),
        role_name="stripped",
    ),
    EcsClient(
        "aliyun-python-sdk-core",
        _NO_GZIP(),
        JsonParser(code="exact", required=SESSION_KEYS, expiration=None),
        RefreshRule(max_age=3240),
        lists_roles=False,
        lines=("Accept-Encoding: identity", "User-Agent: Python-urllib/3", "Connection: close"),
    ),
    EcsClient(
        "OSS Go v2",
        Transport(accepts="any", total_timeout=10),
        JsonParser(
            code="any case if present",
            required=ACCESS_KEY,
            expiration=rfc3339,
            last_updated=rfc3339,
            ignores_name_case=True,
        ),
        RefreshRule(elapsed_fraction=0.8),
        lines=_GO_HTTP,
        ignores_status=True,
    ),
    EcsClient(
        "OSS Java InstanceProfileCredentialsProvider",
        _JAVA_HTTP(first_byte_timeout=5),
        JsonParser(code="exact", required=KEYS_AND_EXPIRATION, expiration=first_19_characters),
        RefreshRule(margin=4320),
        lists_roles=False,
        lines=("Accept-Encoding: identity",),
    ),
    EcsClient(
        "ossutil v1",
        Transport(accepts="any", total_timeout=15),
        JsonParser(code="any case if present", required=ACCESS_KEY, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=60),
        lists_roles=False,
        role_prefix=_RAM,
        lines=_GO_HTTP,
        ignores_status=True,
    ),
    EcsClient(
        "ossfs v1",
        _NO_GZIP(accepts="2xx", first_byte_timeout=120),
        ossfs,
        RefreshRule(margin=1200),
        token=TokenUse(ttl=180, stalling_statuses=frozenset({500, 503})),
        role_name="first line",
    ),
    EcsClient(
        "ossfs2",
        _NO_GZIP(total_timeout=10, needs_content_length=True),
        JsonParser(code=None, required=ACCESS_KEY, expiration=first_20_characters),
        RefreshRule(margin=1200, poll_interval=15),
        token=TokenUse(ttl=180),
        lists_roles=False,
    ),
    EcsClient(
        "SLS Go",
        Transport(accepts="any"),
        _SLS(required=(*ACCESS_KEY, "Expiration"), expiration=rfc3339, last_updated=rfc3339, ignores_name_case=True),
        RefreshRule(margin=120),
        lists_roles=False,
        lines=_GO_HTTP,
        ignores_status=True,
    ),
    EcsClient(
        "SLS Java ECSRoleCredentialsProvider",
        _JAVA_HTTP(accepts="any", first_byte_timeout=3),
        _SLS(required=KEYS_AND_EXPIRATION, expiration=strict, last_updated=strict),
        RefreshRule(margin=180),
        lists_roles=False,
        ignores_status=True,
    ),
    EcsClient(
        "SLS Java ECSRoleCredentials",
        _JAVA_HTTP(accepts="any", first_byte_timeout=3),
        _SLS(required=KEYS_AND_EXPIRATION, expiration=strict, last_updated=strict),
        RefreshRule(session_fraction=0.2),
        lists_roles=False,
        ignores_status=True,
    ),
    EcsClient(
        "LoongCollector",
        _NO_GZIP(accepts="any", total_timeout=1),
        JsonParser(code=None, required=KEYS_AND_EXPIRATION, expiration=first_20_characters),
        None,
        token=TokenUse(ttl=3600, ignores_status=True, per_request=False),
        ignores_status=True,
        needs_values=("/latest/dynamic/instance-identity/document",),
    ),
    EcsClient(
        "aliyungo (external-dns)",
        Transport(),
        _ALIYUNGO,
        RefreshRule(margin=600, poll_interval=540),
        role_name="first line",
        lines=_GO_HTTP,
        needs_values=("/latest/meta-data/region-id", "/latest/meta-data/vpc-id"),
    ),
    EcsClient(
        "aliyungo of 2018 (Debian)",
        Transport(),
        _ALIYUNGO,
        None,
        role_name="first line",
        role_prefix=_RAM,
        lines=_GO_HTTP,
    ),
    EcsClient(
        "ack-ram-tool",
        Transport(total_timeout=30),
        JsonParser(code=None, required=ACCESS_KEY, expiration=go_layout, ignores_name_case=True),
        RefreshRule(margin=1860),
        token=TokenUse(ttl=3600, tolerated_statuses=frozenset({403, 404}), strips=True, per_request=False),
        role_name="stripped",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "ecctl",
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
        token=TokenUse(strips=True, per_request=False),
        role_name="stripped",
        lines=_GO_HTTP,
    ),
    EcsClient(
        "JindoSDK",
        Transport(),
        JsonParser(code=None, required=SESSION_KEYS, expiration=strict),
        None,
        lists_roles=False,
        role_prefix="/latest/meta-data/Ram/Security-credentials/",
        remark="closed source: modelled from its manual, which shows path and response",
    ),
)
