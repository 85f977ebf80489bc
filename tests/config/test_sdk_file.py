"""The IDaaS SDK's client-config.json, read as the SDK reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config import sdk_file
from app.config.loader import Loaded, load
from app.core.errors import ConfigError
from app.identity.idaas import IdaasIdentity
from app.identity.methods.client_secret_basic import IdaasClientSecretBasic

from ..conftest import configuration, exchange, identity

Load = Callable[..., Loaded]


def write_sdk_file(tmp_path: Path, config: Any) -> str:
    """Write the SDK's file and return its path."""
    path = tmp_path / "client-config.json"
    path.write_text(json.dumps(config))
    return str(path)


def read_identity(tmp_path: Path, loaded: Load, **changes: Any) -> IdaasIdentity:
    """Return the identity that the program reads from the file."""
    path = write_sdk_file(tmp_path, identity(**changes))
    profiles = {"default": {"identity": {"clientConfigPath": path, "scope": None}, "exchange": exchange()}}
    found = loaded(configuration(profiles=profiles)).settings.profiles["default"].identity
    assert isinstance(found, IdaasIdentity)
    return found


SPELLINGS = [
    ("unsafeIgnoreSslCert", "unsafe_ignore_ssl_cert"),
    ("unsafeIgnoreSSLCert", "unsafe_ignore_ssl_cert"),
    ("unsafe_ignore_ssl_cert", "unsafe_ignore_ssl_cert"),
    ("connectTimeout", "connect_timeout"),
    ("connect_timeout", "connect_timeout"),
]


@pytest.mark.parametrize(("key", "field"), SPELLINGS, ids=[key for key, _ in SPELLINGS])
def test_camel_case_and_snake_case_are_equal(key: str, field: str, tmp_path: Path, loaded: Load) -> None:
    """A key may be in camelCase or snake_case, with the SDK's rule for the start of a word."""
    value = 3000 if "imeout" in key else True

    assert getattr(read_identity(tmp_path, loaded, httpConfiguration={key: value}).http_configuration, field) == value


def test_complete_file_in_snake_case(tmp_path: Path, loaded: Load) -> None:
    """A file that is completely in snake_case, as in Python, has the same meaning."""
    snake = {
        "idaas_instance_id": "idaas_example",
        "client_id": "app_example",
        "issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
        "token_endpoint": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
        "scope": "api.example.com|.all",
        "authn_configuration": {
            "identity_type": "CLIENT",
            "authn_method": "CLIENT_SECRET_BASIC",
            "client_secret_env_var_name": "IDAAS_SECRET",
        },
        "http_configuration": {"read_timeout": 2000},
    }
    path = write_sdk_file(tmp_path, snake)
    profiles = {"default": {"identity": {"clientConfigPath": path}, "exchange": exchange()}}

    found = loaded(configuration(profiles=profiles)).settings.profiles["default"].identity

    assert isinstance(found, IdaasIdentity)
    assert found.client_id == "app_example"
    assert isinstance(found.authn_configuration, IdaasClientSecretBasic)
    assert found.http_configuration.read_timeout == 2000


def test_keys_that_the_sdk_ignores_are_ignored(tmp_path: Path, loaded: Load) -> None:
    """Unknown keys are ignored at every level, null means absent, and `clientConfigPath` has no effect in this file."""
    found = read_identity(
        tmp_path,
        loaded,
        jwkEndpoint="x",
        openApiEndpoint="eiam.cn-hangzhou.aliyuncs.com",
        clientConfigPath="/elsewhere",
        httpConfiguration=None,
        authnConfiguration={
            "authnMethod": "CLIENT_SECRET_POST",
            "clientSecretEnvVarName": "IDAAS_SECRET",
            "pluginName": "x",
            "identityType": "ROBOT",
            "algorithm": None,
        },
    )

    assert found.client_config_path == str(tmp_path / "client-config.json")
    assert found.http_configuration.read_timeout == 10000
    assert found.authn_configuration is not None
    assert found.authn_configuration.identity_type == "CLIENT"


