"""Secrets from environment variables or files, read at each use."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping

from ..core.display import may_be_path, shown_path, shown_variable
from ..core.errors import ConfigError, NotThereYet, Unreachable
from ..core.record import Record
from ..core.values import Secret
from . import files
from .disk import Disk, Stalled

LARGEST = 65_536
"""The most bytes of a secret file: enough for an RSA-16384 key, and harmless in memory."""


SHORTEST_PATH_TOKEN = 16
"""The minimum length of a path token in characters: 96 bits in the URL-safe alphabet."""

PLACEHOLDER = re.compile(
    r"\.{2,}|…+|<(?:[^\W\d]|[ .-])+>|\[(?:[^\W\d]|[ .-])+\]|\$\{[^\W\d]\w*\}|(?-i:\$[A-Z_]+)"
    r"|x{3,}|\*{3,}|(?:change|replace)[-_ ]?me",
    re.IGNORECASE,
)
"""A whole value that is the placeholder of an example, such as the `...` of `export IDAAS_CLIENT_SECRET=...`."""


def _refuse_placeholder(value: str, where: str, cure: str) -> None:
    """Raise ConfigError for a placeholder. The message does not have the value."""
    if PLACEHOLDER.fullmatch(value):
        raise ConfigError(f"{where} still has the placeholder of an example", cure=cure, error_code="IDS-109")


def _refuse_invisible(value: str, where: str) -> None:
    """
    Raise ConfigError for a character that cannot be seen. The message does not have the value.

    RFC 6749 appendix A.2 allows printable ASCII only, but some providers accept letters of every language.
    """
    if not value.isprintable():
        raise ConfigError(
            f"{where} has an invisible character, which no client secret has",
            cure="copy the secret again, without invisible characters",
            error_code="IDS-108",
        )


def check_name(name: str, place: str) -> None:
    """Raise ConfigError for a text that cannot name a variable, such as a secret. The message omits it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
        raise ConfigError(
            f"{place}: {shown_variable(name)} is not the name of an environment variable",
            cure="write the name of the variable that holds the secret",
            error_code="IDS-108",
        )


def from_environment(environ: Mapping[str, str], name: str, place: str, *, printable: bool = False) -> Secret:
    """
    Return the reader of the variable `name`. `place` is the configuration key that names the variable.

    `printable`: see FileSecret.
    """
    return VariableSecret(environ, name, place, printable)


class VariableSecret(Record, frozen=True):
    """The reader of an environment variable, which raises ConfigError. `from_environment` describes the members."""

    HIDDEN = frozenset({"environ", "name"})

    environ: Mapping[str, str]
    name: str
    place: str
    printable: bool = False

    @property
    def origin(self) -> str:
        return f"{self.place}: the environment variable {shown_variable(self.name)}"

    def __call__(self) -> str:
        value = self.environ.get(self.name, "").strip()
        if not value:
            raise ConfigError(
                f"{self.origin} is not set or empty",
                cure="set the variable to the secret, or name another",
                error_code="IDS-108",
                variable=self.name,
            )
        if re.search("[\ud800-\udfff]", value):  # Python represents bytes that are not UTF-8 as these characters
            raise ConfigError(f"{self.origin} is not UTF-8 text", error_code="IDS-108")
        _refuse_placeholder(value, self.origin, "set the variable to your own secret")
        if self.printable:
            _refuse_invisible(value, self.origin)
        return value


class PlainText(Record, frozen=True):
    """A text that stands in the configuration itself at `place`, such as a certificate, in the place of a secret."""

    text: str
    place: str

    @property
    def origin(self) -> str:
        return self.place

    def __call__(self) -> str:
        return self.text


