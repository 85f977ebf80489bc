"""What is particular to one identity or exchange: discovery, the metadata service, rotation, errors and their cures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config.decode import convert
from app.core.errors import ConfigError, Refused, Unreachable
from app.core.events import IdentityExpiry, Warned
from app.emulator import Emulator, Fault
from app.emulator.world.world import CHAINED_ROLE_ARN, CLIENT_ID, MANAGED_ROLE_ARN, role_arn
from app.exchange import validate
from app.exchange.settings import ChainedRole, DeveloperApiExchange, StsExchange
from app.identity.methods.oidc import IdaasOidc

from ..clock import Clock
from ..conftest import BASE, Offline, exchange, running
from ..refresh.test_matrix import (
    METADATA,
    Place,
    by_access_key,
    by_certificate,
    by_cluster,
    by_document,
    by_ecs_role,
    by_private_key,
    by_secret,
    oidc_client,
    profile,
    sts,
    token_file,
)

Build = Callable[..., Offline]
MANAGED = {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, "endpoint": BASE}


@pytest.fixture
def place(tmp_path: Path, emulator: Emulator) -> Place:
    return Place(tmp_path, emulator)


# --- rotation: the next fetch uses what is there then -----------------------------------------------------------------


async def rotated(place: Place, offline: Build, who: dict[str, Any], change: Callable[[], None]) -> Offline:
    """Two fetches of one running sidecar with `change` between, the token forgotten by its own age."""
    sidecar = offline(profile(who, exchange()), place.environ)
    await sidecar.fetch()
    change()
    sidecar.clock.skip(1200)
    await sidecar.fetch()
    return sidecar


async def test_a_rotated_private_key(place: Place, offline: Build) -> None:
    """The key's file is replaced, and its public half registered: the old key would be refused."""
    who = by_private_key(place)

    await rotated(place, offline, who, lambda: str(place.key(CLIENT_ID)) and None)

    assert [call.outcome for call in place.emulator.journal] == ["ok"] * 4


async def test_a_rotated_certificate(place: Place, offline: Build) -> None:
    """Certificate, key and chain are replaced; when the new one ends is told."""
    who = by_certificate(place)

    sidecar = await rotated(place, offline, who, lambda: by_certificate(place, days=60) and None)

    ends = [event.not_after for event in sidecar.events if isinstance(event, IdentityExpiry)]
    assert len(ends) == 2
    assert ends[1] - ends[0] == 30 * 86400


async def test_rotation_under_readers(place: Place, offline: Build, clock: Clock) -> None:
    """A running refresher takes the new key at its next refresh; whoever reads meanwhile always gets credentials."""
    sidecar = offline(profile(by_private_key(place), exchange()), place.environ)
    refresher = sidecar.refreshers["default"]
    held = []
    async with running(refresher):
        await refresher.settled()
        for _ in range(5):
            place.key(CLIENT_ID)
            for _ in range(4):
                clock.skip(await clock.asleep() / 4)
                held.append(refresher.credentials())
            await clock.wake()
            await refresher.settled()

    assert all(item.expires_at > item.issued_at for item in held)
    assert len({item.access_key_id for item in held}) == 5
    assert {call.outcome for call in place.emulator.journal} == {"ok"}


async def test_a_certificate_that_is_being_replaced(place: Place, offline: Build) -> None:
    """New certificate, old key: no request is made, and it is tried again soon rather than given up."""
    sidecar = offline(profile(by_certificate(place), exchange()), place.environ)
    place.file("tls.crt", place.emulator.issue_certificate(CLIENT_ID).leaf_pem)

    with pytest.raises(Unreachable, match="the private key does not belong to the certificate; is one being replaced"):
        await sidecar.fetch()

    assert not place.emulator.journal


async def test_a_rotated_federated_token(place: Place, offline: Build) -> None:
    """kubelet writes a new token: the next request carries that one."""
    who = by_cluster(place)

    await rotated(place, offline, who, lambda: place.file("token", place.emulator.workload_token(jti="2")) and None)

    sent = [call.fields["client_assertion"] for call in place.emulator.journal if call.kind == "token"]
    assert len(set(sent)) == 2


