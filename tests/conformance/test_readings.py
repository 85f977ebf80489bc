"""Parsers of clients, closed ones too, as their sources and manuals tell: each on our own bytes first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.conformance.models import timestamps
from app.conformance.models.body_parser import Reading
from app.conformance.models.client import EcsClient, UriClient
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.uri_clients import URI_CLIENTS
from app.core.formats import error_document, timestamp, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
SESSION = Credentials("STS.key", "se/cr+et=", "to/ke+n==", issued_at=NOW, expires_at=NOW + 3600)
OURS = uri_document(SESSION)
END = timestamp(NOW + 3600)
ABLE: list[UriClient | EcsClient] = [*(client for client in URI_CLIENTS if not client.unable), *ECS_CLIENTS]
URI = {client.name: client for client in URI_CLIENTS}
ECS = {client.name: client for client in ECS_CLIENTS}


@pytest.mark.parametrize("client", ABLE, ids=lambda client: f"{type(client).__name__} {client.name}")
def test_every_parser_reads_our_bytes(client: UriClient | EcsClient) -> None:
    """The true three values and, where it reads one, the true end: with every parser that can read anything."""
    reading = client.parse(OURS, NOW)

    assert reading.refusals == ()
    assert reading.keys == ("STS.key", "se/cr+et=", "to/ke+n==")
    assert reading.expires_at in (None, NOW + 3600)


@pytest.mark.parametrize("client", ABLE, ids=lambda client: f"{type(client).__name__} {client.name}")
def test_no_parser_takes_our_errors_for_credentials(client: UriClient | EcsClient) -> None:
    """Even who never looks at the status finds no credentials in an error."""
    reading = client.parse(error_document("CredentialsUnavailable", "profile default: no answer yet"), NOW)

    assert reading.refusals != ()


def parse(client: UriClient | EcsClient, **changes: Any) -> Reading:
    """What the client makes of our body with members changed, added, or taken away by None."""
    found = json.loads(OURS) | changes
    kept = {name: value for name, value in found.items() if value is not None}
    return client.parse(json.dumps(kept, separators=(",", ":")).encode(), NOW)


FRACTION, OFFSET, GONE = f"{END[:-1]}.5Z", f"{END[:-1]}+00:00", timestamp(NOW - 10)
BAD = "no time at all"


@pytest.mark.parametrize(
    ("client", "changes", "refused"),
    [
        # ossfs v1: exactly four words, found as substrings between commas
        (URI["ossfs v1"], {"RoleArn": "acs:ram::1:role/x"}, True),
        (URI["ossfs v1"], {"RequestId": "0A1B-2C3D"}, False),
        (URI["ossfs v1"], {"StatusCode": None, "Code": None, "LastUpdated": None}, False),
        (URI["ossfs v1"], {"SecurityToken": None}, True),
        (URI["ossfs v1"], {"Expiration": FRACTION}, False),
        (URI["ossfs v1"], {"Expiration": BAD}, True),
        (URI["ossfs v1"], {"Message": "a,b"}, False),
        (URI["ossfs v1"], {"AccessKeyId": None, "SecretAccessKey": "x"}, True),
        # ossfs2: strptime, at least 20 characters, what follows the Z is not looked at
        (URI["ossfs2"], {"Expiration": FRACTION}, True),
        (URI["ossfs2"], {"Expiration": f"{END}x"}, False),
        (URI["ossfs2"], {"SecurityToken": None, "Code": None}, False),
        (URI["ossfs2"], {"AccessKeyId": None}, True),
        # ossutil v1: Code only if it is there, in any case; names in any case; Expiration may be missing
        (URI["ossutil v1"], {"Code": "success"}, False),
        (URI["ossutil v1"], {"Code": None}, False),
        (URI["ossutil v1"], {"Code": "Failed"}, True),
        (URI["ossutil v1"], {"Expiration": None}, False),
        (URI["ossutil v1"], {"Expiration": FRACTION}, False),
        (URI["ossutil v1"], {"Expiration": OFFSET}, True),
        (URI["ossutil v1"], {"AccessKeyId": None, "accesskeyid": "STS.key"}, False),
        # aliyun-cli and terraform: Code alone
        (URI["aliyun-cli"], {"Expiration": BAD, "AccessKeyId": None}, False),
        (URI["terraform-provider-alicloud"], {"Code": "success"}, True),
        # ecctl: four with values, RFC 3339, in the future
        (URI["ecctl"], {"Expiration": OFFSET}, False),
        (URI["ecctl"], {"Expiration": GONE}, True),
        (URI["ecctl"], {"SecurityToken": ""}, True),
        (URI["ack-ram-tool"], {"Code": "Failed", "SecurityToken": None}, False),
        (URI["ack-ram-tool"], {"Expiration": OFFSET}, True),
        (URI["aliyun-java-sdk-core"], {"Expiration": FRACTION}, True),
        (URI["aliyun-java-sdk-core"], {"Expiration": GONE}, False),
        (URI["OSS Java EcsRamRoleCredentialsProvider"], {"Expiration": OFFSET}, False),
        (URI["OSS Java EcsRamRoleCredentialsProvider"], {"Code": None}, True),
        (URI["OSS Java CustomSessionCredentialsProvider"], {"StatusCode": None}, True),
        (URI["OSS Java CustomSessionCredentialsProvider"], {"StatusCode": 200}, True),
        (URI["OSS Java CustomSessionCredentialsProvider"], {"Code": None}, False),
        (URI["alibaba-cloud-sdk-go"], {"Expiration": FRACTION, "Code": None}, False),
        (URI["oss2"], {"LastUpdated": None}, False),
        (URI["oss2"], {"LastUpdated": FRACTION}, True),
        (URI["JindoSDK"], {"SecurityToken": None}, True),
        (ECS["credentials-csharp"], {"Other": {"a": 1}}, True),
        (ECS["credentials-csharp"], {"Other": "a"}, False),
        (ECS["credentials-go"], {"Code": None}, True),
        (ECS["credentials-nodejs"], {"Code": "Failed"}, True),
        (ECS["credentials-php"], {"Expiration": OFFSET}, False),
        (ECS["SLS Go"], {"LastUpdated": None}, True),
        (ECS["SLS Go"], {"Code": "SUCCESS", "Expiration": FRACTION}, False),
        (ECS["SLS Java ECSRoleCredentials"], {"LastUpdated": FRACTION}, True),
        (ECS["SLS Java ECSRoleCredentials"], {"Code": "success"}, False),
        (ECS["LoongCollector"], {"Code": None}, False),
        (ECS["LoongCollector"], {"Expiration": FRACTION}, True),
        (ECS["OSS Go v2"], {"Code": None, "Expiration": OFFSET}, False),
        (ECS["OSS Go v2"], {"LastUpdated": BAD}, True),
        (ECS["aliyungo (external-dns)"], {"LastUpdated": None}, True),
        (ECS["aliyungo (external-dns)"], {"Expiration": OFFSET}, False),
        (ECS["aliyun-python-sdk-core"], {"Expiration": BAD}, False),
        (ECS["alibaba-cloud-sdk-go EcsRamRoleSigner"], {"Code": None}, True),
        (ECS["alibabacloud legacy core for C++"], {"Code": None, "SecurityToken": None}, False),
        (ECS["credentials-cpp"], {"Code": "Failed"}, True),
        (ECS["alibabacloud legacy core for .NET"], {"Expiration": FRACTION}, False),
    ],
    ids=lambda value: getattr(value, "name", None) or json.dumps(value),
)
def test_what_breaks_whom(client: UriClient | EcsClient, changes: dict[str, Any], refused: bool) -> None:
    """Each deviation breaks the clients whose parsers cannot have it, and no other."""
    assert bool(parse(client, **changes).refusals) is refused


@pytest.mark.parametrize(
    "changes", [{"MyToken": "other"}, {"TokenExpiration": "other"}, {"Nested": {"SecurityToken": "other"}}]
)
def test_ossfs_takes_one_member_for_another(changes: dict[str, Any]) -> None:
    """A further member whose name holds `Token` is what ossfs signs with, and nothing tells it so."""
    reading = parse(URI["ossfs v1"], **changes)

    assert reading.refusals == ()
    assert reading.keys == ("STS.key", "se/cr+et=", "other")


@pytest.mark.parametrize(
    ("client", "keys"), [("credentials-csharp", ("", "", "")), ("credentials-cpp", ("", "se/cr+et=", "to/ke+n=="))]
)
def test_who_is_unable_loses_the_keys_of_a_right_answer(client: str, keys: tuple[str, ...]) -> None:
    """C# and C++ find nothing wrong with our body and end without an AccessKeyId all the same: no body helps."""
    reading = URI[client].parse(OURS, NOW)

    assert (reading.refusals, reading.keys) == ((), keys)


