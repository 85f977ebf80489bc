"""AssumeRoleWithOIDC: the credentials it issues, and the requests it refuses."""

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


def change_provider(cloud, **changes):
    """Replace fields of the world's OIDC provider."""
    provider = replace(cloud.emulator.world.oidc_providers[PROVIDER_ARN], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, oidc_providers={PROVIDER_ARN: provider})


def change_role(cloud, **changes):
    """Replace fields of the default role."""
    role = replace(cloud.emulator.world.roles[role_arn("default")], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, roles={role_arn("default"): role})


async def test_success(cloud):
    """The response has the members of the real STS, and the credentials have their lengths."""
    response = (await cloud.assume_role_with_oidc(DurationSeconds=900)).json()
    credentials = response["Credentials"]

    assert response.keys() == {"RequestId", "OIDCTokenInfo", "AssumedRoleUser", "Credentials"}
    assert response["OIDCTokenInfo"] == {
        "Issuer": ISSUER,
        "Subject": CLIENT_ID,
        "ClientIds": AUDIENCE,
        "IssuanceTime": "2026-01-02T03:04:05Z",
        "ExpirationTime": "2026-01-02T03:24:05Z",
        "VerificationInfo": "Success",
    }
    assert response["AssumedRoleUser"]["Arn"] == f"{role_arn('default')}/sidecar-1"
    assert response["AssumedRoleUser"]["AssumedRoleId"].endswith(":sidecar-1")
    assert credentials["AccessKeyId"].startswith("STS.")
    assert [len(credentials[name]) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")] == [28, 44, 592]
    assert credentials["Expiration"] == "2026-01-02T03:19:05Z"


async def test_default_duration(cloud):
    """Without DurationSeconds a session lasts an hour. Its expiration is rounded down to whole seconds."""
    cloud.clock.at += 0.9

    assert (await cloud.assume_role_with_oidc()).json()["Credentials"]["Expiration"] == "2026-01-02T04:04:05Z"


async def test_short_sessions(cloud):
    """A world with session_seconds uses it for every session, whatever DurationSeconds requests."""
    cloud.emulator.world = replace(cloud.emulator.world, session_seconds=30)

    assert (await cloud.assume_role_with_oidc()).json()["Credentials"]["Expiration"] == "2026-01-02T03:04:35Z"


async def test_everything_in_the_query(cloud):
    """GET with all parameters in the query is accepted, as credentials-python sends it."""
    await cloud.assume_role_with_oidc()
    fields = cloud.emulator.journal[-1].fields
    names = ("Action", "Version", "Format", "RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName")
    response = await cloud.http.get("/", params={name: fields[name] for name in names})

    assert response.status_code == 200


async def test_xml_by_default(cloud):
    """Without Format, responses and errors are XML."""
    response = ElementTree.fromstring((await cloud.assume_role_with_oidc(Format=None)).text)
    error = ElementTree.fromstring((await cloud.assume_role_with_oidc(Format=None, RoleSessionName="<")).text)

    assert response.tag == "AssumeRoleWithOIDCResponse"
    assert response.findtext("Credentials/Expiration") == "2026-01-02T04:04:05Z"
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
    ({"Policy": "{}"}, 400, "InvalidParameter.PolicyGrammar"),
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
    """A request with a single error is refused with the code of that error, in the format of STS."""
    response = await cloud.assume_role_with_oidc(**change)

    assert (response.status_code, response.json()["Code"]) == (status, code)
    assert response.json().keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}


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
    assert (await cloud.assume_role_with_oidc(**change)).status_code == 200


async def test_duration_is_the_roles(cloud):
    """A duration above the role's maximum is refused, not shortened, and the message names the maximum."""
    change_role(cloud, max_session_duration=3600)
    response = await cloud.assume_role_with_oidc(DurationSeconds=3601)

    assert response.json()["Message"] == "The Min/Max value of DurationSeconds is 15min/1hr."
    assert (await cloud.assume_role_with_oidc(DurationSeconds=3600)).status_code == 200


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
    """A token with a single wrong claim is refused with the code of that claim."""
    response = await cloud.assume_role_with_oidc(OIDCToken=SigningKeys(signing_key).sign({**CLAIMS, **change}))

    assert (response.status_code, response.json()["Code"]) == (401, AUTH + code)


@pytest.mark.parametrize("change", [{}, {"iat": NOW - 12 * 3600}, {"aud": ["other.example", AUDIENCE]}])
async def test_right_tokens(cloud, signing_key, change):
    """A token is accepted up to twelve hours after its iat, and with this audience among others."""
    token = SigningKeys(signing_key).sign({**CLAIMS, **change})

    assert (await cloud.assume_role_with_oidc(OIDCToken=token)).status_code == 200


