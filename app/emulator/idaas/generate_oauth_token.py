"""The emulated EIAM OpenAPI: `GenerateOauthToken`, a token for whoever signs the call."""

from collections.abc import Callable

from ..crypto.nonces import SeenOnce
from ..http.request import Asked
from ..http.response import Answer, RefusedError, json_answer, request_id
from ..sts.issued_sessions import Sessions
from ..sts.request_signatures import caller
from ..world.world import issuer_of
from .scopes import granted
from .token_issuer import Issuer

ACTION, VERSION = "GenerateOauthToken", "2021-12-01"
_REQUIRED = ("InstanceId", "ApplicationId", "Audience", "ScopeValues.1")


class OpenApi:
    """Answers for one action; signed with ACS3 or RPC."""

    def __init__(self, issuer: Issuer, sessions: Sessions, seen: SeenOnce, random: Callable[[int], bytes]) -> None:
        self._issuer = issuer
        self._sessions = sessions
        self._seen = seen
        self._random = random

    def answer(self, asked: Asked) -> Answer:
        """The token in PascalCase. Raises `RefusedError`."""
        fields = {**asked.query, **asked.form}
        if asked.headers.get("x-acs-version", fields.get("Version")) != VERSION:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        who = caller(asked, self._sessions, self._seen)
        for name in _REQUIRED:
            if not fields.get(name):
                raise RefusedError(f"Missing{name.partition('.')[0]}", f"{name} is mandatory for this action.")
        self._check(asked, fields["InstanceId"], fields["ApplicationId"], "eiam:GenerateOauthToken" in who.may)
        audience, values = self._scope(asked, fields)
        token = self._issuer.token(
            asked,
            issuer_of(asked.world, asked.url),
            fields["ApplicationId"],
            audience,
            client_id=fields["ApplicationId"],
            scope=values,
        )
        names = {"AccessToken": "access_token", "ExpiresAt": "expires_at", "ExpiresIn": "expires_in"}
        response = {theirs: token[ours] for theirs, ours in names.items()} | {"TokenType": "Bearer"}
        return json_answer({"RequestId": request_id(self._random(16)), "TokenResponse": response})

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """A cloud error, in PascalCase."""
        document = {"RequestId": request_id(self._random(16)), "Code": refused.code, "Message": refused.message}
        status = refused.status or {"NoPermission": 403, "InternalError": 500, "ServiceUnavailable": 503}.get(
            refused.code, 400
        )
        return json_answer(document, status, refused.code)

    def _check(self, asked: Asked, instance: str, client_id: str, may: bool) -> None:
        client = asked.world.clients.get(client_id)
        if instance != asked.world.instance_id:
            raise RefusedError("EntityNotExist.Instance", "The instance does not exist.", 404)
        if client is None:
            raise RefusedError("EntityNotExist.Application", "The application does not exist.", 404)
        if not may or "PLUGIN" not in client.methods:
            raise RefusedError("NoPermission", "You are not authorized to do this action.")

    def _scope(self, asked: Asked, fields: dict[str, str]) -> tuple[str, str]:
        wanted = [value for name, value in sorted(fields.items()) if name.startswith("ScopeValues.")]
        scope = " ".join(f"{fields['Audience']}|{value}" for value in wanted)
        try:
            audience, values = granted(scope, fields["ApplicationId"], asked.world)
        except RefusedError as refused:
            raise RefusedError("InvalidParameter.Scope", refused.message) from None
        return audience, " ".join(values)
