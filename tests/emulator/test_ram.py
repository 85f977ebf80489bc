"""The emulated RAM: OIDC providers, roles and policies by signed calls, and RAM's limits."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.emulator import Provider, Role, WorldError
from app.emulator.world.world import ACCOUNT, AUDIENCE, CLIENT_ID, PROVIDER_ARN, role_arn

from .conftest import Cloud
from .signed_requests import rpc

PRINT = "902ef2deeb3c5b13ea4c3d5193629309e231ae55"
ISSUER = "https://new.example/oauth2"
PROVIDER = {
    "OIDCProviderName": "new",
    "IssuerUrl": ISSUER,
    "ClientIds": "api.new.example",
    "Fingerprints": PRINT,
    "IssuanceLimitTime": "12",
}
VERSIONS = {"ims": "2019-08-15", "ram": "2015-05-01"}
NONCES = iter(range(10_000))


async def call(cloud: Cloud, product: str, action: str, **fields: str) -> Any:
    """Send an action of RAM with the RPC signature of the default world's user."""
    names = {"RoleArn": None, "RoleSessionName": None, "SecurityToken": None, "SignatureNonce": f"ram-{next(NONCES)}"}
    return await rpc(cloud, signed={**names, "Action": action, "Version": VERSIONS[product], **fields})


def trust(*subjects: str, provider: str = PROVIDER_ARN, issuer: str = ISSUER) -> str:
    """Return a trust policy for `subjects`."""
    equals = {"oidc:iss": [issuer], "oidc:aud": ["api.new.example"], "oidc:sub": list(subjects)}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": provider},
        "Condition": {"StringEquals": equals},
    }
    return json.dumps({"Version": "1", "Statement": [statement]})


async def test_a_provider_is_created_changed_and_deleted(cloud):
    """A provider can be created, read, changed and deleted."""
    assert (await call(cloud, "ims", "CreateOIDCProvider", **PROVIDER))["OIDCProvider"]["IssuanceLimitTime"] == 12
    name = {"OIDCProviderName": "new"}
    await call(cloud, "ims", "AddClientIdToOIDCProvider", ClientId="second", **name)
    await call(cloud, "ims", "AddFingerprintToOIDCProvider", Fingerprint="b" * 40, **name)
    await call(cloud, "ims", "UpdateOIDCProvider", IssuanceLimitTime="168", NewDescription="d", **name)
    await call(cloud, "ims", "RemoveClientIdFromOIDCProvider", ClientId="api.new.example", **name)
    await call(cloud, "ims", "RemoveFingerprintFromOIDCProvider", Fingerprint=PRINT, **name)

    found = (await call(cloud, "ims", "GetOIDCProvider", **name))["OIDCProvider"]
    assert found["ClientIds"] == "second"
    assert found["Fingerprints"] == "b" * 40
    assert (found["IssuanceLimitTime"], found["Description"]) == (168, "d")
    every = (await call(cloud, "ims", "ListOIDCProviders"))["OIDCProviders"]["OIDCProvider"]
    assert len(every) == 3
    assert "Code" not in await call(cloud, "ims", "DeleteOIDCProvider", **name)
    assert (await call(cloud, "ims", "GetOIDCProvider", **name))["Code"] == "EntityNotExist.OIDCProvider"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ClientIds": ",".join(f"c{number}" for number in range(51))}, "InvalidParameter.ClientIds"),
        ({"ClientIds": ""}, "InvalidParameter.ClientIds"),
        ({"ClientIds": "-api"}, "InvalidParameter.ClientIds"),
        ({"ClientIds": "a" * 129}, "InvalidParameter.ClientIds"),
        ({"IssuanceLimitTime": "0"}, "InvalidParameter.IssuanceLimitTime"),
        ({"IssuanceLimitTime": "169"}, "InvalidParameter.IssuanceLimitTime"),
        ({"IssuanceLimitTime": "-1"}, "InvalidParameter.IssuanceLimitTime"),
        ({"IssuanceLimitTime": "x"}, "InvalidParameter.IssuanceLimitTime"),
        ({"Fingerprints": ""}, "InvalidParameter.Fingerprints"),
        ({"Fingerprints": ",".join(str(number) * 40 for number in range(6))}, "InvalidParameter.Fingerprints"),
        ({"Fingerprints": "90:2E"}, "InvalidParameter.Fingerprints"),
        ({"IssuerUrl": "http://new.example/oauth2"}, "InvalidParameter.IssuerUrl"),
        ({"IssuerUrl": "https://new.example/?a=b"}, "InvalidParameter.IssuerUrl"),
        ({"IssuerUrl": "https://new.example/#a"}, "InvalidParameter.IssuerUrl"),
        ({"IssuerUrl": "https://user@new.example/"}, "InvalidParameter.IssuerUrl"),
        ({"IssuerUrl": "https://new.example/" + "a" * 240}, "InvalidParameter.IssuerUrl"),
        ({"IssuerUrl": "https://127.0.0.1:7143/api/v2/iauths_system/oauth2"}, "EntityAlreadyExists.OIDCProvider"),
        ({"OIDCProviderName": "new."}, "InvalidParameter.OIDCProviderName"),
        ({"OIDCProviderName": "idaas-demo"}, "EntityAlreadyExists.OIDCProvider"),
        ({"Description": "d" * 257}, "InvalidParameter.Description"),
        ({"Version": "2015-05-01"}, "InvalidVersion"),
    ],
)
async def test_a_provider_beyond_a_limit_is_refused(cloud, changes, code):
    """CreateOIDCProvider refuses each value beyond RAM's limits."""
    assert (await call(cloud, "ims", "CreateOIDCProvider", **{**PROVIDER, **changes}))["Code"].startswith(code)
    assert len(cloud.emulator.world.oidc_providers) == 2


