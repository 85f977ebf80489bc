"""A chain of roles behind the exchange: errors, lifetime, and endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.config.decode import convert
from app.core.errors import Refused
from app.emulator import Fault
from app.emulator.world.world import CHAINED_ROLE_ARN, role_arn
from app.exchange import validate
from app.exchange.settings import ChainedRole, DeveloperApiExchange, StsExchange

from ..conftest import BASE, Offline, exchange
from ..identity.identities import client_secret, one_profile
from ..workload import Workload

Build = Callable[..., Offline]

CHAIN_ERRORS = [
    ({"roleArn": role_arn("nobody")}, r"^chain\[0\]: .*EntityNotExist.Role"),
    ({"roleArn": role_arn("p2")}, r"^chain\[0\]: .*NoPermission.*name that role in the trust policy of the second"),
    ({"roleArn": CHAINED_ROLE_ARN, "durationSeconds": 7200}, r"^chain\[0\]: .*InvalidParameter.DurationSeconds"),
]


@pytest.mark.parametrize(("role", "message"), CHAIN_ERRORS)
async def test_error_names_the_chained_role(
    role: dict[str, Any], message: str, workload: Workload, offline: Build
) -> None:
    """An error of a chained role names its position in the chain."""
    identity = client_secret("CLIENT_SECRET_POST")(workload)
    chain = [{"endpoints": [BASE], **role}]

    with pytest.raises(Refused, match=message):
        await offline(one_profile(identity, exchange(), chain=chain), workload.environ).fetch()


async def test_chained_session_ends_with_the_shortest(workload: Workload, offline: Build) -> None:
    """The session ends with the first session of the chain that expires."""
    identity = client_secret("CLIENT_SECRET_POST")(workload)
    chain = [{"roleArn": CHAINED_ROLE_ARN, "endpoints": [BASE], "durationSeconds": 3600}]

    short = await offline(one_profile(identity, exchange(durationSeconds=900), chain=chain), workload.environ).fetch()

    assert short.expires_at - short.issued_at == 900


async def test_endpoints_of_a_chained_role_are_tried_in_order(workload: Workload, offline: Build) -> None:
    """The endpoints of a chained role are tried in order, as those of the exchange are."""
    identity = client_secret("CLIENT_SECRET_POST")(workload)
    chain = [{"roleArn": CHAINED_ROLE_ARN, "endpoints": ["http://127.0.0.2:7080", BASE]}]
    sidecar = offline(one_profile(identity, exchange(), chain=chain), workload.environ)
    await sidecar.fetch()
    hosts = [call.fields["host"] for call in workload.emulator.journal if call.kind == "sts"]
    # The exchange succeeds, and the first endpoint of the chained role fails.
    workload.emulator.faults.add(Fault("sts"))
    workload.emulator.faults.add(Fault("sts", status=503))

    await sidecar.fetch()

    hosts_after_faults = [call.fields["host"] for call in workload.emulator.journal if call.kind == "sts"][len(hosts) :]
    assert hosts == ["127.0.0.1:7080", "127.0.0.2:7080"]
    assert hosts_after_faults == ["127.0.0.1:7080", "127.0.0.2:7080", "127.0.0.1:7080"]


VPC_ENDPOINT = ("https://sts-vpc.cn-hangzhou.aliyuncs.com",)
OTHER_REGION = {"regionId": "cn-shanghai"}


@pytest.mark.parametrize(
    ("settings", "chained", "endpoints"),
    [
        ({"regionId": "cn-hangzhou", "vpc": True}, {}, VPC_ENDPOINT),
        ({"regionId": "cn-hangzhou", "vpc": True}, OTHER_REGION, ("https://sts.cn-shanghai.aliyuncs.com",)),
        ({"endpoints": ["https://a.example.com"]}, {}, ("https://a.example.com",)),
        ({"regionId": "cn-hangzhou"}, {"endpoints": ["b.example.com"]}, ("https://b.example.com",)),
        ({"type": "developerApi", "regionId": "cn-hangzhou", "vpc": True}, {}, VPC_ENDPOINT),
        ({"type": "developerApi", "endpoint": BASE}, {}, ("https://sts.aliyuncs.com",)),
    ],
)
def test_chained_role_inherits_the_region(
    settings: dict[str, Any], chained: dict[str, Any], endpoints: tuple[str, ...]
) -> None:
    """A chained role without a region uses the exchange's: in a VPC the global endpoint cannot be reached."""
    kind = DeveloperApiExchange if settings.pop("type", None) else StsExchange
    required = {"roleArn": role_arn("default")} | ({} if kind is DeveloperApiExchange else {"oidcProviderArn": "x"})
    first = convert({"type": kind.__struct_config__.tag, **required, **settings}, kind)

    selected = validate.chained_endpoints(
        convert({"roleArn": CHAINED_ROLE_ARN, **chained}, ChainedRole), first, "chain[0]"
    )

    assert selected == endpoints
