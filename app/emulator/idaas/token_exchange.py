"""Token exchange (RFC 8693): verify the subject token."""

from collections.abc import Iterable, Mapping

from ..crypto.jws import Token, VerificationKey, parse, verify_signature
from ..http.request import Request
from ..http.response import RefusedError

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
SUBJECT_TOKEN_TYPES = frozenset(
    {ACCESS_TOKEN, *(f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "jwt"))}
)


def verified_subject(request: Request, trusted_issuers: Mapping[str, Iterable[VerificationKey]]) -> str:
    """
    Return the subject of the request's subject token. Raises `RefusedError`.

    `trusted_issuers` maps each issuer whose tokens are accepted to its public keys.
    """
    form = request.form
    for field in ("subject_token", "subject_token_type"):
        if not form.get(field):
            raise RefusedError("invalid_request", f"{field} is missing.")
    if form["subject_token_type"] not in SUBJECT_TOKEN_TYPES:
        raise RefusedError("invalid_request", "The subject_token_type is not supported here.")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise RefusedError("invalid_request", "Only an access token can be requested.")
    token = _verified_token(form["subject_token"], trusted_issuers)
    if not token.number("iat") <= request.now < token.number("exp"):
        raise RefusedError("invalid_grant", "The subject token has expired, or is from the future.")
    return str(token.claims.get("sub"))


def _verified_token(text: str, trusted_issuers: Mapping[str, Iterable[VerificationKey]]) -> Token:
    try:
        token = parse(text)
    except ValueError:
        raise RefusedError("invalid_grant", "The subject token is not a JWT.") from None
    keys = trusted_issuers.get(str(token.claims.get("iss")))
    if keys is None:
        raise RefusedError("invalid_grant", "The subject token's issuer is not trusted.")
    if not verify_signature(token, keys):
        raise RefusedError("invalid_grant", "The subject token's signature is wrong.")
    return token
