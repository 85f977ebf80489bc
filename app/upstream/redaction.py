"""Removes secrets from another side's text: an answer may quote the token or the secret of the request."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus, unquote_plus

from ..core.secret_forms import JWT, named_values
from ..core.text import printable_id
from .opaque import opaque

HIDDEN = "[hidden]"

SHARED = 8
"""Length in characters from which a common part of a text and a secret is hidden: an answer may quote a part."""

SHORTEST = 4
"""Characters of the shortest secret that is searched for. Shorter secrets are parts of ordinary words."""

_PUBLIC_FIELDS = frozenset(
    {
        *("client_id", "grant_type", "scope", "audience", "resource", "client_assertion_type"),
        *("subject_token_type", "requested_token_type", "application_federated_credential_name"),
        *("client_x509", "client_x509_chain"),
        *("RoleArn", "OIDCProviderArn", "RoleSessionName", "DurationSeconds", "Policy"),
    }
)
"""Form fields that hold no secret. Every other field is treated as a secret."""

_CREDENTIAL_HEADERS = frozenset({"authorization", "x-acs-security-token", "x-aliyun-ecs-metadata-token"})


def secrets_of(fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets in a request's form fields and headers."""
    found = [value for name, value in fields.items() if name not in _PUBLIC_FIELDS]
    for name, value in headers.items():
        if name.lower() in _CREDENTIAL_HEADERS:
            found += _of_header(value)
    return tuple(value for value in found if value)


def public_of(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words in a request's form fields that are not secret."""
    public = (value for name, value in fields.items() if name in _PUBLIC_FIELDS)
    return tuple(word for value in public for word in re.split(r"[\s|]+", value))


def redacted(text: str, secrets: Iterable[str]) -> str:
    """
    Return `text` without the secrets, in any spelling of `_spellings`, whole or in part.

    Other tokens, and values with the name of a secret, are hidden, too.

    A part of fewer than 8 characters may remain.
    """
    hidden = _marked(text, secrets)
    for begin, end in (*(match.span() for match in JWT.finditer(text)), *opaque(text), *named_values(text)):
        hidden[begin:end] = b"\1" * (end - begin)
    return _without(text, hidden)


def _marked(text: str, secrets: Iterable[str]) -> bytearray:
    """Return a mark for each character of `text` that repeats a secret."""
    hidden = bytearray(len(text))
    folded = text.lower()
    if len(folded) != len(text):  # folding changes the length of a few letters; then only the original is searched
        folded = text
    # A text in JSON that is a string of other JSON has more backslashes at each level.
    places = [place for place, char in enumerate(text) if char != "\\"]
    bare = folded.replace("\\", "")
    for secret in secrets:
        for spelling in _spellings(secret):
            wanted = spelling if folded is text else spelling.lower()
            _mark(folded, wanted, hidden, range(len(text)))
            if len(bare) < len(folded):
                _mark(bare, wanted.replace("\\", ""), hidden, places)
    return hidden


def repeats(text: str, secrets: Iterable[str]) -> bool:
    """Return whether `text` contains one of the secrets, whole or in part, in any of the spellings of `redacted`."""
    return any(_marked(text, secrets))


def first_with_a_secret(
    texts: Mapping[str, Iterable[str]], secrets: Iterable[str], public: Iterable[str]
) -> str | None:
    """
    Return the first name in `texts` one of whose texts contains a whole secret, in any of the spellings of `redacted`.

    A secret of fewer than 8 characters does not count, because it may be a part of an ordinary word. Nor does a secret
    that is a part of a word of `public`, such as the client id. Takes linear time: an answer may have 256 KiB.
    """
    words = "\n".join(public).lower()
    hidden = {secret for secret in secrets if len(secret) >= SHARED and secret.lower() not in words}
    spellings = {spelling.lower() for secret in hidden for spelling in _spellings(secret)}
    for name, found in texts.items():
        text = "\n".join(found).lower()
        if any(spelling in text for spelling in spellings):
            return name
    return None


def shown_id(text: str, secrets: Iterable[str]) -> str:
    """Return `text` if it has the form of a code or an id and repeats no secret, else `(unreadable)`."""
    shown = printable_id(text)
    return "(unreadable)" if repeats(shown, secrets) else shown


def _of_header(value: str) -> Iterator[str]:
    scheme, _, rest = value.partition(" ")
    if not rest:
        yield value
    elif scheme.lower() == "basic":
        yield rest
        try:
            secret = base64.b64decode(rest).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return
        yield secret
        yield unquote_plus(secret)
    else:
        # In a header of the form `name=value`, only the signature is secret. The rest names headers and algorithms.
        yield rest.rpartition("Signature=")[2]


_IN_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
"""The escapes of `html.escape`. Each refresh needs them, and the module `html` keeps its table of names in memory."""


def _spellings(secret: str) -> set[str]:
    """Return the forms of a secret in a server's text: plain, or escaped for a URL, form, HTML, JSON, base64 or hex."""
    raw = secret.encode("utf-8", "surrogateescape")  # a variable may hold bytes that are not UTF-8
    encoded = base64.b64encode(raw).decode().rstrip("=")
    found = {secret, quote(raw, safe=""), quote_plus(raw), secret.translate(_IN_HTML), json.dumps(secret)[1:-1]}
    found |= {encoded, encoded.translate({43: "-", 47: "_"}), raw.hex(), " ".join(secret.split())}
    return {spelling for spelling in found if len(spelling) >= SHORTEST}


def _mark(text: str, spelling: str, hidden: bytearray, places: Sequence[int]) -> None:
    """Mark the parts of `text` that also occur in this spelling of a secret. `places`: each character's position."""
    length = min(SHARED, len(spelling))
    if length < SHORTEST or len(text) < length:
        return
    parts = {spelling[start : start + length] for start in range(len(spelling) - length + 1)}
    for start in range(len(text) - length + 1):
        if text[start : start + length] in parts:
            begin, end = places[start], places[start + length - 1] + 1
            hidden[begin:end] = b"\1" * (end - begin)


def _without(text: str, hidden: bytearray) -> str:
    kept: list[str] = []
    for char, is_hidden in zip(text, hidden, strict=True):
        if not is_hidden:
            kept.append(char)
        elif not kept or kept[-1] != HIDDEN:
            kept.append(HIDDEN)
    return "".join(kept)
