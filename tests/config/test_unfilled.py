"""Variables in the forms of other tools, and placeholders of examples, in this program's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config import unfilled
from app.config.loader import load
from app.core.errors import ConfigError

from ..conftest import ENVIRON, configuration
from .configurations import Load, profile, with_exchange, with_identity, write_file

CLIENT = "profiles.default.identity.clientId"


@pytest.mark.parametrize(
    ("value", "form", "name"),
    [
        *(("$A", "$NAME", "A"), ("app_$A", "$NAME", "A"), ("$env:A", "$NAME", "A")),
        *(("$(A)", "$(NAME)", "A"), ("%A%", "%NAME%", "A"), ("%ADDRESS%", "%NAME%", "ADDRESS")),
        *(("{{ A }}", "{{ NAME }}", "A"), ("{{- .Values.a -}}", "{{ NAME }}", "NAME"), ("#{A}", "#{NAME}", "A")),
        *(("@A@", "@NAME@", "A"), ("<A>", "<NAME>", "A"), ("$Tr0ub4dor", "$NAME", "NAME")),
    ],
)
def test_variable_that_is_not_replaced(value: str, form: str, name: str, loaded: Load) -> None:
    """A variable in another tool's form is named with its key and the form that works."""
    (warning,) = loaded(with_identity(clientId=value)).warnings

    assert warning == f"{CLIENT}: a variable in the form {form}, which is not replaced; write ${{{name}}}"
    assert warning.error_code == unfilled.NOT_REPLACED


@pytest.mark.parametrize(
    "value",
    [
        *("your-client-id", "yourClientId", "app_xxx", "changeme", "<client id>"),
        *("__CLIENT_ID__", "((client-id))", "ENTER_CLIENT_ID_HERE", "insert your id here"),
    ],
)
def test_placeholder(value: str, loaded: Load) -> None:
    """A placeholder of an example is a warning: no provider gives such an id, but its syntax allows one."""
    (warning,) = loaded(with_identity(clientId=value)).warnings

    assert warning.startswith(f"{CLIENT}: still has ")
    assert warning.error_code == unfilled.PLACEHOLDER


@pytest.mark.parametrize(
    "config",
    [
        with_identity(scope="https://api.example.com/%E4%BD%A0%AD%20|.all"),
        with_identity(clientId="${CLIENT}"),
        with_identity(clientId="a$"),
        with_identity(clientId="me@EXAMPLE.com"),
        with_identity(clientId="app__one__two"),
        with_identity(clientId="app(one)_where"),
        with_exchange(policy={"Version": "1", "Statement": [{"Resource": "<any> ${acs:SourceIp} $x"}]}),
        with_exchange(policy='{"Version": "1", "Statement": [{"Resource": "<any> $x"}]}'),
        configuration(metadata={"values": {"user-data": "echo $HOME"}}),
        configuration(
            profiles={"default": profile(identity={"type": "command", "command": ["/bin/sh", "-c", "echo $TOKEN"]})}
        ),
    ],
)
def test_what_is_no_variable(config: Any, loaded: Load) -> None:
    """Escapes of a URL, replaced variables, policies, metadata and the arguments of a command have no warning."""
    assert loaded(config, environ=ENVIRON | {"CLIENT": "$literal"}).warnings == ()


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (with_exchange(roleArn="$ROLE"), "profiles.default.exchange.roleArn"),
        (with_exchange(oidcProviderArn="acs:ram::%ROLE%:x"), "profiles.default.exchange.oidcProviderArn"),
        (with_identity(tokenEndpoint="{{ ROLE }}"), "profiles.default.identity.tokenEndpoint"),
        (configuration(logging={"level": "$ROLE"}), "logging.level"),
    ],
)
def test_value_that_its_syntax_excludes(config: Any, place: str, tmp_path: Path) -> None:
    """Where the text cannot be the value, the one error of the key says which form works."""
    path = write_file(tmp_path / "config.json", config)
    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON, hostname="h", now=lambda: 0.0)

    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: {place}: ")
    assert line.endswith("; write ${ROLE}")


@pytest.mark.parametrize("written", ["${A:-d}", "${A:=d}", "${A:?no}", "${A:+d}", "x${A:-${B}}"])
def test_default_value(written: str, tmp_path: Path) -> None:
    """`${A:-d}` says that default values are not supported."""
    path = write_file(tmp_path / "config.json", with_identity(clientId=written))
    with pytest.raises(ConfigError) as caught:
        load(str(path), ENVIRON | {"A": "a", "B": "b"}, hostname="h", now=lambda: 0.0)

    line = str(caught.value).splitlines()[0]
    assert "default values and other operators of the shell are not supported; write ${A}, and set the var" in line
    assert line.startswith(f"{path}: {CLIENT}: ")


@pytest.mark.parametrize("value", ["【应用ID】", "scope «name»"])
def test_placeholder_outside_ascii(value: str) -> None:
    """Other brackets than those of ASCII mark a placeholder, too."""
    assert unfilled.example_in(value) is not None


def test_template_without_its_end() -> None:
    """A long value of blanks takes linear time for each beginning."""
    assert unfilled.complaint("a", "{{" + " " * 300_000) is None


@pytest.mark.parametrize("written", ["your-S3cretPassw0rd", "YourS3cr3tV4lue9", "<S3cret Passw0rd>"])
def test_placeholder_that_may_be_a_secret(written: str) -> None:
    """A text that looks like a secret is not repeated: it may be the secret itself, in the wrong place."""
    mistake = unfilled.complaint("a", f"x {written}")

    assert mistake is not None
    assert mistake.cause == "a: still has a placeholder of an example"
