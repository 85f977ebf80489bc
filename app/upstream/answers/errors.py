"""Converts error answers of the cloud to this program's errors. Status and headers count before the body: it may be a
page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from ...core.errors import Refused, Unreachable
from ...core.text import printable_id, quoted
from ..redaction import redacted
from ..response import UpstreamResponse
from .challenge import challenge_words
from .error_body import compression
from .error_words import FORM, ErrorWords, error_words
from .meaning import UNKNOWN, Meaning

_NOTHING: Mapping[Any, Meaning] = MappingProxyType({})

SERVER_ERROR, THROTTLED, NO_API = "IDS-215", "IDS-216", "IDS-209"
"""Stable codes of failures that the HTTP status shows, and of a page in place of an API's answer."""

LONGEST_MESSAGE = 300
"""The most characters of the cloud's message that are shown. Entra's longest common descriptions have some 250."""

LONGEST_READ = 2_000
"""The most characters of a message that are read. Secrets are removed before the message is cut for display."""

_TRANSIENT_STATUSES = frozenset({408, 425})
"""The statuses Request Timeout and Too Early: the request may be repeated (RFC 9110 15.5.9, RFC 8470 5.2)."""


_LOGIN_OF_A_NETWORK = 511
"""Network Authentication Required: never the status of the server itself (RFC 6585 section 6)."""

_REFUSED = Meaning("refused")

_NO_ERROR = frozenset({"", "Success", "OK", "200"})
"""The codes in Alibaba Cloud's answers when nothing failed."""


def answer_of(
    response: UpstreamResponse,
    where: str,
    *,
    asked: str,
    wanted: str = "",
    codes: Mapping[str, Meaning | str] = _NOTHING,
    statuses: Mapping[int, Meaning | str] = _NOTHING,
    secrets: Iterable[str] = (),
) -> dict[str, Any]:
    """
    Return the members of a successful answer. `wanted`: the member that a successful answer must have.

    Raises the error of `error_of` for any other answer, also for one with status 200 and a member `error`, in JSON or
    in a form, as GitHub answers.
    """
    if response.status == 200:
        try:
            members = response.members(where)
        except Unreachable:
            words = error_words(response.body)
            if words.form != FORM or words.code in _NO_ERROR:  # a page with a word in <code> is no refusal
                raise
        else:
            failed = members.get("error") or not (wanted and members.get(wanted))
            if not failed or not _has_failed(error_words(response.body), members):
                return members
    raise error_of(response, where, asked=asked, codes=codes, statuses=statuses, secrets=secrets)


_TOKENS = frozenset({"access_token", "id_token"})


def _has_failed(words: ErrorWords, members: Mapping[str, Any]) -> bool:
    """Return whether an answer with status 200 and without the wanted member describes a failure."""
    if words.code not in _NO_ERROR:
        return True
    # Words without a code; of a token that is not the wanted one, the caller says more.
    return bool(not words.code and words.message and not members.keys() & _TOKENS)