async def test_a_document_per_request(place: Place, offline: Build) -> None:
    """The identity document is asked for at every token request, signed at that moment."""
    await rotated(place, offline, by_document(place), lambda: None)

    asked = [call.fields["audience"] for call in place.emulator.journal if "audience" in call.fields]
    times = [json.loads(text)["signingTime"] for text in asked]
    assert times[1] - times[0] == 1200


# --- where the cluster's token is -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "environ", "token"),
    [
        (
            {"oidcTokenFilePath": "FIRST", "oidcTokenFilePathEnvVarName": "TOKEN_PATH"},
            {"TOKEN_PATH": "SECOND"},
            "first",
        ),
        ({"oidcTokenFilePathEnvVarName": "TOKEN_PATH"}, {"TOKEN_PATH": "SECOND"}, "second"),
    ],
)
def test_the_order_of_token_files(keys: dict[str, str], environ: dict[str, str], token: str, tmp_path: Path) -> None:
    """The path, else the file that the variable names, as the SDK has it; white space around the token is trimmed."""
    files = {"FIRST": tmp_path / "1", "SECOND": tmp_path / "2"}
    files["FIRST"].write_text("first\n")
    files["SECOND"].write_text(" second ")
    named = {name: str(files.get(value, value)) for name, value in keys.items()}
    config = convert({"authnMethod": "OIDC", **named}, IdaasOidc)

    read = config.token("identity", {name: str(files[value]) for name, value in environ.items()})

    assert read() == token


def test_kubernetes_own_token_file() -> None:
    """Where nothing is named it is Kubernetes' own; here, where there is none, the complaint says which."""
    read = IdaasOidc().token("identity", {})

    with pytest.raises(ConfigError, match=r"/var/run/secrets/kubernetes.io/serviceaccount/token: no such file"):
        read()


# --- the metadata service ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [by_document, by_ecs_role], ids=["PKCS7", "PLUGIN"])
@pytest.mark.parametrize("listener", ["bind", "metadata"])
def test_our_own_listener_is_not_the_metadata_service(
    make: Callable[[Place], dict[str, Any]], listener: str, place: Place, loaded: Callable[..., Any]
) -> None:
    """A sidecar that listens where it would ask does not start."""
    config = profile(make(place), exchange()) | {"server": {listener: METADATA.removeprefix("http://")}}

    with pytest.raises(
        ConfigError, match=rf"would ask {METADATA}, where this sidecar listens itself .server.{listener}."
    ):
        loaded(config, place.environ)


async def test_our_own_address_is_not_asked(place: Place, offline: Build) -> None:
    """Where 100.100.100.200 is on an interface of this namespace, whatever answers there is no cloud."""
    who = by_document(place)
    who["authnConfiguration"]["ecsMetadataEndpoint"] = "http://100.100.100.200"
    ours = offline(profile(who, exchange()), place.environ, is_ours=lambda host: host == "100.100.100.200")
    not_ours = offline(profile(who, exchange()), place.environ, is_ours=lambda _host: False)

    with pytest.raises(
        ConfigError, match=r"that address belongs to this network namespace.*remove it from the interface"
    ):
        await ours.fetch()
    assert not place.emulator.journal
    await not_ours.fetch()


@pytest.mark.parametrize(
    "url", ["https://100.100.100.200", "http://10.0.0.1", "http://127.0.0.1:1/x", "http://metadata.example.com"]
)
def test_the_metadata_endpoint(url: str, place: Place, loaded: Callable[..., Any]) -> None:
    """It is the cloud's address or loopback: an identity document goes nowhere else."""
    who = by_document(place)
    who["authnConfiguration"]["ecsMetadataEndpoint"] = url

    with pytest.raises(ConfigError, match=r"ecsMetadataEndpoint: .* is neither"):
        loaded(profile(who, exchange()), place.environ)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(404, Refused, "HTTP 404: does the instance have that document"), (503, Unreachable, "HTTP 503")],
)
async def test_metadata_errors(status: int, error: type[Exception], words: str, place: Place, offline: Build) -> None:
    """An instance without what is asked for is a no; one that is busy is asked again."""
    place.emulator.faults.add(Fault("metadata", status=status, body=b"<html>"))

    with pytest.raises(error, match=words):
        await offline(profile(by_document(place), exchange()), place.environ).fetch()