def test_secret_file_key_works_in_the_sdk_file(tmp_path: Path, loaded: Load) -> None:
    """`clientSecretFile`, which the SDK ignores, works in the SDK's file."""
    (tmp_path / "secret").write_text("s")
    authn = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(tmp_path / "secret")}

    found = read_identity(tmp_path, loaded, authnConfiguration=authn)

    assert found.authn_configuration is not None
    assert found.authn_configuration.client_secret_file == str(tmp_path / "secret")


ENDPOINTS = [
    ("https://login.example.com/token", "https://login.example.com/token"),
    ("http://login.example.com/token", "https://login.example.com/token"),
    ("login.example.com/token", "https://login.example.com/token"),
    ("http://127.0.0.1:7140/token", "http://127.0.0.1:7140/token"),
    ("http://[::1]:7140/token", "http://[::1]:7140/token"),
    ("http://localhost/token", "http://localhost/token"),
]


@pytest.mark.parametrize(("configured", "used"), ENDPOINTS, ids=[configured for configured, _ in ENDPOINTS])
def test_endpoints_are_changed_to_https(configured: str, used: str, tmp_path: Path, loaded: Load) -> None:
    """https replaces a missing scheme, and http except on loopback, in the issuer and the token endpoint."""
    found = read_identity(tmp_path, loaded, tokenEndpoint=configured, issuer=configured)

    assert (found.token_endpoint, found.issuer) == (used, used)


REFUSALS = [
    ({"scope": None}, "scope: required"),
    ({"clientId": ""}, "clientId: required"),
    ({"authnConfiguration": None}, "authnConfiguration: required"),
    ({"authnConfiguration": {}}, "authnConfiguration.authnMethod: required"),
    ({"authnConfiguration": {"authnMethod": "NONE"}}, "authnConfiguration.authnMethod: 'NONE' is not known"),
    ({"authnConfiguration": {"authnMethod": "NONE"}}, "authnConfiguration.authnMethod: 'NONE' is not known"),
    ({"authnConfiguration": {"authnMethod": "PLUGIN"}}, "openApiEndpoint: required with PLUGIN"),
    (
        {
            "openApiEndpoint": "eiam.cn-hangzhou.aliyuncs.com",
            "authnConfiguration": {"authnMethod": "PLUGIN", "pluginName": "x"},
        },
        "authnConfiguration.pluginName: 'x' is not known here",
    ),
    ({"authnConfiguration": []}, "authnConfiguration: must be an object or null, not an array"),
    ({"authnConfiguration": {"identityType": "HUMAN"}}, "authnConfiguration.identityType: HUMAN logs a person in"),
    ({"httpConfiguration": {"readTimeout": 100}}, "httpConfiguration.readTimeout: must be at least 2000"),
    ({"httpConfiguration": {"readTimeout": "5s"}}, "httpConfiguration.readTimeout: must be a whole number, not a str"),
    ({"tokenEndpoint": 5}, "tokenEndpoint: must be a string or null, not a whole number"),
    ({"tokenEndpoint": "https://"}, "tokenEndpoint: 'https://' is not a URL of the form https://host/path"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS, ids=[message.partition(":")[0] for _, message in REFUSALS])
def test_invalid_sdk_file_is_refused_at_start(
    changes: dict[str, Any], message: str, tmp_path: Path, loaded: Load
) -> None:
    """What the SDK ignores silently, or reports at the first token, is refused at start with the file's name."""
    with pytest.raises(ConfigError) as caught:
        read_identity(tmp_path, loaded, **changes)

    assert f"{tmp_path}/client-config.json: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/home/app"}, "/home/app/.cloud_idaas/client-config.json"),
        ({"HOME": "/home/app", "CLOUD_IDAAS_CONFIG_PATH": " "}, "/home/app/.cloud_idaas/client-config.json"),
        ({"HOME": "/home/app", "CLOUD_IDAAS_CONFIG_PATH": "~/c.json"}, "~/c.json"),
        ({}, "~/.cloud_idaas/client-config.json"),
    ],
)
def test_default_path_of_the_sdk_file(environ: dict[str, str], path: str) -> None:
    """The path is $CLOUD_IDAAS_CONFIG_PATH unless that is blank, else a file in the home directory."""
    assert sdk_file.default_path(environ) == path


