"""The variables that SDKs and aliyun-cli check before the credentials URI, and those that disable other sources."""

from __future__ import annotations

CREDENTIALS_URI = "ALIBABA_CLOUD_CREDENTIALS_URI"

HIGHER_PRIORITY_VARIABLES = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "ALIBABA_CLOUD_PROFILE",
    # aliyun-cli and terraform know these names, too.
    *(f"ALIBABACLOUD_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "PROFILE")),
    *(f"ALICLOUD_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "PROFILE")),
    *(f"ALICLOUD_{name}" for name in ("ACCESS_KEY", "SECRET_KEY", "SHARED_CREDENTIALS_FILE", "CREDENTIALS_URI")),
)
"""The variables that SDKs check before the credentials URI: static keys, the token file of RRSA, a chosen profile."""

OTHER_SOURCES_DISABLED = {
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
    "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true",
    "ALIBABA_CLOUD_CREDENTIALS_FILE": "/dev/null",
}
"""
Every default credential chain tries the CLI's profile file, the credentials file and the ECS role before the URI.

A developer's long-lived key in one of the files would sign instead of the role. No variable disables the credentials
file, so it is replaced by an empty one.
"""
