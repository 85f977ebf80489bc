"""Any configuration file is either loaded or refused with one line per problem that contains no secret."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from app.config.loader import Loaded, load
from app.core.errors import ConfigError
from app.core.schedule import lead
from app.emulator.world.world import MANAGED_ROLE_ARN

from ..conftest import configuration, exchange, identity
from .documents import almost, cut, cuts, to_json, values

pytestmark = pytest.mark.fuzz

SECRET = "canary-client-secret-0123456789"
ENVIRON = {"IDAAS_SECRET": SECRET, "PATH_TOKEN": "canary-path-token-0123456789", "HOME": "/nonexistent"}
ENVIRON |= {name: "/nonexistent" for name in ("CREDENTIALS_DIRECTORY", "RUNTIME_DIRECTORY", "TOKEN_COMMAND")}
ENVIRON |= {"POD_NAME": "pod-1", "POD_NAMESPACE": "shop"}
EXAMPLE = json.loads((Path(__file__).parents[2] / "config.example.json").read_text())
for name in ("sdk", "exchanged"):  # these read files of the SDK, which do not exist here
    del EXAMPLE["profiles"][name]
WHOLE = configuration(
    profiles={
        "default": {"identity": identity(), "exchange": exchange(), "callers": {"uids": [1001], "gids": []}},
        "p2": {
            "identity": {"type": "command", "command": ["/bin/true", "x"], "timeoutSeconds": 3},
            "exchange": {
                "type": "developerApi",
                "roleArn": MANAGED_ROLE_ARN,
                "endpoint": "http://127.0.0.1:1",
                "idaasInstanceId": "idaas_demo",
            },
            "chain": [{"roleArn": "acs:ram::1234567890123456:role/x", "endpoints": ["http://127.0.0.1:1"]}],
        },
        "p3": {
            "identity": {
                "type": "oidcClient",
                "issuer": "https://idp.example",
                "clientId": "c",
                "clientAuthentication": {"method": "client_secret_post", "clientSecretEnvVarName": "IDAAS_SECRET"},
            },
            "exchange": exchange("p3"),
        },
        "p4": {"identity": {"type": "tokenFile", "tokenFile": "/nonexistent/token"}, "exchange": exchange("p4")},
    },
    server={"bind": "127.0.0.1:0", "ops": None, "metadata": None, "adminSocket": "@x"},
    access={"pathToken": {"envVarName": "PATH_TOKEN"}, "allowedHosts": ["127.0.0.1"], "requestsPerSecond": 5},
    refresh={"jitter": 0.1, "minRetrySeconds": 1, "maxRetrySeconds": 60, "permanentRetrySeconds": 300},
    startup={"gate": "timeout", "timeoutSeconds": 5},
    proxy="http://127.0.0.1:3128",
)
VARIABLES = [
    "ALIBABA_CLOUD_ROLE_ARN",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "ALIBABA_CLOUD_ROLE_SESSION_NAME",
    "ALIBABA_CLOUD_STS_REGION",
    "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED",
    "CLOUD_IDAAS_CONFIG_PATH",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "HOME",
]
SDK = identity() | {"authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "X"}}


def attempt(path: Path, raw: bytes, *, look: bool = True, **more: str) -> Loaded | None:
    """Load `raw`; return None if it is refused. Any other exception fails the test."""
    path.write_bytes(raw)
    found = loaded(str(path), ENVIRON | more, look=look)
    if isinstance(found, Loaded):
        return found
    assert len(found) < 2_000 + 8 * len(raw)
    return None


def loaded(path: str | None, environ: dict[str, str], *, look: bool = True) -> Loaded | str:
    """Return the settings, or the error text: printable lines without a secret."""
    nowhere = Path("/nonexistent/config.json")
    try:
        return load(path, environ, hostname="h", now=lambda: 1e9, look=look, default_path=nowhere)
    except ConfigError as error:
        text = str(error)
    assert all(problem.isprintable() for problem in text.split("\n"))
    assert "canary-client" not in text
    assert "canary-path" not in text
    return text


def check(found: Loaded) -> None:
    """Check that loaded settings can be used."""
    for profile in found.settings.profiles.values():
        seconds = profile.exchange.duration_seconds
        assert seconds is None or math.isfinite(lead(seconds))
    assert all(warning.isprintable() and "canary-client" not in warning for warning in found.warnings)


@contextmanager
def config_file(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the path of a configuration file."""
    path = factory.mktemp("fuzz") / "config.json"
    yield path
    path.unlink()


@pytest.mark.parametrize(("base", "look"), [(WHOLE, True), (EXAMPLE, False)], ids=["whole", "example"])
def test_almost_valid_file(base: Any, look: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file with a few wrong values, keys or types gives settings or an error that names the file; both happen."""
    outcomes: Counter[bool] = Counter()
    with config_file(tmp_path_factory) as path:

        @given(document=almost(base))
        def once(document: Any) -> None:
            found = attempt(path, to_json(document), look=look)
            outcomes[found is not None] += document != base
            if found is not None:
                check(found)

        once()

    assert min(outcomes[True], outcomes[False]) > 5, outcomes


def test_any_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes that are not JSON, truncated or changed give settings or an error."""
    raws = strategies.one_of(
        strategies.binary(max_size=200), cuts.map(lambda found: cut(to_json(WHOLE), found)), values.map(to_json)
    )
    with config_file(tmp_path_factory) as path:

        @given(raw=raws)
        def once(raw: bytes) -> None:
            attempt(path, raw)

        once()


def test_sdk_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A changed client-config.json of the IDaaS SDK, which is read leniently, gives settings or an error."""
    with config_file(tmp_path_factory) as path:
        sdk = path.with_name("client-config.json")
        whole = configuration(
            profiles={"default": {"identity": {"type": "idaas", "clientConfigPath": str(sdk)}, "exchange": exchange()}}
        )

        @given(document=almost(SDK))
        def once(document: Any) -> None:
            sdk.write_bytes(to_json(document))
            found = attempt(path, to_json(whole), X=SECRET)
            if found is not None:
                check(found)

        once()


@given(values=strategies.dictionaries(strategies.sampled_from(VARIABLES), strategies.text(max_size=40)))
def test_any_environment(values: dict[str, str]) -> None:
    """Without a file, any values of the SDKs' variables give one profile or an error."""
    environ = {name: value.replace("\0", "") for name, value in values.items()}
    found = loaded(None, {"HOME": "/nonexistent", **environ})
    if isinstance(found, Loaded):
        check(found)
