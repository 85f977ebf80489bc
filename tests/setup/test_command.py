"""`setup` as a process: flags, configuration, terminal, exit codes, and its two topics."""

from __future__ import annotations

import json
import os
import pty
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.emulator.world.world import ACCOUNT, AUDIENCE, CLIENT_ID, PROVIDER_ARN, role_arn

from ..e2e.cloud import config, emulator_admin
from ..e2e.processes import DEADLINE, PROGRAM, ROOT, CommandResult, EmulatedCloud, emulator, environment, run
from ..http_server import Handler, HttpServer, serving
from ..wrong_types import prints
from .test_fingerprint import tls_server

PRINT = "902ef2deeb3c5b13ea4c3d5193629309e231ae55"
FLAGS = {
    "--account": ACCOUNT,
    "--provider": "idaas",
    "--issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
    "--audience": "api.example.com",
    "--client-id": "app_1",
    "--instance-id": "idaas_1",
    "--role": "orders",
    "--fingerprint": PRINT,
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud."""
    with emulator(home=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def setup(home: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run `setup`."""
    return run("setup", *arguments, env=environment(home, **variables))


def flags(**changes: str) -> list[str]:
    """Return the flags of a complete workload with other values."""
    return [text for pair in {**FLAGS, **changes}.items() for text in pair]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("text", "1. OIDC provider acs:ram::1234567890123456:oidc-provider/idaas"),
        ("terraform", 'resource "alicloud_ims_oidc_provider" "a1234567890123456_idaas" {'),
        ("aliyun-cli", "aliyun ims CreateOIDCProvider"),
        ("json", '"issuanceLimitHours": 12'),
    ],
)
def test_flags_describe_one_workload(tmp_path, output, expected):
    """With flags alone, the plan is printed in each format and no connection is made."""
    found = setup(tmp_path, *flags(), "--format", output)

    assert (found.code, found.err) == (0, "")
    assert expected in found.out