async def test_token_length(cloud, signing_key):
    """A correct token of more than 20000 characters is refused."""
    token = SigningKeys(signing_key).sign({**CLAIMS, "padding": "x" * 20_000})

    assert (await cloud.assume_role_with_oidc(OIDCToken=token)).json()["Code"] == AUTH + "OIDCToken.Invalid"


async def test_wrong_signatures(cloud, sign_hs256, sign, signing_key, ec_key):
    """A token must be RS256 and signed by a key in the JWKS: by the key of its kid, if it has one."""
    foreign = SigningKeys().sign(CLAIMS)
    misnamed = sign(CLAIMS, signing_key, "RS256", kid="another")
    unnamed = sign(CLAIMS, signing_key, "RS256")
    garbled = unnamed.replace(".", "!.", 1)
    tokens = (sign_hs256(CLAIMS), sign(CLAIMS, ec_key, "ES256"), garbled, foreign, misnamed, unnamed)
    codes = [(await cloud.assume_role_with_oidc(OIDCToken=token)).json().get("Code") for token in tokens]

    invalid, forged = AUTH + "OIDCToken.Invalid", AUTH + "OIDCToken.InvalidSignature"
    assert codes == [invalid, invalid, invalid, forged, forged, None]


async def test_keys_that_are_not_published(cloud):
    """STS refuses the tokens of an issuer whose keys it cannot load."""
    token = await cloud.token()
    cloud.emulator.world = replace(cloud.emulator.world, keys_published=False)
    refused = await cloud.assume_role_with_oidc(OIDCToken=token)

    assert (refused.status_code, refused.json()["Code"]) == (401, AUTH + "OIDCToken.IssuerConfigurationBroken")


async def test_issuance_window(cloud):
    """The provider's issuance limit is the maximum age of a token."""
    cloud.emulator.world = replace(cloud.emulator.world, token_seconds=86400)
    token = await cloud.token()
    change_provider(cloud, issuance_limit_hours=1)
    cloud.clock.at += 3600
    at_limit = await cloud.assume_role_with_oidc(OIDCToken=token)
    cloud.clock.at += 1
    above_limit = await cloud.assume_role_with_oidc(OIDCToken=token)

    assert (at_limit.status_code, above_limit.json()["Code"]) == (200, AUTH + "OIDCToken.Expired")


async def test_other_issuers(cloud):
    """A provider with its own JWKS trusts the keys in it, and not the emulator's keys."""
    keys = SigningKeys()
    provider = Provider("https://idp.example", ("api",), jwks=keys.jwks())
    world = replace(cloud.emulator.world, oidc_providers={PROVIDER_ARN: provider})
    condition = {"StringLike": {"oidc:iss": "https://idp.*", "oidc:aud": "api"}}
    cloud.emulator.world = world
    change_role(cloud, trust_policy=policy(condition))
    token = keys.sign({**CLAIMS, "iss": "https://idp.example", "aud": "api", "sub": "anyone"})

    assert (await cloud.assume_role_with_oidc(OIDCToken=token)).status_code == 200
    assert (await cloud.assume_role_with_oidc()).json()["Code"] == AUTH + "OIDCToken.InvalidSignature"


def policy(condition):
    """Return a trust policy for the OIDC provider with this condition."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Federated": PROVIDER_ARN}}
    return {"Version": "1", "Statement": [{**statement, "Condition": condition}]}


async def test_rotation(cloud):
    """After a rotation, tokens of the previous key are accepted until that key is retired."""
    token = await cloud.token()
    cloud.emulator.rotate()
    previous_key = await cloud.assume_role_with_oidc(OIDCToken=token)
    new_key = await cloud.assume_role_with_oidc()
    cloud.emulator.rotate(retire=True)
    retired = await cloud.assume_role_with_oidc(OIDCToken=token)

    assert (previous_key.status_code, new_key.status_code) == (200, 200)
    assert retired.json()["Code"] == AUTH + "OIDCToken.InvalidSignature"


async def test_quota(cloud):
    """Calls above the account's quota are throttled until the next second."""
    cloud.emulator.world = replace(cloud.emulator.world, calls_per_second=2)
    codes = [(await cloud.assume_role_with_oidc()).json().get("Code") for _ in range(3)]
    cloud.clock.at += 1
    codes.append((await cloud.assume_role_with_oidc()).json().get("Code"))

    assert codes == [None, None, "Throttling.User", None]


async def test_help_url(cloud):
    """Recommend is a link that contains the error code."""
    link = (await cloud.assume_role_with_oidc(RoleArn=role_arn("other"))).json()["Recommend"]

    assert parse_qs(urlsplit(link).query)["q"] == ["EntityNotExist.Role"]