async def test_a_role_that_is_no_name(place: Place, offline: Build) -> None:
    """What is not ASCII cannot be asked for (found by fuzzing): an error of ours, not of the HTTP library."""
    place.emulator.faults.add(Fault("metadata", status=200, body=b"token"))
    place.emulator.faults.add(Fault("metadata", status=200, body="r\u00f4le".encode(), content_type="text/plain"))

    with pytest.raises(Unreachable, match="instead of text"):
        await offline(profile(by_ecs_role(place), exchange()), place.environ).fetch()


async def test_a_key_that_is_no_key(place: Place, offline: Build) -> None:
    """Nor can a key be sent that is not ASCII, wherever it comes from."""
    who = by_access_key(place)
    place.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "schl\u00fcssel"

    with pytest.raises(Unreachable, match="is not ASCII"):
        await offline(profile(who, exchange()), place.environ).fetch()


# --- any OpenID provider ----------------------------------------------------------------------------------------------


async def test_discovery_is_remembered(place: Place, offline: Build, clock: Clock) -> None:
    """The document serves for an hour; afterwards, if no newer one can be had, the old one goes on."""
    sidecar = offline(profile(oidc_client("client_secret_post")(place), sts("command")), place.environ)
    await sidecar.fetch()
    clock.skip(1200)
    await sidecar.fetch()
    asked = [call.fields.get("grant_type", "discovery") for call in place.emulator.journal if call.kind == "workload"]
    clock.skip(3000)
    place.emulator.faults.add(Fault("workload", status=503))
    await sidecar.fetch()

    assert asked == ["discovery", "client_credentials", "client_credentials"]


async def test_an_id_token(place: Place, offline: Build) -> None:
    """Where the provider's access token is not what STS should see, its id token is."""
    who = oidc_client("client_secret_post")(place) | {"scope": "openid", "tokenUse": "id_token"}

    await offline(profile(who, sts("command")), place.environ).fetch()

    assert place.emulator.journal[-1].outcome == "ok"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault("workload", status=404), Refused, "HTTP 404: is that the issuer's URL"),
        (Fault("workload", status=500), Unreachable, "HTTP 500"),
        (Fault("workload", body=b'{"issuer": "https://other.example"}'), Refused, "the document names another issuer"),
        (Fault("workload", body=b'{"issuer": "ISSUER"}'), Unreachable, "names no token_endpoint"),
        (
            Fault("workload", body=b'{"issuer": "ISSUER", "token_endpoint": "http://elsewhere.example/token"}'),
            Refused,
            "its token_endpoint is not an https URL",
        ),
        (Fault("workload", body=b"<html>", content_type="text/html"), Unreachable, "bytes of HTML"),
    ],
)
async def test_discovery_errors(fault: Fault, error: type[Exception], words: str, place: Place, offline: Build) -> None:
    """A document that is not the issuer's own, or points where a secret must not go, is refused."""
    who = oidc_client("client_secret_post")(place)
    body = fault.body.replace(b"ISSUER", who["issuer"].encode()) if fault.body else None
    place.emulator.faults.add(replace(fault, body=body))

    with pytest.raises(error, match=words):
        await offline(profile(who, sts("command")), place.environ).fetch()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"issuer": None}, "identity.issuer: required, unless tokenEndpoint is set"),
        ({"issuer": "http://idp.example.com"}, "identity.issuer: .* would send secrets in clear"),
        ({"clientId": ""}, "identity.clientId"),
        ({"clientAuthentication": {"method": "tls_client_auth"}}, "connection.certificateFile: required with tls"),
        (
            {"issuer": None, "tokenEndpoint": "https://idp.example.com/token"}
            | {
                "clientAuthentication": {
                    "method": "client_secret_jwt",
                    "clientSecretEnvVarName": "OIDC_SECRET",
                    "assertionAudience": "issuer",
                }
            },
            "identity.issuer: required where assertionAudience is issuer",
        ),
        ({"connection": {"privateKeyFile": "/k"}}, "connection.privateKeyFile: needs certificateFile"),
        ({"connection": {"proxy": "socks5://p:1"}}, "connection.proxy: not a proxy"),
        ({"connection": {"caFile": "/nowhere.pem"}}, "connection.caFile: /nowhere.pem: no such file"),
        ({"connection": {"certificateFile": "/nowhere.pem"}}, "connection.certificateFile: /nowhere.pem: no such file"),
    ],
)
def test_what_an_oidc_client_needs(
    changes: dict[str, Any], words: str, place: Place, loaded: Callable[..., Any]
) -> None:
    """What is missing or cannot work is found when the file is read."""
    who = oidc_client("client_secret_post")(place) | changes

    with pytest.raises(ConfigError, match=words):
        loaded(profile(who, sts("command")), place.environ)


