"""The EIAM OpenAPI action `GenerateOauthToken`: an application's token for a caller that signs the request."""

from collections.abc import Callable, Mapping

from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError, Response, json_response, request_id
from ..sts.issued_sessions import IssuedSessions
from ..sts.request_signatures import Caller, authenticate
from ..world.world import issuer_for
from .scopes import grant_scopes
from .token_issuer import TokenIssuer

ACTION, VERSION = "GenerateOauthToken", "2021-12-01"
_REQUIRED = ("InstanceId", "ApplicationId", "Audience", "ScopeValues.1")
_STATUS = {"NoPermission": 403, "InternalError": 500, "ServiceUnavailable": 503}


class GenerateOauthToken:
    """The action `GenerateOauthToken`. The request must be signed, with ACS3 or RPC."""

    def __init__(
        self,
        token_issuer: TokenIssuer,
        sessions: IssuedSessions,
        nonces: ReplayCache,
        random: Callable[[int], bytes],
    ) -> None:
        self._token_issuer = token_issuer
        self._sessions = sessions
        self._nonces = nonces
        self._random = random

    def respond(self, request: Request) -> Response:
        """Return the token, with PascalCase members. Raises `RefusedError`."""
        fields = request.parameters
        if request.headers.get("x-acs-version", fields.get("Version")) != VERSION:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        caller = authenticate(request, self._sessions, self._nonces)
        for name in _REQUIRED:
            if not fields.get(name):
                raise RefusedError(f"Missing{name.partition('.')[0]}", f"{name} is mandatory for this action.")
        client_id = fields["ApplicationId"]
        _check_permission(request, fields["InstanceId"], client_id, caller)
        audience, scope = _granted_scope(request, fields)
        issuer = issuer_for(request.world, request.url)
        token = self._token_issuer.token_response(
            request, issuer, client_id, audience, client_id=client_id, scope=scope
        )
        document = {
            "AccessToken": token["access_token"],
            "ExpiresAt": token["expires_at"],
            "ExpiresIn": token["expires_in"],
            "TokenType": "Bearer",
        }
        return json_response({"RequestId": request_id(self._random(16)), "TokenResponse": document})

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an OpenAPI error, with PascalCase members."""
        document = {"RequestId": request_id(self._random(16)), "Code": error.code, "Message": error.message}
        return json_response(document, error.status or _STATUS.get(error.code, 400), error.code)


def _check_permission(request: Request, instance_id: str, client_id: str, caller: Caller) -> None:
    client = request.world.clients.get(client_id)
    if instance_id != request.world.instance_id:
        raise RefusedError("EntityNotExist.Instance", "The instance does not exist.", 404)
    if client is None:
        raise RefusedError("EntityNotExist.Application", "The application does not exist.", 404)
    if "eiam:GenerateOauthToken" not in caller.allowed_actions or "PLUGIN" not in client.methods:
        raise RefusedError("NoPermission", "You are not authorized to do this action.")


def _granted_scope(request: Request, fields: Mapping[str, str]) -> tuple[str, str]:
    """Return the audience and the granted scope. Raises `RefusedError` with the code of the OpenAPI."""
    values = [value for name, value in sorted(fields.items()) if name.startswith("ScopeValues.")]
    scope = " ".join(f"{fields['Audience']}|{value}" for value in values)
    try:
        audience, granted = grant_scopes(scope, fields["ApplicationId"], request.world)
    except RefusedError as error:
        raise RefusedError("InvalidParameter.Scope", error.message) from None
    return audience, " ".join(granted)
