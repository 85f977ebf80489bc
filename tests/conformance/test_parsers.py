"""The parsers of all clients with the sidecar's own body and with changed bodies, as sources and manuals describe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.conformance.models import timestamps
from app.conformance.models.client import EcsClient, UriClient
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.parse_result import ParseResult
from app.conformance.models.uri_clients import URI_CLIENTS
from app.core.formats import error_document, timestamp, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
SESSION = Credentials("STS.key", "se/cr+et=", "to/ke+n==", issued_at=NOW, expires_at=NOW + 3600)
BODY = uri_document(SESSION)
END = timestamp(NOW + 3600)
WORKING: list[UriClient | EcsClient] = [*(client for client in URI_CLIENTS if not client.defect), *ECS_CLIENTS]
URI = {client.name: client for client in URI_CLIENTS}
ECS = {client.name: client for client in ECS_CLIENTS}


@pytest.mark.parametrize("client", WORKING, ids=lambda client: f"{type(client).__name__} {client.name}")
def test_every_parser_reads_the_sidecars_body(client: UriClient | EcsClient) -> None:
    """Every client without a defect reads the three keys and, if it reads one, the expiration."""
    result = client.parse(BODY, NOW)

    assert result.unmet == ()
    assert result.keys == ("STS.key", "se/cr+et=", "to/ke+n==")
    assert result.expires_at in (None, NOW + 3600)


@pytest.mark.parametrize("client", WORKING, ids=lambda client: f"{type(client).__name__} {client.name}")
def test_no_parser_reads_credentials_from_an_error(client: UriClient | EcsClient) -> None:
    """Clients that ignore the status find no credentials in the sidecar's error body."""
    result = client.parse(error_document("CredentialsUnavailable", "profile default: no answer yet"), NOW)

    assert result.unmet != ()


def parse(client: UriClient | EcsClient, **changes: Any) -> ParseResult:
    """Parse the sidecar's body with members changed or added; None removes a member."""
    members = {name: value for name, value in (json.loads(BODY) | changes).items() if value is not None}
    return client.parse(json.dumps(members, separators=(",", ":")).encode(), NOW)


FRACTION, OFFSET, EXPIRED = f"{END[:-1]}.5Z", f"{END[:-1]}+00:00", timestamp(NOW - 10)
INVALID = "not a timestamp"


@pytest.mark.parametrize(
    ("client", "changes", "rejected"),
    [
        # ossfs v1: exactly four keywords, found as substrings between commas
        (URI["ossfs v1"], {"RoleArn": "acs:ram::1:role/x"}, True),
        (URI["ossfs v1"], {"RequestId": "0A1B-2C3D"}, False),
        (URI["ossfs v1"], {"StatusCode": None, "Code": None, "LastUpdated": None}, False),
        (URI["ossfs v1"], {"SecurityToken": None}, True),
        (URI["ossfs v1"], {"Expiration": FRACTION}, False),
        (URI["ossfs v1"], {"Expiration": INVALID}, True),
        (URI["ossfs v1"], {"Message": "a,b"}, False),
        (URI["ossfs v1"], {"AccessKeyId": None, "SecretAccessKey": "x"}, True),
        # ossfs2: strptime with at least 20 characters; what follows the Z is ignored
        (URI["ossfs2"], {"Expiration": FRACTION}, True),
        (URI["ossfs2"], {"Expiration": f"{END}x"}, False),
        (URI["ossfs2"], {"SecurityToken": None, "Code": None}, False),
        (URI["ossfs2"], {"AccessKeyId": None}, True),
        # ossutil v1: Code is optional and in any case; member names are in any case; Expiration is optional
        (URI["ossutil v1"], {"Code": "success"}, False),
        (URI["ossutil v1"], {"Code": None}, False),
        (URI["ossutil v1"], {"Code": "Failed"}, True),
        (URI["ossutil v1"], {"Expiration": None}, False),
        (URI["ossutil v1"], {"Expiration": FRACTION}, False),
        (URI["ossutil v1"], {"Expiration": OFFSET}, True),
        (URI["ossutil v1"], {"AccessKeyId": None, "accesskeyid": "STS.key"}, False),
        # aliyun-cli and terraform: only Code is checked
        (URI["aliyun-cli"], {"Expiration": INVALID, "AccessKeyId": None}, False),
        (URI["terraform-provider-alicloud"], {"Code": "success"}, True),
        # ecctl: four members with values, Expiration in RFC 3339 and in the future
        (URI["ecctl"], {"Expiration": OFFSET}, False),
        (URI["ecctl"], {"Expiration": EXPIRED}, True),
        (URI["ecctl"], {"SecurityToken": ""}, True),
        (URI["ack-ram-tool"], {"Code": "Failed", "SecurityToken": None}, False),
        (URI["ack-ram-tool"], {"Expiration": OFFSET}, True),
        (URI["aliyun-java-sdk-core"], {"Expiration": FRACTION}, True),
        (URI["aliyun-java-sdk-core"], {"Expiration": EXPIRED}, False),
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
        (ECS["OSS Go v2"], {"LastUpdated": INVALID}, True),
        (ECS["aliyungo (external-dns)"], {"LastUpdated": None}, True),
        (ECS["aliyungo (external-dns)"], {"Expiration": OFFSET}, False),
        (ECS["aliyun-python-sdk-core"], {"Expiration": INVALID}, False),
        (ECS["alibaba-cloud-sdk-go EcsRamRoleSigner"], {"Code": None}, True),
        (ECS["alibabacloud legacy core for C++"], {"Code": None, "SecurityToken": None}, False),
        (ECS["credentials-cpp"], {"Code": "Failed"}, True),
        (ECS["alibabacloud legacy core for .NET"], {"Expiration": FRACTION}, False),
    ],
    ids=lambda value: getattr(value, "name", None) or json.dumps(value),
)
def test_changed_bodies(client: UriClient | EcsClient, changes: dict[str, Any], rejected: bool) -> None:
    """A changed body is rejected by the clients whose parser rejects the change, and accepted by the others."""
    assert bool(parse(client, **changes).unmet) is rejected


