"""
Tools that speak S3 to OSS sign with the session of `/aws/{profile}`.

    go install github.com/rclone/rclone@v1.68.2      # rclone on PATH
    python3 -m venv .interop/duckdb
    .interop/duckdb/bin/pip install duckdb==1.5.5 duckdb-extension-aws==1.5.5 duckdb-extension-httpfs==1.5.5

A tool that is missing is skipped. The S3 server is a fake, which reads the signature's key and the session token.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..e2e.processes import ROOT, Demo, demo
from ..e2e.wire import fetch
from ..http_server import Handler, HttpServer, serving
from .conftest import bare_environment

pytestmark = pytest.mark.interop

DUCKDB = ROOT / ".interop/duckdb/bin/python"
LISTING = b"<?xml version='1.0'?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

QUERY = """
import duckdb, importlib, pathlib, sys
connection = duckdb.connect()
for name in ("httpfs", "aws"):
    package = pathlib.Path(importlib.import_module("duckdb_extension_" + name).__file__).parent
    connection.execute("LOAD '%s'" % next(package.rglob("*.duckdb_extension*")))
connection.execute(
    "CREATE SECRET (TYPE s3, PROVIDER credential_chain, ENDPOINT '%s', USE_SSL false, URL_STYLE 'path',"
    " REGION 'oss-cn-hangzhou')" % sys.argv[1]
)
connection.execute("SELECT count(*) FROM read_csv('s3://bucket/object.csv')").fetchall()
"""


class FakeS3(HttpServer):
    """Answers every request with an empty listing. `signers`: key id and session token of each request."""

    def __init__(self) -> None:
        super().__init__(Listing)
        self.signers = set[tuple[str, str]]()


class Listing(Handler):
    """One request to the fake."""

    server: FakeS3

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        key = authorization.partition("Credential=")[2].partition("/")[0]
        self.server.signers.add((key, self.headers.get("x-amz-security-token", "")))
        self.send_response(200)
        self.send_header("Content-Length", str(len(LISTING)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(LISTING)

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo(home=tmp_path_factory.mktemp("sidecar")) as running:
        yield running


@pytest.fixture
def storage() -> Iterator[FakeS3]:
    """A running fake of OSS's S3 interface."""
    with serving(FakeS3()) as server:
        yield server


def check_signs(command: list[str], sidecar: Demo, storage: FakeS3, home: Path) -> None:
    """Check that the command signs every request with the served session and nothing else."""
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{sidecar.metadata_url}/aws/default",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "oss-cn-hangzhou",
    }
    ran = subprocess.run(
        command, env={**bare_environment(home), **variables}, capture_output=True, text=True, timeout=300
    )
    served = json.loads(fetch(sidecar.metadata_url, "/credentials").body)

    assert storage.signers == {(served["AccessKeyId"], served["SecurityToken"])}, ran.stderr
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(shutil.which("rclone") is None, reason="skipped: needs rclone (go install, see above)")
def test_rclone(sidecar: Demo, storage: FakeS3, tmp_path: Path) -> None:
    """rclone's `env_auth` lists a bucket with the session."""
    rclone = shutil.which("rclone")
    assert rclone is not None
    options = ["--s3-provider", "Alibaba", "--s3-env-auth", "--s3-force-path-style", "--retries", "1"]
    endpoint = f"http://127.0.0.1:{storage.server_port}"

    check_signs([rclone, "lsf", ":s3:bucket", "--s3-endpoint", endpoint, *options], sidecar, storage, tmp_path)


@pytest.mark.skipif(not DUCKDB.exists(), reason="skipped: needs .interop/duckdb (see above)")
def test_duckdb(sidecar: Demo, storage: FakeS3, tmp_path: Path) -> None:
    """DuckDB's `credential_chain` reads an object with the session."""
    endpoint = f"127.0.0.1:{storage.server_port}"

    check_signs([str(DUCKDB), "-c", QUERY, endpoint], sidecar, storage, tmp_path)
