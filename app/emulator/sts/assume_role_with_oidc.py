"""
`AssumeRoleWithOIDC`: the credentials of a role, for the bearer of an OIDC token.

The checks are in the order in which STS reports them: parameters, provider, token, role, trust policy.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWKSet

from ..crypto.jws import Token, VerificationKey, parse, verify_signature
from ..crypto.signing_keys import SigningKeys
from ..http.request import Request
from ..http.response import RefusedError
from ..world.entities import Provider
from ..world.trust_policy import ConditionContext, allows
from ..world.world import OKTA_PATH, World, workload_issuer
from .issued_sessions import IssuedSessions
from .session import assumed_role_user, check_parameters, timestamp

NAME = "AssumeRoleWithOIDC"
_MAX_TOKEN_LENGTH = 20_000
_REQUIRED = ("RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName")


class AssumeRoleWithOidc:
    """
    The action `AssumeRoleWithOIDC`. The request is not signed: the token authenticates it.

    `idaas_keys` are the signing keys of IDaaS, `workload_keys` those of the other emulated issuers.
    `presented_fingerprint` returns the fingerprint of the root certificate that all present, or None without https.
    """

    def __init__(
        self,
        idaas_keys: SigningKeys,
        workload_keys: SigningKeys,
        sessions: IssuedSessions,
        presented_fingerprint: Callable[[], str | None],
    ) -> None:
        self._idaas_keys = idaas_keys
        self._workload_keys = workload_keys
        self._sessions = sessions
        self._presented_fingerprint = presented_fingerprint

    def __call__(self, request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the members of the response except RequestId. Raises `RefusedError`."""
        _check_fields(fields)
        role_arn = fields["RoleArn"]
        role = request.world.roles.get(role_arn)
        check_parameters(fields, role)
        provider = _provider(request, fields["OIDCProviderArn"])
        token = self._verified_token(fields["OIDCToken"], provider, request.world)
        _check_claims(token, provider, request.now)
        if role is None:
            raise RefusedError("EntityNotExist.Role", f"The role not exists: {role_arn}.")
        principals = (fields["OIDCProviderArn"],)
        context = _condition_context(token)
        if not allows(role.trust_policy, principal_type="Federated", principals=principals, context=context):
            raise _authentication_failure("NoPermission", "There is no permission")
        user = assumed_role_user(role_arn, fields["RoleSessionName"])
        return {
            "OIDCTokenInfo": _token_info(token),
            "AssumedRoleUser": user,
            "Credentials": self._sessions.issue(request, fields, user["Arn"]),
        }

    def _verified_token(self, text: str, provider: Provider, world: World) -> Token:
        token = _parse_token(text)
        # It is not documented which algorithms STS accepts besides RS256. The emulator rejects all others, so that a
        # client that relies on one of them fails here.
        if token.algorithm != "RS256":
            message = f"The algorithm {token.algorithm} of the OIDC Token is unknown."
            raise _authentication_failure("OIDCToken.Invalid", message)
        self._check_fingerprint(provider)
        if provider.jwks is None and not world.keys_published:
            message = "The configuration of the OIDC issuer cannot be loaded."
            raise _authentication_failure("OIDCToken.IssuerConfigurationBroken", message)
        if not verify_signature(token, self._candidate_keys(token, provider, world)):
            message = "OIDC token validate failed: invalid signature."
            raise _authentication_failure("OIDCToken.InvalidSignature", message)
        return token

    def _check_fingerprint(self, provider: Provider) -> None:
        # STS reads the keys from the issuer over https. It trusts the connection only if the root is registered.
        presented = self._presented_fingerprint()
        if provider.fingerprints is None or provider.jwks is not None or presented is None:
            return
        if presented.lower() not in map(str.lower, provider.fingerprints):
            message = "The fingerprint of the issuer's certificate is not registered in the OIDC Provider."
            raise _authentication_failure("OIDCToken.PublicKeyFingerprintMismatch", message)

    def _candidate_keys(self, token: Token, provider: Provider, world: World) -> list[VerificationKey]:
        """Return the provider's keys that may have signed the token: the key with its `kid`, or all without one."""
        kid = token.header.get("kid")
        if provider.jwks is not None:
            return [key.key for key in PyJWKSet.from_dict(dict(provider.jwks)).keys if kid in (None, key.key_id)]
        # The path identifies an emulated issuer, because scheme and host may depend on the request's URL.
        issuers = {
            urlsplit(world.issuer).path: self._idaas_keys,
            urlsplit(workload_issuer(world)).path: self._workload_keys,
            OKTA_PATH: self._workload_keys,
        }
        keys = issuers.get(urlsplit(provider.issuer_url).path)
        return [key for name, key in keys.published.items() if kid in (None, name)] if keys else []


def _check_fields(fields: Mapping[str, str]) -> None:
    if fields.get("OIDCToken") == "":
        raise _authentication_failure("OIDCToken.Invalid", "The OIDCToken can not empty.")
    for name in _REQUIRED:
        if not fields.get(name):
            raise RefusedError(f"Missing{name}", f"{name} is mandatory for this action.")


def _provider(request: Request, arn: str) -> Provider:
    if ":oidc-provider/" not in arn:
        raise _authentication_failure("NoPermission", "Parameter OIDCProviderArn is not valid")
    if arn not in request.world.oidc_providers:
        raise _authentication_failure("NoPermission", "No such OIDC Provider registered.")
    return request.world.oidc_providers[arn]


def _parse_token(text: str) -> Token:
    try:
        if len(text) > _MAX_TOKEN_LENGTH:
            raise ValueError("too long")
        return parse(text)
    except ValueError:
        message = "The content of the OIDC Token is not recognised."
        raise _authentication_failure("OIDCToken.Invalid", message) from None


def _check_claims(token: Token, provider: Provider, now: float) -> None:
    if token.claims.get("iss") != provider.issuer_url:
        message = "The issuer in the OIDC Token doesn't match the OIDC Provider registered."
        raise _authentication_failure("OIDCToken.IssuerNotMatch", message)
    if set(provider.client_ids).isdisjoint(token.audiences):
        raise _authentication_failure("OIDCToken.AudienceNotMatch", "Invalid audience.")
    # STS rejects a token from the future as well as an old one, to the second. The code for a token from the future
    # is not documented; Expired is the code that a client with a wrong clock receives here.
    oldest = now - provider.issuance_limit_hours * 3600
    if not (now < token.number("exp") and oldest <= token.number("iat") <= now):
        raise _authentication_failure("OIDCToken.Expired", "This JsonWebToken is expired.")


def _condition_context(token: Token) -> ConditionContext:
    return {
        "oidc:iss": (str(token.claims.get("iss")),),
        "oidc:aud": token.audiences,
        "oidc:sub": (str(token.claims.get("sub")),),
    }


def _token_info(token: Token) -> dict[str, str]:
    return {
        "Issuer": str(token.claims.get("iss")),
        "Subject": str(token.claims.get("sub")),
        "ClientIds": ",".join(token.audiences),
        "IssuanceTime": timestamp(token.number("iat")),
        "ExpirationTime": timestamp(token.number("exp")),
        "VerificationInfo": "Success",
    }


def _authentication_failure(suffix: str, message: str) -> RefusedError:
    return RefusedError(f"AuthenticationFail.{suffix}", message)