async def test_an_account_has_at_most_100_providers(cloud):
    """The 101st provider of an account is refused."""
    for number in range(98):
        fields = {"OIDCProviderName": f"p{number}", "IssuerUrl": f"https://{number}.example/a"}
        assert "Code" not in await call(cloud, "ims", "CreateOIDCProvider", **{**PROVIDER, **fields})

    assert (await call(cloud, "ims", "CreateOIDCProvider", **PROVIDER))["Code"] == "LimitExceeded.OIDCProvider"


async def test_the_last_client_id_and_fingerprint_stay(cloud):
    """The last client id and the last fingerprint of a provider cannot be removed."""
    await call(cloud, "ims", "CreateOIDCProvider", **PROVIDER)
    name = {"OIDCProviderName": "new"}
    client = await call(cloud, "ims", "RemoveClientIdFromOIDCProvider", ClientId="api.new.example", **name)
    fingerprint = await call(cloud, "ims", "RemoveFingerprintFromOIDCProvider", Fingerprint=PRINT, **name)

    assert (client["Code"], fingerprint["Code"]) == ("InvalidParameter.ClientIds", "InvalidParameter.Fingerprints")


async def test_a_role_is_created_with_policies(cloud):
    """A role can be created, and system and custom policies can be attached to it."""
    role = {"RoleName": "new", "AssumeRolePolicyDocument": trust("app_new"), "MaxSessionDuration": "7200"}
    created = (await call(cloud, "ram", "CreateRole", **role))["Role"]
    document = '{"Version": "1", "Statement": []}'
    await call(cloud, "ram", "CreatePolicy", PolicyName="own", PolicyDocument=document)
    for kind, name in (("System", "AliyunOSSReadOnlyAccess"), ("Custom", "own")):
        attached = await call(cloud, "ram", "AttachPolicyToRole", PolicyType=kind, PolicyName=name, RoleName="new")
        assert "Code" not in attached

    assert created["Arn"] == role_arn("new").replace("demo-", "")
    policies = (await call(cloud, "ram", "ListPoliciesForRole", RoleName="new"))["Policies"]["Policy"]
    assert [each["PolicyName"] for each in policies] == ["AliyunOSSReadOnlyAccess", "own"]
    assert (await call(cloud, "ram", "DeleteRole", RoleName="new"))["Code"] == "DeleteConflict.Role.Policy"
    changed = await call(cloud, "ram", "UpdateRole", RoleName="new", NewMaxSessionDuration="43200")
    assert changed["Role"]["MaxSessionDuration"] == 43200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AssumeRolePolicyDocument": trust(*map(str, range(11)))}, "MalformedPolicyDocument"),
        ({"AssumeRolePolicyDocument": trust("s" * 2048)}, "MalformedPolicyDocument"),
        ({"AssumeRolePolicyDocument": trust("s", provider=PROVIDER_ARN + "x")}, "MalformedPolicyDocument"),
        ({"AssumeRolePolicyDocument": "{"}, "MalformedPolicyDocument"),
        ({"RoleName": "with_underscore"}, "InvalidParameter.RoleName"),
        ({"RoleName": "r" * 65}, "InvalidParameter.RoleName"),
        ({"RoleName": "demo-default"}, "EntityAlreadyExists.Role"),
        ({"MaxSessionDuration": "3599"}, "InvalidParameter.MaxSessionDuration"),
        ({"MaxSessionDuration": "43201"}, "InvalidParameter.MaxSessionDuration"),
    ],
)
async def test_a_role_beyond_a_limit_is_refused(cloud, changes, code):
    """CreateRole refuses each value beyond RAM's limits."""
    role = {"RoleName": "new", "AssumeRolePolicyDocument": trust("app_new")}
    assert (await call(cloud, "ram", "CreateRole", **{**role, **changes}))["Code"] == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"PolicyName": "a_b"}, "InvalidParameter.PolicyName"),
        (
            {"PolicyDocument": json.dumps({"Version": "1", "Statement": ["x" * 6144]})},
            "InvalidParameter.PolicyDocument",
        ),
        ({"PolicyDocument": "[]"}, "MalformedPolicyDocument"),
    ],
)
async def test_a_policy_beyond_a_limit_is_refused(cloud, fields, code):
    """CreatePolicy refuses each value beyond RAM's limits."""
    policy = {"PolicyName": "own", "PolicyDocument": '{"Version": "1", "Statement": []}'}
    assert (await call(cloud, "ram", "CreatePolicy", **{**policy, **fields}))["Code"].startswith(code)


