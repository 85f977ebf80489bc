"""`webhook` as a process: TLS, an API server that checks the token, a new certificate, and the end."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from app.webhook.json_patch import patched
from app.webhook.serving.server import CONNECTIONS, SCRAPES

from ..golden_pods import POLICIES, golden, pod
from ..http_server import Handler, HttpServer, serving
from ..webhook.defaults import defaulted
from .processes import Process, environment, run, wait_until

Object = dict[str, Any]
NAME = "localhost"


class ApiServer(Handler):
    """The API server of a cluster: CredentialPolicies for the token `token-of-the-pod`, over TLS."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the API server does: 401 without the token, 404 with a Status where there is no policy."""
        path = self.path.split("/")
        status, body = 404, {"kind": "Status", "reason": "NotFound"}
        if self.headers["Authorization"] != "Bearer token-of-the-pod":
            status, body = 401, {"kind": "Status", "reason": "Unauthorized"}
        elif path[1:4] == ["apis", "idaas-sidecar.internal", "v1alpha1"] and path[5] in POLICIES:
            status, body = 200, POLICIES[path[5]]
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


@contextmanager
def api_server(authority: trustme.CA) -> Iterator[int]:
    """Run the API server and yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(HttpServer(ApiServer, context)) as server:
        yield server.server_port


def write_certificate(directory: Path, authority: trustme.CA) -> None:
    """Write a new certificate and its key."""
    issued = authority.issue_cert(NAME)
    issued.private_key_pem.write_to_path(str(directory / "tls.key"))
    issued.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))


def review(url: str, authority: trustme.CA, path: str, given: Object) -> Object:
    """Return the response to a review, over a new connection that trusts only `authority`."""
    request = {"uid": "u1", "operation": "CREATE", "namespace": given["metadata"]["namespace"], "object": given}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    with httpx.Client(verify=_tls(authority), trust_env=False) as client:
        answer = client.post(f"{url}{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the chart mounts: service account, settings, and a directory for the certificate."""
    (tmp_path / "account").mkdir()
    (tmp_path / "account" / "token").write_text("token-of-the-pod")
    (tmp_path / "tls").mkdir()
    (tmp_path / "settings.json").write_text("{}")
    return tmp_path


