"""The `exchange` and the `chain` of a profile as types: the roles whose credentials the profile serves."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from ..core.base import Expanded, Strict
from ..core.connection import Connection

PROVIDER_MANAGED = "urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential"
"""The scope that the documentation of obtainAccessCredential names."""

SessionSeconds = Annotated[int, Meta(ge=900, le=43200)]
Policy = Annotated[
    dict[str, Any] | str | None,
    Meta(description="Session policy. The session is allowed what both the policy and the role allow."),
]
SessionName = Annotated[
    Expanded | None,
    Meta(
        description="2 to 64 of `A-Z a-z 0-9 . @ - _`. null: `<POD_NAMESPACE>.<POD_NAME>` of the environment, else the "
        "host name."
    ),
]


class _Sts(Strict, frozen=True, kw_only=True):
    """Keys that all calls to STS share."""

    role_arn: Annotated[Expanded, Meta(description="The role to assume: `acs:ram::<account>:role/<name>`.")]
    region_id: Annotated[
        str | None, Meta(description="Selects `sts.<region>.aliyuncs.com`. null: `sts.aliyuncs.com`.")
    ] = None
    vpc: Annotated[
        bool,
        Meta(description="Selects `sts-vpc.<region>.aliyuncs.com`, which only that region's VPCs resolve."),
    ] = False
    endpoints: Annotated[
        list[str] | None, Meta(description="STS endpoints in order of preference. They replace the region's.")
    ] = None
    duration_seconds: Annotated[
        SessionSeconds,
        Meta(description="Session length in seconds. STS refuses more than the role's MaxSessionDuration."),
    ] = 3600
    policy: Policy = None
    role_session_name: SessionName = None


class StsExchange(_Sts, tag_field="type", tag="sts", frozen=True, kw_only=True):
    """STS AssumeRoleWithOIDC."""

    oidc_provider_arn: Annotated[
        str,
        Meta(description="The OIDC provider that trusts the issuer: `acs:ram::<account>:oidc-provider/<name>`."),
    ]
    connection: Connection = Connection()


class DeveloperApiExchange(Strict, tag_field="type", tag="developerApi", frozen=True, kw_only=True):
    """The DeveloperAPI of IDaaS (obtainAccessCredential), for a RAM role that IDaaS manages."""

    role_arn: Annotated[Expanded, Meta(description="The role as IDaaS knows it: `acs:ram::<account>:role/<name>`.")]
    idaas_instance_id: Annotated[
        str | None, Meta(description="Id of the IDaaS instance. null: the identity's instance.")
    ] = None
    region_id: Annotated[
        str | None,
        Meta(description="Selects `eiam-developerapi.<region>.aliyuncs.com`, or the region's VPC host."),
    ] = None
    vpc: Annotated[bool, Meta(description="Selects the region's VPC host.")] = False
    endpoint: Annotated[
        str | None, Meta(description="Host or URL of the API. It replaces the region's host and the identity's.")
    ] = None
    duration_seconds: Annotated[
        SessionSeconds | None,
        Meta(
            description="Session length in seconds. null: not sent, as in all official clients; the role's own length "
            "applies."
        ),
    ] = None
    connection: Connection = Connection()


class ChainedRole(_Sts, frozen=True, kw_only=True):
    """A further role, by an AssumeRole signed with the previous credentials. The default region is the exchange's."""

    external_id: Annotated[
        Annotated[str, Meta(pattern=r"^[\w+=,.@:/-]{2,1224}$")] | None,
        Meta(description="The sts:ExternalId that the role's trust policy requires."),
    ] = None
    source_identity: Annotated[
        Annotated[str, Meta(pattern=r"^[\w+=,.@:/-]{2,64}$")] | None,
        Meta(description="Recorded by ActionTrail through the whole chain."),
    ] = None
    connection: Annotated[
        Connection | None, Meta(description="How requests reach STS for this role. null: as for the exchange.")
    ] = None


ExchangeSettings = StsExchange | DeveloperApiExchange
