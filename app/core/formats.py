"""Credentials as text for each consumer, in the byte forms that every known SDK's parser accepts. Pure."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping

from .values import Credentials


def timestamp(instant: float) -> str:
    """Return `YYYY-MM-DDThh:mm:ssZ`. A fraction breaks Python, Java and oss2; an offset breaks five SDKs."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))


def timestamp_ms(instant: float) -> str:
    """Return `YYYY-MM-DDThh:mm:ss.mmmZ` for the log (RFC 3339)."""
    return f"{timestamp(instant)[:-1]}.{int(instant * 1000) % 1000:03d}Z"


def uri_document(credentials: Credentials) -> bytes:
    """
    Return the body for the credentials URI and for an ECS role.

    No other keys may be added: ossfs recognises four keys by substring. SLS needs LastUpdated, and
    CustomSessionCredentialsProvider of OSS Java needs StatusCode as a string.
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
    """Return the body of an error. Several clients look only at `Code`, never at the status."""
    return _line({"Code": code, "Message": message})


def external_document(credentials: Credentials) -> str:
    """Return the output that `aliyun configure --mode External` and the SDKs' readers of CLI profiles expect."""
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
    """Return one JSON object for scripts: the three values and their expiry."""
    return json.dumps(
        {
            "AccessKeyId": credentials.access_key_id,
            "AccessKeySecret": credentials.access_key_secret,
            "SecurityToken": credentials.security_token,
            "Expiration": timestamp(credentials.expires_at),
        }
    )


def env_lines(credentials: Credentials) -> str:
    """Return `export` lines for a POSIX shell, with the names that every SDK reads."""
    values = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": credentials.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": credentials.access_key_secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": credentials.security_token,
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def aliyun_document(credentials: Credentials) -> str:
    """
    Return `~/.aliyun/config.json` with one profile of mode `StsToken`, which aliyun-cli and all six SDKs read.

    aliyun-cli requires a region; `--region` names another one.
    """
    profile = {
        "name": "default",
        "mode": "StsToken",
        "access_key_id": credentials.access_key_id,
        "access_key_secret": credentials.access_key_secret,
        "sts_token": credentials.security_token,
        "region_id": "cn-hangzhou",
        "output_format": "json",
        "language": "en",
    }
    return json.dumps({"current": "default", "profiles": [profile]})


def aws_document(credentials: Credentials) -> str:
    """
    Return the document that the AWS SDKs read, for tools that speak S3 to OSS.

    `credential_process` needs `Version` and reads `SessionToken`; the container provider reads `Token`.
    """
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.access_key_secret,
            "SessionToken": credentials.security_token,
            "Token": credentials.security_token,
            "Expiration": timestamp(credentials.expires_at),
        }
    )


def _line(members: dict[str, str]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


FORMATS: Mapping[str, Callable[[Credentials], str]] = {
    "uri": lambda credentials: uri_document(credentials).decode(),
    "external": external_document,
    "env": env_lines,
    "aliyun": aliyun_document,
    "aws": aws_document,
    "json": plain_document,
}
"""The formats of credentials by name. No text ends with a newline."""
