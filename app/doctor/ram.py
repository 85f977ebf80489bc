"""
Reads the role and the OIDC provider from RAM with signed requests (ACS3-HMAC-SHA256).

Sources: GetRole (RAM 2015-05-01) and GetOIDCProvider (IMS 2019-08-15). Both identify an object of the caller's own
account by its name alone. GetCallerIdentity (STS 2015-04-01) returns this account, and needs no permission. No result
or error of this module contains the signing AccessKey.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import ConfigError, Unreachable
from ..core.urls import server_of
from ..upstream import acs3
from ..upstream.acs3 import KeyPair
from ..upstream.answers.errors import answer_of
from ..upstream.dated import dated
from ..upstream.response import Post

RAM_ENDPOINT, IMS_ENDPOINT = "https://ram.aliyuncs.com", "https://ims.aliyuncs.com"
STS_ENDPOINT = "https://sts.aliyuncs.com"
RAM_VERSION, IMS_VERSION, STS_VERSION = "2015-05-01", "2019-08-15", "2015-04-01"

STANDARD = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")
"""The standard variables of the AccessKey id, its secret, and the security token of a session."""

_CODES = {"NoPermission": "IDS-436", "Forbidden.RAM": "IDS-436", "EntityNotExist.OIDCProvider": "IDS-402"}


@dataclass(frozen=True, slots=True)
class RamAccess:
    """
    The way in which `doctor` may read RAM.

    `variables`: names of the variables with the AccessKey. `profile`: the configured profile whose session is used in
    place of an AccessKey. `endpoint`: one URL for all products, such as an emulator's; None: the real endpoints.
    """

    variables: tuple[str, str, str] = STANDARD
    profile: str | None = None
    endpoint: str | None = None

    @property
    def endpoints(self) -> tuple[str, str, str]:
        """The URLs of RAM, IMS and STS."""
        if self.endpoint is None:
            return RAM_ENDPOINT, IMS_ENDPOINT, STS_ENDPOINT
        url = self.endpoint.rstrip("/")
        return url, url, url


@dataclass(frozen=True, slots=True)
class Role:
    """A role. `max_session` is its MaxSessionDuration in seconds; 0 if the answer has none."""

    arn: str
    trust_policy: str = field(repr=False)
    max_session: int = 0


@dataclass(frozen=True, slots=True)
class Provider:
    """An OIDC provider. `issuance_hours`: the greatest age of a token in hours; 0 if the answer has none."""

    arn: str
    issuer: str
    client_ids: tuple[str, ...]
    fingerprints: tuple[str, ...]
    issuance_hours: int = 0


def keys_of(variables: tuple[str, str, str], environ: Mapping[str, str]) -> KeyPair:
    """Return the AccessKey in the variables. Raises ConfigError, which names the variable that is not set."""
    key_id, secret, token = (environ.get(name, "").strip() for name in variables)
    for name, value in zip(variables, (key_id, secret), strict=False):
        if not value:
            raise ConfigError(f"{name}: not set; --read-ram needs an AccessKey that may read RAM", error_code="IDS-108")
    return KeyPair(key_id, secret, token or None)


@dataclass(frozen=True, slots=True)
class RamReader:
    """Reads RAM with one AccessKey. `now` returns the time of a server (`urls.server_of`), if it is known."""

    http: Post
    access: RamAccess
    keys: KeyPair = field(repr=False)
    now: Callable[[str], float]
    new_id: Callable[[], str]

    async def role(self, arn: str) -> Role:
        """Return the role of this name in the AccessKey's account. Raises Refused or Unreachable."""
        endpoint, _, _ = self.access.endpoints
        found = await self._object(endpoint, "GetRole", RAM_VERSION, {"RoleName": _name(arn)}, "Role")
        policy = found.get("AssumeRolePolicyDocument")
        text = policy if isinstance(policy, str) else json.dumps(policy)
        return Role(str(found.get("Arn", "")), text, _number(found.get("MaxSessionDuration")))

    async def provider(self, arn: str) -> Provider:
        """Return the OIDC provider of this name in the AccessKey's account. Raises Refused or Unreachable."""
        _, endpoint, _ = self.access.endpoints
        fields = {"OIDCProviderName": _name(arn)}
        found = await self._object(endpoint, "GetOIDCProvider", IMS_VERSION, fields, "OIDCProvider")
        return Provider(
            str(found.get("Arn", "")),
            str(found.get("IssuerUrl", "")),
            _items(found.get("ClientIds")),
            tuple(each.lower().replace(":", "") for each in _items(found.get("Fingerprints"))),
            _number(found.get("IssuanceLimitTime")),
        )

    async def account(self) -> str:
        """Return the id of the AccessKey's account. Raises Refused or Unreachable."""
        _, _, endpoint = self.access.endpoints
        return str((await self._call(endpoint, "GetCallerIdentity", STS_VERSION, {}, "AccountId"))["AccountId"])

    async def _object(
        self, endpoint: str, action: str, version: str, query: Mapping[str, str], member: str
    ) -> Mapping[str, Any]:
        found = (await self._call(endpoint, action, version, query, member))[member]
        if not isinstance(found, dict):
            raise Unreachable(f"{endpoint}: {action}: {member} is no object", endpoint=endpoint, status=200)
        return found

    async def _call(
        self, endpoint: str, action: str, version: str, query: Mapping[str, str], member: str
    ) -> Mapping[str, Any]:
        """Return the members of an answer. The answer must have a value for `member`."""

        async def send(at: float) -> Mapping[str, Any]:
            host = endpoint.partition("://")[2]
            headers = acs3.acs3(host, query, action=action, version=version, keys=self.keys, at=at, nonce=self.new_id())
            response = await self.http.post(f"{endpoint}/?{acs3.canonical_query(query)}", {}, headers)
            hidden = tuple(filter(None, (self.keys.access_key_id, self.keys.secret, self.keys.token)))
            return answer_of(response, endpoint, asked="RAM", wanted=member, codes=_CODES, secrets=hidden)

        return await dated(lambda: self.now(server_of(endpoint)), send)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _number(value: object) -> int:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _items(value: object) -> tuple[str, ...]:
    """Return the items of IMS's comma-separated list."""
    return tuple(filter(None, str(value or "").replace(" ", "").split(",")))