# --- what IDaaS's methods need ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "keys", "words"),
    [
        ("OIDC", {}, "applicationFederatedCredentialName: required with OIDC"),
        (
            "PCA",
            {"applicationFederatedCredentialName": "x"},
            "clientX509Certificate or",
        ),
        (
            "OIDC",
            {"applicationFederatedCredentialName": "x", "clientDeployEnvironment": "ALIBABA_CLOUD_ECS"},
            "clientDeployEnvironment: OIDC works only in KUBERNETES",
        ),
        (
            "PKCS7",
            {"applicationFederatedCredentialName": "x", "clientDeployEnvironment": "AWS_EC2"},
            "clientDeployEnvironment: PKCS7 works only in ALIBABA_CLOUD_ECS",
        ),
        ("PLUGIN", {}, "identity.openApiEndpoint: required with PLUGIN"),
    ],
)
def test_what_a_method_needs(
    method: str, keys: dict[str, Any], words: str, place: Place, loaded: Callable[..., Any]
) -> None:
    """A method's own keys are asked for when the file is read."""
    with pytest.raises(ConfigError, match=words):
        loaded(profile(place.idaas(method, **keys), exchange()), place.environ)


def test_a_certificate_of_another_key(place: Place, loaded: Callable[..., Any]) -> None:
    """Certificate and key that do not belong together are found when the file is read."""
    who = by_certificate(place)
    place.file("tls.key", place.emulator.issue_certificate().key_pem)

    with pytest.raises(ConfigError, match="the private key does not belong to the certificate"):
        loaded(profile(who, exchange()), place.environ)


def test_an_exchange_of_an_exchange(place: Place, loaded: Callable[..., Any]) -> None:
    """One exchange, of a subject that is none; and none with PLUGIN, which has no token endpoint."""
    inner = by_secret("CLIENT_SECRET_POST")(place) | {"tokenExchange": {"subject": token_file(place)}}
    twice = by_secret("CLIENT_SECRET_POST")(place) | {"tokenExchange": {"subject": inner}}
    plugin = by_ecs_role(place) | {"tokenExchange": {"subject": token_file(place)}}

    with pytest.raises(ConfigError, match=r"subject.tokenExchange: one exchange after another is not supported"):
        loaded(profile(twice, exchange()), place.environ)
    with pytest.raises(ConfigError, match="tokenExchange: cannot be combined with PLUGIN"):
        loaded(profile(plugin, exchange()), place.environ)


async def test_a_dynamic_issuer_is_named(place: Place, offline: Build) -> None:
    """A token whose `iss` follows another host than the registered one is named before STS refuses it."""
    place.emulator.world = replace(place.emulator.world, issuer_mode="dynamic")
    sidecar = offline(profile(by_secret("CLIENT_SECRET_POST")(place), exchange()), place.environ)

    with pytest.raises(Refused, match="IssuerNotMatch"):
        await sidecar.fetch()

    said = [event.message for event in sidecar.events if isinstance(event, Warned)]
    assert said[0].startswith(f"the token's iss is '{BASE}/api/v2/iauths_system/oauth2', the configuration says")