def test_the_configuration_is_the_source(cloud, tmp_path):
    """With a configuration, its roles and providers are planned, and the fingerprint is that of the emulator."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(cloud)))
    found = setup(
        tmp_path, "--config", str(path), "--format", "json", "--policy", "P", SSL_CERT_FILE=str(cloud.ca_file)
    )
    plan = json.loads(found.out)

    assert found.code == 0, found.err
    assert [(each["arn"], each["systemPolicies"]) for each in plan["roles"]] == [(role_arn("default"), ["P"])]
    provider = plan["oidcProviders"][0]
    assert (provider["arn"], provider["issuerUrl"], provider["clientIds"]) == (PROVIDER_ARN, cloud.issuer, [AUDIENCE])
    trusted = plan["roles"][0]["trustPolicy"]["Statement"][0]["Condition"]["StringEquals"]["oidc:sub"]
    assert (trusted, plan["configuration"], plan["notes"]) == ([CLIENT_ID], None, [])


def test_the_trust_of_the_configuration_is_used(cloud, tmp_path):
    """The connection to the issuer trusts `tls.caFile`, as the sidecar does."""
    path = tmp_path / "config.json"
    for ca_file, notes in ((str(cloud.ca_file), 0), (None, 1)):
        path.write_text(json.dumps(config(cloud, tls={"caFile": ca_file})))
        found = json.loads(setup(tmp_path, "--config", str(path), "--format", "json", "--policy", "P").out)
        assert len(found["notes"]) == notes


def test_keys_on_another_host_are_a_note(cloud, tmp_path):
    """An issuer whose keys are on another host gets a note with the fingerprint of that host."""
    ca = trustme.CA()
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(cloud.ca_file.read_bytes() + ca.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with tls_server(context) as port:
        body = json.dumps({"issuer": cloud.issuer, "jwks_uri": f"https://127.0.0.1:{port}/jwks"})
        emulator_admin(cloud.url, "POST", "faults", {"kind": "discovery", "body": body})
        values = {**FLAGS, "--issuer": cloud.issuer}
        del values["--fingerprint"]
        arguments = [text for pair in values.items() for text in pair]
        found = setup(tmp_path, *arguments, "--policy", "P", "--format", "json", SSL_CERT_FILE=str(bundle))

    assert found.code == 0, found.err
    assert any("are on 127.0.0.1, whose fingerprint is" in note for note in json.loads(found.out)["notes"])


def test_mistakes_exit_2_with_a_line_each(tmp_path):
    """Each value that RAM would refuse is a line that names its flag; the exit code is 2."""
    found = setup(tmp_path, *flags(**{"--role": "a_b", "--issuance-hours": "169", "--audience": "-"}))

    assert found.code == 2
    assert [line.split(": ")[1] for line in found.err.splitlines()] == ["--audience", "--role", "--issuance-hours"]


def test_without_a_source_the_cure_is_named(tmp_path):
    """Without a configuration, flags or a terminal, one line names the three ways."""
    found = setup(tmp_path)

    assert found.code == 2
    assert "give --config FILE, --issuer and the other flags, or --from FILE" in found.error_line


def test_flags_beside_a_file_are_refused(tmp_path):
    """A flag of one workload has no meaning for a file of many."""
    found = setup(tmp_path, "--from", "w.json", "--role", "a")

    assert (found.code, "--role: not with --from; write role into the file" in found.error_line) == (2, True)


def test_an_issuer_out_of_reach_exits_4(tmp_path):
    """An issuer that cannot be reached is exit code 4, with the flag that helps."""
    values = {**FLAGS, "--issuer": "https://127.0.0.1:9/a"}
    del values["--fingerprint"]
    found = setup(tmp_path, *(text for pair in values.items() for text in pair))

    assert (found.code, "or give --fingerprint" in found.error_line) == (4, True)

    topic = setup(tmp_path, "fingerprint", "https://127.0.0.1:9/a")  # which has no such flag
    assert (topic.code, "can be reached (IDS-200)" in topic.error_line) == (4, True)


def test_a_terminal_is_asked(cloud, tmp_path):
    """On a terminal without a configuration, questions go to stderr and the plan alone to stdout."""
    ours, theirs = pty.openpty()
    answers = ("1", "me", ACCOUNT, cloud.issuer, AUDIENCE, "idaas_1", "app_1", "idaas", "orders", "")
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    process = subprocess.Popen(
        (*PROGRAM, "setup", "--format", "json"),
        cwd=ROOT,
        env=environment(tmp_path, SSL_CERT_FILE=str(cloud.ca_file)),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    out, err = process.communicate(timeout=DEADLINE)
    os.close(ours)

    assert process.returncode == 0, err
    assert "Which issuer proves the workload's identity?" in err
    assert "'me' is not an account id" in err
    assert json.loads(out)["configuration"]["profiles"]["default"]["identity"]["clientId"] == "app_1"


def test_fingerprint_shows_the_chain(cloud, tmp_path):
    """`setup fingerprint` prints the chain and the fingerprint; with the registered one there is nothing to do."""
    trust = {"SSL_CERT_FILE": str(cloud.ca_file)}
    first = setup(tmp_path, "fingerprint", cloud.issuer, "--json", **trust)
    value = json.loads(first.out)["fingerprint"]
    second = setup(tmp_path, "fingerprint", cloud.issuer, "--registered", value.upper(), **trust)
    third = setup(tmp_path, "fingerprint", cloud.issuer, "--registered", PRINT, **trust)

    assert (first.code, second.code, third.code) == (0, 0, 1)
    assert f"Fingerprint for RAM: {value}" in second.out
    assert second.out.endswith("Nothing to do.\n")
    assert "STS refuses tokens of this issuer: RAM has none of the fingerprints" in third.out
    assert " that the server presents (IDS-410)\n" in third.out
    assert "aliyun ims AddFingerprintToOIDCProvider --OIDCProviderName PROVIDER --Fingerprint " + value in third.out


def test_fingerprint_before_a_rotation(cloud, tmp_path):
    """With the new chain, the old and the new fingerprint stand side by side with the rule of one day."""
    trust = {"SSL_CERT_FILE": str(cloud.ca_file)}
    value = json.loads(setup(tmp_path, "fingerprint", cloud.issuer, "--json", **trust).out)["fingerprint"]
    new = tmp_path / "new.pem"
    trustme.CA().cert_pem.write_to_path(str(new))
    found = setup(tmp_path, "fingerprint", cloud.issuer, "--registered", value, "--new-chain", str(new), **trust)

    assert found.code == 0
    assert "wait at least one day (24 hours), then let the server present the new chain" in found.out
    assert f"{value}  yes     yes  -" in found.out


def jwk(**changes: str) -> dict[str, Any]:
    """Return a JWK set with one public key."""
    return {"keys": [{"kty": "RSA", "alg": "RS256", "kid": "k1", "n": "AQAB", "e": "AQAB"} | changes]}


def test_cluster_writes_the_documents(tmp_path):
    """`setup cluster` writes the two documents, and refuses to write a private key."""
    jwks, out = tmp_path / "jwks.json", tmp_path / "public"
    jwks.write_text(json.dumps(jwk()))
    arguments = ("cluster", "https://oidc.example.com/prod", "--jwks", str(jwks), "--out", str(out), "--offline")
    found = setup(tmp_path, *arguments)
    discovery = json.loads((out / ".well-known/openid-configuration").read_text())
    jwks.write_text(json.dumps(jwk(d="secret")))
    private = setup(tmp_path, *arguments)

    assert found.code == 0, found.err
    assert discovery["jwks_uri"] == "https://oidc.example.com/prod/openid/v1/jwks"
    assert json.loads((out / "openid/v1/jwks").read_text()) == jwk()
    assert (private.code, "private member d" in private.err, "secret" in private.err) == (2, True, False)


def test_cluster_checks_from_outside(cloud, tmp_path):
    """`setup cluster` reads the published documents; a missing key of the cluster is a finding and exit code 1."""
    issuer, trust = cloud.issuer, {"SSL_CERT_FILE": str(cloud.ca_file)}
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(jwk()))
    good = setup(tmp_path, "cluster", issuer, **trust)
    bad = setup(tmp_path, "cluster", issuer, "--jwks", str(jwks), **trust)
    gone = setup(tmp_path, "cluster", f"{cloud.tls_url}/nothing", **trust)

    assert (good.code, bad.code, gone.code) == (0, 1, 3), good.out + good.err
    assert "published and usable by STS" in good.out
    assert "the cluster's key 'k1' is missing; publish the current JWK set (IDS-126)" in bad.out
    assert "HTTP 404: publish the document there for everyone" in gone.error_line


@pytest.mark.parametrize(
    "uri", ["https://[::1", "https://h:99999/", "https://\x1b[31m/", "https://a..b/", "https://xn--a/", "https://"]
)
def test_cluster_with_a_hostile_jwks_uri(uri, tmp_path):
    """The issuer's document may name any text as its JWK set: that is one line, and it prints."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with documents_server(context, {"jwks_uri": uri}) as port:
        variables = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        found = setup(tmp_path, "cluster", f"https://127.0.0.1:{port}", **variables)

    assert found.code in (2, 4), found.out + found.err
    assert "/.well-known/" not in found.err  # the document can be read, so the error is about the JWK set
    assert "internal error" not in found.err
    assert prints(found.out + found.err)


@contextmanager
def documents_server(context: ssl.SSLContext, document: dict[str, Any]) -> Iterator[int]:
    """Serve a document for every path, over TLS, and yield the port."""

    class Documents(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

    with serving(HttpServer(Documents, context)) as server:
        yield server.server_port
