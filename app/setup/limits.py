"""
The limits of RAM, as checks that name the cure. Each check yields a line for each mistake, which begins with `place`.

Sources: "Manage an OIDC identity provider", CreateOIDCProvider (IMS 2019-08-15), CreateRole and CreatePolicy (RAM
2015-05-01), "Limits of RAM". The emulated RAM has its own implementation (app/emulator/world/ram_limits.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ..core import oauth_text
from ..core.errors import Mistake
from ..core.urls import refused_character

CODE = "IDS-127"
"""The stable code of a value that RAM does not accept."""

PROVIDERS = 100
CLIENT_IDS = 50
FINGERPRINTS = 5
SUBJECTS = 10
ISSUANCE_HOURS = range(1, 169)
SESSION_SECONDS = range(3600, 43201)
DEFAULT_ISSUANCE_HOURS = 12
TRUST_POLICY, CUSTOM_POLICY = 2048, 6144
"""The most characters of a role's trust policy, and of a custom policy."""

SHORTEST_SESSION = 900
"""The fewest seconds of a session, from AssumeRoleWithOIDC and AssumeRole in the documentation of STS."""

_ACCOUNT = re.compile(r"[0-9]{1,20}")
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_ROLE_NAME = re.compile(r"[A-Za-z0-9.-]{1,64}")
_POLICY_NAME = re.compile(r"[A-Za-z0-9-]{1,128}")
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")


def account(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless `value` is an account id."""
    if not _ACCOUNT.fullmatch(value):
        yield Mistake(f"{place}: {value!r} is not an account id", CODE, "write its digits, such as 1234567890123456")


def provider_name(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as the name of an OIDC provider."""
    if not _PROVIDER_NAME.fullmatch(value):
        yield Mistake(
            f"{place}: {value!r} is not a name that RAM accepts",
            CODE,
            "use 1 to 128 of A-Z a-z 0-9 . - _ with a letter or digit at both ends",
        )


def role_name(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as the name of a role."""
    if not _ROLE_NAME.fullmatch(value):
        yield Mistake(f"{place}: {value!r} is not a role name that RAM accepts", CODE, "use 1 to 64 of A-Z a-z 0-9 . -")


def policy_name(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as the name of a policy."""
    if not _POLICY_NAME.fullmatch(value):
        yield Mistake(f"{place}: {value!r} is not a policy name", CODE, "use 1 to 128 of A-Z a-z 0-9 -")


def issuer(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as an issuer URL."""
    if not re.match("https://[^/]", value):
        yield Mistake(
            f"{place}: {value!r} must begin with https:// and name a host, because RAM accepts no other issuer", CODE
        )
    for character in "?#@":
        if character in value:
            yield Mistake(
                f"{place}: {value!r} contains {character}, which RAM refuses",
                CODE,
                f"register an issuer without {character}",
            )
    wrong = refused_character(value)
    if wrong:
        yield Mistake(
            f"{place}: {value!r} has {wrong!r}, which a URL cannot have", CODE, "copy the URL again from its source"
        )
    if len(value) > 255:
        yield Mistake(f"{place}: has {len(value)} characters; RAM accepts 255", CODE)


def client_ids(values: Collection[str], place: str) -> Iterator[Mistake]:
    """Yield a mistake for each client id of a provider that RAM refuses, and for too few or too many client ids."""
    if not 1 <= len(values) <= CLIENT_IDS:
        yield Mistake(
            f"{place}: {len(values)} client ids; RAM accepts 1 to {CLIENT_IDS} for a provider", CODE, "share audiences"
        )
    for value in values:
        if not _CLIENT_ID.fullmatch(value):
            yield Mistake(
                f"{place}: {value!r} is not a client id that RAM accepts",
                CODE,
                "use an audience of 1 to 128 of A-Z a-z 0-9 . - _ : / that begins with a letter or digit",
            )


def client_id(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake for a client id that a token request cannot contain."""
    wrong = oauth_text.wrong_in_client_id(value)
    if wrong:
        yield Mistake(f"{place}: {oauth_text.cause(wrong, value, 'a client id')}", oauth_text.CODE, oauth_text.CURE)


def scope(value: str, place: str) -> Iterator[Mistake]:
    """Yield a mistake for a scope that a token request cannot contain."""
    wrong = oauth_text.wrong_in_scope(value)
    if wrong:
        yield Mistake(f"{place}: {oauth_text.cause(wrong, value, 'a scope')}", oauth_text.CODE, oauth_text.CURE)


def fingerprints(values: Collection[str], place: str) -> Iterator[Mistake]:
    """Yield a mistake for each fingerprint that is not SHA-1, and for too few or too many fingerprints."""
    if not 1 <= len(values) <= FINGERPRINTS:
        yield Mistake(f"{place}: {len(values)} fingerprints; RAM accepts 1 to {FINGERPRINTS} for a provider", CODE)
    for value in values:
        if not _FINGERPRINT.fullmatch(value):
            yield Mistake(
                f"{place}: {value!r} is not a SHA-1 fingerprint", CODE, "write 40 hexadecimal digits without colons"
            )


def issuance_hours(value: int, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as the maximum age of a token."""
    if value not in ISSUANCE_HOURS:
        yield Mistake(
            f"{place}: {value}; RAM accepts 1 to 168 hours, and uses {DEFAULT_ISSUANCE_HOURS} by default", CODE
        )


def session_seconds(value: int, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless RAM accepts `value` as the maximum session duration of a role."""
    if value not in SESSION_SECONDS:
        yield Mistake(
            f"{place}: {value}; RAM accepts 3600 to 43200 seconds as the maximum session duration of a role", CODE
        )


def session_length(value: int, place: str) -> Iterator[Mistake]:
    """Yield a mistake unless STS accepts `value` as the length of a session."""
    if value < SHORTEST_SESSION:
        yield Mistake(f"{place}: {value}; a session of STS lasts at least {SHORTEST_SESSION} seconds", CODE)


def subjects(values: Collection[str], place: str) -> Iterator[Mistake]:
    """Yield a mistake unless the number of subjects fits into one condition."""
    if not values:
        yield Mistake(
            f"{place}: required: without oidc:sub every client of the audience could assume the role",
            CODE,
            "name the sub of the token; for IDaaS and Okta the client id is enough",
        )
    if len(values) > SUBJECTS:
        yield Mistake(
            f"{place}: {len(values)} subjects; RAM accepts {SUBJECTS} values of oidc:sub",
            CODE,
            "divide the subjects among roles",
        )
    if "" in values:
        yield Mistake(f"{place}: has an empty subject, which no token has", CODE, "name the subjects")
    for value in values:
        if value and not value.strip("*?"):
            yield Mistake(f"{place}: {value!r} trusts every client of the audience", CODE, "name the subjects")


def document(length: int, limit: int, place: str) -> Iterator[Mistake]:
    """Yield a mistake if a policy document of `length` characters is longer than `limit`."""
    if length > limit:
        yield Mistake(f"{place}: has {length} characters; RAM accepts {limit}", CODE, "divide the document")


def providers(count: int, place: str) -> Iterator[Mistake]:
    """Yield a mistake if an account would have more OIDC providers than possible."""
    if count > PROVIDERS:
        yield Mistake(
            f"{place}: {count} OIDC providers; an account has at most {PROVIDERS}",
            CODE,
            "share providers between audiences",
        )
