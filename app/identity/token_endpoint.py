"""Tokens from a token endpoint: client credentials (RFC 6749 4.4) and token exchange (RFC 8693)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ..core.errors import Mistake, Refused, Unreachable
from ..core.record import Record
from ..core.values import Now, Token, TokenUse
from ..system.secrets import Rotating
from ..upstream.answers.errors import answer_of
from ..upstream.redaction import public_of
from ..upstream.response import Post
from .client_auth import ClientAuth, Proof
from .context import TokenSource
from .token_response import token_from

_WRONG_URL = "IDS-329"
_STATUSES = {404: _WRONG_URL}
_CODES = dict.fromkeys(
    ("InvalidAction.NotFound", "InvalidVersion", "MissingAction", "UnsupportedHTTPMethod"), _WRONG_URL
)
"""The answers of STS or of another Alibaba Cloud API, which has no token endpoint."""

_OLD_PROOF = "the new client secret or key is refused; the previous one still works and stays in use"

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name (RFC 8693)


class _Again(Record, frozen=True):
    """The proof of a second request. `previous`: whether it is made with the last accepted secret."""

    proof: Proof
    previous: bool


class TokenEndpoint(Record, frozen=True):
    """
    A token endpoint and one of its clients.

    `url` is called for every request, because the URL may come from discovery. `secret`: the secret that `auth` uses,
    if it may be replaced while the sidecar runs. `failed` is called after a request that failed.
    """

    http: Post
    url: Callable[[], Awaitable[str]]
    client_id: str
    auth: ClientAuth
    now: Now
    use: TokenUse = "access_token"
    secret: Rotating | None = None
    warn: Callable[[Mistake], None] = lambda _sentence: None
    failed: Callable[[], None] = lambda: None

    async def request(self, grant: Mapping[str, str]) -> Token:
        """Return the token that `grant` obtains. Raises Refused, Unreachable or ConfigError."""
        url = await self.url()
        try:
            token = await self._accepted(url, grant)
        except (Refused, Unreachable):
            self.failed()
            raise
        if self.secret is not None:
            self.secret.worked()
        return token

    async def _accepted(self, url: str, grant: Mapping[str, str]) -> Token:
        proof = await self.auth.prove(url)
        try:
            return await self._post(url, grant, proof)
        except Refused as error:
            again = await self._next_proof(url, proof, error)
            if again is None:
                raise
        token = await self._post(url, grant, again.proof)
        if again.previous:
            self.warn(Mistake(_OLD_PROOF, "IDS-301"))
        return token

    async def _next_proof(self, url: str, refused: Proof, error: Refused) -> _Again | None:
        """
        Return another proof after a refusal, because an assertion may be refused only for its age or its jti.

        A secret that was just replaced here may not be valid at the server yet. In that case, use the last accepted
        secret. Return None where the proof is the same again, such as a secret or another issuer's token that was not
        replaced: the server would only count one more failed login.
        """
        if error.code != "invalid_client":
            return None
        previous = self.secret is not None and self.secret.refused()
        proof = await self.auth.prove(url)
        return _Again(proof, previous) if proof != refused else None

    async def _post(self, url: str, grant: Mapping[str, str], proof: Proof) -> Token:
        client = {} if proof.names_client else {"client_id": self.client_id}
        fields = {**client, **grant, **proof.fields}
        response = await self.http.post(url, fields, proof.headers)
        where = url.partition("?")[0]  # a query may hold a key, such as that of an Azure function
        members = answer_of(
            response,
            where,
            asked="the token endpoint",
            wanted=self.use,
            codes=_CODES,
            statuses=_STATUSES,
            secrets=proof.secrets,
        )
        secrets = (*response.sent, *proof.secrets)
        public = (where, self.client_id, *public_of(fields))
        return token_from(members, now=self.now(), where=where, use=self.use, secrets=secrets, public=public)


class ClientCredentials(Record, frozen=True):
    """A token for the client itself. `parameters`: the configured values of scope, audience and resource."""

    endpoint: TokenEndpoint
    parameters: Mapping[str, str]

    async def token(self) -> Token:
        return await self.endpoint.request({"grant_type": "client_credentials", **self.parameters})


class TokenExchange(Record, frozen=True):
    """A token for the client in exchange for a token of `subject`, which is obtained for each exchange."""

    endpoint: TokenEndpoint
    subject: TokenSource
    subject_type: str
    requested_type: str | None
    parameters: Mapping[str, str]

    async def token(self) -> Token:
        subject = await self.subject.token()
        requested = {"requested_token_type": self.requested_type} if self.requested_type else {}
        return await self.endpoint.request(
            {
                "grant_type": TOKEN_EXCHANGE,
                "subject_token": subject.value,
                "subject_token_type": self.subject_type,
                **requested,
                **self.parameters,
            }
        )


def constant(url: str) -> Callable[[], Awaitable[str]]:
    """Return a `url` function for a configured endpoint."""

    async def known() -> str:
        return url

    return known