def arguments(files: Path) -> tuple[str, ...]:
    """Return the arguments of a webhook on free ports."""
    options = {"settings": "settings.json", "certificate": "tls", "service-account": "account"}
    free = ("--bind", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    return ("webhook", *free, *(x for k, v in options.items() for x in (f"--{k}", str(files / v))))


def test_a_life(files: Path) -> None:
    """It injects, refuses what it cannot know, presents a new certificate, and answers for a while after SIGTERM."""
    cluster, first, second = trustme.CA(), trustme.CA(), trustme.CA()
    cluster.cert_pem.write_to_path(str(files / "account" / "ca.crt"))
    write_certificate(files / "tls", first)
    with api_server(cluster) as port:
        variables = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        with Process(*arguments(files), env=environment(files, **variables)) as process:
            listening = process.event("webhook_listening")
            address = listening["address"]
            url = f"https://{NAME}:{address.rpartition(':')[2]}"

            response = review(url, first, "/mutate", pod())
            made = defaulted(patched(pod(), json.loads(base64.b64decode(response["patch"]))))
            assert made == golden("bare")
            assert review(url, first, "/validate", made)["allowed"] is True

            (files / "account" / "token").write_text("expired")
            refused = review(url, first, "/mutate", pod(namespace="bank"))
            assert (refused["allowed"], refused["status"]["code"]) == (False, 503)
            assert "the token is not accepted" in refused["status"]["message"]

            assert scraped(listening["metrics"], 'requests_total{outcome="injected",webhook="mutate"}') == 1
            assert scraped(listening["metrics"], 'requests_total{outcome="unavailable",webhook="mutate"}') == 1
            assert scraped(listening["metrics"], 'request_duration_seconds_count{webhook="validate"}') == 1
            before = scraped(listening["metrics"], "certificate_not_after_timestamp_seconds")
            assert datetime.fromtimestamp(before, UTC) == datetime.fromisoformat(listening["not_after"])

            write_certificate(files / "tls", second)
            process.event("webhook_certificate_replaced")
            with pytest.raises(httpx.ConnectError):
                review(url, first, "/mutate", pod())
            assert review(url, second, "/validate", golden("bare")).keys() >= {"allowed"}

            port = int(address.rpartition(":")[2])
            with (
                socket.create_connection(("127.0.0.1", port), 30) as silent,
                _tls(second).wrap_socket(silent, server_hostname=NAME) as connection,
            ):
                assert connection.recv(1) == b""  # closed, because no request came

            process.send(signal.SIGTERM)
            wait_until(lambda: _status(url, second) == 503)
            assert review(url, second, "/guard", pod())["allowed"] is True
            assert process.wait() == 0
            assert "library" not in {json.loads(line)["event"] for line in process.stderr.lines()}


def scraped(address: str, series: str) -> float:
    """Return the value of a series of the webhook's metrics, which need neither TLS nor a token."""
    answer = httpx.get(f"http://{address}/metrics", trust_env=False)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    (found,) = [line for line in answer.text.splitlines() if line.startswith(f"idaas_sidecar_webhook_{series} ")]
    return float(found.rsplit(" ", 1)[1])


def _status(url: str, authority: trustme.CA) -> int:
    return httpx.get(f"{url}/readyz", verify=_tls(authority), trust_env=False).status_code


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without this machine's CAs, which take 40 ms to read
    authority.configure_trust(context)
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # an aborted connection has no farewell of TLS
    return context


def test_bad_starts(files: Path) -> None:
    """With an unusable certificate, and outside a pod, it ends with exit code 2 and one line that names the reason."""
    inside = environment(files, KUBERNETES_SERVICE_HOST="127.0.0.1")
    for name in ("tls.crt", "tls.key"):
        (files / "tls" / name).write_text("not PEM")

    unusable = run(*arguments(files), env=inside)
    assert (unusable.code, "tls.crt" in unusable.error_line) == (2, True)
    outside = run(*arguments(files), env=environment(files))
    assert (outside.code, "KUBERNETES_SERVICE_HOST" in outside.err) == (2, True)


def test_certificate_that_appears_late(files: Path) -> None:
    """It waits for the files of cert-manager, says so once, and ends with exit code 4 if it is stopped before."""
    inside = environment(files, KUBERNETES_SERVICE_HOST="127.0.0.1")
    for appears in (False, True):
        with Process(*arguments(files), env=inside) as process:
            process.stderr.find(lambda line: "tls.crt: no such file; waiting for the program that writes it" in line)
            if appears:
                write_certificate(files / "tls", trustme.CA())
                process.event("webhook_listening")
                assert process.stop() == 0
            else:
                process.send(signal.SIGTERM)
                assert process.wait() == 4


@pytest.mark.parametrize("option", ["--bind", "--metrics"])
def test_address_that_is_not_there_yet(option: str, files: Path) -> None:
    """It waits for an address that no interface has, and ends with exit code 4 if it is stopped before."""
    write_certificate(files / "tls", trustme.CA())
    inside = environment(files, KUBERNETES_SERVICE_HOST="127.0.0.1")
    with Process(*arguments(files), option, "203.0.113.1:0", env=inside) as process:
        process.stderr.find(lambda line: f"{option}: cannot listen on" in line and line.endswith("; waiting for it"))
        process.send(signal.SIGTERM)
        assert process.wait() == 4


def test_silent_connections(files: Path) -> None:
    """Any pod can connect and stay silent: such connections are bounded before TLS, and a review is answered."""
    cluster, authority = trustme.CA(), trustme.CA()
    cluster.cert_pem.write_to_path(str(files / "account" / "ca.crt"))
    write_certificate(files / "tls", authority)
    with api_server(cluster) as port, ExitStack() as stack:
        variables = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        process = stack.enter_context(Process(*arguments(files), env=environment(files, **variables)))
        listening = process.event("webhook_listening")
        # The test holds as many descriptors as the webhook refuses and keeps: together below the usual limit of 1,024.
        for name, most in (("address", CONNECTIONS), ("metrics", SCRAPES)):
            at = ("127.0.0.1", int(listening[name].rpartition(":")[2]))
            before = len(os.listdir(f"/proc/{process.pid}/fd"))
            for _ in range(most + 60):
                stack.enter_context(socket.create_connection(at, 30))
            wait_until(lambda: len(os.listdir(f"/proc/{process.pid}/fd")) <= before + most)  # noqa: B023 - at once

        url = f"https://{NAME}:{listening['address'].rpartition(':')[2]}"
        assert review(url, authority, "/mutate", pod())["allowed"] is True
        assert scraped(listening["metrics"], 'requests_total{outcome="injected",webhook="mutate"}') == 1
