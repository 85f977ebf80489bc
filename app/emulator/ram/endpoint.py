"""The RAM endpoint: IMS 2019-08-15 (OIDC providers) and RAM 2015-05-01 (roles and policies), signed requests."""

import re
from collections.abc import Callable

from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from ..http.response import RefusedError, Response, request_id
from ..sts.issued_sessions import IssuedSessions
from ..sts.request_signatures import authenticate
from ..sts.rpc import error_document, render, rpc_parameters
from ..world.entities import WorldError
from ..world.world import World
from .actions import ACTIONS

VERSIONS = {"ims": "2019-08-15", "ram": "2015-05-01"}
_STATUS = {"NoPermission": 403, "EntityNotExist": 404, "EntityAlreadyExists": 409, "LimitExceeded": 409}
_PARAMETERS = {
    "issuanceLimitHours": "InvalidParameter.IssuanceLimitTime",
    "maxSessionDuration": "InvalidParameter.MaxSessionDuration",
    "trustPolicy": "MalformedPolicyDocument",
    "roles": "InvalidParameter.RoleName",
    "oidcProviders": "InvalidParameter.OIDCProviderName",
}
"""Keys of a world whose parameter has another name. The codes of IMS are not documented in full."""


class Ram:
    """The RAM endpoint. `change_world` receives the world after each successful action."""

    def __init__(
        self,
        sessions: IssuedSessions,
        nonces: ReplayCache,
        random: Callable[[int], bytes],
        change_world: Callable[[World], None],
    ) -> None:
        self._sessions = sessions
        self._nonces = nonces
        self._random = random
        self._change_world = change_world

    def respond(self, request: Request) -> Response:
        """Return the response of the requested action. Raises `RefusedError`."""
        fields = rpc_parameters(request)
        product, action = ACTIONS[fields["Action"]]
        if fields.get("Version") != VERSIONS[product]:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        caller = authenticate(request, self._sessions, self._nonces)
        if not {f"{product}:{fields['Action']}", f"{product}:*"} & set(caller.allowed_actions):
            raise RefusedError("NoPermission", f"You are not authorized to do {product}:{fields['Action']}.", 403)
        try:
            world, members = action(request.world, caller.account, fields)
        except WorldError as error:
            raise _refusal(str(error)) from None
        self._change_world(world)
        document = {"RequestId": request_id(self._random(16)), **members}
        return render(request, f"{fields['Action']}Response", document, 200, "ok")

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an error in the format of RAM."""
        identifier, host = request_id(self._random(16)), "ram.aliyuncs.com"
        document = error_document(identifier, host, error.code, error.message, "Ram")
        status = error.status or _STATUS.get(error.code.partition(".")[0], 400)
        return render(request, "Error", document, status, error.code)


def _refusal(message: str) -> RefusedError:
    """Return the refusal for a broken limit; `message` begins with the key of the world that breaks it."""
    key, _, text = message.partition(": ")
    if re.search(r"\bat most \d+ are possible", text) and key == "oidcProviders":
        return RefusedError("LimitExceeded.OIDCProvider", text)
    if "must be unique" in text:
        return RefusedError("EntityAlreadyExists.OIDCProvider.IssuerUrl", text)
    return RefusedError(_PARAMETERS.get(key, f"InvalidParameter.{key[:1].upper()}{key[1:]}"), text)