EXAMPLE = """
// As the documentation of IDaaS shows it.
{
  "idaasInstanceId": "idaas_demo", // the instance
  "clientId": "app_demo",
  /* the issuer */ "issuer": "https://login.example.com",
  "scope": "urn:cloud:idaas:api|
  app:all",
  "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "A//B"}
}
"""


def test_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    """Comments and line breaks within strings are accepted; what looks like a comment within a string stays."""
    path = tmp_path / "client-config.json"
    path.write_text(EXAMPLE)

    found = sdk_file.read(str(path)).members

    assert found["clientId"] == "app_demo"
    assert found["scope"] == "urn:cloud:idaas:api|app:all"
    assert found["authnConfiguration"]["clientSecretEnvVarName"] == "A//B"


@pytest.mark.parametrize("end", [",", ", // the end\n", ",/**/ \n"])
def test_comma_behind_the_last_member(end: str, tmp_path: Path) -> None:
    """Editors that allow comments also allow a comma after the last member; one within a string stays."""
    path = tmp_path / "client-config.json"
    path.write_text('{"clientId": "a,}", "scope": "a|b"' + end + "}")

    assert sdk_file.read(str(path)).members == {"clientId": "a,}", "scope": "a|b"}
    path.write_text('{"authnConfiguration": {"authnMethod": "PCA"' + end + "}" + end + "}")
    with pytest.raises(ConfigError, match="this is the IDaaS SDK's file"):
        load(str(path), {}, hostname="h", now=lambda: 0.0)