def error_of(
    response: UpstreamResponse,
    where: str,
    *,
    asked: str,
    codes: Mapping[str, Meaning | str] = _NOTHING,
    statuses: Mapping[int, Meaning | str] = _NOTHING,
    secrets: Iterable[str] = (),
) -> Refused | Unreachable:
    """
    Return the error that an answer describes.

    `asked`: the kind of server that should be at the URL `where`. `codes`: the caller's own meanings, which come before
    CODES. `statuses`: meanings for an API's code without a cure, or without an effect other than `refused`. Values of
    `codes` and `statuses` are meanings, or codes of entries in the errors index. `secrets`: further texts that the
    message must not quote, besides the secrets of the request.
    """
    hidden = (*response.sent, *secrets)
    words = _words(response)
    from .server_codes import meaning_of

    code = words.code if _is_known(words.code, codes) else _id(words.code, hidden) or str(response.status)
    request_id = _id(words.request_id or response.request_id, hidden)
    message = quoted(
        redacted(" ".join(words.message[:LONGEST_READ].replace("\0", "").split()), hidden), LONGEST_MESSAGE
    )
    facts: dict[str, Any] = {
        "endpoint": where,
        "status": response.status,
        "code": code,
        "request_id": request_id,
        "cloud_message": message,
    }
    text = f"{where}: {_answer(response, words, code)}{f' (request {request_id})' if request_id else ''}"

    by_code = _meaning(codes.get(code)) or meaning_of(code) or _REFUSED
    meaning = _combined(by_code, _meaning(statuses.get(response.status)) or _REFUSED, words.message)
    if response.status == _LOGIN_OF_A_NETWORK:
        why = f"{text}: a gateway or captive portal before {asked} requires a login"
        cure = "sign in to the gateway from this machine, or allow the host in the gateway"
        return Unreachable(why, cure=cure, retry_after=response.retry_after, error_code=NO_API, **facts)
    throttled = response.status == 429 or by_code.error_code == THROTTLED
    if throttled or meaning.effect == "transient" or _is_transient(response.status, words):
        own = THROTTLED if throttled else _known_code(meaning, response.status)
        return Unreachable(text, retry_after=response.retry_after, throttled=throttled, error_code=own, **facts)
    if not words.from_api:
        # A page for people: the URL is wrong, or something in between has answered. It does not withdraw a role.
        cure = f"correct the URL of {asked}; if it is right, list its host in NO_PROXY or allow it in the gateway"
        return Refused(text, cure=cure, error_code=NO_API, **facts)
    return Refused(
        text,
        cure=meaning.cure,
        renew_token=meaning.effect == "renew_token",
        withdrawn=meaning.effect == "withdrawn",
        error_code=meaning.error_code,
        **facts,
    )


def _answer(response: UpstreamResponse, words: ErrorWords, code: str) -> str:
    """Return the status with the code of an API, or with the form of another body."""
    form = f"a body {compression(response.compressed)}," if response.compressed else words.form
    wanted = "an object" if form.startswith("a JSON ") else "JSON"
    shown = code if words.from_api else f"with {form} instead of {wanted}"
    return " ".join(dict.fromkeys(("HTTP", str(response.status), shown)))  # without a code, the status alone is shown


def _known_code(meaning: Meaning, status: int) -> str:
    """Return the code of the entry for an outage: that of the meaning, or of the status where the meaning has none."""
    if meaning.error_code != UNKNOWN:
        return meaning.error_code
    return NO_API if status < 400 else SERVER_ERROR


def _words(response: UpstreamResponse) -> ErrorWords:
    """Return the words of the body, or those of the header WWW-Authenticate where the body names no error."""
    words = error_words(response.body)
    if words.code or not response.challenge:
        return words
    said = challenge_words(response.challenge)
    return words if said is None else replace(said, message=said.message or words.message, request_id=words.request_id)


def _meaning(given: Meaning | str | None) -> Meaning | None:
    """Return the caller's meaning, or the meaning of the entry whose code the caller gives."""
    if not isinstance(given, str):
        return given
    from .server_codes import BY_CODE

    return BY_CODE[given]


def _combined(by_code: Meaning, by_status: Meaning, message: str) -> Meaning:
    """Return the combined meaning of code, status and message. The status supplies a missing cure or effect."""
    from .server_codes import MEANINGS_BY_WORDS

    effect = by_status.effect if by_code.effect == "refused" else by_code.effect
    by_words = next((meaning for part, meaning in MEANINGS_BY_WORDS if part in message), None)
    known = by_words or (by_code if by_code.cure or by_code.error_code != UNKNOWN else by_status)
    return Meaning(effect, known.cure or by_status.cure, known.error_code)


def _is_transient(status: int, words: ErrorWords) -> bool:
    """Return whether a repetition may succeed, as far as the status shows."""
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return True
    return status < 400 and not words.code  # neither an answer nor an error: a captive portal, a broken gateway


def _is_known(code: str, codes: Mapping[str, Meaning | str]) -> bool:
    """Return whether a code is a known word. Such a word reveals nothing about a secret with a common part."""
    from .server_codes import CODES

    return code in codes or code in CODES


def _id(text: str, hidden: Iterable[str]) -> str:
    """Return a code or a request id if it can be shown; `(unreadable)` if it may be a secret."""
    shown = printable_id(text)
    return shown if redacted(shown, hidden) == shown else "(unreadable)"
