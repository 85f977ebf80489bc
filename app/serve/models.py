"""The JSON bodies of all routes as types, for the OpenAPI document. The handlers build the bodies themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

Instant = Annotated[str, Field(examples=["2026-01-01T01:00:00Z"], description="UTC, whole seconds.")]


class CredentialDocument(BaseModel):
    """STS credentials. The members are exactly those that every known SDK's parser accepts."""

    Code: Literal["Success"]
    StatusCode: Annotated[Literal["200"], Field(description="For CustomSessionCredentialsProvider of OSS Java.")]
    AccessKeyId: Annotated[str, Field(examples=["STS.example"])]
    AccessKeySecret: str
    SecurityToken: str
    Expiration: Annotated[Instant, Field(description="The end of the session.")]
    LastUpdated: Annotated[Instant, Field(description="When the session was issued.")]


class AwsDocument(BaseModel):
    """The same session as the SDKs of AWS read it."""

    Version: Annotated[Literal[1], Field(description="For `credential_process`.")]
    AccessKeyId: Annotated[str, Field(examples=["STS.example"])]
    SecretAccessKey: str
    SessionToken: Annotated[str, Field(description="For `credential_process`.")]
    Token: Annotated[str, Field(description="The same, for the container credentials provider.")]
    Expiration: Annotated[Instant, Field(description="The end of the session.")]


class IdentityDocument(RootModel[dict[str, str]]):
    """The members of `metadata.values` whose names have no slash."""

    root: Annotated[dict[str, str], Field(examples=[{"region-id": "cn-hangzhou", "zone-id": "cn-hangzhou-h"}])]


class ErrorDocument(BaseModel):
    """Every error. Several clients judge by `Code` only, and never look at the status."""

    Code: Annotated[str, Field(examples=["CredentialsUnavailable", "AccessDenied.Host", "NotFound"])]
    Message: Annotated[str, Field(description="Ends with the entry of the errors index, such as (IDS-501).")]


class LackingProfile(BaseModel):
    """A required profile without usable credentials."""

    profile: str
    state: str
    reason: str
    error_code: Annotated[str, Field(description="Its entry of the errors index.", examples=["IDS-401"])]


class ProbeDocument(BaseModel):
    """The verdict of a probe. `profiles`: the profiles without credentials. `loops`: the loops that have ended."""

    status: Annotated[str, Field(examples=["ok", "not ready", "starting", "dead"])]
    profiles: list[LackingProfile] | None = None
    loops: list[str] | None = None
    error_code: Annotated[str | None, Field(description="The entry of the errors index, for dead loops.")] = None


class StageDuration(BaseModel):
    """The duration of one stage of an attempt: `token`, `exchange`, or a role of the chain, such as `chain[0]`."""

    stage: str
    seconds: float


class AttemptStatus(BaseModel):
    """One refresh attempt that has ended."""

    at: Instant
    outcome: Annotated[str, Field(examples=["success", "unreachable", "refused", "config", "internal"])]
    seconds: float
    code: Annotated[str | None, Field(description="The cloud's error code.")]
    stages: list[StageDuration]


class FailureStatus(BaseModel):
    """The known facts of the last failure."""

    message: Annotated[
        str | None, Field(description="What failed: `last_error` without the cure and without the cloud's own words.")
    ]
    error_code: Annotated[str | None, Field(description="Its entry of the errors index.", examples=["IDS-401"])]
    stage: str | None
    endpoint: str | None
    status: int | None
    code: str | None
    request_id: str | None
    cloud_message: Annotated[str | None, Field(description="The cloud's own words, cleaned and cut.")]
    meaning: str | None
    cause: str | None
    cure: Annotated[str | None, Field(description="What to do about it.")]


class MistakeStatus(BaseModel):
    """One mistake of a changed configuration."""

    message: Annotated[str, Field(description="What is wrong, and where.")]
    error_code: Annotated[str, Field(description="Its entry of the errors index.", examples=["IDS-106"])]
    cure: Annotated[str | None, Field(description="What to do about it.")]