def test_what_is_no_json_is_refused_whole() -> None:
    """HTML, an array, a number and bytes that are no text are no credentials."""
    node = URI["credentials-nodejs"]

    assert all(
        node.parse(text, NOW).refusals
        for text in (b"<html>", b"[1]", b"7", b"\xff\xfe", b"", b"[" * 100_000, OURS.decode().encode("utf-16"))
    )


def test_refusals_hold_no_value() -> None:
    """A refusal tells names, lengths and forms: nothing that stood in a value."""
    reading = parse(URI["ecctl"], Code="hush-code", SecurityToken=7, Expiration="hush-time", AccessKeyId=["hush"])

    assert len(reading.refusals) == 4
    assert "hush" not in str(reading.refusals)


@pytest.mark.parametrize(
    ("read", "taken", "refused"),
    [
        (timestamps.strict, ["{}Z"], ["{}.1Z", "{}+00:00", "{}", "{}z", " {}Z", "{}Z "]),
        (timestamps.go_layout, ["{}Z", "{}.1Z", "{}.123456789Z"], ["{}+00:00", "{}.Z", "{}"]),
        (timestamps.node, ["{}Z", "{}.123Z"], ["{}.1Z", "{}.1234Z", "{}+00:00"]),
        (timestamps.rfc3339, ["{}Z", "{}.1Z", "{}+00:00"], ["{}", "{}+0000"]),
        (timestamps.tolerant, ["{}Z", "{}.1Z", "{}+00:00", "{}", "{}+0000"], ["soon"]),
        (timestamps.nineteen, ["{}Z", "{}.1Z", "{}+05:00", "{} and more"], ["x{}Z"]),
        (timestamps.seconds_then_z, ["{}Z", "{}Z and more"], ["{}.1Z", "{}"]),
        (timestamps.exactly_20, ["{}Z", "{}X"], ["{}.1Z", "{}"]),
    ],
)
def test_instants(read: timestamps.Instant, taken: list[str], refused: list[str]) -> None:
    """Each way of reading a time takes its forms, to the same second, and refuses the others."""
    text = "2026-01-02T03:04:05"

    assert {read(form.format(text)) for form in taken} == {1_767_323_045.0}
    assert {read(form.format(text)) for form in refused} == {None}


def test_offsets_are_counted() -> None:
    """Where an offset is read, it is taken off; OSS Java cuts it away and is wrong by it."""
    text = "2026-01-02T08:34:05+05:30"

    assert timestamps.rfc3339(text) == 1_767_323_045.0
    assert timestamps.nineteen(text) == 1_767_323_045.0 + 5.5 * 3600


def test_a_day_that_does_not_exist_is_no_time() -> None:
    """The 30th of February is refused, not wrapped around."""
    assert timestamps.strict("2026-02-30T00:00:00Z") is None
