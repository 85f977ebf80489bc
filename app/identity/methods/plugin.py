"""PLUGIN: a token for an AccessKey or an ECS role, by the EIAM OpenAPI's GenerateOauthToken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from ...core import urls
from ...core.checks import Check, check, fails
from ...core.errors import Mistake, Unreachable
from ...core.record import Record
from ...core.values import Now, Token
from ...upstream import acs3
from ...upstream.acs3 import KeyPair
from ...upstream.answers.errors import answer_of
from ...upstream.dated import dated
from ...upstream.response import Post
from ..access_keys import AccessKeys
from ..context import TokenSource
from ..ecs_metadata import EcsMetadataSetting, check_endpoint, metadata_service
from ..token_response import token_from
from .method import ClientFacts, ClientParts, DeployEnvironment, IdentityType, Method

VERSION = "2021-12-01"

PLUGIN_NAME = "alibabacloudPluginCredentialProvider"

_CODES = {"NoPermission": "IDS-327", "Forbidden.RAM": "IDS-327"}


class GenerateOauthToken(Record, frozen=True):
    """The signed call. `scope` has the form `<audience>|<value> …`. Each call reads `keys` again."""

    http: Post
    endpoint: str
    instance_id: str
    client_id: str
    scope: str
    keys: Callable[[], Awaitable[KeyPair]]
    now: Now
    new_id: Callable[[], str]

    async def token(self) -> Token:
        """Return a token. Raises Refused, Unreachable or ConfigError."""
        return await dated(self.now, self._request)

    async def _request(self, at: float) -> Token:
        query, keys = self._query(), await self.keys()
        headers = acs3.acs3(
            self.endpoint.partition("://")[2],
            query,
            action="GenerateOauthToken",
            version=VERSION,
            keys=keys,
            at=at,
            nonce=self.new_id(),
        )
        response = await self.http.post(f"{self.endpoint}/?{acs3.canonical_query(query)}", {}, headers)
        members = answer_of(
            response,
            self.endpoint,
            asked="the EIAM OpenAPI",
            wanted="TokenResponse",
            codes=_CODES,
            secrets=(keys.secret,),
        )
        return self._token(members, (*response.sent, keys.secret))

    def _query(self) -> dict[str, str]:
        items = self.scope.split()
        values = {f"ScopeValues.{index}": item.partition("|")[2] for index, item in enumerate(items, 1)}
        return {
            "InstanceId": self.instance_id,
            "ApplicationId": self.client_id,
            "Audience": items[0].partition("|")[0],
            **values,
        }

    def _token(self, answer: Mapping[str, Any], secrets: Sequence[str]) -> Token:
        found = answer.get("TokenResponse")
        if not isinstance(found, dict):
            raise Unreachable(
                f"{self.endpoint}: HTTP 200 without TokenResponse",
                endpoint=self.endpoint,
                status=200,
                error_code="IDS-320",
            )
        names = {
            "access_token": "AccessToken",
            "token_type": "TokenType",
            "expires_in": "ExpiresIn",
            "expires_at": "ExpiresAt",
        }
        public = (self.endpoint, self.client_id, self.instance_id, *self._query().values())
        members = {ours: found.get(theirs) for ours, theirs in names.items()}
        return token_from(members, now=self.now(), where=self.endpoint, secrets=secrets, public=public)


class IdaasPlugin(Method, tag_field="authnMethod", tag="PLUGIN", frozen=True, kw_only=True):
    """An AccessKey, an STS token or an ECS role of this machine signs the request for the token."""

    identity_type: IdentityType = "CLIENT"
    client_deploy_environment: DeployEnvironment = None
    plugin_name: Annotated[str | None, Meta(description=f"Name of the plug-in. The only one is `{PLUGIN_NAME}`.")] = (
        None
    )
    ecs_metadata_endpoint: EcsMetadataSetting = "http://100.100.100.200"

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        if facts.open_api_endpoint:
            yield check(urls.api_endpoint, facts.open_api_endpoint, f"{facts.place}.openApiEndpoint")
        else:
            yield fails(Mistake(f"{facts.place}.openApiEndpoint: required with PLUGIN", "IDS-106"))
        if self.plugin_name not in (None, PLUGIN_NAME):
            cause = f"{place}.pluginName: {self.plugin_name!r} is not known here; there is {PLUGIN_NAME}"
            yield fails(Mistake(cause, "IDS-105"))
        if facts.exchanges_tokens:
            cause = "cannot be combined with PLUGIN, which does not use the token endpoint"
            yield fails(Mistake(f"{facts.place}.tokenExchange: {cause}", "IDS-113"))
        yield check(check_endpoint, self.ecs_metadata_endpoint, f"{place}.{self.key('ecs_metadata_endpoint')}")

    def metadata_endpoint(self) -> str | None:
        return self.ecs_metadata_endpoint

    def url(self, facts: ClientFacts) -> str | None:
        return urls.api_endpoint(str(facts.open_api_endpoint), f"{facts.place}.openApiEndpoint")

    def build(self, parts: ClientParts) -> TokenSource:
        service = metadata_service(self.ecs_metadata_endpoint, parts.context)
        facts = parts.facts
        return GenerateOauthToken(
            parts.http,
            endpoint=urls.api_endpoint(str(facts.open_api_endpoint), f"{facts.place}.openApiEndpoint"),
            instance_id=str(facts.instance_id),
            client_id=facts.client_id,
            scope=str(facts.scope),
            keys=AccessKeys(parts.context.environ, role=service.role_keys, disk=parts.context.disk).keys,
            now=parts.context.now,
            new_id=parts.context.new_id,
        )