# --- exchanges --------------------------------------------------------------------------------------------------------

MANAGED_ERRORS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"clients": ("other",)}, {}, "HTTP 403 access_denied"),
    ({"broken": True}, {}, "invalid_client_credential.*IDaaS's own access to the target account is set up wrongly"),
    ({"vendor": "aws"}, {}, "without alibabaCloudStsToken: that role belongs to another cloud"),
    ({}, {"roleArn": role_arn("nobody")}, "cloud_account_role_not_found.*IDaaS does not manage that role"),
    ({}, {"idaasInstanceId": "idaas_other"}, "HTTP 404 not_found"),
]


@pytest.mark.parametrize(("role", "changes", "words"), MANAGED_ERRORS)
async def test_developer_api_errors(
    role: dict[str, Any], changes: dict[str, Any], words: str, place: Place, offline: Build
) -> None:
    """Each documented no, with its cure; none is tried again with a new token."""
    world = place.emulator.world
    managed = replace(world.managed_roles[MANAGED_ROLE_ARN], **role)
    place.emulator.world = replace(world, managed_roles={MANAGED_ROLE_ARN: managed})
    place.scope = ""

    with pytest.raises(Refused, match=words):
        await offline(profile(by_secret("CLIENT_SECRET_POST")(place), MANAGED | changes), place.environ).fetch()

    assert place.emulator.totals["token"] == 1


async def test_developer_api_renews_a_refused_token(place: Place, offline: Build) -> None:
    """401 means the token: a new one is fetched, once, and it passes."""
    place.scope = ""
    sidecar = offline(profile(by_secret("CLIENT_SECRET_POST")(place), MANAGED), place.environ)
    await sidecar.fetch()
    place.emulator.rotate(retire=True)

    await sidecar.fetch()

    assert (place.emulator.totals["token"], place.emulator.totals["developerapi"]) == (2, 3)


@pytest.mark.parametrize("body", [b"{}", b'{"cloudAccountRoleAccessCredential": 1}', b"[]"])
async def test_developer_api_nonsense(body: bytes, place: Place, offline: Build) -> None:
    """A 200 without a session is no session."""
    place.scope = ""
    place.emulator.faults.add(Fault("developerapi", body=body))

    with pytest.raises(Unreachable):
        await offline(profile(by_secret("CLIENT_SECRET_POST")(place), MANAGED), place.environ).fetch()


CHAIN_ERRORS = [
    ({"roleArn": role_arn("nobody")}, r"^chain\[0\]: .*EntityNotExist.Role"),
    ({"roleArn": role_arn("p2")}, r"^chain\[0\]: .*NoPermission.*the role's trust policy does not name it"),
    ({"roleArn": CHAINED_ROLE_ARN, "durationSeconds": 7200}, r"^chain\[0\]: .*InvalidParameter.DurationSeconds"),
]


@pytest.mark.parametrize(("link", "words"), CHAIN_ERRORS)
async def test_chain_errors(link: dict[str, Any], words: str, place: Place, offline: Build) -> None:
    """A link's error names the link."""
    who = by_secret("CLIENT_SECRET_POST")(place)
    chain = [{"endpoints": [BASE], **link}]

    with pytest.raises(Refused, match=words):
        await offline(profile(who, exchange(), chain=chain), place.environ).fetch()


async def test_a_link_does_not_outlive_its_parent(place: Place, offline: Build) -> None:
    """What is held ends with the first of the chain's sessions."""
    who = by_secret("CLIENT_SECRET_POST")(place)
    chain = [{"roleArn": CHAINED_ROLE_ARN, "endpoints": [BASE], "durationSeconds": 3600}]

    short = await offline(profile(who, exchange(durationSeconds=900), chain=chain), place.environ).fetch()

    assert short.expires_at - short.issued_at == 900