class CallerStatus(BaseModel):
    """A caller that got new sessions, or that was refused."""

    listener: str
    profile: str | None
    uid: Annotated[int | None, Field(description="null: the calling process could not be identified.")]
    executable: str | None
    reason: Annotated[str | None, Field(description="Why the caller was refused; null: it was served.")]
    count: Annotated[int, Field(description="Sessions received for the first time, or refused requests.")]
    last_at: Instant


class RenewedProfile(BaseModel):
    """One profile after `refresh` or `purge`; nothing in it is secret."""

    profile: str
    identity: str
    role: str
    session: str
    required: bool
    state: str
    state_meaning: str
    expires_at: Instant | None
    left_seconds: int
    life_seconds: Annotated[int, Field(description="From the issue of the held session to its end; 0 without one.")]
    next_refresh_at: Annotated[Instant | None, Field(description="null: an attempt is under way.")]
    next_refresh_seconds: int | None
    failures: int
    last_error: str | None
    permanent: Annotated[bool, Field(description="Whether a repetition cannot succeed before something is changed.")]
    failure: Annotated[FailureStatus | None, Field(description="null: the last attempt succeeded.")]
    on_trial: Annotated[
        str | None,
        Field(description="Why a changed configuration of this profile does not serve yet; null: nothing is on trial."),
    ]
    on_trial_code: Annotated[str | None, Field(description="Its code in the errors index (docs/errors.md).")]
    on_trial_failure: Annotated[
        FailureStatus | None,
        Field(description="What is known of `on_trial`; null: nothing is on trial, or no attempt has failed."),
    ]
    attempts: Annotated[list[AttemptStatus], Field(description="The last five attempts, the newest one first.")]


class ProfileStatus(RenewedProfile):
    """One profile as the status reports it; nothing in it is secret."""

    served: Annotated[int, Field(description="Requests that were answered with credentials.")]
    refused: Annotated[int, Field(description="Requests that were refused (4xx).")]
    last_served_at: Instant | None


class StatusDocument(BaseModel):
    """The state of the sidecar."""

    version: str
    host: Annotated[str, Field(description="`namespace/pod` by the downward API, else the host name.")]
    now: Instant
    uptime_seconds: int
    config: Annotated[str, Field(description="The configuration file, or `environment`.")]
    config_read_at: Instant
    config_age_seconds: int
    config_error: Annotated[str | None, Field(description="Why the changed configuration cannot be used.")]
    config_error_code: Annotated[str | None, Field(description="Its code in the errors index (docs/errors.md).")]
    config_mistakes: Annotated[list[MistakeStatus], Field(description="The mistakes of `config_error`, one by one.")]
    restart_needed: Annotated[list[str], Field(description="Changed keys that take effect at the next start.")]
    stopping: Annotated[
        bool, Field(description="Whether the sidecar is stopping. It answers requests until the drain ends.")
    ]
    ready: bool
    listeners: Annotated[dict[str, str], Field(description="The URL of each listener; of the admin socket, its path.")]
    profiles: list[ProfileStatus]
    callers: Annotated[list[CallerStatus], Field(description="At most 32 served callers, the last one first.")]
    refused_callers: Annotated[list[CallerStatus], Field(description="At most 32 refused callers.")]
    denied: Annotated[dict[str, int], Field(description="Refused requests by reason.")]


class RenewalDocument(BaseModel):
    """What `refresh` or `purge` achieved, profile by profile."""

    profiles: list[RenewedProfile]


class HeldCredentials(BaseModel):
    """STS credentials as they are held. Times are seconds since 1970-01-01 UTC."""

    access_key_id: str
    access_key_secret: str
    security_token: str
    issued_at: float
    expires_at: float
    request_id: str


class SessionDocument(BaseModel):
    """The held credentials of one profile."""

    credentials: HeldCredentials


class LevelDocument(BaseModel):
    """The log level from now on."""

    level: Literal["debug", "info", "warning", "error"]
