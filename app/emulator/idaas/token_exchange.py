"""Token exchange (RFC 8693): whose token is presented, and for whom one is issued."""

from collections.abc import Iterable, Mapping

from ..crypto.jws import Token, VerifyKey, parse, signed_with_one_of
from ..http.request import Asked
from ..http.response import RefusedError

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
TYPES = frozenset({ACCESS_TOKEN, *(f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "jwt"))})


def subject_of(asked: Asked, issuers: Mapping[str, Iterable[VerifyKey]]) -> str:
    """Whom the subject token speaks of; `issuers` are those believed, with their keys. Raises `RefusedError`."""
    form = asked.form
    for field in ("subject_token", "subject_token_type"):
        if not form.get(field):
            raise RefusedError("invalid_request", f"{field} is missing.")
    if form["subject_token_type"] not in TYPES:
        raise RefusedError("invalid_request", "The subject_token_type is not known here.")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise RefusedError("invalid_request", "Only an access token can be requested.")
    token = _verified(form["subject_token"], issuers)
    if not token.number("iat") <= asked.at < token.number("exp"):
        raise RefusedError("invalid_grant", "The subject token has expired, or is from the future.")
    return str(token.claims.get("sub"))


def _verified(text: str, issuers: Mapping[str, Iterable[VerifyKey]]) -> Token:
    try:
        token = parse(text)
    except ValueError:
        raise RefusedError("invalid_grant", "The subject token is not a JWT.") from None
    keys = issuers.get(str(token.claims.get("iss")))
    if keys is None:
        raise RefusedError("invalid_grant", "The subject token's issuer is not trusted.")
    if not signed_with_one_of(token, keys):
        raise RefusedError("invalid_grant", "The subject token's signature is wrong.")
    return token