@pytest.mark.parametrize(
    "changes", [{"MyToken": "other"}, {"TokenExpiration": "other"}, {"Nested": {"SecurityToken": "other"}}]
)
def test_ossfs_takes_one_member_for_another(changes: dict[str, Any]) -> None:
    """ossfs v1 signs with the value of a later member whose name contains `Token`, and reports no error."""
    result = parse(URI["ossfs v1"], **changes)

    assert result.unmet == ()
    assert result.keys == ("STS.key", "se/cr+et=", "other")


@pytest.mark.parametrize(
    ("client", "keys"), [("credentials-csharp", ("", "", "")), ("credentials-cpp", ("", "se/cr+et=", "to/ke+n=="))]
)
def test_clients_with_a_defect_lose_keys(client: str, keys: tuple[str, ...]) -> None:
    """C# and C++ accept the sidecar's body and still have no AccessKeyId, so they work with no server."""
    result = URI[client].parse(BODY, NOW)

    assert (result.unmet, result.keys) == ((), keys)


def test_bodies_without_a_json_object_are_rejected() -> None:
    """HTML, an array, a number, bytes that are not UTF-8, an empty body and deep nesting are rejected."""
    node = URI["credentials-nodejs"]

    assert all(
        node.parse(text, NOW).unmet
        for text in (b"<html>", b"[1]", b"7", b"\xff\xfe", b"", b"[" * 100_000, BODY.decode().encode("utf-16"))
    )


def test_unmet_needs_contain_no_value() -> None:
    """An unmet need contains names, lengths and formats, but no value of the body."""
    result = parse(URI["ecctl"], Code="hush-code", SecurityToken=7, Expiration="hush-time", AccessKeyId=["hush"])

    assert len(result.unmet) == 4
    assert "hush" not in str(result.unmet)


@pytest.mark.parametrize(
    ("parser", "accepted", "rejected"),
    [
        (timestamps.strict, ["{}Z"], ["{}.1Z", "{}+00:00", "{}", "{}z", " {}Z", "{}Z "]),
        (timestamps.go_layout, ["{}Z", "{}.1Z", "{}.123456789Z"], ["{}+00:00", "{}.Z", "{}"]),
        (timestamps.nodejs, ["{}Z", "{}.123Z"], ["{}.1Z", "{}.1234Z", "{}+00:00"]),
        (timestamps.rfc3339, ["{}Z", "{}.1Z", "{}+00:00"], ["{}", "{}+0000"]),
        (timestamps.lenient, ["{}Z", "{}.1Z", "{}+00:00", "{}", "{}+0000"], ["soon"]),
        (timestamps.first_19_characters, ["{}Z", "{}.1Z", "{}+05:00", "{} and more"], ["x{}Z"]),
        (timestamps.first_20_characters, ["{}Z", "{}Z and more"], ["{}.1Z", "{}"]),
        (timestamps.exactly_20_characters, ["{}Z", "{}X"], ["{}.1Z", "{}"]),
    ],
)
def test_timestamps(parser: timestamps.TimestampParser, accepted: list[str], rejected: list[str]) -> None:
    """Each parser reads its formats as the same second, and rejects the others."""
    text = "2026-01-02T03:04:05"

    assert {parser(template.format(text)) for template in accepted} == {1_767_323_045.0}
    assert {parser(template.format(text)) for template in rejected} == {None}


def test_offsets() -> None:
    """RFC 3339 parsers subtract the offset. OSS Java ignores it, so its time is wrong by the offset."""
    text = "2026-01-02T08:34:05+05:30"

    assert timestamps.rfc3339(text) == 1_767_323_045.0
    assert timestamps.first_19_characters(text) == 1_767_323_045.0 + 5.5 * 3600


def test_a_date_that_does_not_exist_is_rejected() -> None:
    """The 30th of February is rejected and not read as a day in March."""
    assert timestamps.strict("2026-02-30T00:00:00Z") is None
