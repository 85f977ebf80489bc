"""Credentials as the text each consumer reads. Pure; the byte forms are those every known SDK's parser accepts."""

from __future__ import annotations

import json
import shlex
import time

from .model import Credentials


def timestamp(instant: float) -> str:
    """`YYYY-MM-DDThh:mm:ssZ`, whole seconds: a fraction breaks Python, Java and oss2, an offset breaks five SDKs."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))


def uri_document(credentials: Credentials) -> bytes:
    """
    The credentials URI's body, which is the ECS role's body too.

    This key set and no other: ossfs accepts exactly four keys it recognises by substring, SLS needs LastUpdated,
    OSS Java's CustomSessionCredentialsProvider needs StatusCode as a string.
    """
    return _line(
        {
            "Code": "Success",
            "StatusCode": "200",
            "AccessKeyId": credentials.access_key_id,
            "AccessKeySecret": credentials.access_key_secret,
            "SecurityToken": credentials.security_token,
            "Expiration": timestamp(credentials.expires_at),
            "LastUpdated": timestamp(credentials.issued_at),
        }
    )


def error_document(code: str, message: str) -> bytes:
    """An error's body: several clients judge by `Code` and never look at the status."""
    return _line({"Code": code, "Message": message})


def external_document(credentials: Credentials) -> str:
    """What `aliyun configure --mode External` and the SDKs' CLI-profile readers expect of a process command."""
    return json.dumps(
        {
            "mode": "StsToken",
            "access_key_id": credentials.access_key_id,
            "access_key_secret": credentials.access_key_secret,
            "sts_token": credentials.security_token,
            "expiration": timestamp(credentials.expires_at),
        }
    )


def plain_document(credentials: Credentials) -> str:
    """One JSON object for scripts: the three values and their end."""
    return json.dumps(
        {
            "AccessKeyId": credentials.access_key_id,
            "AccessKeySecret": credentials.access_key_secret,
            "SecurityToken": credentials.security_token,
            "Expiration": timestamp(credentials.expires_at),
        }
    )


def env_lines(credentials: Credentials) -> str:
    """`export` lines for a POSIX shell, in the names every SDK reads."""
    values = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": credentials.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": credentials.access_key_secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": credentials.security_token,
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def ini_lines(credentials: Credentials) -> str:
    """A `[default]` section for `~/.alibabacloud/credentials`."""
    return "\n".join(
        (
            "[default]",
            "type = sts",
            f"access_key_id = {credentials.access_key_id}",
            f"access_key_secret = {credentials.access_key_secret}",
            f"security_token = {credentials.security_token}",
        )
    )


def _line(members: dict[str, str]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()
