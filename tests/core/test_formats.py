"""The bytes that consumers parse, checked with the rules of those parsers that are hardest to please."""

from __future__ import annotations

import json
import re

from app.core.formats import env_lines, error_document, external_document, ini_lines, timestamp, uri_document
from app.core.values import Credentials

SESSION = Credentials("STS.key", "se/cr+et=", "to/ke+n==", issued_at=1_767_323_045.9, expires_at=1_767_326_645.0)


def test_uri_document_to_the_byte() -> None:
    """The URI and ECS body: this key set and order, one line, whole seconds, `Z`."""
    assert uri_document(SESSION) == (
        b'{"Code":"Success","StatusCode":"200","AccessKeyId":"STS.key","AccessKeySecret":"se/cr+et=",'
        b'"SecurityToken":"to/ke+n==","Expiration":"2026-01-02T04:04:05Z","LastUpdated":"2026-01-02T03:04:05Z"}'
    )


def ossfs_keys(body: str) -> dict[str, str]:
    """ossfs v1's parser as a model: pieces between commas, the first recognised substring of each names its key."""
    found = {}
    for piece in body.split(","):
        for key in ("AccessKeyId", "AccessKeySecret", "Token", "Expiration"):
            if key in piece:
                found[key] = re.findall(r'"([^"]*)"', piece)[-1]
                break
    return found


def test_ossfs_finds_exactly_four_keys() -> None:
    """ossfs v1 accepts exactly four keys that it finds by substring; a fifth, or a fourth missing, is an I/O error."""
    assert ossfs_keys(uri_document(SESSION).decode()) == {
        "AccessKeyId": "STS.key",
        "AccessKeySecret": "se/cr+et=",
        "Token": "to/ke+n==",
        "Expiration": "2026-01-02T04:04:05Z",
    }


def test_no_other_key_looks_like_one_of_the_four() -> None:
    """No further key or value contains a word that a substring parser takes for one of the four."""
    others = {
        key: value
        for key, value in json.loads(uri_document(SESSION)).items()
        if key not in ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
    }

    text = json.dumps(others)
    assert not [word for word in ("AccessKey", "Token", "Expiration", "RoleArn") if word in text]


def test_errors_have_a_code_that_is_not_success() -> None:
    """Clients that judge by the body find `Code` as a string, and no key of a credential."""
    body = json.loads(error_document("NotFound", "nothing here"))

    assert body == {"Code": "NotFound", "Message": "nothing here"}


def test_timestamp_has_no_fraction() -> None:
    """Instants are cut, not rounded, to whole seconds: an Expiration must never be later than the truth."""
    assert timestamp(1_767_323_045.999) == "2026-01-02T03:04:05Z"


def test_external_document() -> None:
    """`aliyun configure --mode External` gets its own names."""
    assert json.loads(external_document(SESSION)) == {
        "mode": "StsToken",
        "access_key_id": "STS.key",
        "access_key_secret": "se/cr+et=",
        "sts_token": "to/ke+n==",
        "expiration": "2026-01-02T04:04:05Z",
    }


def test_env_lines_are_safe_for_a_shell() -> None:
    """Values are quoted where a shell would read them otherwise."""
    odd = Credentials("STS.k", "a b$c'", "t", issued_at=0, expires_at=1)

    assert "export ALIBABA_CLOUD_ACCESS_KEY_SECRET='a b$c'\"'\"''" in env_lines(odd).splitlines()


def test_ini_lines() -> None:
    """The credentials file gets a default section of type sts."""
    assert ini_lines(SESSION).splitlines()[:3] == ["[default]", "type = sts", "access_key_id = STS.key"]
