"""Recognises AccessKeys in variables and texts, and returns the form in which a report names them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping

from .workload import Carrier

ID_NAMES = frozenset(
    {
        *(f"{vendor}_ACCESS_KEY_ID" for vendor in ("ALIBABA_CLOUD", "ALIBABACLOUD", "ALICLOUD", "ALIYUN", "OSS")),
        "ALICLOUD_ACCESS_KEY",
        "ACCESS_KEY_ID",
        "ALIYUN_LOG_CLI_ACCESSID",
        "LOG_ACCESS_KEY_ID",
    }
)
"""Variables with the id of an AccessKey: the SDKs, aliyun-cli, terraform, OSS and SLS."""

KEY_NAMES = frozenset(
    {
        *(f"{vendor}_ACCESS_KEY_SECRET" for vendor in ("ALIBABA_CLOUD", "ALIBABACLOUD", "ALICLOUD", "ALIYUN", "OSS")),
        "ALICLOUD_SECRET_KEY",
        "ACCESS_KEY_SECRET",
        "ALIYUN_LOG_CLI_ACCESSKEY",
        "LOG_ACCESS_KEY_SECRET",
    }
)
"""Variables with the secret of an AccessKey. The only check of their values is whether they are empty."""

URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
"""The variable that points a client to the sidecar."""

SDK_FILES = (
    ".aliyun/config.json",
    ".alibabacloud/credentials",
    ".alibabacloud/credentials.ini",
    ".ossutilconfig",
    ".s3cfg",
    ".aws/credentials",
)
"""Files below the home directory that SDKs and tools read by default."""

_LTAI = re.compile(r"(?<![0-9A-Za-z])LTAI[0-9A-Za-z]{8,22}(?![0-9A-Za-z])")
"""The id of a long-lived AccessKey, of 12 to 26 characters. Temporary ids begin with `STS.`. Secrets have 30."""

_OLD = re.compile(r"[0-9A-Za-z]{16}")
"""The id of an AccessKey from before the prefix was introduced."""

_LABELLED = re.compile(
    r"""access[_-]?(?:key[_-]?)?id["']?[ \t]*[:=][ \t]*["']?([0-9A-Za-z]{16})(?![0-9A-Za-z._-])""", re.IGNORECASE
)
"""An older id beside its name in a file. The name `access-key` is left out: for aliyun-log-cli, it is the secret."""


_FLAG = re.compile(r"""access[_-]?key[_-]?id["']?[ \t=:]+["']?([0-9A-Za-z]{16})(?![0-9A-Za-z._-])""", re.IGNORECASE)
"""An older id behind its option or variable in a command line."""

_FLAG_SECRET = re.compile(
    r"""(?:access[_-]?key[_-]?secret|\w_SECRET_KEY)["']?[ \t=:]+["']?[^\s"'$=:-]""", re.IGNORECASE
)
"""A secret behind its option or variable in a command line; not a reference to a variable, and not the next option."""

_DIGEST_KEY = b"idaas-sidecar migrate report"
"""Constant, so that reports of several hosts and days give an AccessKey the same name. Six digits do not identify an
id."""


def cut(key: str) -> str:
    """
    Return the form of an AccessKey id for a report: its first and last four characters, and six digits of a digest.

    The digest distinguishes ids whose first and last four characters are equal.
    """
    digest = hmac.new(_DIGEST_KEY, key.encode(), hashlib.sha256).hexdigest()[:6]
    return f"{key[:4]}…{key[-4:]}#{digest}"


def of_variable(name: str, value: str | None) -> str | None:
    """
    Return the cut id of the AccessKey that a variable carries; empty if the id is not known, None if it carries none.

    `value`: None if the files do not contain it. Only a text in the form of an id is shown, so a secret is never shown.
    """
    if value == "":
        return None
    if name in KEY_NAMES or (value is None and name in ID_NAMES):
        return ""
    found = _LTAI.search(value or "")
    if found is not None:
        return cut(found[0])
    if name not in ID_NAMES or value is None or value.startswith("STS."):
        return None
    return cut(value) if _OLD.fullmatch(value) else ""


def of_variables(variables: Mapping[str, str | None], place: str) -> Iterator[Carrier]:
    """Yield the AccessKeys in variables. A secret counts by itself only if there is no id beside it."""
    found = {name: key for name, value in variables.items() if (key := of_variable(name, value)) is not None}
    ids = [name for name in found if name not in KEY_NAMES]
    for name in ids or sorted(found)[:1]:
        yield Carrier(f"{place}{name}", found[name])


def of_command(words: object, place: str) -> Iterator[Carrier]:
    """
    Yield the AccessKeys in a command line: a text, or a list of words.

    A secret counts by itself only if the command line has no id. A reference to a variable is not a key.
    """
    text = " ".join(map(str, words)) if isinstance(words, list) else str(words or "")
    found = {*(match[0] for match in _LTAI.finditer(text)), *(match[1] for match in _FLAG.finditer(text))}
    keys = sorted(map(cut, found)) or ([""] if _FLAG_SECRET.search(text) else [])
    yield from (Carrier(place, key) for key in keys)


def of_text(text: str) -> list[str]:
    """Return the cut ids of the AccessKeys in a text, such as a configuration file of an SDK."""
    keys = {match[0] for match in _LTAI.finditer(text)}
    keys |= {match[1] for match in _LABELLED.finditer(text)}
    return sorted(map(cut, keys))