@pytest.mark.parametrize("comment", ["// the id", "/* the id */ "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comment_right_behind_a_colon(comment: str, end: str, tmp_path: Path) -> None:
    """A comment may stand anywhere between tokens, also without a space before it; `//` of a URL is none."""
    path = tmp_path / "client-config.json"
    lines = ("\ufeff{", f'"clientId":{comment}', '"app_demo",', f'"issuer": "https://idp.example.com//a"{comment}', "}")
    path.write_text(end.join(lines), newline="")

    assert sdk_file.read(str(path)).members == {"clientId": "app_demo", "issuer": "https://idp.example.com//a"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *(("https://eiam.[region_id].aliyuncs.com", "[region_id]"), ("xxx", "xxx"), ("idaas_xxxx", "xxxx")),
        *(
            ("[客户端 ID]", "[客户端 ID]"),
            ("YOUR_CLIENT_ID", "YOUR_CLIENT_ID"),
            ("app...", "..."),
            ("您的应用", "您的应用"),
        ),
        *(("<client id>", "<client id>"), ("app_***", "***"), ("https://{instance}.example.com", "{instance}")),
        *(("yourClientId", "yourClientId"), ("your-client-id", "your-client-id"), ("app_changeme", "changeme")),
        *(("replace-me", "replace-me"), ("TODO", "TODO"), ("<yourClientId>", "<yourClientId>")),
    ],
)
def test_value_of_an_example_is_refused(value: str, shown: str, tmp_path: Path) -> None:
    """A value that was not replaced is named with its key, wherever it stands; all of them are named at once."""
    path = write_sdk_file(tmp_path, identity(clientId=value, httpConfiguration={"proxy": value}) | {"other": value})

    found = sdk_file.read(path)

    assert list(found.mistakes) == [
        f"{key}: still has the placeholder {shown} of an example; write your own value"
        for key in ("clientId", "httpConfiguration.proxy")
    ]
    assert found.unusable == ("clientId", "httpConfiguration.proxy")
    assert "clientId" not in found.members


@pytest.mark.parametrize(
    ("value", "form"),
    [("$CLIENT", "$NAME"), ("$(CLIENT)", "$(NAME)"), ("%CLIENT%", "%NAME%"), ("@CLIENT@", "@NAME@")],
)
def test_variable_in_the_sdk_file_is_refused(value: str, form: str, tmp_path: Path) -> None:
    """The SDK replaces no variable, whatever its form: the provider would get the text itself."""
    found = sdk_file.read(write_sdk_file(tmp_path, identity(clientId=value)))

    sentence = f"clientId: a variable in the form {form}; the IDaaS SDK's file has no variables; write the value"
    assert list(found.mistakes) == [sentence]


def test_two_spellings_of_one_key(tmp_path: Path, loaded: Load) -> None:
    """A key in two spellings with different values is an error that names both: one value would be lost."""
    authn = {"authnMethod": "CLIENT_SECRET_POST", "authn_method": "PCA", "clientSecretEnvVarName": "IDAAS_SECRET"}
    http = {"unsafeIgnoreSSLCert": False, "unsafeIgnoreSslCert": True}
    with pytest.raises(ConfigError) as caught:
        read_identity(tmp_path, loaded, client_id="other", authnConfiguration=authn, httpConfiguration=http)

    assert [line.partition("client-config.json: ")[2] for line in str(caught.value).splitlines()] == [
        f"{key}: {first} and {second} are one key, with different values; keep one"
        for key, first, second in (
            ("clientId", "clientId", "client_id"),
            ("authnConfiguration.authnMethod", "authnMethod", "authn_method"),
            ("httpConfiguration.unsafeIgnoreSslCert", "unsafeIgnoreSSLCert", "unsafeIgnoreSslCert"),
        )
    ]
    assert read_identity(tmp_path, loaded, clientId="same", client_id="same").client_id == "same"
    assert read_identity(tmp_path, loaded, clientId="same", client_id=None).client_id == "same"


def test_all_mistakes_of_the_sdk_file_are_in_one_run(tmp_path: Path, loaded: Load) -> None:
    """Values of examples, wrong types, wrong values and an identity of a person are listed together, each once."""
    authn = {"authn_method": "[method]", "identity_type": "HUMAN", "client_secret_env_var_name": "S"}
    with pytest.raises(ConfigError) as caught:
        read_identity(
            tmp_path,
            loaded,
            clientId="xxx",
            issuer="https://a.example.com?x",
            tokenEndpoint=5,
            authnConfiguration=authn,
        )

    lines = str(caught.value).splitlines()
    assert [line.partition("client-config.json: ")[2].partition(": ")[0] for line in lines] == [
        *("clientId", "authnConfiguration.authn_method", "authnConfiguration.identityType"),
        *("tokenEndpoint", "issuer"),
    ]


def test_wrapped_values(tmp_path: Path) -> None:
    """The line break of a wrapped value is no part of it; scopes on lines of their own stay two."""
    path = tmp_path / "client-config.json"
    path.write_text('{"issuer": "https://login.\n   example.com", "clientId": "app_\r\n1", "scope": "a|.all\n b|.all"}')

    found = sdk_file.read(str(path)).members

    assert (found["issuer"], found["clientId"]) == ("https://login.example.com", "app_1")
    assert found["scope"].split() == ["a|.all", "b|.all"]


@pytest.mark.parametrize("value", ["https://[fd00::5]/", "app_xx", "fffxxx0", "a [b1]", "yourcompany.example.com"])
def test_value_like_an_example_is_accepted(value: str, tmp_path: Path) -> None:
    """Addresses of IPv6, and ids that happen to hold the letter, are no examples."""
    assert sdk_file.read(write_sdk_file(tmp_path, identity(scope=value))).members["scope"] == value


def test_sdk_file_as_the_configuration_is_recognised(tmp_path: Path) -> None:
    """The SDK's file given as the configuration is refused with the key that takes it, comments or not."""
    for text in (json.dumps(identity()), EXAMPLE, json.dumps({"authn_configuration": {}})):
        path = tmp_path / "config.json"
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"this is the IDaaS SDK's file.*identity\.clientConfigPath"):
            load(str(path), {}, hostname="h", now=lambda: 0.0)


def test_version_may_be_a_variable(tmp_path: Path) -> None:
    """`${NAME}` works in configVersion as in every other string; an unset variable is an error with the key."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration(configVersion="${VERSION}")))

    assert load(str(path), {"VERSION": "1.0"}, hostname="h", now=lambda: 0.0, look=False).settings.profiles
    with pytest.raises(ConfigError, match=r"configVersion: the environment variable VERSION is not set or empty$"):
        load(str(path), {}, hostname="h", now=lambda: 0.0, look=False)
