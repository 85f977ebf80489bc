"""The variables that SDKs and aliyun-cli check before the credentials URI, and those that disable other sources."""

from __future__ import annotations

import re

CREDENTIALS_URI = "ALIBABA_CLOUD_CREDENTIALS_URI"

ROLE_NAMES = ("ALIBABA_CLOUD_ECS_METADATA", "ALICLOUD_ECS_ROLE_NAME")
"""
Names of the instance's RAM role, with which terraform asks the ECS metadata service first.

So do SDKs that read the credentials URI, but not ALIBABA_CLOUD_ECS_METADATA_DISABLED (docs/clients.md).
"""

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
    "ALICLOUD_ACCESS_KEY_STS_TOKEN",
    # aliyun-python-sdk-core uses the first two instead of the credential that the program passes. OSS SDKs and opendal
    # know the others.
    *(f"ALIYUN_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET")),
    *(f"OSS_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SESSION_TOKEN")),
    *ROLE_NAMES,
)
"""The variables that SDKs check before the credentials URI: static keys, the token file of RRSA, profile, role name."""

_ARGUMENT = re.compile(r"""((?:"[^"]*"|'[^']*'|[^\s"'])+)\s*""")
"""An argument in a variable such as JAVA_TOOL_OPTIONS, as the JVM splits it."""

_JAVA_KEY = re.compile(r"-D(?:alibabacloud|oss)\.(?:accessKeyId|accessKeySecret|accessKeyIdSecret|sessionToken)=")
"""An option that sets a system property with a key. The SDKs for Java use these properties before all variables."""


def without_java_keys(value: str) -> str:
    """
    Return the value of a variable, such as JAVA_TOOL_OPTIONS, without the options of Java that set an AccessKey.

    A value with a quote that is not closed is returned unchanged: the JVM refuses it.
    """
    if "-D" not in value or _ARGUMENT.sub("", value).strip():
        return value
    return _ARGUMENT.sub(lambda each: "" if _JAVA_KEY.match(re.sub("[\"']", "", each[1])) else each[0], value)


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
