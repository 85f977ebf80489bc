"""Configuration values in the form in which they are shown: people may write secrets in place of names and paths."""

from __future__ import annotations

import re
from typing import Any

from .secret_forms import JWT, named_values

HIDDEN = "(not shown: it may be the secret itself; only its name or path belongs here)"

UNLIKELY = "(not shown: it may be a secret)"

_PATHS = ("file", "path", "directory", "command[0]")

_URLS = ("issuer", "endpoint", "endpoints", "proxy", "bind", "ops", "metadata", "allowedhosts", "schema")

_LOWER_CASE = ("regionid", "pluginname", "mode", "rolearn", "oidcproviderarn")
"""Keys whose values do not look random. An ARN begins with `acs:`, and may have any name after it."""

_CERTIFICATES = ("certificate", "certchains")

_NAMING = re.compile(r"""[="'%&\\]|eyJ""")
"""Matches every text with a JWT or a named value. Most values do not match, and need no further search."""


_LOGIN = re.compile(r"//[^/?#:\[\]\s]*:(?![0-9]*(?:[/?#\s]|$))")
"""The beginning of a login in a URL, up to its colon. A colon before a port does not match."""

_URL = re.compile(r"(://[^\s?#]*+)([?#]\S{8,})?")
"""A URL with its query or fragment. A URL without them also matches, so that a text of many `://` takes linear time."""


def shown_variable(name: str) -> str:
    """Return the name of an environment variable, or HIDDEN if it looks like a secret."""
    named = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name)
    return name if named and not looks_random(name) else HIDDEN


def shown_path(path: str) -> str:
    """Return a path, or HIDDEN if the text does not begin like a path."""
    return path if path.startswith(("/", "./", "../", "~")) and path.isprintable() else HIDDEN


def may_be_path(path: str) -> bool:
    """Return whether a file of this name may still appear: a path, or a plain file name that does not look random."""
    names = re.fullmatch(r"[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64})*", path)
    return shown_path(path) != HIDDEN or (names is not None and not looks_random(path))


def looks_random(text: str) -> bool:
    """Return whether a text has lower case, upper case and digits, as most generated secrets do."""
    return all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


def without_login(text: str) -> str:
    """
    Return `text` with user name and password of the URLs in it replaced by `***`.

    A password may have a slash that is not encoded. It follows a colon, as a port does, but is not a number.
    """
    hidden = re.sub(r"//[^/]*@", "//***@", text)
    return re.sub(r"\S+", _word_without_login, hidden) if "@" in hidden else hidden


def _word_without_login(word: re.Match[str]) -> str:
    """Return a word without the login before its last `@`. Searches once, because an answer may have many `//`."""
    end = word[0].rfind("@") + 1
    login = _LOGIN.search(word[0], 0, end)
    return word[0] if login is None else f"{word[0][: login.start()]}//***@{word[0][end:]}"


def shown_url(text: str) -> str:
    """
    Return a URL or host without the parts that may hold a secret.

    These are its login, a port that is no number (a login without its host), and a long query or fragment.
    Return HIDDEN if the text itself looks like a secret.
    """
    if "://" not in text and "." not in text and looks_random(text):
        return HIDDEN
    shown = re.sub(r"^[^/]*@", "***@", without_login(text))  # a login before a host without a scheme
    shown = re.sub(r"(//(?:\[[^\]]{0,300}\]|[^/?#:\[]*)):(?![0-9]*(?:[/?#]|$))[^/?#]*", r"\1:***", shown)
    return re.sub(r"[?#].{8,}", "?***", shown, flags=re.DOTALL)


def displayed(key: str, value: Any) -> Any:
    """
    Return the value of a key without parts that may be secret. `key`: the key in the file, or the name of the field.

    Hides a value that is not the variable's name, path, URL, address, ARN, region or certificate that the key requires.
    In every value, hides the login, query and fragment of a URL, private keys, tokens, and values with the name of a
    secret.
    """
    if isinstance(value, tuple | list):
        return type(value)(displayed(key, item) for item in value)
    if isinstance(value, dict):
        return {name: displayed("", item) for name, item in value.items()}
    return _without_secrets(_displayed(key, value)) if isinstance(value, str) else value


def _displayed(key: str, value: str) -> str:
    last = key.rpartition(".")[2].replace("_", "").lower()
    kind = re.sub(r"\[[0-9]+\]$", "", last)
    if "PRIVATE KEY" in value:
        return HIDDEN
    if kind.endswith(("envvarname", "environment")):
        return shown_variable(value)
    if last.endswith(_PATHS) or kind.endswith(_PATHS) or (kind == "adminsocket" and not value.startswith("@")):
        return shown_path(value)
    if kind.endswith(_URLS):
        return shown_url(value)
    if kind in _LOWER_CASE and not value.startswith("acs:") and looks_random(value):
        return UNLIKELY
    if kind.endswith(_CERTIFICATES) and "CERTIFICATE" not in value:
        return UNLIKELY
    return without_login(value)


def _without_secrets(text: str) -> str:
    """Return `text` without tokens, values with the name of a secret, and queries and fragments of URLs."""
    if _NAMING.search(text):
        text = JWT.sub("***", text)
        text = _without_named(text)
    return _URL.sub(lambda url: f"{url[1]}?***" if url[2] else url[1], text) if "://" in text else text


def _without_named(text: str) -> str:
    shown, place = [], 0
    for begin, end in named_values(text):
        if begin < end:
            shown += [text[place:begin], "***"]
            place = end
    return "".join([*shown, text[place:]])


def may_be_shown(word: str) -> bool:
    """Return whether a wrong value for a key of few known words can be shown: it does not look like a secret."""
    return not looks_random(word) and displayed("", word) == word


def in_message(key: str, value: str) -> str:
    """Return a wrong value for a message. Shows more of a path than `displayed`, so that its mistake is visible."""
    is_path = displayed(key, value) == HIDDEN and displayed(key, "/") == "/" and "PRIVATE KEY" not in value
    return value if is_path and (value.startswith("/") or may_be_path(value)) else str(displayed(key, value))
