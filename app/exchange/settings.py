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
    Meta(description="Session policy; the session may do what both it and the role allow."),
]
SessionName = Annotated[
    Expanded | None,
    Meta(description="2-64 of A-Z a-z 0-9 . @ - _; null: {namespace}.{pod}, else the host name."),
]


class _Sts(Strict, frozen=True, kw_only=True):
    """Keys that all calls to STS share."""

    role_arn: Annotated[Expanded, Meta(description="The role to assume: acs:ram::<account>:role/<name>.")]
    region_id: Annotated[str | None, Meta(description="Chooses sts.<region>.aliyuncs.com; null: sts.aliyuncs.com.")] = (
        None
    )
    vpc: Annotated[
        bool,
        Meta(description="Chooses sts-vpc.<region>.aliyuncs.com, which only that region's VPCs resolve."),
    ] = False
    endpoints: Annotated[
        list[str] | None, Meta(description="STS endpoints in order of preference, instead of the region's.")
    ] = None
    duration_seconds: Annotated[
        SessionSeconds, Meta(description="Session length; above the role's MaxSessionDuration STS refuses.")
    ] = 3600
    policy: Policy = None
    role_session_name: SessionName = None


class StsExchange(_Sts, tag_field="type", tag="sts", frozen=True, kw_only=True):
    """AssumeRoleWithOIDC."""

    oidc_provider_arn: Annotated[
        str, Meta(description="The OIDC provider that trusts the issuer: acs:ram::<account>:oidc-provider/<name>.")
    ]
    connection: Connection = Connection()


class DeveloperApiExchange(Strict, tag_field="type", tag="developerApi", frozen=True, kw_only=True):
    """IDaaS's DeveloperAPI, obtainAccessCredential: a RAM role that IDaaS manages."""

    role_arn: Annotated[Expanded, Meta(description="The role as IDaaS knows it: acs:ram::<account>:role/<name>.")]
    idaas_instance_id: Annotated[
        str | None, Meta(description="Id of the IDaaS instance; null: the identity's own.")
    ] = None
    region_id: Annotated[
        str | None, Meta(description="Chooses eiam-developerapi.<region>.aliyuncs.com, or the region's VPC host.")
    ] = None
    vpc: Annotated[bool, Meta(description="Chooses the region's host for its VPCs.")] = False
    endpoint: Annotated[
        str | None, Meta(description="Host or URL of the API, instead of the region's and the identity's.")
    ] = None
    duration_seconds: Annotated[
        SessionSeconds | None,
        Meta(description="Session length; null: not sent (no official client does), so the role's own."),
    ] = None
    connection: Connection = Connection()


class ChainedRole(_Sts, frozen=True, kw_only=True):
    """One more role, by an AssumeRole signed with the credentials before it. Without a region: the exchange's."""

    external_id: Annotated[
        Annotated[str, Meta(pattern=r"^[\w+=,.@:/-]{2,1224}$")] | None,
        Meta(description="The sts:ExternalId that the role's trust policy demands."),
    ] = None
    source_identity: Annotated[
        Annotated[str, Meta(pattern=r"^[\w+=,.@:/-]{2,64}$")] | None,
        Meta(description="Recorded by ActionTrail through the whole chain."),
    ] = None
    connection: Annotated[
        Connection | None, Meta(description="How this leg reaches STS; null: as the exchange does.")
    ] = None


ExchangeSettings = StsExchange | DeveloperApiExchange