async def test_a_link_fails_over(place: Place, offline: Build) -> None:
    """A link's endpoints are tried in order, as the exchange's are."""
    who = by_secret("CLIENT_SECRET_POST")(place)
    chain = [{"roleArn": CHAINED_ROLE_ARN, "endpoints": ["http://127.0.0.2:7080", BASE]}]
    sidecar = offline(profile(who, exchange(), chain=chain), place.environ)
    await sidecar.fetch()
    hosts = [call.fields["host"] for call in place.emulator.journal if call.kind == "sts"]
    place.emulator.faults.add(Fault("sts"))  # the exchange passes, the link's first endpoint does not
    place.emulator.faults.add(Fault("sts", status=503))

    await sidecar.fetch()

    again = [call.fields["host"] for call in place.emulator.journal if call.kind == "sts"][len(hosts) :]
    assert hosts == ["127.0.0.1:7080", "127.0.0.2:7080"]
    assert again == ["127.0.0.1:7080", "127.0.0.2:7080", "127.0.0.1:7080"]


VPC = ("https://sts-vpc.cn-hangzhou.aliyuncs.com",)
OTHER = {"regionId": "cn-shanghai"}


@pytest.mark.parametrize(
    ("what", "link", "endpoints"),
    [
        ({"regionId": "cn-hangzhou", "vpc": True}, {}, VPC),
        ({"regionId": "cn-hangzhou", "vpc": True}, OTHER, ("https://sts.cn-shanghai.aliyuncs.com",)),
        ({"endpoints": ["https://a.example.com"]}, {}, ("https://a.example.com",)),
        ({"regionId": "cn-hangzhou"}, {"endpoints": ["b.example.com"]}, ("https://b.example.com",)),
        ({"type": "developerApi", "regionId": "cn-hangzhou", "vpc": True}, {}, VPC),
        ({"type": "developerApi", "endpoint": BASE}, {}, ("https://sts.aliyuncs.com",)),
    ],
)
def test_where_a_link_asks(what: dict[str, Any], link: dict[str, Any], endpoints: tuple[str, ...]) -> None:
    """A link without a region of its own stays where the exchange is: in a VPC the global endpoint is out of reach."""
    kind = DeveloperApiExchange if what.pop("type", None) else StsExchange
    needed = {"roleArn": role_arn("default")} | ({} if kind is DeveloperApiExchange else {"oidcProviderArn": "x"})
    first = convert({"type": kind.__struct_config__.tag, **needed, **what}, kind)

    found = validate.chained_endpoints(convert({"roleArn": CHAINED_ROLE_ARN, **link}, ChainedRole), first, "chain[0]")

    assert found == endpoints


def test_identities_without_idaas_name_the_instance(place: Place, loaded: Callable[..., Any]) -> None:
    """The DeveloperAPI is an instance's: who is no application of it must say which."""
    with pytest.raises(
        ConfigError, match=r"exchange.idaasInstanceId: required where the identity is not an application"
    ):
        loaded(profile(token_file(place), MANAGED), place.environ)


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"regionId": "cn-hangzhou"}, "https://eiam-developerapi.cn-hangzhou.aliyuncs.com"),
        ({"regionId": "eu-central-1", "vpc": True}, "https://eiam-developerapi-eu.vpc-proxy.aliyuncs.com"),
        ({"endpoint": "api.example.com/x"}, "https://api.example.com"),
        ({}, "https://of-the-identity.example.com"),
    ],
)
async def test_where_the_developer_api_is(changes: dict[str, Any], url: str, place: Place, offline: Build) -> None:
    """The exchange's own endpoint, its region's, else the identity's."""
    place.scope = ""
    who = by_secret("CLIENT_SECRET_POST")(place) | {"developerApiEndpoint": "of-the-identity.example.com"}
    what = {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, **changes}

    with pytest.raises(Unreachable, match=f"{url}/v2/.*an emulator's answer from an address"):
        await offline(profile(who, what), place.environ).fetch()
