"""The JSON bodies of all routes as types, for the OpenAPI document. The handlers build the bodies themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

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


class ErrorDocument(BaseModel):
    """Every error. Several clients judge by `Code` alone and never look at the status."""

    Code: Annotated[str, Field(examples=["CredentialsUnavailable", "AccessDenied.Host", "NotFound"])]
    Message: str


class LackingProfile(BaseModel):
    """A required profile without usable credentials."""

    profile: str
    state: str
    reason: str


class ProbeDocument(BaseModel):
    """The verdict of a probe. `profiles` and `loops` say what is missing or dead."""

    status: Annotated[str, Field(examples=["ok", "not ready", "starting", "dead"])]
    profiles: list[LackingProfile] | None = None
    loops: list[str] | None = None


class ProfileStatus(BaseModel):
    """One profile as the status reports it; nothing in it is secret."""

    profile: str
    identity: str
    role: str
    session: str
    required: bool
    state: str
    expires_at: Instant | None
    next_refresh_at: Instant | None
    failures: int
    last_error: str | None
    permanent: Annotated[bool, Field(description="Whether a repetition cannot succeed before something is changed.")]
    on_trial: Annotated[
        str | None,
        Field(description="Why a changed configuration of this profile does not serve yet; null: nothing is on trial."),
    ]


class StatusDocument(BaseModel):
    """The state of the sidecar."""

    version: str
    config: Annotated[str, Field(description="The configuration file, or `environment`.")]
    config_read_at: Instant
    config_error: Annotated[str | None, Field(description="Why the changed configuration cannot be used.")]
    restart_needed: Annotated[list[str], Field(description="Changed keys that take effect at the next start.")]
    ready: bool
    profiles: list[ProfileStatus]


class RenewalDocument(BaseModel):
    """What `refresh` or `purge` achieved, profile by profile."""

    profiles: list[ProfileStatus]


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