async def test_attaching_needs_an_existing_policy(cloud):
    """A custom policy that was not created cannot be attached."""
    fields = {"PolicyType": "Custom", "PolicyName": "missing", "RoleName": "demo-default"}
    assert (await call(cloud, "ram", "AttachPolicyToRole", **fields))["Code"] == "EntityNotExist.Policy"


async def test_a_user_without_the_permission_is_refused(cloud):
    """A user that may not call RAM is refused, as is a request without a signature."""
    keys = {name: replace(key, may=("sts:AssumeRole",)) for name, key in cloud.emulator.world.access_keys.items()}
    cloud.emulator.world = replace(cloud.emulator.world, access_keys=keys)
    unsigned = await cloud.http.post("/", data={"Action": "GetRole", "Version": "2015-05-01", "Format": "JSON"})

    assert (await call(cloud, "ram", "GetRole", RoleName="demo-default"))["Code"] == "NoPermission"
    assert unsigned.json()["Code"] == "MissingAccessKeyId"


async def test_a_created_provider_and_role_are_used_by_sts(cloud):
    """STS issues credentials through a provider and a role that were created by calls."""
    await call(cloud, "ims", "DeleteOIDCProvider", OIDCProviderName="idaas-demo")
    issuer, cloud.emulator.tls_fingerprint = cloud.emulator.world.issuer, PRINT
    await call(cloud, "ims", "CreateOIDCProvider", **{**PROVIDER, "IssuerUrl": issuer, "ClientIds": AUDIENCE})
    own = PROVIDER_ARN.replace("idaas-demo", "new")
    document = trust(CLIENT_ID, issuer=issuer, provider=own).replace("api.new.example", AUDIENCE)
    created = await call(cloud, "ram", "CreateRole", RoleName="new", AssumeRolePolicyDocument=document)
    target = {
        "RoleArn": created["Role"]["Arn"],
        "OIDCProviderArn": own,
    }

    assert (await cloud.assume_role_with_oidc(**target)).json()["Credentials"]["AccessKeyId"]
    cloud.emulator.tls_fingerprint = "b" * 40
    refusal = (await cloud.assume_role_with_oidc(**target)).json()
    assert refusal["Code"] == "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch"


async def test_get_caller_identity_names_the_signer(cloud):
    """GetCallerIdentity returns the ARN and account of the user that signed."""
    identity = await rpc(cloud, signed={"Action": "GetCallerIdentity", "SecurityToken": None})

    assert identity["AccountId"] == ACCOUNT
    assert identity["Arn"] == f"acs:ram::{ACCOUNT}:user/demo"
    assert identity["IdentityType"] == "RAMUser"


def provider(**changes: Any) -> Provider:
    """Return a provider of a world with these values."""
    return Provider(**{"issuer_url": ISSUER, "client_ids": ("a",), **changes})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"client_ids": ()}, "clientIds"),
        ({"client_ids": tuple(f"c{number}" for number in range(51))}, "clientIds"),
        ({"issuance_limit_hours": 0}, "issuanceLimitHours"),
        ({"issuance_limit_hours": 169}, "issuanceLimitHours"),
        ({"issuance_limit_hours": -1}, "issuanceLimitHours"),
        ({"issuer_url": "http://new.example/a"}, "issuerUrl"),
        ({"fingerprints": ()}, "fingerprints"),
    ],
)
def test_a_world_keeps_the_limits_of_providers(changes, key):
    """A world cannot have a provider that RAM would refuse."""
    with pytest.raises(WorldError, match=f"^{key}: "):
        provider(**changes)


def test_a_world_keeps_the_limits_of_accounts_and_roles(cloud):
    """A world cannot have 101 providers, a second provider of an issuer, 11 subjects, or a role with a wrong name."""
    world = cloud.emulator.world
    many = {f"acs:ram::1:oidc-provider/p{number}": provider(issuer_url=f"https://{number}/") for number in range(101)}
    same = {f"acs:ram::1:oidc-provider/p{number}": provider() for number in range(2)}
    for providers, message in ((many, "at most 100"), (same, "must be unique"), ({"acs:x": provider()}, "<name>")):
        with pytest.raises(WorldError, match=message):
            replace(world, oidc_providers=providers)
    with pytest.raises(WorldError, match="a name has 1 to 64"):
        replace(world, roles={"acs:ram::1:role/a_b": Role(json.loads(trust("a")))})
    with pytest.raises(WorldError, match="oidc:sub has 11 values, at most 10"):
        Role(json.loads(trust(*map(str, range(11)))))
