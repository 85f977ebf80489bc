"""Secrets: read when used, trimmed, and never repeated in what is said about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import ConfigError
from app.system import secrets

KEYS = ("envVarName", "file")


def test_a_variable_is_read_when_used() -> None:
    """A rotation needs no restart; white space around the value is not part of it."""
    environ = {"NAME": " first\n"}
    read = secrets.from_environment(environ, "NAME", "place")
    first = read()
    environ["NAME"] = "second"

    assert (first, read()) == ("first", "second")


def test_a_file_is_read_when_used(tmp_path: Path) -> None:
    """A new file is a new secret; a byte order mark and a last newline are not part of it."""
    path = tmp_path / "secret"
    path.write_bytes(b"\xef\xbb\xbffirst\r\n")
    read = secrets.from_file(str(path), "place")
    first = read()
    path.write_text("second")

    assert (first, read()) == ("first", "second")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"x" * 65_537, "larger than 65536 bytes, so it is the wrong file"),
    ],
)
def test_an_unusable_file(content: bytes | None, words: str, tmp_path: Path) -> None:
    """The place, the path and what is wrong; nothing of what is inside."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        secrets.from_file(str(path), "identity.clientSecretFile")()

    assert str(caught.value) == f"identity.clientSecretFile: {path}: {words}"


@pytest.mark.parametrize("path", ["\0", "/\0", "/dev/null/x"])
def test_an_impossible_path(path: str) -> None:
    """What cannot be a path is a configuration error like any other."""
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
def test_a_name_is_shown_if_it_is_one(name: str, shown: bool) -> None:
    """A variable's name is repeated; what may be the secret in its place is not."""
    with pytest.raises(ConfigError) as caught:
        secrets.from_environment({}, name, "place")()

    assert (name in str(caught.value)) is shown
    assert ("not shown" in str(caught.value)) is not shown


def test_a_path_is_shown_if_it_is_one() -> None:
    """A bare word in the place of a path may be the secret itself."""
    with pytest.raises(ConfigError) as caught:
        secrets.from_file("s3cr3t", "place")()

    assert "s3cr3t" not in str(caught.value)


def test_one_of(tmp_path: Path) -> None:
    """Exactly one of the two keys is set, and its name is in the complaints."""
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


class Kept:
    """A secret that a test replaces."""

    value = "first"

    def __call__(self) -> str:
        return self.value


def test_a_replaced_secret_is_tried_first() -> None:
    """The new one first, the last that worked when it is refused, and the new one first again the next time."""
    kept = Kept()
    secret = secrets.Rotating(kept)
    assert secret() == "first"
    secret.worked()
    kept.value = "second"

    said = [secret(), secret.refused(), secret(), secret()]

    assert said == ["second", True, "first", "second"]


def test_without_one_that_worked_there_is_nothing_to_fall_back_to() -> None:
    """A first secret that is refused, and one that is refused though it worked before, have no predecessor."""
    secret = secrets.Rotating(Kept())
    secret()
    assert secret.refused() is False
    secret.worked()
    secret()

    assert secret.refused() is False


def test_a_new_secret_that_works_is_the_good_one() -> None:
    """From then on it is what is fallen back to."""
    kept = Kept()
    secret = secrets.Rotating(kept)
    for kept.value in ("first", "second"):
        secret()
        secret.worked()
    kept.value = "third"
    secret()

    assert secret.refused() is True
    assert secret() == "second"
