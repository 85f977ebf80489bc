"""Secrets: read when they are used, without surrounding white space, and never repeated in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import ConfigError, NotThereYet
from app.system import secrets

KEYS = ("envVarName", "file")


def test_variable_is_read_at_each_use() -> None:
    """A rotated variable needs no restart, and white space around its value is removed."""
    environ = {"NAME": " first\n"}
    read = secrets.from_environment(environ, "NAME", "place")
    first = read()
    environ["NAME"] = "second"

    assert (first, read()) == ("first", "second")


def test_file_is_read_at_each_use(tmp_path: Path) -> None:
    """A rotated file needs no restart, and a byte order mark and a final newline are removed."""
    path = tmp_path / "secret"
    path.write_bytes(b"\xef\xbb\xbffirst\r\n")
    read = secrets.from_file(str(path), "place")
    first = read()
    path.write_text("second")

    assert (first, read()) == ("first", "second")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe", "not UTF-8 text"),
        ("s3cr3t\n".encode("utf-16"), "not UTF-8 text"),
        ("s3cr3t\n".encode("utf-16-le"), "contains zero bytes, as text in UTF-16 does; write the file as UTF-8"),
        (b"x" * 65_537, "larger than 65536 bytes, so it is the wrong file"),
    ],
)
def test_unusable_file_is_an_error(content: bytes | None, message: str, tmp_path: Path) -> None:
    """The error has the key, the path and the problem, and nothing of the contents."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    waiting = message in ("no such file", "empty")  # another program may write it a moment later
    with pytest.raises(NotThereYet if waiting else ConfigError) as caught:
        secrets.from_file(str(path), "identity.clientSecretFile")()

    assert str(caught.value) == f"identity.clientSecretFile: {path}: {message}"


@pytest.mark.parametrize("path", ["\0", "/\0", "/dev/null/x"])
def test_impossible_path_is_a_configuration_error(path: str) -> None:
    """Text that cannot be a path is a configuration error."""
    with pytest.raises(ConfigError, match=r"^place: "):
        secrets.from_file(path, "place")()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("IDAAS_SECRET", True),
        ("idaas_secret_2", True),
        ("s3cr3t/+=", False),
        ("CSeHDcHcfvKZxfK9Cow2GNMn", False),
        ("-----BEGIN PRIVATE KEY-----", False),
        ("a" * 65, False),
    ],
)
def test_variable_name_is_shown_unless_it_may_be_a_secret(name: str, shown: bool) -> None:
    """The name of a variable is shown, except where it may be the secret itself."""
    with pytest.raises(ConfigError) as caught:
        secrets.from_environment({}, name, "place")()

    assert (name in str(caught.value)) is shown
    assert ("not shown" in str(caught.value)) is not shown


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("s3cr3t", NotThereYet),
        ("client-secret", NotThereYet),
        ("secrets/client.txt", NotThereYet),
        ("CSeHDcHcfvKZxfK9Cow2GNMn", ConfigError),
        ("s3cr3t+==", ConfigError),
        ("a" * 65, ConfigError),
    ],
)
def test_bare_word_in_place_of_a_path_is_not_shown(word: str, error: type[Exception]) -> None:
    """A word that does not begin like a path may be the secret itself; one like a file's name may still appear."""
    with pytest.raises(error) as caught:
        secrets.from_file(word, "place")()

    assert type(caught.value) is error
    assert word not in str(caught.value)


def test_exactly_one_key_is_set(tmp_path: Path) -> None:
    """Exactly one of the two keys must be set, and errors name the keys."""
    (tmp_path / "s").write_text("in a file")
    environ = {"NAME": "in a variable"}

    def one_of(name: str | None, path: str | None) -> str:
        return secrets.one_of(environ, name=name, path=path, place="token", keys=KEYS)()

    assert one_of("NAME", None) == "in a variable"
    assert one_of(None, str(tmp_path / "s")) == "in a file"
    with pytest.raises(ConfigError, match=r"^token: envVarName or file is required$"):
        one_of(None, None)
    with pytest.raises(ConfigError, match=r"^token: envVarName and file are both set; keep one$"):
        one_of("NAME", "/s")
    with pytest.raises(ConfigError, match=r"^token\.envVarName: the environment variable OTHER is not set or empty"):
        one_of("OTHER", None)


class FakeSecret:
    """A secret whose value a test replaces."""

    value = "first"

    def __call__(self) -> str:
        return self.value


def test_new_secret_is_tried_before_the_old_one() -> None:
    """The new secret comes first, then the last working one if it is refused, and then the new one again."""
    source = FakeSecret()
    secret = secrets.Rotating(source)
    assert secret() == "first"
    secret.worked()
    source.value = "second"

    results = [secret(), secret.refused(), secret(), secret()]

    assert results == ["second", True, "first", "second"]


def test_no_fallback_without_another_working_secret() -> None:
    """A refused first secret has no fallback, nor has a secret that worked before and is refused now."""
    secret = secrets.Rotating(FakeSecret())
    secret()
    assert secret.refused() is False
    secret.worked()
    secret()

    assert secret.refused() is False


def test_new_secret_that_works_becomes_the_fallback() -> None:
    """A new secret that works becomes the fallback for the next one."""
    source = FakeSecret()
    secret = secrets.Rotating(source)
    for source.value in ("first", "second"):
        secret()
        secret.worked()
    source.value = "third"
    secret()

    assert secret.refused() is True
    assert secret() == "second"


@pytest.mark.parametrize(
    "value",
    [
        "...",
        "…",
        "<client secret>",
        "[secret]",
        "[客户端 密钥]",
        "${SECRET}",
        "$SECRET",
        "xxxx",
        "CHANGE-ME",
        "replace_me",
    ],
)
def test_placeholder_is_refused(value: str, tmp_path: Path) -> None:
    """The placeholder of an example is no secret, in a variable and in a file; the message does not have it."""
    path = tmp_path / "secret"
    path.write_text(f"{value}\n")
    for read in (secrets.from_environment({"NAME": value}, "NAME", "p"), secrets.from_file(str(path), "p")):
        with pytest.raises(ConfigError, match="placeholder of an example") as caught:
            read()
        assert caught.value.error_code == "IDS-109"
        assert value not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize(
    "value",
    [
        *("a...b", "<a>b", "x1xxx", "[a]-b", "my-secret", "changed", "xx"),
        *("$ecret!", "$ecret2024", "$Passw0rd", "${X", "[ab12]", "<k3y>"),
    ],
)
def test_secret_like_a_placeholder_is_accepted(value: str) -> None:
    """Only a whole placeholder is refused: a secret may contain any of these characters."""
    assert secrets.from_environment({"NAME": value}, "NAME", "p")() == value


def test_a_client_secret_has_no_invisible_character(tmp_path: Path) -> None:
    """A client secret with an invisible character is refused without its value; other secrets may be any text."""
    secret = "s3cret\u200bs3cret"
    path = tmp_path / "secret"
    path.write_text(secret)
    path.chmod(0o600)
    readers = (
        secrets.from_environment({"S": secret}, "S", "key", printable=True),
        secrets.from_file(str(path), "key", private=True, printable=True),
    )
    for reader in readers:
        with pytest.raises(ConfigError, match="has an invisible character, which no client secret has") as caught:
            reader()
        assert "s3cret" not in str(caught.value)
    assert secrets.from_environment({"S": secret}, "S", "key")() == secret
    assert secrets.from_environment({"S": "a ~ü"}, "S", "key", printable=True)() == "a ~ü"
