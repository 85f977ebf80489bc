"""AssumeRoleWithOIDC: what it issues, and in which order it refuses what."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from app.emulator import Provider
from app.emulator.crypto.signing_keys import SigningKeys
from app.emulator.world.world import AUDIENCE, CLIENT_ID, ISSUER, PROVIDER_ARN, role_arn

AUTH = "AuthenticationFail."
NOW = 1767323045
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": CLIENT_ID, "iat": NOW, "exp": NOW + 1200}


def with_provider(cloud, **changes):
    provider = replace(cloud.emulator.world.oidc_providers[PROVIDER_ARN], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, oidc_providers={PROVIDER_ARN: provider})


def with_role(cloud, **changes):
    role = replace(cloud.emulator.world.roles[role_arn("default")], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, roles={role_arn("default"): role})


async def test_success(cloud):
    """The answer is STS's own, to the member, and the credentials have its lengths."""
    answer = (await cloud.assume(DurationSeconds=900)).json()
    credentials = answer["Credentials"]

    assert answer.keys() == {"RequestId", "OIDCTokenInfo", "AssumedRoleUser", "Credentials"}
    assert answer["OIDCTokenInfo"] == {
        "Issuer": ISSUER,
        "Subject": CLIENT_ID,
        "ClientIds": AUDIENCE,
        "IssuanceTime": "2026-01-02T03:04:05Z",
        "ExpirationTime": "2026-01-02T03:24:05Z",
        "VerificationInfo": "Success",
    }
    assert answer["AssumedRoleUser"]["Arn"] == f"{role_arn('default')}/sidecar-1"
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":sidecar-1")
    assert credentials["AccessKeyId"].startswith("STS.")
    assert [len(credentials[name]) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")] == [28, 44, 592]
    assert credentials["Expiration"] == "2026-01-02T03:19:05Z"


async def test_default_duration(cloud):
    """Without DurationSeconds a session lives an hour; whole seconds, rounded down."""
    cloud.clock.at += 0.9

    assert (await cloud.assume()).json()["Credentials"]["Expiration"] == "2026-01-02T04:04:05Z"


async def test_short_sessions(cloud):
    """A world with its own session length gives that, whatever is asked for."""
    cloud.emulator.world = replace(cloud.emulator.world, session_seconds=30)

    assert (await cloud.assume()).json()["Credentials"]["Expiration"] == "2026-01-02T03:04:35Z"


async def test_everything_in_the_query(cloud):
    """GET with all parameters in the query works as well: it is what credentials-python sends."""
    await cloud.assume()
    fields = cloud.emulator.journal[-1].fields
    names = ("Action", "Version", "Format", "RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName")
    answer = await cloud.http.get("/", params={name: fields[name] for name in names})

    assert answer.status_code == 200


async def test_xml_by_default(cloud):
    """Without a Format both answers and errors are XML."""
    answer = ElementTree.fromstring((await cloud.assume(Format=None)).text)
    error = ElementTree.fromstring((await cloud.assume(Format=None, RoleSessionName="<")).text)

    assert answer.tag == "AssumeRoleWithOIDCResponse"
    assert answer.findtext("Credentials/Expiration") == "2026-01-02T04:04:05Z"
    assert (error.tag, error.findtext("Code")) == ("Error", "InvalidParameter.RoleSessionName")


REFUSALS = [
    ({"Action": "Nothing"}, 404, "InvalidAction.NotFound"),
    ({"Action": None}, 404, "InvalidAction.NotFound"),
    ({"Version": "2014-01-01"}, 400, "InvalidVersion"),
    ({"RoleArn": None}, 400, "MissingRoleArn"),
    ({"RoleSessionName": None}, 400, "MissingRoleSessionName"),
    ({"RoleSessionName": "x"}, 400, "InvalidParameter.RoleSessionName"),
    ({"RoleSessionName": "x" * 65}, 400, "InvalidParameter.RoleSessionName"),
    ({"RoleSessionName": "a b"}, 400, "InvalidParameter.RoleSessionName"),
    ({"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"),
    ({"DurationSeconds": "43201"}, 400, "InvalidParameter.DurationSeconds"),
    ({"DurationSeconds": "3600s"}, 400, "InvalidParameter.DurationSeconds"),
    ({"Policy": "{"}, 400, "InvalidParameter.PolicyGrammar"),
    ({"Policy": "[]"}, 400, "InvalidParameter.PolicyGrammar"),
    ({"Policy": '{"Version":"1","Statement":[]}' + " " * 2048}, 400, "InvalidParameter.PolicyGrammar"),
    ({"OIDCProviderArn": "idaas-demo"}, 401, AUTH + "NoPermission"),
    ({"OIDCProviderArn": PROVIDER_ARN + "2"}, 401, AUTH + "NoPermission"),
    ({"OIDCToken": ""}, 401, AUTH + "OIDCToken.Invalid"),
    ({"OIDCToken": "a.b"}, 401, AUTH + "OIDCToken.Invalid"),
    ({"OIDCToken": "?.?.?"}, 401, AUTH + "OIDCToken.Invalid"),
    ({"OIDCToken": "x" * 20_001}, 401, AUTH + "OIDCToken.Invalid"),
    ({"RoleArn": role_arn("other")}, 404, "EntityNotExist.Role"),
]


@pytest.mark.parametrize(("change", "status", "code"), REFUSALS)
async def test_refusals(cloud, change, status, code):
    """A request that is right but for one thing is refused with that thing's code, in STS's shape."""
    answer = await cloud.assume(**change)

    assert (answer.status_code, answer.json()["Code"]) == (status, code)
    assert answer.json().keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}


ACCEPTED = [
    {"DurationSeconds": "900"},
    {"DurationSeconds": "43200"},
    {"RoleSessionName": "a@b"},
    {"RoleSessionName": "x" * 64},
    {"Policy": '{"Version":"1","Statement":[]}'},
]


@pytest.mark.parametrize("change", ACCEPTED)
async def test_borderline_parameters(cloud, change):
    """Parameters at their limits are accepted."""
    assert (await cloud.assume(**change)).status_code == 200


async def test_duration_is_the_roles(cloud):
    """A duration above the role's maximum is rejected, not shortened, and the message names the maximum."""
    with_role(cloud, max_session_duration=3600)
    answer = await cloud.assume(DurationSeconds=3601)

    assert answer.json()["Message"] == "The Min/Max value of DurationSeconds is 15min/1hr."
    assert (await cloud.assume(DurationSeconds=3600)).status_code == 200


TOKENS = [
    ({"iss": ISSUER + "/"}, "OIDCToken.IssuerNotMatch"),
    ({"aud": "other.example"}, "OIDCToken.AudienceNotMatch"),
    ({"exp": NOW}, "OIDCToken.Expired"),
    ({"exp": None}, "OIDCToken.Expired"),
    ({"iat": NOW + 1}, "OIDCToken.Expired"),
    ({"iat": None}, "OIDCToken.Expired"),
    ({"iat": NOW - 12 * 3600 - 1}, "OIDCToken.Expired"),
    ({"sub": "app_other"}, "NoPermission"),
]


@pytest.mark.parametrize(("change", "code"), TOKENS)
async def test_wrong_tokens(cloud, signing_key, change, code):
    """A token that is right but for one claim is refused with that claim's code."""
    answer = await cloud.assume(OIDCToken=SigningKeys(signing_key).sign({**CLAIMS, **change}))

    assert (answer.status_code, answer.json()["Code"]) == (401, AUTH + code)


@pytest.mark.parametrize("change", [{}, {"iat": NOW - 12 * 3600}, {"aud": ["other.example", AUDIENCE]}])
async def test_right_tokens(cloud, signing_key, change):
    """A token up to twelve hours old, for this audience among others, is accepted."""
    token = SigningKeys(signing_key).sign({**CLAIMS, **change})

    assert (await cloud.assume(OIDCToken=token)).status_code == 200


async def test_wrong_signatures(cloud, sign_hs256, sign, signing_key, ec_key):
    """A token must be RS256 and signed by a key in the JWKS, the one it names if it names one."""
    foreign = SigningKeys().sign(CLAIMS)
    misnamed = sign(CLAIMS, signing_key, "RS256", kid="another")
    unnamed = sign(CLAIMS, signing_key, "RS256")
    garbled = unnamed.replace(".", "!.", 1)
    tokens = (sign_hs256(CLAIMS), sign(CLAIMS, ec_key, "ES256"), garbled, foreign, misnamed, unnamed)
    codes = [(await cloud.assume(OIDCToken=token)).json().get("Code") for token in tokens]

    invalid, forged = AUTH + "OIDCToken.Invalid", AUTH + "OIDCToken.InvalidSignature"
    assert codes == [invalid, invalid, invalid, forged, forged, None]


async def test_issuance_window(cloud):
    """The provider's own window decides how old a token may be."""
    cloud.emulator.world = replace(cloud.emulator.world, token_seconds=86400)
    token = await cloud.token()
    with_provider(cloud, issuance_limit_hours=1)
    cloud.clock.at += 3600
    at_the_edge = await cloud.assume(OIDCToken=token)
    cloud.clock.at += 1
    beyond = await cloud.assume(OIDCToken=token)

    assert (at_the_edge.status_code, beyond.json()["Code"]) == (200, AUTH + "OIDCToken.Expired")


async def test_other_issuers(cloud):
    """A provider with its own JWKS trusts that one's keys, and not the emulator's."""
    keys = SigningKeys()
    provider = Provider("https://idp.example", ("api",), jwks=keys.jwks())
    world = replace(cloud.emulator.world, oidc_providers={PROVIDER_ARN: provider})
    condition = {"StringLike": {"oidc:iss": "https://idp.*", "oidc:aud": "api"}}
    cloud.emulator.world = world
    with_role(cloud, trust_policy=policy(condition))
    theirs = keys.sign({**CLAIMS, "iss": "https://idp.example", "aud": "api", "sub": "anyone"})

    assert (await cloud.assume(OIDCToken=theirs)).status_code == 200
    assert (await cloud.assume()).json()["Code"] == AUTH + "OIDCToken.InvalidSignature"


def policy(condition):
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Federated": PROVIDER_ARN}}
    return {"Version": "1", "Statement": [{**statement, "Condition": condition}]}


async def test_rotation(cloud):
    """After a rotation tokens of the previous key remain good; after one that retires it they do not."""
    token = await cloud.token()
    cloud.emulator.rotate()
    kept = await cloud.assume(OIDCToken=token)
    fresh = await cloud.assume()
    cloud.emulator.rotate(retire=True)
    retired = await cloud.assume(OIDCToken=token)

    assert (kept.status_code, fresh.status_code) == (200, 200)
    assert retired.json()["Code"] == AUTH + "OIDCToken.InvalidSignature"


async def test_quota(cloud):
    """Calls above the account's quota are throttled until the second is over."""
    cloud.emulator.world = replace(cloud.emulator.world, calls_per_second=2)
    codes = [(await cloud.assume()).json().get("Code") for _ in range(3)]
    cloud.clock.at += 1
    codes.append((await cloud.assume()).json().get("Code"))

    assert codes == [None, None, "Throttling.User", None]


async def test_help_url(cloud):
    """Recommend is a link that carries the code."""
    link = (await cloud.assume(RoleArn=role_arn("other"))).json()["Recommend"]

    assert parse_qs(urlsplit(link).query)["q"] == ["EntityNotExist.Role"]
