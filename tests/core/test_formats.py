"""The bytes that clients parse, checked by the rules of the strictest client parsers."""

from __future__ import annotations

import json
import re

import pytest

from app.core.formats import (
    aliyun_document,
    aws_document,
    env_lines,
    error_document,
    external_document,
    plain_document,
    timestamp,
    timestamp_ms,
    uri_document,
)
from app.core.values import Credentials

SESSION = Credentials("STS.key", "se/cr+et=", "to/ke+n==", issued_at=1_767_323_045.9, expires_at=1_767_326_645.0)


def test_uri_document_is_exact() -> None:
    """The URI and ECS body has these keys in this order, on one line, with whole seconds and `Z`."""
    assert uri_document(SESSION) == (
        b'{"Code":"Success","StatusCode":"200","AccessKeyId":"STS.key","AccessKeySecret":"se/cr+et=",'
        b'"SecurityToken":"to/ke+n==","Expiration":"2026-01-02T04:04:05Z","LastUpdated":"2026-01-02T03:04:05Z"}'
    )


def ossfs_keys(body: str) -> dict[str, str]:
    """Model of ossfs v1's parser: split at commas; the first known substring of a piece names its key."""
    found = {}
    for piece in body.split(","):
        for key in ("AccessKeyId", "AccessKeySecret", "Token", "Expiration"):
            if key in piece:
                found[key] = re.findall(r'"([^"]*)"', piece)[-1]
                break
    return found


def test_ossfs_finds_exactly_four_keys() -> None:
    """ossfs v1 finds exactly its four keys by substring; a fifth key or a missing key is an I/O error there."""
    assert ossfs_keys(uri_document(SESSION).decode()) == {
        "AccessKeyId": "STS.key",
        "AccessKeySecret": "se/cr+et=",
        "Token": "to/ke+n==",
        "Expiration": "2026-01-02T04:04:05Z",
    }


def test_other_keys_contain_no_key_of_ossfs() -> None:
    """No other key or value contains a word that a substring parser takes for one of the four keys."""
    others = {
        key: value
        for key, value in json.loads(uri_document(SESSION)).items()
        if key not in ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
    }

    text = json.dumps(others)
    assert not [word for word in ("AccessKey", "Token", "Expiration", "RoleArn") if word in text]


def test_errors_have_a_code_that_is_not_success() -> None:
    """An error has a string `Code`, which clients check, and no key of a credential."""
    body = json.loads(error_document("NotFound", "nothing here"))

    assert body == {"Code": "NotFound", "Message": "nothing here"}


def test_timestamp_has_no_fraction() -> None:
    """Timestamps are truncated to whole seconds, not rounded: an Expiration must never be later than the real one."""
    assert timestamp(1_767_323_045.999) == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (1_767_323_045.0, "2026-01-02T03:04:05.000Z"),
        (1_767_323_045.0625, "2026-01-02T03:04:05.062Z"),
        (1_767_323_045.9375, "2026-01-02T03:04:05.937Z"),
    ],
)
def test_timestamp_of_the_log_has_milliseconds(instant: float, expected: str) -> None:
    """Timestamps of the log have three digits of milliseconds, truncated."""
    assert timestamp_ms(instant) == expected


def test_external_document_has_the_cli_names() -> None:
    """`aliyun configure --mode External` gets the key names of the Alibaba Cloud CLI."""
    assert json.loads(external_document(SESSION)) == {
        "mode": "StsToken",
        "access_key_id": "STS.key",
        "access_key_secret": "se/cr+et=",
        "sts_token": "to/ke+n==",
        "expiration": "2026-01-02T04:04:05Z",
    }


def test_plain_document_has_the_api_names() -> None:
    """Scripts get the three values and the expiry under the names of the STS API."""
    assert json.loads(plain_document(SESSION)) == {
        "AccessKeyId": "STS.key",
        "AccessKeySecret": "se/cr+et=",
        "SecurityToken": "to/ke+n==",
        "Expiration": "2026-01-02T04:04:05Z",
    }


def test_env_lines_are_quoted_for_a_shell() -> None:
    """Values with characters that a shell interprets are quoted."""
    credentials = Credentials("STS.k", "a b$c'", "t", issued_at=0, expires_at=1)

    assert env_lines(credentials).splitlines() == [
        "export ALIBABA_CLOUD_ACCESS_KEY_ID=STS.k",
        "export ALIBABA_CLOUD_ACCESS_KEY_SECRET='a b$c'\"'\"''",
        "export ALIBABA_CLOUD_SECURITY_TOKEN=t",
    ]


def test_profile_file_has_one_profile_of_mode_sts_token() -> None:
    """The profile file of aliyun-cli and the SDKs has one profile, which is the current one."""
    assert json.loads(aliyun_document(SESSION)) == {
        "current": "default",
        "profiles": [
            {
                "name": "default",
                "mode": "StsToken",
                "access_key_id": "STS.key",
                "access_key_secret": "se/cr+et=",
                "sts_token": "to/ke+n==",
                "region_id": "cn-hangzhou",
                "output_format": "json",
                "language": "en",
            }
        ],
    }


def test_document_for_the_sdks_of_aws() -> None:
    """The document has the token under the names of the container provider and of `credential_process`."""
    assert json.loads(aws_document(SESSION)) == {
        "Version": 1,
        "AccessKeyId": "STS.key",
        "SecretAccessKey": "se/cr+et=",
        "SessionToken": "to/ke+n==",
        "Token": "to/ke+n==",
        "Expiration": "2026-01-02T04:04:05Z",
    }
