"""The cloud's own words: shown to the operator in the log, the status and the commands, without any secret in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.emulator.world.world import CLIENT_SECRET, OIDC_CLIENT_SECRET

from .cloud import ENV, add_fault, config, emulator_admin
from .gates import failed_start
from .processes import EmulatedCloud, environment, run, serve
from .test_identities import configuration
from .wire import fetch

WORDS = "Canary, says the cloud."
ENVIRON = {"IDAAS_SECRET": CLIENT_SECRET, "OIDC_SECRET": OIDC_CLIENT_SECRET}
SHARED = 8
"""Characters that a text and a secret may not have in common."""


@pytest.fixture(autouse=True)
def without_faults(cloud: EmulatedCloud) -> Iterator[None]:
    """Remove all faults after each test."""
    yield
    emulator_admin(cloud.url, "DELETE", "faults")


def quoting(cloud: EmulatedCloud, kind: str, code: str) -> None:
    """Let all requests of a kind fail with an answer that quotes the request."""
    add_fault(cloud, kind=kind, times=None, code=code, status=400, message=WORDS, quotesRequest=True)


def parts_of(secret: str) -> set[str]:
    """Return all parts of a secret that may not appear."""
    return {secret[start : start + SHARED] for start in range(max(1, len(secret) - SHARED + 1))}


@pytest.mark.parametrize("kinds", [("token", "workload", "openapi"), ("sts", "developerapi")])
def test_answer_that_quotes_the_secrets(cloud: EmulatedCloud, tmp_path: Path, kinds: tuple[str, ...]) -> None:
    """Every identity and exchange: the answer quotes what was sent; its words are shown, and no secret is."""
    settings = configuration(cloud, tmp_path) | {"startup": {"gate": "listening"}, "logging": {"level": "debug"}}
    settings["profiles"]["client"]["identity"]["tokenEndpoint"] = f"{cloud.tls_url}/workload/token"
    for kind in kinds:
        quoting(cloud, kind, "invalid_request")
    token = (tmp_path / "token").read_text()
    with serve(settings, home=tmp_path, env=ENVIRON) as sidecar:
        names = [name for name in settings["profiles"] if kinds[0] == "sts" or name not in ("file", "command")]
        for name in names:
            line = sidecar.process.event("refresh_failed", profile=name)
            assert WORDS in line["cloud_message"], line
            assert line["cloud_message"] in line["error"]
            assert "[hidden]" in line["cloud_message"]
        ops, credentials = sidecar.urls["ops"], sidecar.urls["credentials"]
        pages = [fetch(ops, path).body.decode() for path in ("/status", "/status.json", "/readyz", "/metrics")]
        answers = [fetch(credentials, f"/credentials/{name}").body.decode() for name in names]
        output = "\n".join((*sidecar.process.stderr.lines(), *pages, *answers))

    assert not [answer for answer in answers if WORDS in answer or "invalid_request" not in answer]
    secrets = {CLIENT_SECRET, OIDC_CLIENT_SECRET, *token.split(".")[1:], (tmp_path / "tls.key").read_text()}
    found = {part for secret in secrets for part in parts_of(secret) if part in output}
    assert found <= parts_of("-----BEGIN PRIVATE KEY-----"), found


@pytest.mark.parametrize("claim", ["iss", "aud", "sub"])
def test_token_that_shows_the_secret(cloud: EmulatedCloud, tmp_path: Path, claim: str) -> None:
    """A token that shows the client secret appears neither in the log nor in `doctor`, and never reaches STS."""
    payload = {"iss": cloud.url, "aud": "api.demo.example", "sub": "app_demo", claim: CLIENT_SECRET}
    encoded = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    body = json.dumps({"access_token": f"e30.{encoded}.c2ln", "expires_in": 600})
    add_fault(cloud, kind="token", times=None, status=200, body=body)
    emulator_admin(cloud.url, "DELETE", "journal")

    start = failed_start(config(cloud), home=tmp_path, env=ENV)
    path = tmp_path / "examined.json"
    path.write_text(json.dumps(config(cloud)))
    examined = run("doctor", "--config", str(path), env=environment(tmp_path, **ENV))

    assert f"the {claim} of the access_token repeats a secret" in start.failed["error"]
    assert f"the {claim} of the access_token repeats a secret" in examined.out
    output = "\n".join((*start.process.stderr.lines(), examined.out, examined.err))
    assert CLIENT_SECRET not in output
    assert b"AssumeRoleWithOIDC" not in emulator_admin(cloud.url, "GET", "journal").body


def test_fields_of_a_failure(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Stage, endpoint, status, code, request id and words stand in the line as fields, and in its sentence."""
    add_fault(
        cloud, kind="sts", times=None, status=401, code="AuthenticationFail.NoPermission",
        message="No such OIDC Provider registered.",
    )  # fmt: skip
    start = failed_start(config(cloud), home=tmp_path, env=ENV)

    for found in (start.process.event("refresh_failed"), start.failed):
        assert (found["stage"], found["endpoint"], found["status"]) == ("exchange", cloud.url, 401)
        assert found["code"] == "AuthenticationFail.NoPermission"
        assert found["cloud_message"] == "No such OIDC Provider registered."
        assert f"(request {found['request_id']})" in found["error"]
        assert "correct oidcProviderArn" in found["error"]
        assert found["error"].endswith('it says "No such OIDC Provider registered."')
    assert start.code == 3


@pytest.mark.parametrize(
    ("fault", "exit_code", "words"),
    [
        ({"body": json.dumps({"error": "invalid_scope", "error_description": WORDS})}, 3, f'it says "{WORDS}"'),
        ({"status": 404, "body": "<title>Not here</title>"}, 3, 'correct the URL of the token endpoint; if it is'),
        ({"status": 404, "body": "<title>Not here</title>"}, 3, 'it says "Not here"'),
        ({"status": 503, "body": "<title>Later</title>"}, 4, 'it says "Later"'),
    ],
)  # fmt: skip
def test_command_shows_the_words(
    cloud: EmulatedCloud, tmp_path: Path, fault: dict[str, Any], exit_code: int, words: str
) -> None:
    """`get` prints the words on one line; an `error` with status 200 is a refusal, and so is a page with 404."""
    add_fault(cloud, kind="token", times=None, contentType="text/html", **fault)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(cloud)))

    done = run("get", "--config", str(path), env=environment(tmp_path, **ENV))

    assert done.code == exit_code, done.err
    assert words in done.error_line


def test_issuer_mismatch_shows_both(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A discovery document of another issuer: the message has the configured issuer and the document's."""
    settings = configuration(cloud, tmp_path)
    settings["profiles"] = {"default": settings["profiles"]["client"]}
    configured = settings["profiles"]["default"]["identity"]["issuer"]
    add_fault(cloud, kind="workload", times=None, body=json.dumps({"issuer": f"{configured}/"}))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings))

    done = run("get", "--config", str(path), env=environment(tmp_path, **ENVIRON))

    assert done.code == 3
    assert f"another issuer, '{configured}/', than the configured '{configured}'" in done.error_line
