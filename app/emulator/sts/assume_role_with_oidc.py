"""
`AssumeRoleWithOIDC`: a role's credentials for somebody else's token.

The checks come in the order in which STS reports them: parameters, provider, token, role, trust policy.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWKSet

from ..crypto.jws import Token, VerifyKey, parse, signed_with_one_of
from ..crypto.signing_keys import SigningKeys
from ..http.request import Asked
from ..http.response import RefusedError
from ..world.trust_policy import Facts, allows
from ..world.world import Provider
from .issued_sessions import Sessions
from .session import assumed_role_user, check_parameters, timestamp

NAME = "AssumeRoleWithOIDC"
_LONGEST_TOKEN = 20_000
_REQUIRED = ("RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName")
_NOBODY = "There is no permission"


class AssumeRoleWithOidc:
    """The action; unsigned, since the token is the proof. `keys`: what signs for each emulated issuer, by its path."""

    def __init__(self, keys: Mapping[str, SigningKeys], sessions: Sessions) -> None:
        self._keys = keys
        self._sessions = sessions

    def __call__(self, asked: Asked, fields: Mapping[str, str]) -> dict[str, Any]:
        """The body of the answer, but for its RequestId. Raises `RefusedError`."""
        _check_present(fields)
        role_arn = fields["RoleArn"]
        role = asked.world.roles.get(role_arn)
        check_parameters(fields, role)
        provider = _provider(asked, fields["OIDCProviderArn"])
        token = self._verified(fields["OIDCToken"], provider)
        _check_claims(token, provider, asked.at)
        if role is None:
            raise RefusedError("EntityNotExist.Role", f"The role not exists: {role_arn}.")
        principals = (fields["OIDCProviderArn"],)
        if not allows(role.trust_policy, kind="Federated", principals=principals, facts=_facts(token)):
            raise _denied("NoPermission", _NOBODY)
        user = assumed_role_user(role_arn, fields["RoleSessionName"])
        return {
            "OIDCTokenInfo": _token_info(token),
            "AssumedRoleUser": user,
            "Credentials": self._sessions.open(asked, fields, user["Arn"]),
        }

    def _verified(self, text: str, provider: Provider) -> Token:
        token = _parsed(text)
        # Which algorithms STS takes besides RS256 is not documented, so a client that relies on another
        # learns it here.
        if token.algorithm != "RS256":
            raise _denied("OIDCToken.Invalid", f"The algorithm {token.algorithm} of the OIDC Token is unknown.")
        if not signed_with_one_of(token, self._candidates(token, provider)):
            raise _denied("OIDCToken.InvalidSignature", "OIDC token validate failed: invalid signature.")
        return token

    def _candidates(self, token: Token, provider: Provider) -> list[VerifyKey]:
        kid = token.header.get("kid")
        if provider.jwks is None:
            own = self._keys.get(urlsplit(provider.issuer_url).path)
            return [key for name, key in own.published.items() if kid in (None, name)] if own else []
        return [key.key for key in PyJWKSet.from_dict(dict(provider.jwks)).keys if kid in (None, key.key_id)]


def _check_present(fields: Mapping[str, str]) -> None:
    if fields.get("OIDCToken") == "":
        raise _denied("OIDCToken.Invalid", "The OIDCToken can not empty.")
    for name in _REQUIRED:
        if not fields.get(name):
            raise RefusedError(f"Missing{name}", f"{name} is mandatory for this action.")


def _provider(asked: Asked, arn: str) -> Provider:
    if ":oidc-provider/" not in arn:
        raise _denied("NoPermission", "Parameter OIDCProviderArn is not valid")
    if arn not in asked.world.oidc_providers:
        raise _denied("NoPermission", "No such OIDC Provider registered.")
    return asked.world.oidc_providers[arn]


def _parsed(text: str) -> Token:
    try:
        if len(text) > _LONGEST_TOKEN:
            raise ValueError("too long")
        return parse(text)
    except ValueError:
        raise _denied("OIDCToken.Invalid", "The content of the OIDC Token is not recognised.") from None


def _check_claims(token: Token, provider: Provider, now: float) -> None:
    if token.claims.get("iss") != provider.issuer_url:
        message = "The issuer in the OIDC Token doesn't match the OIDC Provider registered."
        raise _denied("OIDCToken.IssuerNotMatch", message)
    if set(provider.client_ids).isdisjoint(token.audiences):
        raise _denied("OIDCToken.AudienceNotMatch", "Invalid audience.")
    # STS refuses a token from the future as well as an old one, to the second. Which code the former has is
    # not documented; Expired is what a wrong clock looks like to a client.
    oldest = now - provider.issuance_limit_hours * 3600
    if not (now < token.number("exp") and oldest <= token.number("iat") <= now):
        raise _denied("OIDCToken.Expired", "This JsonWebToken is expired.")


def _facts(token: Token) -> Facts:
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


def _denied(what: str, message: str) -> RefusedError:
    return RefusedError(f"AuthenticationFail.{what}", message)
