"""Play the outputs of `setup` against the RAM of a running emulator, as Terraform and aliyun-cli would."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import shlex
import time
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET

from .hcl_reader import Reader, Reference

VERSIONS = {"ims": "2019-08-15", "ram": "2015-05-01"}
CALLS = {
    "alicloud_ims_oidc_provider": ("ims", "CreateOIDCProvider"),
    "alicloud_ram_policy": ("ram", "CreatePolicy"),
    "alicloud_ram_role": ("ram", "CreateRole"),
    "alicloud_ram_role_policy_attachment": ("ram", "AttachPolicyToRole"),
}
PARAMETERS = {
    "oidc_provider_name": "OIDCProviderName",
    "issuer_url": "IssuerUrl",
    "client_ids": "ClientIds",
    "fingerprints": "Fingerprints",
    "issuance_limit_time": "IssuanceLimitTime",
    "policy_name": "PolicyName",
    "policy_document": "PolicyDocument",
    "policy_type": "PolicyType",
    "role_name": "RoleName",
    "assume_role_policy_document": "AssumeRolePolicyDocument",
    "max_session_duration": "MaxSessionDuration",
}
"""The parameter of each attribute of the provider aliyun/alicloud."""


class RamRefusal(Exception):
    """RAM refused a call. The message is the error code and RAM's message."""


def call(url: str, product: str, action: str, parameters: dict[str, str]) -> Any:
    """Send a signed call to RAM at `url` and return its response. Raises RamRefusal."""
    fields = {
        **parameters,
        "Action": action,
        "Version": VERSIONS[product],
        "Format": "JSON",
        "AccessKeyId": ACCESS_KEY_ID,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": secrets.token_hex(16),
        "SignatureVersion": "1.0",
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    canonical = "&".join(f"{quote(name, safe='~')}={quote(fields[name], safe='~')}" for name in sorted(fields))
    text = f"POST&%2F&{quote(canonical, safe='~')}"
    digest = hmac.digest(f"{ACCESS_KEY_SECRET}&".encode(), text.encode(), "sha1")
    fields["Signature"] = base64.b64encode(digest).decode()
    answer = httpx.post(
        f"{url}/",
        content=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        trust_env=False,
    ).json()
    if "Code" in answer:
        raise RamRefusal(f"{answer['Code']}: {answer['Message']}")
    return answer


def play_commands(url: str, script: str) -> list[str]:
    """Run each `aliyun` command of the script and return the actions. Anything else in the script is an error."""
    head, separator, body = script.partition("\nset -eu\n\n")
    assert separator
    assert all(line.startswith("#") or not line for line in head.splitlines())
    actions = []
    commands = (line for line in body.replace("\\\n", " ").splitlines() if line and not line.startswith("#"))
    for line in commands:
        program, product, action, *options = shlex.split(line)
        assert program == "aliyun"
        assert all(name.startswith("--") for name in options[::2])
        names = [name.removeprefix("--") for name in options[::2]]
        call(url, product, action, dict(zip(names, options[1::2], strict=True)))
        actions.append(action)
    return actions


def play_terraform(url: str, text: str) -> list[str]:
    """Create each resource after those that it refers to, and return the actions."""
    resources = Reader(text).resources()
    done: dict[str, dict[str, Any]] = {}
    actions = []
    pending = dict(resources)
    while pending:
        ready = [
            address
            for address, members in pending.items()
            if all(".".join(each.address.split(".")[:2]) in done for each in _references(members))
        ]
        assert ready, f"a circle or a missing resource: {list(pending)}"
        for address in ready:
            members = pending.pop(address)
            members.pop("depends_on", None)
            values = {name: _resolved(value, done) for name, value in members.items()}
            product, action = CALLS[address[0]]
            call(url, product, action, {PARAMETERS[name]: _parameter(value) for name, value in values.items()})
            done[".".join(address)] = values
            actions.append(action)
    return actions


def _references(members: dict[str, Any]) -> list[Reference]:
    flat = [item for value in members.values() for item in (value if isinstance(value, list) else [value])]
    return [item for item in flat if isinstance(item, Reference)]


def _resolved(value: Any, done: dict[str, dict[str, Any]]) -> Any:
    if not isinstance(value, Reference):
        return value
    kind, label, attribute = value.address.split(".")
    return done[f"{kind}.{label}"][attribute]


def _parameter(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def world(url: str) -> Any:
    """Return the emulator's world."""
    return json.loads(httpx.get(f"{url}/_emulator/world", trust_env=False).content)