class FileSecret(Record, frozen=True):
    """
    The reader of the file at `path`, which trims white space around the content. `place`: the key that names the file.

    The reader raises NotThereYet if the file is missing or empty, and ConfigError if the file cannot be used.

    `binary`: content that is not text is returned as base64. `private`: the secret is refused if other users could read
    it. Tokens and certificates are accepted with the mode that their writer chose. `printable`: invisible characters
    are refused.
    """

    HIDDEN = frozenset({"path"})

    path: str
    place: str
    private: bool = False
    binary: bool = False
    printable: bool = False

    @property
    def origin(self) -> str:
        return f"{self.place}: {shown_path(self.path)}"

    def __call__(self) -> str:
        read_file = files.read_secret if self.private else files.read
        try:
            value = read_file(self.path, LARGEST).decode("utf-8-sig").strip()
        except files.Absent as why:
            # A text that is not a path will never become a file.
            kind = NotThereYet if may_be_path(self.path) else ConfigError
            raise kind(why.at(self.origin), cure=self._cure) from None
        except files.OfAnotherUser as why:
            raise ConfigError(why.at(self.origin), error_code="IDS-131") from None
        except files.Unreadable as why:
            raise ConfigError(why.at(self.origin), error_code="IDS-108") from None
        except UnicodeDecodeError:
            if self.binary:
                return base64.b64encode(read_file(self.path, LARGEST)).decode()
            raise ConfigError(f"{self.origin}: not UTF-8 text", error_code="IDS-108") from None
        if "\0" in value and not self.binary:
            raise ConfigError(
                f"{self.origin}: contains zero bytes, as text in UTF-16 does",
                cure="write the file as UTF-8",
                error_code="IDS-108",
            )
        if not value:
            raise NotThereYet(f"{self.origin}: empty", self._cure)
        _refuse_placeholder(value, f"{self.origin}:", "write your own value into the file")
        if self.printable:
            _refuse_invisible(value, f"{self.origin}:")
        return value

    @property
    def _cure(self) -> str:
        """What to do without a file. A person writes most private secrets, and programs write the other files."""
        return (
            "write the secret into the file with mode 0600, start the program that does, or correct the path"
            if self.private
            else ""
        )


def from_file(
    path: str, place: str, *, private: bool = False, binary: bool = False, printable: bool = False
) -> FileSecret:
    """Return the reader of the secret in the file at `path`. FileSecret describes the flags."""
    return FileSecret(path, place, private, binary, printable)


async def read(secret: Secret, disk: Disk) -> str:
    """Return the secret. A file is read by `disk`. Raises ConfigError, and Unreachable if the disk hangs."""
    source = secret.source if isinstance(secret, Rotating) else secret
    if not isinstance(source, FileSecret):
        return secret()
    try:
        return await disk.call(source.path, secret)
    except Stalled as error:
        raise Unreachable(f"{source.origin}: {error}", error_code="IDS-601") from None


def origin_of(secret: Secret, place: str) -> str:
    """Return the key with the file or variable from which `secret` is read, for messages; `place` if unknown."""
    source = secret.source if isinstance(secret, Rotating) else secret
    return source.origin if isinstance(source, FileSecret | VariableSecret | PlainText) else place


def one_of(
    environ: Mapping[str, str],
    *,
    name: str | None,
    path: str | None,
    place: str,
    keys: tuple[str, str],
    private: bool = True,
    binary: bool = False,
    printable: bool = False,
) -> Secret:
    """
    Return the reader of the variable `name` or the file `path`. Raises ConfigError unless exactly one is given.

    `keys`: the two configuration keys, for the message. The flags are those of FileSecret.
    """
    variable_key, file_key = keys
    if name:
        check_name(name, f"{place}.{variable_key}")
    if name and path:
        raise ConfigError(f"{place}: {variable_key} and {file_key} are both set", cure="keep one", error_code="IDS-113")
    if name:
        return from_environment(environ, name, f"{place}.{variable_key}", printable=printable)
    if path:
        return from_file(path, f"{place}.{file_key}", private=private, binary=binary, printable=printable)
    raise ConfigError(f"{place}: {variable_key} or {file_key} is required", error_code="IDS-106")


class Rotating:
    """
    A secret that may be replaced at any time. The new secret is tried first; if it is refused, the last accepted one.

    The last accepted secret stays in memory for this purpose. Not for concurrent use: one token is requested at a time.
    """

    def __init__(self, source: Secret) -> None:
        self.source = source
        self._used = ""
        self._good = ""
        self._again = False

    def __call__(self) -> str:
        again, self._again = self._again, False
        self._used = self._good if again else self.source()
        return self._used

    def worked(self) -> None:
        """Record that the last secret that was read has been accepted."""
        self._good = self._used

    def refused(self) -> bool:
        """
        Note that the last secret that was read has been refused.

        Return whether a different secret was accepted before. The next call then returns that secret.
        """
        self._again = self._good not in ("", self._used)
        return self._again


def fits_path(value: str) -> bool:
    """Return whether `value` may be a path token: long enough, and of the URL-safe alphabet alone."""
    alphabet = value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    return len(value) >= SHORTEST_PATH_TOKEN and alphabet


def same(left: bytes, right: bytes) -> bool:
    """Return whether two secrets are equal, in constant time. All comparisons of secrets use this function."""
    return hmac.compare_digest(left, right)
